"""The order of training: a bijection in every epoch, even over what it can be, and a formula of the place; that of
recordings also without two clips of one recording in a batch."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ves.training.order import Order, RecordingOrder


@pytest.mark.parametrize("clips", [1, 2, 3, 10, 255, 256, 257, 1000, 5000])
def test_every_epoch_is_a_permutation(clips):
    epochs = Order(clips, seed=3).take(0, 3 * clips).reshape(3, clips)
    assert all(np.array_equal(np.sort(epoch), np.arange(clips)) for epoch in epochs)


@pytest.mark.parametrize("clips", [10, 255, 256, 257, 1000, 5000])
def test_every_epoch_has_an_order_of_its_own(clips):
    first, second = Order(clips, seed=3).take(0, 2 * clips).reshape(2, clips)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, np.arange(clips))


def test_what_stands_at_a_place_depends_on_nothing_else():
    whole = Order(10, seed=3).take(0, 30)
    assert np.array_equal(Order(10, seed=3).take(7, 16), whole[7:23]), "also across the ends of epochs"
    assert not np.array_equal(Order(10, seed=4).take(0, 10), whole[:10])


def chi_square(counts: np.ndarray) -> float:
    expected = counts.sum() / counts.size
    return float(((counts - expected) ** 2 / expected).sum())


def test_every_clip_is_as_likely_everywhere_and_beside_any_other():
    """Chi-square over 1,000 seeds; both limits are exceeded by chance once in 10,000 times, and seeds are fixed."""
    clips, seeds = 6, 1000
    orders = np.stack([Order(clips, seed).take(0, clips) for seed in range(seeds)])
    where = np.stack([np.bincount(orders[:, place], minlength=clips) for place in range(clips)])
    assert chi_square(where) < 62  # 25 degrees of freedom
    pairs = np.bincount(orders[:, 0] * clips + orders[:, 1], minlength=clips**2)
    assert chi_square(pairs[[a * clips + b for a in range(clips) for b in range(clips) if a != b]]) < 67  # 29


def test_neighbours_lie_far_apart():
    """Clips that follow each other in the manifest are of one shard: in training they must not."""
    order = Order(100_000, seed=0).take(0, 100_000)
    assert np.corrcoef(order[:-1], order[1:])[0, 1] == pytest.approx(0, abs=0.02)
    assert np.abs(np.diff(order)).mean() == pytest.approx(100_000 / 3, rel=0.02)


def test_nothing_is_made_of_24_million_clips():
    order = Order(24_000_000, seed=0)
    tracemalloc.start()
    taken = order.take(10**12, 1024)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    assert 0 <= taken.min() <= taken.max() < 24_000_000
    assert len(np.unique(taken)) == 1024


@st.composite
def of_recordings(draw) -> tuple[np.ndarray, int, int]:
    """The recording of each clip, in any order; a batch size that the recordings allow; a seed."""
    counts = draw(st.lists(st.integers(1, 3), min_size=1, max_size=25))
    recording = np.repeat(np.arange(len(counts)), counts)
    batch_size = draw(st.integers(1, len(counts)))
    seed = draw(st.integers(0, 2**32))
    return np.random.default_rng(seed).permutation(recording), batch_size, seed


def batches_of(corpus: tuple[np.ndarray, int, int], batches: int) -> np.ndarray:
    """Clip indices, a row for each batch."""
    recording, batch_size, seed = corpus
    return RecordingOrder(recording, batch_size, seed).take(0, batches * batch_size).reshape(batches, batch_size)


@settings(max_examples=100, deadline=None)
@given(of_recordings())
def test_no_batch_has_two_clips_of_a_recording(corpus):
    """Within a pass, where two passes meet, and where what is left over of several passes is gathered."""
    recording, *_ = corpus
    ordered = np.sort(recording[batches_of(corpus, 3 * int(recording.max() + 1))], axis=1)
    assert (np.diff(ordered, axis=1) > 0).all()


@settings(max_examples=100, deadline=None)
@given(of_recordings())
def test_nothing_is_lost_or_comes_twice(corpus):
    """After batch_size passes nothing is left over: every recording came so often, and each of its clips equally so."""
    recording, batch_size, _ = corpus
    counts = np.bincount(recording)
    passes = 6 * batch_size  # each of 1 to 3 clips divides 6
    taken = batches_of(corpus, passes * len(counts) // batch_size).ravel()
    assert len(taken) == passes * len(counts)
    assert np.array_equal(np.bincount(taken, minlength=len(recording)), passes // counts[recording])


@settings(max_examples=50, deadline=None)
@given(of_recordings())
def test_at_no_time_is_a_recording_far_behind(corpus):
    """Once k passes' worth of batches are read, a recording came k times, or less by what it may be late."""
    recording, batch_size, _ = corpus
    counts = np.bincount(recording)
    rest = len(counts) % batch_size
    late = -(-batch_size // rest) if rest else 0
    seen = np.zeros(len(counts), int)
    for number, batch in enumerate(batches_of(corpus, 4 * len(counts)), start=1):
        seen[recording[batch]] += 1
        passes, begun = divmod(number * batch_size, len(counts))
        assert seen.min() >= passes - late
        assert seen.max() <= passes + (begun > 0)


@pytest.mark.parametrize("batch_size", [1, 3, 6])
def test_each_segment_comes_once_in_as_many_passes_as_there_are(batch_size):
    """Where passes are whole batches: 6 recordings of 4 clips, 24 places in 4 passes."""
    recording = np.repeat(np.arange(6), 4)
    passes = batches_of((recording, batch_size, 3), 5 * 24 // batch_size).reshape(20, 6)
    assert all(np.array_equal(np.sort(recording[one]), np.arange(6)) for one in passes)
    for start in range(17):
        assert np.array_equal(np.sort(passes[start : start + 4].ravel()), np.arange(24))
    orders = {tuple(recording[one]) for one in passes}
    assert len(orders) > 15, "each pass has an order of its own"
    first = passes[0][np.argsort(recording[passes[0]])] % 4
    assert len(set(first.tolist())) > 1, "and each recording begins with a segment of its own"


def test_a_batch_of_recordings_depends_on_nothing_else():
    recording = np.random.default_rng(0).integers(0, 20, 200)
    whole = RecordingOrder(recording, 6, seed=3).take(0, 600)
    assert np.array_equal(RecordingOrder(recording, 6, seed=3).take(131, 300), whole[131:431])
    assert not np.array_equal(RecordingOrder(recording, 6, seed=4).take(0, 600), whole)


@pytest.mark.parametrize(("recordings", "batch_size"), [(24, 6), (25, 6), (29, 6)])
def test_recordings_meet_others_each_time(recordings, batch_size):
    """No two recordings are always or never in one batch. Neighbours on the circle of leftovers meet more often than
    others: with 5 of 29 left over twice as often, since one of five batches is a stretch of the circle."""
    batches = batches_of((np.arange(recordings), batch_size, 0), 3_000)
    together = np.zeros((recordings, recordings))
    for one in range(batch_size):
        np.add.at(together, (batches[:, [one]], np.delete(batches, one, axis=1)), 1)
    pairs = together[~np.eye(recordings, dtype=bool)]
    assert 0.5 * pairs.mean() < pairs.min() < pairs.max() < 2 * pairs.mean()


def test_a_batch_larger_than_the_recordings_is_refused():
    recording = np.array([0, 1, 2, 2, 2])
    assert len(RecordingOrder(recording, 3, seed=0).take(0, 9)) == 9
    with pytest.raises(ValueError, match=r"^train\.batch_size: 4 is more than the 3 recordings of .*lower"):
        RecordingOrder(recording, 4, seed=0)
