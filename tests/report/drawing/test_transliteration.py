import re
from pathlib import Path

import pytest
import yaml

from tests.support.checkout import of_project
from tests.support.lexicon import strings
from ves.report.drawing import lettering
from ves.report.drawing.transliteration import transliterate

LEXICON = of_project("ves/sources/scenes/lexicon", "*.yaml")


@pytest.mark.parametrize(
    ("word", "letters"),
    [
        ("प्याला", "pyālā"),
        ("मछली", "machalī"),
        ("सफ़ेद", "safeda"),
        ("गाड़ी", "gāṛī"),
        ("चाँद", "cāṁda"),
        ("दुःख १२", "duḥkha 12"),
        ("कृष्ण।", "kriṣṇa."),
        ("ভাত হঠাৎ", "bhāta haṭhāt"),
        ("চেয়ার", "ceẏāra"),
        ("ਇੱਕ ਕੁੱਤਾ", "ikka kuttā"),
        ("ਚਿੜੀ ਸ਼ੇਰ", "ciṛī śera"),
        ("છત્રી", "chatrī"),
        ("ଘୋଡ଼ା ଫୁଲ", "ghoṛā phula"),
        ("பட்டம் கோப்பை கொடி", "paṭṭam kōppai koṭi"),
        ("మేక చెట్టు", "mēka ceṭṭu"),
        ("ಗೋಡೆ ಕೊಡೆ", "gōḍe koḍe"),
        ("മീൻ പൂച്ച", "mīn pūcca"),
        ("लाल ball!", "lāla ball!"),
        ("گیند", ""),  # short vowels are not written
        ("गेंद گیند", ""),
        ("ball", ""),  # needs none
        ("", ""),
    ],
)
def test_words_that_are_known(word: str, letters: str) -> None:
    assert transliterate(word) == letters


@pytest.mark.parametrize("table", LEXICON, ids=lambda table: table.stem)
def test_every_word_of_the_corpus_becomes_letters_that_there_is_a_font_for(table: Path) -> None:
    content = yaml.safe_load(table.read_text(encoding="utf-8"))
    words = [text for key in ("openings", "nouns", "colours") for text in strings(content[key]) if not text.isascii()]
    assert len(words) > 20
    for word in words:
        letters = transliterate(word)
        if content["language"] == "Urdu":
            assert letters == ""
        else:
            assert re.fullmatch(r"[a-zāīūṛêôṅñṇṭḍṉṟḷḻśṣḥṁẏġḵẖēō ’,.-]+", letters), (word, letters)
            assert {lettering.font_for(letter) for letter in letters} <= {"NotoSans", "NotoSansLatinExt"}
