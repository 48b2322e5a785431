"""Clips that the explorer's tests know by heart: in each token, one patch of one model is by far the most similar."""

from pathlib import Path

import numpy as np
from PIL import Image

from ves.media.audio import FrameGrid
from ves.media.encoding import aac, jpeg
from ves.report.clips.spoken import Spoken
from ves.report.clips.viewing import Viewing
from ves.report.explorer.folder import Page, finish, show

FRAMES = FrameGrid((40, 16, 4), (20, 8, 4), 2)
SECONDS, ROWS, COLUMNS = 2.0, 4, 5
TOKENS = FRAMES.tokens(round(SECONDS * 16_000))


def peak(run: int, token: int) -> int:
    """The patch that a token of a run is most similar to (none of padding: see `shown`)."""
    return (COLUMNS + (token * (run + 1)) % (2 * COLUMNS)) % (ROWS * COLUMNS)


def similarity(run: int) -> np.ndarray:
    """float32 [TOKENS, ROWS, COLUMNS]: small noise, and 0.9 at the peak."""
    noise = np.random.default_rng(run).uniform(-0.2, 0.2, (TOKENS, ROWS * COLUMNS)).astype(np.float32)
    noise[np.arange(TOKENS), [peak(run, token) for token in range(TOKENS)]] = 0.9
    return noise.reshape(TOKENS, ROWS, COLUMNS)


def clip(number: int, language: str, text: str, size: tuple[int, int], fit: str) -> Viewing:
    heard = round((1.7 if number else SECONDS) * 16_000)
    words = [
        Spoken(text, "tree", "noun", 0, 0.3, 0.6),
        Spoken(text, "red", "colour", 1, 1.0, 1.2),
        Spoken(text, "late", "other", -1, SECONDS + 0.1, SECONDS + 0.4),
    ]
    column, row = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    pixels = np.stack([column % 256, row % 256, (column + row) % 256], -1).astype(np.uint8)
    return Viewing(
        name=language, clip_id=f"{number:032x}", language=language, words=words, transcript="",
        picture=Image.fromarray(pixels), samples=(8_000 * np.sin(np.arange(heard) / 20)).astype(np.int16),
        shown=words[:1], masks=[None], similarity={"dense": similarity(0), "global": similarity(1)},
        valid=np.arange(TOKENS) < (TOKENS if not number else FRAMES.tokens(heard)), frames=FRAMES,
        image_size=140, fit=fit,
    )  # fmt: skip


CLIPS = [
    clip(0, "Hindi", "पेड़", (320, 200), "stretch"),
    clip(1, "Urdu", "درخت", (240, 300), "crop"),
    clip(2, "Hindi", "लाल", (400, 200), "pad"),
]


def page_of(folder: Path, clips: list[Viewing] = CLIPS) -> Path:
    """A page of these clips; the first retrieves its own picture first, the others retrieve nothing."""
    page = Page(folder)
    entries = []
    for number, one in enumerate(clips):
        picture = page.media(f"{one.clip_id}-found.jpg", jpeg(one.picture, 60))
        top = [{"picture": picture, "right": place == 1} for place in range(2)]
        sound = page.media("found.m4a", aac(one.samples))
        speech = {"id": one.clip_id, "sound": sound, "language": one.language, "lang": "", "gloss": "tree"}
        heard = [speech | {"description": one.description, "right": True}]
        found = {"pictures": {"rank": 2, "of": 3, "top": top}, "clips": {"rank": 1, "of": 3, "top": heard}}
        entries.append(show(page, one, SECONDS, {} if number else dict.fromkeys(one.similarity, found)))
    finish(page, entries, [one.description for one in clips], "A test.")
    return folder


def heat(page, run: str) -> np.ndarray:
    """uint8 [patches, 4]: the pixels of a heatmap in exact values, one to a patch; the page goes on showing values."""
    page.evaluate("explorer.showValues(true)")
    number = list(CLIPS[0].similarity).index(run)
    script = f"""() => {{
        const canvas = document.querySelectorAll('.heated canvas')[{number}];
        return Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data);
    }}"""
    return np.array(page.evaluate(script), np.uint8).reshape(-1, 4)


def seek(page, seconds: float) -> None:
    page.evaluate(f"explorer.seek({seconds})")
    page.wait_for_function(f"Math.abs(document.getElementById('audio').currentTime - {seconds}) < 1e-3")
    page.wait_for_function("!document.getElementById('audio').seeking")
