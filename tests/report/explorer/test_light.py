"""The explorer's light, in a real browser: the spotlight of the figures, on a word with its object and its verdicts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.browsing import launched, needs_chromium, opened
from tests.support.explorer_clips import (
    CLIPS,
    COLUMNS,
    FRAMES,
    ROWS,
    TOKENS,
    heat,
    page_of,
    seek,
    similarity,
)
from ves.media.geometry import Geometry
from ves.report.clips.spoken import Spoken
from ves.report.drawing.overlay import scale_of
from ves.report.drawing.spotlight import RIM, VEIL, of_patches, spotlight

pytestmark = needs_chromium
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser():
    with launched() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return page_of(tmp_path_factory.mktemp("explorer") / "page")


@pytest.fixture
def page(browser, folder) -> Iterator:
    with opened(browser, folder / "index.html", viewport=DESKTOP) as page:
        page.wait_for_function("explorer.current && document.getElementById('audio').readyState >= 2")
        yield page


def spotlight_pixels(page, run: str) -> np.ndarray:
    """uint8 [height, width, 4]: the canvas of a model, as the page draws it at first."""
    number = list(CLIPS[0].similarity).index(run)
    flat, height, width = page.evaluate(f"""() => {{
        const canvas = document.querySelectorAll('.heated canvas')[{number}];
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return [Array.from(pixels), canvas.height, canvas.width];
    }}""")
    return np.array(flat, np.uint8).reshape(height, width, 4)


def test_the_page_draws_the_spotlight_of_the_figures(page):
    """JavaScript and Python agree, veil and rim, to what 256 levels leave open."""
    clip, tokens, red = CLIPS[0], FRAMES.within(0.3, 0.6, TOKENS), FRAMES.within(1.0, 1.2, TOKENS)
    words = scale_of([heat[of].mean(0).ravel() for heat in clip.similarity.values() for of in (tokens, red)])
    for number, run in enumerate(clip.similarity):
        drawn = spotlight_pixels(page, run).astype(float)
        height, width = drawn.shape[:2]
        heat = similarity(number)[tokens].mean(0)
        geometry = Geometry(width, height, 140, "stretch")
        spot, laid = of_patches(heat, geometry, words), geometry.on_picture(heat)
        rim = spot.rim(laid)
        veil = spot.veil(laid) * (1 - rim)
        off = np.abs(drawn[..., 3] / 255 - (rim + veil))
        assert (off < 0.02).mean() > 0.98 and off.mean() < 0.005
        share = (rim / np.maximum(rim + veil, 1e-6))[..., None]
        expected = share * np.array(RIM) + (1 - share) * np.array(VEIL)
        seen = rim + veil > 0.2
        assert np.quantile(np.abs(drawn[..., :3] - expected)[seen].max(-1), 0.98) < 12
        assert rim.max() > 0.4 and veil.max() > 0.3, "there is something to compare"


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.fit)
def test_padding_has_no_say_in_the_spotlight(browser, folder, clip):
    with opened(browser, folder / "index.html", fragment=clip.clip_id) as page:
        page.wait_for_function(f"explorer.current?.id === '{clip.clip_id}'")
        for run, heats in clip.similarity.items():
            found = page.evaluate(f"""() => {{
                const spot = new Spotlight(
                    explorer.heat.ofTokens('{run}', [5]), explorer.heat, explorer.heat.rises.moment, explorer.light);
                return [explorer.heat.cosine(spot.median), explorer.heat.cosine(spot.top), spot.strength];
            }}""")
            expected = spotlight(heats[5][clip.visible], clip.scale)
            step = (clip.scale.high - clip.scale.low) / 255
            assert found[:2] == pytest.approx([expected.median, expected.top], abs=step)
            assert found[2] == pytest.approx(expected.strength, abs=0.02)


NAMING = replace(CLIPS[0], masks=[np.arange(320 * 200).reshape(200, 320) % 320 < 160])  # the tree: the left half


def test_it_opens_on_the_first_noun_with_its_object_and_a_verdict_of_each_model(browser, tmp_path):
    folder = page_of(tmp_path / "page", [NAMING])
    with opened(browser, folder / "index.html", viewport=DESKTOP) as page:
        page.wait_for_function("explorer.current && document.getElementById('audio').readyState >= 2")
        assert page.locator("#words button.noun").get_attribute("aria-pressed") == "true"
        assert page.evaluate("document.getElementById('audio').currentTime") == 0, "Play plays all of it"
        tokens = FRAMES.within(0.3, 0.6, TOKENS)
        best = [int(similarity(number)[tokens].mean(0).argmax()) % COLUMNS for number in (0, 1)]
        verdicts = ["✓ right" if (column + 0.5) / COLUMNS < 0.5 else "✗ wrong" for column in best]
        assert page.locator("figcaption span").all_text_contents() == verdicts == ["✓ right", "✗ wrong"]
        named = page.locator(".heated .named").first
        page.wait_for_function("document.querySelector('.heated .named').complete")
        assert named.is_visible() and named.evaluate("image => image.naturalWidth") == 320
        page.locator("#words button.colour").click()
        assert named.is_hidden() and page.locator("figcaption span").all_text_contents() == ["", ""]
        page.evaluate("document.getElementById('audio').pause()")
        seek(page, 0.4)
        assert named.is_visible(), "while it is said"
        seek(page, 0.8)
        assert named.is_hidden()


def test_the_chosen_word_keeps_its_colour_and_is_the_only_one(page):
    colour = "button => getComputedStyle(button).backgroundColor"
    chosen = page.locator("#words button.noun")
    before = chosen.evaluate(colour)
    chosen.hover()
    assert chosen.evaluate(colour) == before
    page.evaluate("explorer.say(1); document.getElementById('audio').pause()")
    page.evaluate("document.getElementById('audio').currentTime = 0.4; explorer.draw()")  # the first is at the playhead
    assert page.locator("#words button.now, #words button[aria-pressed=true]").count() == 1


def test_a_flat_heatmap_says_so_and_leaves_the_picture(browser, tmp_path):
    strong, flat = similarity(0), np.full((TOKENS, ROWS, COLUMNS), 0.2, np.float32)
    folder = page_of(tmp_path / "page", [replace(CLIPS[0], similarity={"dense": strong, "global": flat})])
    with opened(browser, folder / "index.html", viewport=DESKTOP) as page:
        page.wait_for_function("explorer.current")
        assert [tag.is_visible() for tag in page.locator(".flat").all()] == [False, True]
        assert spotlight_pixels(page, "dense")[..., 3].max() > 100
        assert spotlight_pixels(page, "global")[..., 3].max() == 0
        page.keyboard.press("v")
        assert not page.locator(".flat").nth(1).is_visible() and page.locator("#scale").is_visible()
        assert (heat(page, "global")[:, 3] == 255).all()


def test_without_a_noun_it_opens_on_the_first_moment_to_show(browser, tmp_path):
    moments = [Spoken(f"at {at} s", "sharpest similarity", "moment", -1, at - 0.15, at + 0.15) for at in (0.6, 1.2)]
    folder = page_of(tmp_path / "page", [replace(CLIPS[0], words=[], shown=moments, masks=[None, None])])
    with opened(browser, folder / "index.html", viewport=DESKTOP) as page:
        page.wait_for_function("explorer.current")
        pressed = [word.get_attribute("aria-pressed") for word in page.locator("#words button").all()]
        assert pressed == ["true", "false"]
        assert spotlight_pixels(page, "dense")[..., 3].max() > 100
