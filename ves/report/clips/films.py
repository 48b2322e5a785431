"""Films: a clip's picture with its heatmap moving as it is spoken, and the sound. How they are encoded:
ves.media.encoding.

A frame shows the one token that stands for its middle moment, neither smoothed nor rescaled (Viewing.scale), so any
flicker is the model's own; while nothing is said, it shows the picture alone. Lengths are pixels of the frame.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from ves.evaluation.localisation.pointing import hottest
from ves.media import encoding
from ves.report.clips.plate import meaning_of
from ves.report.clips.timeline import TICKS, WAVE, WORDS, Axis, draw_bands, draw_seconds, draw_wave, draw_words
from ves.report.clips.viewing import Viewing
from ves.report.drawing import lettering
from ves.report.drawing.overlay import mark, outline
from ves.report.drawing.page import GAP, INK, MARGIN, PAPER, QUIET, centred, lights, paragraph, size_within
from ves.report.drawing.spotlight import lit

FPS = 25  # as many as DistilHuBERT has tokens a second
PANEL = (300, 230)  # a panel fits in
NARROWEST = 220  # column of a narrow picture
CONTROLS = 44  # height of the strip below, which a browser's controls may cover
SAID = 96  # height of the word that is said
PLAYHEAD = "#d4145a"
KEY = (  # above, where no controls lie over it
    "Lit: patches that are like the sound of this moment; orange: the strongest region; white: the most similar patch. "
    "A picture dims as much as that patch stands out, by one scale of {measure} for all."
)
NAMED = " Blue: the object that is named."
QUIET_S = " While nothing is said, nothing is lit."


@dataclass(frozen=True, eq=False)
class _Stage:
    """What all frames share, and where things move on it."""

    page: Image.Image
    size: tuple[int, int]  # of a panel
    picture: int  # left edge of the picture
    lefts: dict[str, int]  # of the panel of each run
    top: int  # of the panels
    said: int  # top of the word that is said
    axis: Axis
    wave: int  # its upper edge
    end: int  # lower edge of what the playhead crosses


def _whole(length: int) -> int:
    """As many pixels of whole blocks as hold a length."""
    return length + -length % encoding.BLOCK


def _stage(viewing: Viewing, runs: Sequence[str]) -> _Stage:
    """Everything that does not move."""
    size = size_within(viewing.picture, PANEL)
    column = max(size[0], NARROWEST)
    width = _whole(2 * MARGIN + (1 + len(runs)) * column + len(runs) * GAP)
    page = Image.new("RGB", (width, 1600), PAPER)
    inner = width - 2 * MARGIN
    named = any(mask is not None for mask in viewing.masks)
    key = KEY.format(measure=viewing.measure) + NAMED * named + QUIET_S * bool(viewing.words)
    above = paragraph(page, (MARGIN, MARGIN - 12), key, 13, inner - 260 - 2 * GAP, QUIET, "")
    above = max(above, lights(page, (width - MARGIN - 260, MARGIN - 6), 260, 13)) + GAP
    lefts = [MARGIN + i * (column + GAP) + (column - size[0]) // 2 for i in range(1 + len(runs))]
    for left, name in zip(lefts, (viewing.heading, *runs), strict=True):
        centred(page, left + size[0] // 2, above + 12, name, 18, INK, "")
    top = above + 26
    page.paste(viewing.picture.resize(size, Image.Resampling.LANCZOS), (lefts[0], top))
    said = top + size[1] + GAP
    if viewing.words:
        wave = said + SAID
    else:
        wave = paragraph(page, (MARGIN, said), viewing.description, 22, inner, INK, viewing.language) + GAP
    axis = Axis(MARGIN, inner, 0.0, viewing.seconds)
    end = wave + WAVE + WORDS * bool(viewing.words)
    draw_bands(page, axis, wave, end, viewing.words)
    draw_wave(page, axis, wave, viewing.samples)
    draw_words(page, axis, wave + WAVE, viewing.words, viewing.language)
    draw_seconds(page, axis, end)
    page = page.crop((0, 0, width, _whole(end + TICKS + CONTROLS)))
    return _Stage(page, size, lefts[0], dict(zip(runs, lefts[1:], strict=True)), top, said, axis, wave, end)


def _say(frame: Image.Image, viewing: Viewing, second: float, top: int) -> None:
    """The word that is said at that second, large."""
    for word in viewing.words:
        if word.start_s <= second < word.end_s:
            size = lettering.fitting(word.text, 36, frame.width - 2 * MARGIN, viewing.language)
            centred(frame, frame.width // 2, top + 44, word.text, size, INK, viewing.language)
            centred(frame, frame.width // 2, top + 80, meaning_of(word), 17, QUIET, "")
            return


def _named(viewing: Viewing, small: Image.Image) -> list[tuple[float, float, Image.Image]]:
    """(start, end, the picture with the object outlined) of each word that names an object."""
    pictures = []
    for word, mask in zip(viewing.shown, viewing.masks, strict=True):
        if mask is not None:
            outlined = small.copy()
            outline(outlined, Image.fromarray(mask.astype(np.uint8) * 255))
            pictures.append((word.start_s, word.end_s, outlined))
    return pictures


def frames(
    viewing: Viewing, runs: Sequence[str], seconds: Iterable[float] | None = None
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """The frames of these seconds (by default of a film, FPS a second), with the panels of the runs beside the
    picture."""
    stage = _stage(viewing, runs)
    small, geometry = viewing.picture.resize(stage.size, Image.Resampling.LANCZOS), viewing.geometry(stage.size)
    named = _named(viewing, small)
    boxes, visible = geometry.patch_boxes(*viewing.grid), geometry.patch_mask(*viewing.grid)

    @lru_cache(maxsize=len(stage.lefts))  # several frames in a row show one token
    def panel(run: str, token: int) -> Image.Image:
        heat = viewing.heat(run, token)
        picture = lit(small, heat, geometry, viewing.scale)
        if viewing.valid[token]:
            mark(picture, boxes[hottest(heat.ravel(), visible)])
        return picture

    for second in seconds or ((number + 0.5) / FPS for number in range(ceil(viewing.seconds * FPS))):
        frame, token = stage.page.copy(), viewing.token_at(second)
        for start, end, outlined in named:
            if start <= second < end:
                frame.paste(outlined, (stage.picture, stage.top))
        for run, left in stage.lefts.items():
            frame.paste(panel(run, token) if viewing.says(second) else small, (left, stage.top))
        _say(frame, viewing, second, stage.said)
        x = stage.axis.x(min(second, viewing.seconds))
        ImageDraw.Draw(frame).line((x, stage.wave, x, stage.end), fill=PLAYHEAD, width=2)
        yield np.asarray(frame)


def film(viewing: Viewing, runs: Sequence[str], path: Path) -> None:
    """Write the film of a clip with the panels of these runs. Same input, same bytes on one machine."""
    encoding.write(path, frames(viewing, runs), FPS, viewing.samples)


def poster(viewing: Viewing, runs: Sequence[str]) -> Image.Image:
    """What a film shows in the middle of its first noun (or of what stands for it): of its beginning, most of them
    have nothing to say."""
    (word,) = viewing.first().shown
    return Image.fromarray(next(frames(viewing, runs, [(word.start_s + word.end_s) / 2])))
