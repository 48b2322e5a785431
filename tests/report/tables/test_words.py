"""Figures of words: what is drawn is what was measured."""

import shutil

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


def test_one_language_has_a_map_and_no_table_of_translations(words):
    rows = (words.table["language"] == "Hindi").to_numpy()
    hindi = Words(words.table.filter(rows), words.tokens[rows])
    (axes,) = page.words_figure(hindi, translations(hindi), "dense-s0").axes
    assert len(texts(axes)) == page.MAPPED


@pytest.fixture
def run(tmp_path):
    """A run with its corpus in the same folder."""
    run = write_run(tmp_path, "dense-s0", 1.0)
    data, _, _ = write_corpus(run)
    width, height = zip(*SIZES, strict=True)
    images = pl.read_parquet(data.images).with_columns(width=pl.Series(width), height=pl.Series(height))
    images.write_parquet(data.images)
    return run


def written(run):
    """What `write` makes of a run: the table, and the sizes of the figures."""
    table, *figures = (run / name for name in ("words.csv", "words.png", "pointing.png"))
    page.write(run, run / "embeddings" / "val.zarr", run / "truth", table, *figures)
    sizes = []
    for path in figures:
        with Image.open(path) as picture:
            sizes.append(picture.size)
    return pl.read_csv(table), sizes


def test_table_and_figures_of_a_run(run):
    table, sizes = written(run)
    assert table.columns == list(page.COLUMNS)
    assert sorted(table["language"].unique()) == ["Hindi", "Tamil", "Urdu"]
    assert table["pointing"].to_list() == [100.0] * 6, "as the heat was planted"
    assert min(min(size) for size in sizes) > 100


def test_a_corpus_without_words_has_an_empty_table_and_figures_that_say_so(run):
    shutil.rmtree(run / "truth" / "audio")
    table, sizes = written(run)
    assert table.is_empty()
    assert table.columns == list(page.COLUMNS)
    assert sizes[0] == sizes[1] == (8 * page.DPI, page.DPI)
