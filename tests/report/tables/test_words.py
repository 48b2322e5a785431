"""Figures of words: what is drawn is what was measured."""

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support.planted_heat import SIZES, write_corpus, write_run
from ves.evaluation.words import Words, translations
from ves.report.tables import words as page

LANGUAGES, KINDS = ("Hindi", "Tamil", "Urdu"), ("ball", "bird", "bus", "cup", "hat", "key", "sun", "tree")


@pytest.fixture
def words() -> Words:
    rng = np.random.default_rng(0)
    rows = [
        (a, kind, "x", 2, 50.0 * i) for i, a in enumerate(LANGUAGES) for kind in KINDS if (a, kind) != ("Tamil", "sun")
    ]
    tokens = rng.normal(size=(len(rows), 6))
    table = pl.DataFrame(rows, ["language", "kind", "text", "n", "pointing"], orient="row")
    return Words(table, tokens / np.linalg.norm(tokens, axis=1, keepdims=True))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_the_map_has_a_mark_for_each_word_of_its_kinds(words):
    left, right = page.words_figure(words, translations(words), "dense-s0").axes
    kinds = page.mapped_kinds(words.table)
    assert len(kinds) == page.MAPPED
    assert "sun" not in kinds, "Tamil has no word for it here"
    assert sum(np.size(line.get_xdata()) for line in left.get_lines()) == len(LANGUAGES) * page.MAPPED
    assert sorted(set(texts(left))) == ["Hin", "Tam", "Urd"]
    percents = [f"{value:.0f}" for value in translations(words)["translated"]]
    assert sorted(texts(right)) == sorted(percents)


def test_the_plane_keeps_what_varies_most():
    line = np.outer(np.linspace(-1, 1, 9), [0.6, 0.8, 0.0])
    places = page.principal_plane(line)
    np.testing.assert_allclose(np.abs(places[:, 0]), np.abs(np.linspace(-1, 1, 9)), atol=1e-9)
    np.testing.assert_allclose(places[:, 1], 0, atol=1e-9)
    assert page.principal_plane(np.ones((1, 3))).shape == (1, 2)


def test_pointing_is_by_kind_and_language_the_best_first(words):
    (axes,) = page.pointing_figure_of(words.table, "dense-s0").axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Urdu  100", "Tamil  50", "Hindi  0"]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows[-1].split() == ["tree", "50"]
    assert rows[0].split() == ["ball", "50"] or rows[0].split() == ["sun", "50"]
    assert len(texts(axes)) == len(words.table)


def test_table_and_figures_of_a_run(tmp_path):
    run = write_run(tmp_path, "dense-s0", 1.0)
    data, _, truth = write_corpus(run)
    width, height = zip(*SIZES, strict=True)
    images = pl.read_parquet(data.images).with_columns(width=pl.Series(width), height=pl.Series(height))
    images.write_parquet(data.images)
    outputs = [tmp_path / name for name in ("words.csv", "words.png", "pointing.png")]
    page.write(run, run / "embeddings" / "val.zarr", truth, *outputs)
    table = pl.read_csv(outputs[0])
    assert table.columns == list(page.COLUMNS)
    assert sorted(table["language"].unique()) == ["Hindi", "Tamil", "Urdu"]
    for path in outputs[1:]:
        with Image.open(path) as picture:
            assert min(picture.size) > 100
