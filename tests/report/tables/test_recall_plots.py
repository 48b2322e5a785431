"""Figures: what they show is what was computed, and the same numbers give the same bytes."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from matplotlib import rc_context
from matplotlib.colors import to_rgb
from PIL import Image

from tests.support.run_folders import corpus, evaluate, run, table
from ves.report.drawing.plots import families
from ves.report.tables import ranks as rank_tables
from ves.report.tables import recall_plots
from ves.report.tables.breakdown import breakdown
from ves.report.tables.recall_plots import STYLES, _bars, _by_language, _histogram, _languages, _over_k, _shares


@pytest.fixture(scope="module")
def results_and_groups(tmp_path_factory):
    """(results, retrieval_by.csv) of two runs; read only."""
    folder = tmp_path_factory.mktemp("plots")
    data = corpus(folder / "data")
    for i, name in enumerate(("dense", "global")):
        evaluate(run(folder / "results", f"{name}-s0", data, seed=i))
    groups = folder / "retrieval_by.csv"
    both = table("dense", "global")
    breakdown(both, folder / "results", Path(data.manifest), Path(data.splits), folder, groups)
    return folder / "results", groups


@pytest.fixture
def found(results_and_groups):
    labels = {"similarity": "own"}
    return {
        way: rank_tables.some(table("dense", "global"), results_and_groups[0], "paper", direction=way, **labels)
        for way in ("A2V", "V2A")
    }


@pytest.fixture(autouse=True)
def fonts():
    with rc_context({"font.family": families()}):
        yield


def test_recall_by_language_has_every_language_by_its_training_set(results_and_groups):
    rows = _languages(results_and_groups[1], "R@10")
    figure = _by_language(["dense", "global"], rows, "R@10", 12, 1)
    left, right = figure.axes
    names = [label.get_text().split(",")[0] for label in left.get_yticklabels()]
    trained = dict(rows.filter(loss="dense").select("group", "train_clips").iter_rows())
    assert names == ["all", *sorted(names[1:], key=lambda name: (-trained[name], name))]
    assert [text.get_text() for text in right.texts] == [str(trained[name]) for name in names[1:]]
    containers: list[Any] = left.containers
    for container, loss in zip(containers, ("dense", "global"), strict=True):
        assert container.get_label() == loss
        own = rows.filter(loss=loss)
        np.testing.assert_allclose(container.lines[0].get_xdata(), own["value"].to_numpy())
        (bars,) = container.lines[2]
        ends = np.array([segment[:, 0] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends, own.select("low", "high").to_numpy())


def test_recall_over_k_is_the_share_of_ranks_up_to_k(found):
    figure = _over_k(["dense", "global"], found, 1)
    for axes, one in zip(figure.axes, found.values(), strict=True):
        lines: dict[Any, Any] = {line.get_label(): line for line in axes.get_lines()}
        k = lines["global"].get_xdata()
        expected = [100 * np.mean(one.ranks["global"][0] <= cutoff) for cutoff in k]
        np.testing.assert_allclose(lines["global"].get_ydata(), expected)
        np.testing.assert_allclose(lines["chance"].get_ydata(), 100 * k / one.gallery)
        assert (k[0], k[-1]) == (1, one.gallery)


def test_bars_of_the_histogram_hold_every_query_once(found):
    figure = _histogram(["dense", "global"], found, 1)
    for axes in figure.axes:
        heights = [[bar.get_height() for bar in group] for group in axes.containers if hasattr(group, "patches")]
        assert len(heights) == 2
        assert [sum(one) for one in heights] == pytest.approx([100.0, 100.0])


@pytest.mark.parametrize("gallery", [1, 4, 5, 12, 1000, 5000, 123_456])
def test_bars_cover_every_rank_once(gallery):
    first, last = _bars(gallery)
    assert (first[0], last[-1]) == (1, gallery)
    assert (first[1:] == last[:-1] + 1).all()
    assert (first <= last).all()


def test_shares_come_with_intervals(found):
    value, low, high = _shares(found["A2V"], "dense", np.array([1, 1]), np.array([1, 12]))
    assert value[1] == low[1] == high[1] == 100
    assert low[0] < value[0] < high[0]


def test_runs_are_told_apart_in_grey_by_shade_line_and_mark():
    shades = [np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) for colour, *_ in STYLES]
    assert min(abs(a - b) for i, a in enumerate(shades[:3]) for b in shades[:i]) > 0.2
    for position in (1, 2, 3):
        assert len({style[position] for style in STYLES}) == len(STYLES)


def test_the_files_are_pictures_and_the_same_each_time(results_and_groups, tmp_path):
    files = [[tmp_path / f"{again}-{name}.png" for name in ("language", "k", "histogram")] for again in "ab"]
    for three in files:
        recall_plots.draw(table("dense", "global"), results_and_groups[0], results_and_groups[1], *three)
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()
        with Image.open(first) as picture:
            assert picture.width == 1200
            assert len(picture.convert("L").getcolors(maxcolors=256) or []) > 20


def test_a_language_that_nobody_trains_on_and_names_with_signs(results_and_groups, tmp_path):
    rows = pl.read_csv(results_and_groups[1]).with_columns(
        pl.col("group").str.replace("Tamil", "Ta$m$il", literal=True),
        train_clips=pl.when(pl.col("group") == "Tamil").then(None).otherwise("train_clips"),
    )
    rows.write_csv(tmp_path / "by.csv")
    left, _ = _by_language(["dense", "global"], _languages(tmp_path / "by.csv", "R@10"), "R@10", 12, 1).axes
    assert left.get_yticklabels()[-1].get_text().startswith(r"Ta\$m\$il, n = ")
