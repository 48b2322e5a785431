from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ves.report.drawing.page import coloured, paragraph, save, size_within, stacked


@pytest.mark.parametrize(
    ("pieces", "leftwards"), [((("एक", "red"), ("गेंद", "blue")), 0), ((("ایک", "red"), ("گیند", "blue")), 1)]
)
def test_pieces_follow_each_other_as_their_script_runs(pieces: tuple, leftwards: int) -> None:
    page = Image.new("RGB", (400, 100), "white")
    coloured(page, (10, 10), pieces, 30, 380, "Urdu" if leftwards else "Hindi")
    pixels = np.asarray(page).astype(int)
    red, blue = (np.argwhere((pixels[..., c] > 200) & (pixels[..., 2 - c] < 60))[:, 1].mean() for c in (0, 2))
    assert (red > blue) == bool(leftwards)


def test_english_words_keep_their_order_in_urdu() -> None:
    def ink(*pieces: tuple[str, str]) -> np.ndarray:
        page = Image.new("L", (500, 120), "white")
        coloured(page, (10, 20), pieces, 30, 480, "Urdu")
        return np.asarray(page)

    together = ink(("ایک red ball", "black"))
    assert np.array_equal(together, ink(("ایک", "black"), ("red", "black"), ("ball", "black")))
    assert not np.array_equal(together, ink(("ایک", "black"), ("ball", "black"), ("red", "black")))


def test_pieces_of_one_colour_are_a_paragraph() -> None:
    """Of a script to the right, drawn word by word; the ink is the same but for the rounding of each space."""
    text = "एक लाल गेंद और एक नीली कमीज़ है"
    pages = [Image.new("L", (220, 160), "white") for _ in range(2)]
    below = paragraph(pages[0], (10, 10), text, 24, 200, "black", "Hindi")
    assert coloured(pages[1], (10, 10), [(text, "black")], 24, 200, "Hindi") == pytest.approx(below, abs=4)
    whole, pieced = ((np.asarray(page) < 128).sum(1) for page in pages)
    assert np.corrcoef(whole, pieced)[0, 1] > 0.9


def test_pictures_keep_their_shape() -> None:
    assert size_within(Image.new("L", (400, 100)), (200, 200)) == (200, 50)
    assert size_within(Image.new("L", (3, 2)), (90, 90)) == (90, 60)
    assert size_within(Image.new("L", (1000, 1)), (50, 50)) == (50, 1)


def test_pages_below_each_other(tmp_path: Path) -> None:
    page = stacked([Image.new("RGB", (30, 10), "red"), Image.new("RGB", (50, 20), "blue")])
    save(page, tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as read:
        assert read.size == (50, 30)
        assert [read.getpixel(at) for at in ((0, 0), (40, 5), (0, 10), (49, 29))] == [
            (255, 0, 0), (255, 255, 255), (0, 0, 255), (0, 0, 255)
        ]  # fmt: skip
