"""The explorer in a real browser, from disk: what one sees and touches agrees with the numbers behind it."""

import itertools
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
    peak,
    seek,
    similarity,
)
from tests.support.waiting import until
from ves.report.clips.spoken import Spoken
from ves.report.drawing.overlay import COLOURS

pytestmark = needs_chromium
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return page_of(tmp_path_factory.mktemp("explorer") / "page")


@pytest.fixture(scope="module")
def browser():
    with launched() as chromium:
        yield chromium


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(browser, folder, request):
    """The page, open."""
    with opened(browser, folder / "index.html", viewport=request.param, has_touch=request.param is PHONE) as page:
        page.wait_for_function("explorer.current && document.getElementById('audio').readyState >= 2")
        yield page


def colours_of(clip, run: str, values: np.ndarray) -> np.ndarray:
    """What the page must paint for these cosines, by the scale of the clip."""
    seen = np.stack([other[clip.valid][:, clip.visible] for other in clip.similarity.values()])
    place = (values - seen.min()) / (seen.max() - seen.min())
    return COLOURS[(place.clip(0, 1) * 255).round().astype(int)].astype(int)


def test_the_pixels_at_a_moment_are_the_similarities_of_its_token(page):
    for token in (0, 11, 17, TOKENS - 1):
        start, stop = FRAMES.span(token)
        seek(page, (start + stop) / 2)
        for number, run in enumerate(CLIPS[0].similarity):
            painted = heat(page, run)
            assert (painted[:, 3] == 255).all()
            expected = colours_of(CLIPS[0], run, similarity(number)[token].ravel())
            assert np.abs(painted[:, :3].astype(int) - expected).max() <= 3  # a level more or less
            assert painted[:, :3].astype(int).sum(1).argmax() == peak(number, token)


def centre(page, selector: str, number: int = 0) -> tuple[float, float]:
    box = page.locator(selector).nth(number).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def patch_centre(page, panel: int, patch: int) -> tuple[float, float]:
    box = page.locator(".heated canvas").nth(panel).bounding_box()
    row, column = divmod(patch, COLUMNS)
    return box["x"] + box["width"] * (column + 0.5) / COLUMNS, box["y"] + box["height"] * (row + 0.5) / ROWS


def test_the_marked_square_lies_on_the_hottest_patch(page):
    for token in (3, 20):
        seek(page, sum(FRAMES.span(token)) / 2)
        for panel in range(2):
            expected = patch_centre(page, panel, peak(panel, token))
            assert centre(page, ".heated .mark", panel) == pytest.approx(expected, abs=1)


def test_playing_moves_the_heatmap_and_the_playhead(page):
    before = heat(page, "dense")
    page.evaluate("document.getElementById('audio').playbackRate = 0.0625")  # it does not end while we look
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("parseFloat(document.getElementById('clock').textContent) > 0.05")  # so much is drawn
    assert page.locator("#play").text_content() == "Pause"
    until(lambda: not np.array_equal(heat(page, "dense"), before))
    page.locator("#play").click()
    page.wait_for_function("document.getElementById('play').textContent === 'Play'")  # drawn for the last time
    seconds = page.evaluate("document.getElementById('audio').currentTime")
    wave = page.locator("#wave").bounding_box()
    cursor = page.locator("#cursor").bounding_box()
    assert cursor["x"] + 1 == pytest.approx(wave["x"] + wave["width"] * seconds / 2.0, abs=2)
    token = int(page.evaluate(f"explorer.heat.tokenAt({seconds})"))
    assert heat(page, "dense")[:, :3].astype(int).sum(1).argmax() == peak(0, token)


def lit(page) -> np.ndarray:
    """Brightness of each bar of the waveform at mid-height, by its colour."""
    script = """() => {
        const canvas = document.getElementById('wave'), context = canvas.getContext('2d');
        const row = context.getImageData(0, Math.floor(canvas.height / 2), canvas.width, 1).data;
        const bars = explorer.wave.peaks.length, found = [];
        for (let bar = 0; bar < bars; bar++) {
            const x = Math.floor((bar + 0.4) * canvas.width / bars);
            found.push([row[4 * x], row[4 * x + 1], row[4 * x + 2]]);
        }
        return found;
    }"""
    return np.array(page.evaluate(script)).sum(1)


@pytest.mark.parametrize("panel", [0, 1])
def test_touching_a_patch_lights_the_moments_that_are_like_it(page, panel):
    patch = peak(panel, 7)
    page.locator(".heated").nth(panel).evaluate("stage => stage.scrollIntoView({ block: 'center' })")
    x, y = patch_centre(page, panel, patch)
    page.mouse.click(x, y)  # a tap, where there is no pointer to hover with
    assert centre(page, ".heated .pick", 0) == pytest.approx(patch_centre(page, 0, patch), abs=1)
    bright = lit(page) > 600
    assert bright.any() and not bright.all()
    moments = (np.arange(len(bright)) + 0.5) / len(bright) * 2.0
    for moment, is_bright in zip(moments, bright, strict=True):
        token = int(np.floor((moment - FRAMES.span(0)[0]) / FRAMES.hop_s))
        if 0 <= token < TOKENS:
            assert is_bright == (peak(panel, token) == patch), f"at {moment} s"
    page.keyboard.press("Escape")
    assert not (lit(page) > 600).any() and page.locator(".pick").first.is_hidden()


def test_hovering_does_too_until_the_pointer_leaves(browser, folder):
    with opened(browser, folder / "index.html", viewport=DESKTOP) as page:
        page.wait_for_function("explorer.current")
        page.mouse.move(*patch_centre(page, 0, peak(0, 9)))
        assert (lit(page) > 600).any()
        page.mouse.move(5, 5)
        assert not (lit(page) > 600).any()


def test_a_word_is_heard_alone_and_shows_its_mean_heat(page):
    page.evaluate("""() => { window.seen = []; const draw = explorer.draw; explorer.draw = function () {
        const audio = document.getElementById("audio"); if (!audio.paused) window.seen.push(audio.currentTime);
        draw.call(this); }; }""")
    page.locator("#words button.noun").click()
    page.wait_for_function("document.getElementById('audio').paused && explorer.until !== null")
    assert page.evaluate("document.getElementById('audio').currentTime") >= 0.6
    assert 0.3 <= min(page.evaluate("seen")) <= max(page.evaluate("seen")) < 0.61, "it stops at the end of the word"
    tokens = FRAMES.within(0.3, 0.6, TOKENS)
    expected = colours_of(CLIPS[0], "dense", similarity(0)[tokens].mean(0).ravel())
    assert np.abs(heat(page, "dense")[:, :3].astype(int) - expected).max() <= 6
    assert page.locator("#words button.noun").get_attribute("aria-pressed") == "true"
    assert "0.30 to 0.60 s" in page.locator("#state").text_content()
    assert page.locator("#words button.other").is_hidden(), "said beyond the window"


def test_filters_and_switches(page):
    shown = page.locator("#clips li:visible")
    assert shown.count() == 3
    page.locator("#language").select_option("Urdu")
    assert shown.count() == 1
    page.wait_for_function(f"explorer.current.id === '{CLIPS[1].clip_id}'")
    assert page.locator("#found").is_hidden(), "this clip retrieves nothing"
    page.locator("#language").select_option("all")
    page.keyboard.press("n")
    page.wait_for_function(f"explorer.current.id === '{CLIPS[2].clip_id}'")
    assert page.locator("figure:visible").count() == 3
    page.keyboard.press("1")
    captions = page.locator("figure:visible figcaption").all_text_contents()
    assert [caption.split()[0] for caption in captions] == ["picture", "global"]
    page.keyboard.press("p")
    page.wait_for_function(f"explorer.current.id === '{CLIPS[1].clip_id}'")
    assert page.locator("figure:visible").count() == 2, "a model stays hidden from clip to clip"


def test_padding_is_not_painted_and_lies_beyond_the_picture(page):
    page.evaluate(f"explorer.open('{CLIPS[2].clip_id}')")
    page.wait_for_function(f"explorer.current.id === '{CLIPS[2].clip_id}'")
    assert np.array_equal(heat(page, "dense")[:, 3] == 255, CLIPS[2].visible.ravel())
    stage, canvas = (page.locator(place).first.bounding_box() for place in (".heated", ".heated canvas"))
    assert canvas["height"] == pytest.approx(2 * stage["height"], rel=0.02), "twice as high as the picture"
    assert canvas["y"] == pytest.approx(stage["y"] - stage["height"] / 2, abs=2)


def test_the_right_one_is_marked(page):
    pictures, speech = page.locator(".pictures").first, page.locator(".speech").first
    assert [item.get_attribute("class") for item in pictures.locator("li").all()] == ["", "right"]
    assert "the right picture" in pictures.locator("img").nth(1).get_attribute("alt")
    assert speech.locator("li.right span").text_content() == CLIPS[0].description
    assert page.locator("#found small").first.text_content() == "right one at rank 2 of 3"


def test_every_control_is_reached_by_keyboard_and_has_a_name(page):
    controls = "button, select, input, [tabindex]"
    names = page.evaluate(f"""() => [...document.querySelectorAll('{controls}')].map((control) =>
        control.ariaLabel || control.textContent.trim() || control.labels?.[0]?.textContent.trim() || '')""")
    assert names and all(names)
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.getElementById('audio').currentTime > 0")
    assert float(page.locator("#wave").get_attribute("aria-valuenow")) == pytest.approx(FRAMES.hop_s, abs=0.006)


def test_nothing_is_wider_than_the_screen_and_scripts_have_their_fonts(page):
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.evaluate("document.fonts.ready")
    assert page.evaluate("document.fonts.check('20px Scripts', 'पेड़')")
    loaded = page.evaluate("[...document.fonts].filter((font) => font.status === 'loaded').length")
    assert loaded >= 1


def test_arrow_keys_on_a_heatmap_choose_a_spot(page):
    seek(page, sum(FRAMES.span(7)) / 2)
    page.locator(".heated").nth(1).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    row, column = divmod(peak(1, 7), COLUMNS)
    chosen = min(row + 1, ROWS - 1) * COLUMNS + max(column - 1, 0)
    assert page.evaluate("explorer.patch") == {"run": "global", "patch": chosen, "held": True}
    assert centre(page, ".heated .pick", 1) == pytest.approx(patch_centre(page, 1, chosen), abs=1)
    assert page.locator("#state").text_content().startswith("global: this spot is most like the sound at")
    assert page.evaluate("document.getElementById('audio').currentTime") == pytest.approx(
        sum(FRAMES.span(7)) / 2, abs=0.01
    )
    page.keyboard.press("Escape")
    assert page.locator("#state").text_content() == ""


CROWDED = replace(
    CLIPS[0],
    words=[Spoken("शब्द जो लंबा है", f"number {n}", "noun", 0, 0.1 * n, 0.1 * n + 0.09) for n in range(12)],
)


def test_of_patches_of_one_colour_the_most_similar_is_marked(browser, tmp_path):
    close = (0.5 + 1e-4 * np.random.default_rng(2).random((TOKENS, ROWS, COLUMNS))).astype(np.float32)
    close[0, 0, 0] = -0.9
    one = replace(CLIPS[0], similarity={"dense": close, "global": close})
    with opened(browser, page_of(tmp_path / "page", [one]) / "index.html", viewport=DESKTOP) as page:
        page.wait_for_function("explorer.current && document.getElementById('audio').readyState >= 2")
        for token in (4, 9, 14):
            seek(page, sum(FRAMES.span(token)) / 2)
            expected = patch_centre(page, 0, int(close[token].argmax()))
            assert centre(page, ".heated .mark", 0) == pytest.approx(expected, abs=1)


def test_a_moment_that_does_not_count_is_left_grey(browser, tmp_path):
    """As films and strips leave it: of a pause, a model that leaves pauses out says nothing."""
    counted = np.ones(TOKENS, bool)
    counted[[0, 9]] = False
    folder = page_of(tmp_path / "page", [replace(CLIPS[0], valid=counted)])
    with opened(browser, folder / "index.html", viewport=DESKTOP) as page:
        page.wait_for_function("explorer.current && document.getElementById('audio').readyState >= 2")
        for token, painted in ((9, False), (10, True), (0, True)):  # before the first that counts: that
            seek(page, sum(FRAMES.span(token)) / 2)
            assert (heat(page, "dense")[:, 3] == 255 * painted).all()
            assert page.locator(".heated .mark").first.is_visible() == painted


def test_a_spot_answers_in_sight_on_a_phone(browser, folder):
    with opened(browser, folder / "index.html", viewport=PHONE, has_touch=True) as page:
        page.wait_for_function("explorer.current && document.getElementById('audio').readyState >= 2")
        page.locator(".heated").first.evaluate("stage => stage.scrollIntoView({ block: 'center' })")
        x, y = patch_centre(page, 0, peak(0, 7))
        page.touchscreen.tap(x, y)
        for place in ("#wave", "#state"):
            box = page.locator(place).bounding_box()
            assert box["y"] >= 0 and box["y"] + box["height"] <= PHONE["height"], place
        assert "this spot is most like" in page.locator("#state").text_content()


def test_nothing_is_read_aloud_while_it_plays(page):
    """What changes with every frame is no live region: a screen reader would talk over the clip."""
    page.evaluate("""() => { window.said = 0;
        const live = [...document.querySelectorAll('[aria-live]:not([aria-live=off]), [role=status]')];
        for (const place of live) new MutationObserver((changes) => { window.said += changes.length; })
            .observe(place, { subtree: true, childList: true, characterData: true }); }""")
    page.evaluate("explorer.toggle()")
    begun = page.evaluate("window.said = 0")  # what was chosen is let go of once
    page.wait_for_function("document.getElementById('audio').currentTime > 0.5")
    assert page.evaluate("window.said") == begun


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_many_words_do_not_cover_each_other_and_each_can_be_clicked(browser, tmp_path, viewport):
    folder = page_of(tmp_path / "page", [CROWDED])
    with opened(browser, folder / "index.html", viewport=viewport, has_touch=viewport is PHONE) as page:
        page.wait_for_function("explorer.current && document.getElementById('audio').readyState >= 2")
        page.evaluate("document.fonts.ready")
        page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        words = page.locator("#words button").all()
        boxes = [word.bounding_box() for word in words]
        assert len(boxes) == 12
        for one, other in itertools.combinations(boxes, 2):
            beside = min(one["x"] + one["width"], other["x"] + other["width"]) <= max(one["x"], other["x"]) + 0.5
            above = min(one["y"] + one["height"], other["y"] + other["height"]) <= max(one["y"], other["y"]) + 0.5
            assert beside or above
        wave = page.locator("#wave").bounding_box()
        for number, (word, box) in enumerate(zip(words, boxes, strict=True)):
            assert box["x"] + box["width"] <= wave["x"] + wave["width"] + 1 and box["y"] + box["height"] <= wave["y"]
            at = f"{box['x'] + box['width'] / 2}, {box['y'] + box['height'] / 2}"
            on_top = f"document.elementFromPoint({at}).closest('#words button')"
            assert word.evaluate(f"(button) => {on_top} === button"), "it can be clicked"
            word.click()
            assert page.evaluate("explorer.word") == number


def test_one_sound_is_heard_at_a_time_and_a_second_click_stops_it(page):
    page.evaluate("""() => { window.playing = new Set(); const play = HTMLMediaElement.prototype.play;
        HTMLMediaElement.prototype.play = function () {
            window.playing.add(this); this.addEventListener("pause", () => window.playing.delete(this));
            return play.call(this); }; }""")
    heard = "[...window.playing].map((sound) => sound.src.split('/').pop())"
    button = page.get_by_role("button", name="Play number 1, Hindi, the right clip")
    page.evaluate("explorer.toggle()")
    assert page.evaluate(heard) == [f"{CLIPS[0].clip_id}.mp4"]
    button.first.click()
    page.wait_for_function(f"{heard}.join() === 'found.m4a'")
    button.nth(1).click()  # the same clip, found by another model
    page.wait_for_function(f"{heard}.length === 0")
    button.first.click()
    page.wait_for_function(f"{heard}.join() === 'found.m4a'")
    page.evaluate("explorer.toggle()")
    page.wait_for_function(f"{heard}.join() === '{CLIPS[0].clip_id}.mp4'")
    button.first.click()
    page.keyboard.press("n")
    page.wait_for_function(f"{heard}.length === 0")


def test_a_link_names_a_clip(browser, folder):
    with opened(browser, folder / "index.html", fragment=CLIPS[1].clip_id) as page:
        page.wait_for_function(f"explorer.current?.id === '{CLIPS[1].clip_id}'")
        assert page.locator("#description").evaluate("element => getComputedStyle(element).direction") == "rtl"
