"""Clips for figures: which ones have something to show, which are chosen, and each as the runs see it."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace

from ves.evaluation.truth import decode_mask
from ves.report.clips.comparison import Comparison
from ves.report.clips.lookup import Corpus
from ves.report.clips.spoken import MOMENTS, Spoken, choose, shown_words
from ves.report.clips.viewing import Viewing
from ves.report.drawing import lettering

log = logging.getLogger(__name__)

OF_TWO = 0.1  # share of the clips about something; if fewer are about two objects, one is enough


def views(comparison: Comparison, corpus: Corpus, count: int) -> list[Viewing]:
    """`count` clips (fewer if there are no more), in the order of a hash, spread over the languages.

    Where nobody timed the words, each shows its moments of sharpest similarity. Raises ValueError when no clip can be
    shown.
    """
    to_show = words_to_show(comparison, corpus)
    if not to_show:
        raise ValueError(
            f"{corpus.truth}: no validation clip is about an object that its picture shows; make the corpus again"
        )
    chosen = choose({clip: str(corpus.clips[clip]["language"]) for clip in to_show}, count)
    viewings = [view(comparison, corpus, clip, to_show[clip]) for clip in chosen]
    return viewings if corpus.phrases else [_at_sharpest(viewing, corpus) for viewing in viewings]


def words_to_show(comparison: Comparison, corpus: Corpus) -> dict[str, list[Spoken]]:
    """The words to show of each clip, by clip_id: those that the models hear and (where there are masks) the picture
    shows. Clips about fewer than two objects are left out, unless nearly all are so short that they are about one;
    without word timings all are there, with no words."""
    if not corpus.phrases:
        return {clip: [] for clip in corpus.clips}
    to_show: dict[str, list[Spoken]] = {}
    for clip, phrases in corpus.phrases.items():
        row = corpus.clips[clip]
        audible = [phrase for phrase in phrases if comparison.hears(row["clip_row"], phrase)]
        words = shown_words(
            word for word in audible if not corpus.masks or (row["image_id"], word.object) in corpus.masks
        )
        if words:
            to_show[clip] = words
    of_two = {clip: words for clip, words in to_show.items() if len({word.object for word in words}) >= 2}
    return of_two if len(of_two) >= OF_TWO * len(to_show) else to_show


def view(comparison: Comparison, corpus: Corpus, clip: str, words: Sequence[Spoken]) -> Viewing:
    """A clip (by its id) as the runs see it, with these words to show. It has no transcript."""
    row, attrs = corpus.clips[clip], comparison.attrs
    language, place = str(row["language"]), row["clip_row"]
    masks = [corpus.masks.get((row["image_id"], word.object)) for word in words]
    return Viewing(
        name=f"{re.sub('[^a-z]+', '-', language.lower())}-{clip[:8]}",
        clip_id=clip,
        language=language,
        words=corpus.phrases.get(clip, []),
        transcript="",
        picture=corpus.picture(row),
        samples=corpus.samples(row, attrs["seconds"]),
        shown=words,
        masks=[None if mask is None else decode_mask(mask) for mask in masks],
        similarity={run: comparison.similarity(run, place) for run in comparison.runs},
        valid=comparison.first.audio_mask[place].numpy(),
        frames=comparison.frames,
        image_size=attrs["image_size"],
        fit=attrs["fit"],
        measure=comparison.measure,
    )


def _at_sharpest(viewing: Viewing, corpus: Corpus) -> Viewing:
    """A clip whose words nobody timed, with its sharpest moments to show, and with its transcript if there is one."""
    transcript = _caption(corpus.transcripts.get(viewing.clip_id, ""))
    return replace(viewing, transcript=transcript).at_moments(viewing.sharpest(MOMENTS))


def _caption(transcript: str) -> str:
    """A transcript on one line; for one with letters that no font here has, none, and a warning."""
    line = " ".join(transcript.split())
    try:
        for character in line:
            lettering.font_for(character)
    except ValueError as reason:
        log.warning("a transcript is left out: %s", reason)
        return ""
    return line
