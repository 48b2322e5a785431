"""There is one warning for each term whose loss collapses; skipped steps are counted up to a limit."""

import json
import math

import pytest

from ves.losses import chance
from ves.training.divergence import WINDOW, Divergence, chance_loss

CHANCE = math.log(32)


@pytest.fixture
def divergence(tiny, tmp_path):
    """A run of 1,000 steps of two terms, of which the first 250 are given to begin to learn."""
    settings = {"objective": {"max_mean": 0.7, "mean_mean": 0.3}, "batch_size": 32, "micro_batch": 32, "warmup": 0.1}
    return Divergence(tmp_path, tiny[0].train.model_copy(update=settings), 1000, [])


def see(divergence: Divergence, steps: range, dense: float, whole: float) -> None:
    for step in steps:
        assert divergence.see(step, {"gradient_norm": 1.0, "max_mean/loss": dense, "mean_mean/loss": whole}) == 0


def test_there_is_one_warning_for_a_collapsed_loss_and_only_for_its_term(divergence, caplog):
    see(divergence, range(1, 250 + WINDOW), CHANCE, 2.0)
    assert not caplog.records, "no warning before a quarter of the steps, nor before the window is full"
    see(divergence, range(250 + WINDOW, 1001), CHANCE, 2.0)
    (record,) = caplog.records
    message = "the loss of max_mean has collapsed: it is 3.466 over the last 100 steps, and equal scores for all pairs"
    assert f"{message} give 3.466. Try" in record.getMessage()
    assert f"step {250 + WINDOW}:" in record.getMessage()


def test_a_collapse_is_seen_over_the_log_of_earlier_processes(divergence, tmp_path, caplog):
    """Resumed at step 300 of a loss at chance since a quarter of the steps; step 270 was skipped."""
    logged = {"gradient_norm": 1.0, "max_mean/loss": CHANCE, "mean_mean/loss": 2.0}
    entries = [{"step": step} | logged | ({"max_mean/loss": 0.0} if step <= 250 else {}) for step in range(1, 301)]
    entries[269] = {"step": 270, "max_mean/loss": 0.0}
    (log := tmp_path / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    divergence.look_back(log)
    see(divergence, range(301, 351), CHANCE, 2.0)
    assert not caplog.records, "99 losses are no window"
    see(divergence, range(351, 352), CHANCE, 2.0)
    assert "step 351: the loss of max_mean has collapsed: it is 3.466 over the last 100 steps" in caplog.text


def test_a_loss_without_a_level_of_chance_never_counts_as_collapsed(tiny, tmp_path, caplog):
    """log B says nothing about the loss of another kind: of a good SigLIP, each pair of which adds to the sum."""
    divergence = Divergence(tmp_path, tiny[0].train.model_copy(update={"loss": "sigmoid", "warmup": 0.0}), 1000, [])
    for step in range(1, 1001):
        divergence.see(step, {"gradient_norm": 1.0, "max_mean/loss": 100.0})
    assert divergence.chance is None and not caplog.records


def test_a_loss_collapses_at_the_level_that_it_says_itself(tiny, tmp_path, caplog, monkeypatch):
    monkeypatch.setitem(chance.CHANCE, "sigmoid", lambda pairs: 10.0 * pairs)
    settings = {"loss": "sigmoid", "batch_size": 16, "micro_batch": 16, "warmup": 0.0}
    divergence = Divergence(tmp_path, tiny[0].train.model_copy(update=settings), 1000, [])
    for step in range(1, 500):
        divergence.see(step, {"gradient_norm": 1.0, "max_mean/loss": 150.0})  # far above log 16, and no collapse
    assert not caplog.records
    for step in range(500, 1001):
        divergence.see(step, {"gradient_norm": 1.0, "max_mean/loss": 160.0})
    assert "it is 158.500 over the last 100 steps, and equal scores for all pairs give 160.000" in caplog.text


def test_a_loss_that_falls_is_no_cause_for_alarm(divergence, caplog):
    see(divergence, range(1, 1001), 0.98 * CHANCE, 0.5 * CHANCE)
    assert not caplog.records


def test_a_collapse_after_good_steps_is_seen_too(divergence, caplog):
    see(divergence, range(1, 600), 1.0, 1.0)
    see(divergence, range(600, 1001), 1.0, CHANCE)
    assert [record.getMessage().partition("loss of ")[2].split()[0] for record in caplog.records] == ["mean_mean"]


def test_negatives_of_micro_batches_are_as_many_as_these_hold(tiny, tmp_path, caplog):
    settings = {"batch_size": 32, "micro_batch": 8, "negatives": "micro_batch", "warmup": 0.1}
    divergence = Divergence(tmp_path, tiny[0].train.model_copy(update=settings), 1000, [])
    for step in range(1, 1001):
        divergence.see(step, {"gradient_norm": 1.0, "max_mean/loss": math.log(8)})
    assert "equal scores for all pairs give 2.079" in caplog.text


def test_counts_continue_where_a_checkpoint_left_them(tiny, tmp_path):
    train = tiny[0].train.model_copy(update={"max_skipped": 3})
    first, bad = Divergence(tmp_path, train, 100, []), {"gradient_norm": math.nan}
    good = {"gradient_norm": 1.0, "max_mean/loss": 1.0}
    assert [first.see(step, entry) for step, entry in enumerate((bad, good, bad, bad), 1)] == [1, 1, 2, 3]
    again = Divergence(tmp_path, train, 100, first.counts)
    with pytest.raises(FloatingPointError, match="3 steps in a row"):
        again.see(5, bad)


@pytest.mark.parametrize(
    ("batch", "micro", "negatives", "expected"),
    [
        (32, 8, "batch", math.log(32)),
        (32, 8, "micro_batch", math.log(8)),
        (16, 32, "micro_batch", math.log(16)),
        (32, 24, "micro_batch", (24 * math.log(24) + 8 * math.log(8)) / 32),
    ],
)
def test_the_loss_of_equal_scores_is_that_of_the_real_negatives(tiny, batch, micro, negatives, expected):
    settings = {"batch_size": batch, "micro_batch": micro, "negatives": negatives}
    assert chance_loss(tiny[0].train.model_copy(update=settings)) == pytest.approx(expected, abs=1e-12)
