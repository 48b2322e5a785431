"""Make the pictures of README.md and docs/ from a run: `.venv/bin/python scripts/docs_pictures.py results/scenes`.

docs/overview.webp is Figure 1 for a screen, docs/film.webp the first film of the gallery without its sound: clips are
those that the run shows first, by a hash.
"""

import sys
from pathlib import Path

import av
from PIL import Image

from ves.base.files import read_json

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH, FILM_WIDTH = 1200, 720  # pixels
EVERY = 2  # frames of the film: every second one


def overview(results: Path) -> None:
    """Figure 1, smaller. (Of 256 colours, those of the pictures would be others, and colours are what is learned.)"""
    with Image.open(results / "figure1.png") as figure:
        small = figure.convert("RGB").resize((WIDTH, round(figure.height * WIDTH / figure.width)))
    small.save(DOCS / "overview.webp", quality=90, method=6)


def film(results: Path) -> None:
    """The first film as an animated picture, which pages of Markdown show."""
    first = read_json(results / "heatmaps" / "index.json")["clips"][0]["film"]
    with av.open(str(results / "heatmaps" / first)) as container:
        rate = float(container.streams.video[0].average_rate or 0)
        shown = [frame.to_image() for number, frame in enumerate(container.decode(video=0)) if not number % EVERY]
    height = round(shown[0].height * FILM_WIDTH / shown[0].width)
    small = [frame.resize((FILM_WIDTH, height)) for frame in shown]
    between = round(1000 * EVERY / rate)
    small[0].save(
        DOCS / "film.webp", save_all=True, append_images=small[1:], duration=between, loop=0, quality=70, method=4
    )


if __name__ == "__main__":
    overview(Path(sys.argv[1]))
    film(Path(sys.argv[1]))
