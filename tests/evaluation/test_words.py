"""Words of languages: collected by hand from planted tokens; translations against a slow reading of what they are."""

import numpy as np
import polars as pl
import pytest
import torch

from tests.support.embeddings import embeddings
from tests.support.truth_corpus import Corpus, rectangle
from ves.evaluation.truth import NoTruth
from ves.evaluation.words import Words, collect, translations

pytestmark = pytest.mark.numbers

CUP, BALL, OTHER = torch.eye(4)[:3]


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    """Three clips, two of Hindi; each picture of 4 x 4 pixels has a cup top left and a ball top right."""
    first = torch.cat([CUP.expand(5, 4), BALL.expand(5, 4)])
    second = torch.cat([OTHER.expand(5, 4), BALL.expand(5, 4)])
    stored = embeddings(torch.stack([first, second, first]), torch.eye(4).expand(3, 4, 4), [0, 1, 2])
    made = Corpus(tmp_path, stored, (4, 4), ["hi", "hi", "bn"])
    for image in range(3):
        made.show(image, 0, "cup", rectangle(4, 4, 0, 0, 2, 2))
        made.show(image, 1, "ball", rectangle(4, 4, 2, 0, 4, 2))
    return made


def collected(corpus: Corpus) -> Words:
    corpus.evaluate()  # writes the files
    return collect(corpus.stored, corpus.data, corpus.folder / "truth")


def test_words_are_collected_by_language_and_kind(corpus):
    corpus.say(0, 0.0, 0.5, 0)
    corpus.say(1, 0.0, 0.5, 0)
    corpus.say(1, 0.5, 1.0, 1)
    corpus.say(2, 0.5, 1.0, 1)
    words = collected(corpus)
    assert words.table.rows() == [
        ("bn", "ball", "x", 1, 100.0),
        ("hi", "ball", "x", 1, 100.0),
        ("hi", "cup", "x", 2, 50.0),  # the cup of the second clip points below it
    ]
    expected = torch.stack([BALL, BALL, (CUP + OTHER) / 2**0.5])
    np.testing.assert_allclose(words.tokens, expected.numpy(), atol=1e-6)


def test_a_corpus_without_words_that_are_heard_has_none(corpus):
    corpus.say(0, 0.0, 0.5, -1)
    with pytest.raises(NoTruth, match="no noun"):
        collected(corpus)


def test_translations_are_the_nearest_words():
    rng = np.random.default_rng(0)
    languages = {"a": ["cup", "hat", "sun"], "b": ["cup", "sun", "hat", "key"], "c": ["cup"]}
    rows = [(language, kind) for language, kinds in languages.items() for kind in sorted(kinds)]
    tokens = rng.normal(size=(len(rows), 5))
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    table = pl.DataFrame(rows, ["language", "kind"], orient="row")
    found = translations(Words(table, tokens))
    token = dict(zip(rows, tokens, strict=True))
    for language, other in (("a", "b"), ("b", "a")):
        common = ["cup", "hat", "sun"]  # the key of b has no word in a, and is no candidate
        right = sum(
            max(common, key=lambda kind: token[language, asked] @ token[other, kind]) == asked for asked in common
        )
        row = found.row(by_predicate=(pl.col("language") == language) & (pl.col("other") == other), named=True)
        assert row["kinds"] == 3
        assert row["translated"] == pytest.approx(100 * right / 3)
        assert row["chance"] == pytest.approx(100 / 3)
    assert len(found) == 2, "one common word is no choice"
