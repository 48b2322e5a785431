"""Every language's table: complete, in its own script, and with colours that agree with the nouns."""

import string
import unicodedata

import pytest

from ves.sources.scenes import lexicon as package
from ves.sources.scenes.lexicon import GENDERS, Lexicon, codes, lexicon
from ves.sources.scenes.paint import COLOURS
from ves.sources.scenes.things import kinds


def words(table: Lexicon) -> list[str]:
    """Every word a speaker of the language can say."""
    phrases = [table.one]
    for group in (table.openings, table.joins, table.closings, table.fillers):
        phrases += group.values()
    for colour in table.colours.values():
        phrases += [colour] if isinstance(colour, str) else colour.values()
    for noun in table.nouns.values():
        phrases += [noun.word] + ([noun.also] if noun.also else [])
    return [word for phrase in phrases for word in phrase.split()]


def test_the_languages_are_those_the_design_names():
    assert codes() == ["bn", "gu", "hi", "kn", "kok", "ml", "mr", "ne", "or", "pa", "ta", "te", "ur"]
    labels = [lexicon(code).language for code in codes()]
    assert len(set(labels)) == len(labels)
    assert all(label.istitle() for label in labels)


@pytest.mark.parametrize("code", codes())
def test_a_table_is_complete(code):
    table = lexicon(code)
    assert list(table.nouns) == [kind.name for kind in kinds()]
    assert sorted(table.colours) == sorted(COLOURS)
    assert min(map(len, (table.openings, table.joins, table.closings, table.fillers))) >= 2
    fields = [field for _, field, _, _ in string.Formatter().parse(table.phrase) if field]
    assert sorted(fields) == ["colour", "noun", "one"]


@pytest.mark.parametrize("code", codes())
def test_every_word_is_in_the_languages_script(code):
    table = lexicon(code)
    for word in words(table):
        for sign in word:
            name = unicodedata.name(sign)
            assert name.startswith((table.script, "ZERO WIDTH")), f"{word}: {name}"


@pytest.mark.parametrize("code", codes())
def test_words_that_mean_different_things_differ(code):
    """A colour or a noun that sounds like another could not be grounded."""
    table = lexicon(code)
    nouns = [noun.word for noun in table.nouns.values()]
    loans = [noun.also for noun in table.nouns.values() if noun.also]
    colours = [form for c in table.colours.values() for form in ([c] if isinstance(c, str) else set(c.values()))]
    assert len({*nouns, *loans, *colours}) == len(nouns) + len(loans) + len(colours)
    assert len(loans) >= 4


@pytest.mark.parametrize("code", codes())
def test_names_have_at_most_two_words(code):
    """A name as long as a sentence takes seconds, and whoever hears it cannot tell which of its words is meant."""
    assert max(len(noun.word.split()) for noun in lexicon(code).nouns.values()) <= 2


@pytest.mark.parametrize("code", codes())
def test_colours_that_agree_have_a_form_for_every_noun(code):
    table = lexicon(code)
    agreeing = any(isinstance(colour, dict) for colour in table.colours.values())
    for kind, noun in table.nouns.items():
        assert noun.gender in (GENDERS if agreeing else (None,)), kind
        assert all(table.colour(colour, kind) for colour in COLOURS)


def test_colours_agree():
    hindi, konkani = lexicon("hi"), lexicon("kok")
    assert hindi.colour("yellow", "car") == "पीली"  # gāṛī is feminine
    assert hindi.colour("yellow", "house") == "पीला"
    assert hindi.colour("red", "car") == "लाल"
    assert konkani.colour("white", "house") == "धवें"


def test_an_unknown_language_is_an_error_that_names_the_others():
    with pytest.raises(ValueError, match="no lexicon for language 'xx'; there are bn, gu"):
        lexicon("xx")


def test_a_table_with_a_missing_or_unknown_key_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "HERE", tmp_path)
    (tmp_path / "qq.yaml").write_text("language: Q\nvoice: qq\ncolors: {}\nnouns: {}\n")
    with pytest.raises(ValueError, match=r"qq\.yaml: missing or unknown keys \['closings', 'colors', 'colours'"):
        lexicon("qq")
