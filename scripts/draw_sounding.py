"""Draws docs/sounding.webp: the seconds of a few films of config/sounding.yaml, and the twelve sounds as spectrograms.

Run it as `python scripts/draw_sounding.py` from the repository after a change of ves/sources/sounding.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ves.config.check import load
from ves.report.drawing.page import INK, MARGIN, PAPER, QUIET, paragraph
from ves.sources.scenes.streams import generator
from ves.sources.sounding.films import Film, Plan
from ves.sources.sounding.pictures import Pictures
from ves.sources.sounding.sounds import SOUNDING, maker, sound

FILMS, SLOT, HEIGHT = 3, 216, 160
WIDTH = 2 * MARGIN + 4 * SLOT
RANGE_DB, BINS = 60.0, 512


def spectrogram(wave: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Loudness (dark is loud) over time and frequency, from 0 to 8 kHz."""
    hop = len(wave) // size[0]
    padded = np.pad(wave, (BINS // 2, BINS))
    frames = np.stack([padded[i * hop : i * hop + BINS] for i in range(size[0])]) * np.hanning(BINS)
    level = 20 * np.log10(np.abs(np.fft.rfft(frames, axis=1)) + 1e-6)
    dark = ((level.max() - level) / RANGE_DB).clip(0, 1)
    return Image.fromarray((255 * dark.T[::-1]).astype(np.uint8)).resize(size)


def _heading(film: Film) -> str:
    heard = [f"{event.kind} {event.start_s:.1f}-{event.end_s:.1f} s" for event in film.events]
    said = " ".join(token.english for token in film.tokens if token.role == "noun")
    return "; ".join([*heard, *([f"somebody says: {said}"] if said else [])])


def main() -> None:
    settings = load(Path("config.yaml"), [Path("config/sounding.yaml")]).corpus.sounding
    if settings is None:
        raise SystemExit("config/sounding.yaml: no block corpus.sounding")
    plan = Plan(settings)
    shown = [film for film in map(plan.film, range(40)) if film.kind in ("sound", "both")][:FILMS]
    page = Image.new("RGB", (WIDTH, 1200), PAPER)
    y = MARGIN
    for film in shown:
        y = paragraph(page, (MARGIN, y), _heading(film), 15, WIDTH - 2 * MARGIN, INK, "") + 4
        for second in range(4):
            picture = Pictures(film).drawn(second)[1].image
            picture.thumbnail((SLOT - 8, HEIGHT))
            page.paste(picture, (MARGIN + second * SLOT, y))
        y += HEIGHT + 12
    pen = ImageDraw.Draw(page)
    for i, kind in enumerate(SOUNDING):
        left, top = MARGIN + i % 4 * SLOT, y + i // 4 * 92
        wave = sound(kind, maker(settings.seed, 0), generator(settings.seed, "sheet", i), 2.0)
        page.paste(spectrogram(wave, (SLOT - 8, 64)), (left, top + 18))
        paragraph(page, (left, top), kind, 13, SLOT, QUIET, "")
        pen.rectangle((left, top + 18, left + SLOT - 9, top + 81), outline="#cccccc")
    page.crop((0, 0, WIDTH, y + 3 * 92 + MARGIN // 2)).save("docs/sounding.webp", quality=82, method=6)


if __name__ == "__main__":
    main()
