"""Descriptions and their recordings: what is said, and when in the clip it is heard."""

from itertools import pairwise

import numpy as np
import pytest

from tests.support.small_scenes import settings
from ves.sources.scenes.description import Token, describe
from ves.sources.scenes.espeak import Span
from ves.sources.scenes.layout import scene
from ves.sources.scenes.lexicon import codes, lexicon
from ves.sources.scenes.recording import _spread, _token_times, record, room_noise, voice
from ves.sources.scenes.streams import generator

QUIET = settings(snr_db=(60.0, 60.0))


def description(settings, index: int, code: str) -> list[Token]:
    return describe(generator(settings.seed, "test", index), settings, scene(settings, index), lexicon(code))


def mentioned(tokens: list[Token]) -> set[int]:
    return {token.thing for token in tokens if token.role == "noun"}


def test_descriptions_say_enough_to_tell_pictures_apart():
    said = [description(QUIET, index, "hi") for index in range(400)]
    mentions = [len(mentioned(tokens)) for tokens in said]
    assert set(mentions) == {1, 2, 3, 4}
    assert 2.5 < np.mean(mentions) < 2.9


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_only_colours_that_were_painted_are_said_and_as_often_as_asked(share):
    asked = settings(snr_db=(60.0, 60.0), colour_said=share, repainted=0.5)
    painted, coloured = 0, 0
    for index in range(200):
        things, tokens = scene(asked, index).things, description(asked, index, "hi")
        with_colour = {token.thing for token in tokens if token.role == "colour"}
        assert all(things[token.thing].colour == token.english for token in tokens if token.role == "colour")
        painted += sum(things[i].colour is not None for i in mentioned(tokens))
        coloured += len(with_colour)
    assert coloured / painted == pytest.approx(share, abs=0.08)


def test_mentions_keep_to_their_range():
    two = settings(mentions=(2, 2))
    assert all(len(mentioned(description(two, index, "bn"))) == 2 for index in range(40))


def test_code_switching_swaps_nouns_and_only_when_asked():
    loans = {noun.also for noun in lexicon("hi").nouns.values() if noun.also}
    heard = {}
    for share in (0.0, 1.0):
        asked = settings(code_switching=share)
        heard[share] = {t.text for index in range(80) for t in description(asked, index, "hi") if t.role == "noun"}
    assert not heard[0.0] & loans
    assert len(heard[1.0] & loans) > 0.8 * len(loans)


def test_the_words_of_one_noun_share_its_thing():
    """Kannada's key is two words."""
    pairs = set()
    for index in range(300):
        tokens = description(settings(code_switching=0.0), index, "kn")
        pairs |= {(a.text, b.text, a.thing == b.thing >= 0) for a, b in pairwise(tokens)
                  if a.english == b.english == "key"}  # fmt: skip
    assert pairs == {("ಬೀಗದ", "ಕೈ", True)}


@pytest.mark.parametrize("code", codes())
def test_words_are_heard_in_order_within_the_clip_and_nouns_are_loud(code):
    table = lexicon(code)
    for clip in range(6):
        tokens = description(QUIET, clip, code)
        made = record(QUIET, clip, voice(3, clip), table.voice, tokens)
        assert len(made.times) == len(tokens)
        edges = np.array(made.times)
        assert np.all(edges[:, 0] < edges[:, 1])
        assert np.all(edges[1:, 0] >= edges[:-1, 1] - 1e-6)
        assert edges[0, 0] >= 0
        assert edges[-1, 1] <= len(made.samples) / 16_000 + 1e-6
        loudness = np.abs(made.samples.astype(float))
        for token, (start, end) in zip(tokens, made.times, strict=True):
            if token.role == "noun":
                heard = loudness[round(start * 16_000) : round(end * 16_000)]
                assert end - start > 0.05
                assert heard.mean() > 0.15 * loudness[loudness > 200].mean(), token


def test_silence_lies_outside_the_words():
    """Before the first word, and in a pause between two, there is nothing but the noise."""
    tokens = [Token("गेंद", "ball", "noun", 0, pause=True), Token("घर", "house", "noun", 1)]
    gaps = []
    for clip in range(12):
        made = record(QUIET, clip, voice(3, 1), "hi", tokens)
        (start, end), (second, _) = made.times
        peak = np.abs(made.samples.astype(int)).max()
        before = made.samples[: max(0, round((start - 0.02) * 16_000))].astype(int)
        pause = made.samples[round((end + 0.06) * 16_000) : round((second - 0.02) * 16_000)].astype(int)
        gaps.append(second - end)
        assert np.abs(before).max(initial=0) < 0.02 * peak
        assert np.abs(pause).max(initial=0) < 0.1 * peak
    assert max(gaps) > 0.4


def test_clip_lengths_run_from_under_one_to_over_eight_seconds():
    made = [record(QUIET, clip, voice(3, clip % 12), "hi", description(QUIET, clip, "hi")) for clip in range(250)]
    seconds = np.array([len(one.samples) / 16_000 for one in made])
    assert seconds.min() < 1.0
    assert seconds.max() > 8.0
    assert 0.5 < ((seconds > 2) & (seconds < 5)).mean() < 0.85
    assert seconds.max() < 20


def test_the_noise_has_the_asked_level():
    tokens = [Token("गेंद", "ball", "noun", 0)]
    for level in (5.0, 20.0):
        asked = settings(snr_db=(level, level))
        measured = []
        for clip in range(40):
            made = record(asked, clip, voice(3, 1), "hi", tokens)
            start, end = (round(second * 16_000) for second in made.times[0])
            if start > 4_000:  # a quarter second of nothing but noise
                samples = made.samples.astype(float)
                noise, heard = np.mean(samples[: start - 400] ** 2), np.mean(samples[start:end] ** 2)
                measured.append(10 * np.log10((heard - noise) / noise))
                assert made.snr_db == level
        assert len(measured) > 8
        assert np.median(measured) == pytest.approx(level, abs=1.5)


def test_noise_has_unit_power_and_its_colour():
    for colour in (0.0, 1.0):
        noise = room_noise(generator(0, "test"), 50_000, colour)
        spectrum = np.abs(np.fft.rfft(noise)) ** 2
        assert np.mean(noise**2) == pytest.approx(1, rel=1e-3)
        ratio = spectrum[2_000:4_000].mean() / spectrum[16_000:20_000].mean()  # 960 Hz and 5.8 kHz
        assert ratio == pytest.approx(6.0**colour, rel=0.25)


def test_speakers_keep_their_voice_and_differ():
    voices = [voice(3, speaker) for speaker in range(60)]
    assert voices == [voice(3, speaker) for speaker in range(60)]
    assert len(set(voices)) == 60
    assert {one.variant[0] for one in voices if one.gender == "Female"} == {"f"}
    assert {one.variant[0] for one in voices if one.gender == "Male"} == {"m"}


def test_tokens_that_espeak_joins_share_its_time_by_their_letters():
    tokens = [Token("ab", ""), Token("cdef", ""), Token("gh", "")]  # starts 0, 3, 8
    spans = [Span("ab cdef", 1.0, 2.6, 0), Span("gh", 2.6, 3.0, 8)]
    times = _token_times(spans, [0, 3, 8], tokens)
    assert times == [pytest.approx((1.0, 1.6)), pytest.approx((1.6, 2.6)), (2.6, 3.0)]


def test_a_token_that_espeak_splits_has_the_time_of_its_parts():
    spans = [Span("ab", 1.0, 1.5, 0), Span("b", 1.5, 1.8, 1), Span("c", 1.8, 2.0, 3)]
    assert _token_times(spans, [0, 3], [Token("ab", ""), Token("c", "")]) == [pytest.approx((1.0, 1.8)), (1.8, 2.0)]


def test_spreading_by_hand():
    samples = np.arange(1, 9, dtype=np.float32)
    times = [(0.0, 4 / 16_000), (4 / 16_000, 8 / 16_000)]
    spread, shifted = _spread(samples, times, {1: 2}, lead=1, tail=1)
    assert spread.tolist() == [0, 1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 0]
    assert [[edge * 16_000 for edge in time] for time in shifted] == [pytest.approx([1, 5]), pytest.approx([7, 11])]
