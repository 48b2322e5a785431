import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.support.checkout import of_project
from tests.support.lexicon import strings
from ves.report.drawing import lettering

LEXICON = of_project("ves/sources/scenes/lexicon", "*.yaml")
CONJUNCTS = {  # two letters that are written as one, and the mark between them that joins them
    "NotoSansDevanagari": "क्ष",
    "NotoSansBengali": "ক্ষ",
    "NotoSansGujarati": "ક્ષ",
    "NotoSansGurmukhi": "ਪ੍ਰ",
    "NotoSansKannada": "ಕ್ಷ",
    "NotoSansMalayalam": "ക്ഷ",
    "NotoSansOriya": "କ୍ଷ",
    "NotoSansTamil": "க்ஷ",
    "NotoSansTelugu": "క్ష",
}
APART = "\u200c"  # zero width non-joiner


def ink_of(text: str, size: int = 40, language: str | None = None, at: tuple[int, int] = (60, 120)) -> np.ndarray:
    """Ink of a line on a page of 200 x 600 pixels."""
    page = Image.new("L", (600, 200))
    lettering.draw(page, at, text, size, "white", language)
    return np.asarray(page)


@pytest.mark.parametrize("table", LEXICON, ids=lambda table: table.stem)
def test_every_word_of_the_corpus_has_its_letters(table: Path) -> None:
    words = yaml.safe_load(table.read_text(encoding="utf-8"))
    spoken = [text for key in ("openings", "nouns", "colours") for text in strings(words[key]) if len(text) > 1]
    assert len(spoken) > 20
    for text in spoken:
        assert lettering.measure(text, 20, words["language"]).width > 0


@pytest.mark.parametrize(("family", "conjunct"), CONJUNCTS.items())
def test_conjuncts_are_shaped(family: str, conjunct: str) -> None:
    first, mark, second = conjunct
    assert {lettering.font_for(letter) for letter in conjunct} == {family}
    together = lettering.measure(conjunct, 60)
    assert not np.array_equal(ink_of(conjunct, 60), ink_of(first + mark + APART + second, 60))
    if family != "NotoSansTamil":  # the others stack or fuse; in Tamil the conjunct is wider than its parts
        assert together.width < lettering.measure(first, 60).width + lettering.measure(second, 60).width


def test_a_vowel_sign_goes_where_it_is_read() -> None:
    """In कि the sign stands before the letter that it follows in the text: the letter's ink is at the right end."""
    letter, syllable = (ink_of(text, 60, at=(60, 120)) for text in ("क", "कि"))
    width = lettering.measure("क", 60).width
    right = 60 + lettering.measure("कि", 60).width
    body = slice(100, 120)  # below the sign's arch, which reaches over the letter
    assert np.abs(letter[body, 62 : 58 + width].astype(int) - syllable[body, right - width + 2 : right - 2]).mean() < 40
    assert np.abs(letter[body, 62 : 58 + width].astype(int) - syllable[body, 62 : 58 + width]).mean() > 60


def test_urdu_joins_its_letters() -> None:
    assert lettering.measure("ببب", 60).width < 2 * lettering.measure("ب", 60).width
    assert not np.array_equal(ink_of("ببب"), ink_of(f"ب{APART}ب{APART}ب"))


def test_no_character_becomes_a_box() -> None:
    with pytest.raises(ValueError, match=r"U\+1F98A, FOX FACE"):
        lettering.measure("लोमड़ी 🦊", 20)
    with pytest.raises(ValueError, match=r"U\+000A"):
        lettering.draw(Image.new("L", (9, 9)), (0, 0), "two\nlines", 20, "white")


def test_common_characters_stay_with_the_script_around_them() -> None:
    assert lettering.font_for("\u0964", "NotoSansBengali") == "NotoSansBengali"  # the danda is in nine of the fonts
    assert lettering.font_for("a", "NotoSansBengali") == "NotoSans"


@pytest.mark.parametrize("text", ["ball", "कमीज़", "ఈ చిత్రంలో", "പന്ത്", "چھتری", "गेंद ball"])
def test_ink_lies_where_it_was_measured(text: str) -> None:
    ink = ink_of(text)
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    extent = lettering.measure(text, 40)
    assert 120 - extent.above <= rows[0] <= 120 - extent.above + 2
    assert 120 + extent.below - 3 <= rows[-1] < 120 + extent.below
    assert 60 - 6 <= columns[0] <= 60 + 6  # bearings: some letters lean out of their advance
    assert 60 + extent.width - 8 <= columns[-1] <= 60 + extent.width + 6


def test_a_line_runs_as_its_first_letter_does() -> None:
    assert lettering.right_to_left("«صاف ball»")
    assert not lettering.right_to_left("ball گیند")
    assert not lettering.right_to_left("12 ")
    width = lettering.measure("ball", 40).width
    ends_left, starts_left = ink_of("گیند ball"), ink_of("ball گیند")
    alone = ink_of("ball")[:, 60 : 60 + width]
    for line in (starts_left, ends_left):  # said first or last, the Latin word is at the left; Nastaliq leans into it
        assert np.count_nonzero(line[:, 60 : 60 + width] != alone) < 40
    before = 60 + lettering.measure(" صاف", 40).width  # the space between is on that side of the Latin word
    between = ink_of("گیند ball صاف")[:, before - 2 : before + width + 2]
    found = min(np.count_nonzero(between[:, shift : shift + width] != alone) for shift in range(5))
    assert found < 40


def test_languages_have_their_forms() -> None:
    assert not np.array_equal(ink_of("लश", language="Marathi"), ink_of("लश", language="Hindi"))
    assert np.array_equal(ink_of("लश", language="Hindi"), ink_of("लश"))


def test_lines_are_broken_at_spaces() -> None:
    text = "इस तस्वीर में एक लाल गेंद और एक नीली कमीज़ है"
    lines = lettering.wrap(text, 24, 180)
    assert " ".join(lines) == text
    assert len(lines) > 2
    for line, after in pairwise(lines):
        assert lettering.measure(line, 24).width <= 180
        assert lettering.measure(f"{line} {after.split()[0]}", 24).width > 180, "a line ended too early"
    assert lettering.wrap("कमीज़ ख", 24, 10) == ["कमीज़", "ख"]
    assert lettering.wrap("", 24, 10) == []


def test_a_long_word_is_set_smaller() -> None:
    size = lettering.fitting("ഘടികാരം", 40, 100)
    assert lettering.measure("ഘടികാരം", size).width <= 100 < lettering.measure("ഘടികാരം", size + 1).width
    assert lettering.fitting("a", 40, 100) == 40
    assert lettering.fitting("ഘടികാരം", 40, 1) == 20


def test_fonts_are_few_and_licensed() -> None:
    files = {file.name: file.stat().st_size for file in of_project("ves/report/drawing/fonts", "*.ttf")}
    assert set(files) == {f"{family}-Regular.ttf" for family in lettering.FAMILIES}
    assert sum(files.values()) < 2_500_000
    licence = (lettering.FONTS / "OFL.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    for family in lettering.FAMILIES:
        assert re.search(rf"^{family}: Copyright \d{{4}} The Noto Project Authors", licence, re.M), family
        assert f"{family}-Regular.ttf" in (lettering.FONTS / "README.md").read_text(encoding="utf-8")
