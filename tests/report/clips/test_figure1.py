"""Figure 1, drawn from embeddings that we planted; what is drawn is read back from its pixels."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support.planted_heat import GRID, PLANTED, RUNS, write_corpus, write_run
from tests.support.viewing import make_untimed_viewing, make_viewing
from ves.config.experiment import DataPaths
from ves.report.clips import figure1
from ves.report.clips.comparison import compare
from ves.report.clips.lookup import Corpus
from ves.report.clips.views import views
from ves.report.drawing.page import size_within

OBJECTIVES = {
    "dense-s0": {"max_mean": 1.0},
    "global-s0": {"mean_mean": 1.0},
    "hybrid-s0": {"max_mean": 0.7, "mean_mean": 0.3},
}
Arguments = tuple[list[Path], DataPaths, Path, Path]  # runs, data, pictures, truth
SAID = np.array([int(figure1.SAID[at : at + 2], 16) for at in (1, 3, 5)])


@pytest.fixture(scope="module")
def arguments(tmp_path_factory) -> Arguments:
    """What `draw` is given, but for how many rows and where to."""
    folder = tmp_path_factory.mktemp("figure1")
    runs = [write_run(folder, name, cosine, objective=OBJECTIVES[name]) for name, cosine in RUNS.items()]
    return (runs, *write_corpus(folder))


@pytest.fixture(scope="module")
def figure_file(arguments: Arguments, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("drawn") / "figure1.png"
    figure1.draw(*arguments, 3, path)
    return path


def panels_of(page: Image.Image, size: tuple[int, int], columns: int) -> list[np.ndarray]:
    """The last row's panels after the picture, each [height, width], found by the geometry of the page."""
    zoom, pixels = figure1.ZOOM, np.asarray(page.convert("L"), float)
    wide = (figure1.WIDTH - 2 * figure1.MARGIN - figure1.LEFT - columns * figure1.GAP) // (columns + 1)
    box = (wide * zoom, round(figure1.ASPECT * wide) * zoom)
    width, height = size_within(Image.new("L", size), box)
    lefts = [(figure1.MARGIN + figure1.LEFT + i * (wide + figure1.GAP)) * zoom for i in range(1, columns + 1)]
    strip = pixels[:, lefts[0] + (box[0] - width) // 2 + width // 2]
    dark = np.flatnonzero(strip < 215)
    runs = np.split(dark, np.flatnonzero(np.diff(dark) > 1) + 1)  # of rows: a panel's are the most
    bottom = max(runs, key=len)[-1] + 1
    return [
        pixels[bottom - height : bottom, left + (box[0] - width) // 2 : left + (box[0] - width) // 2 + width]
        for left in lefts
    ]


def test_columns_go_from_the_most_local_objective_to_the_least(arguments: Arguments) -> None:
    assert list(compare(arguments[0]).by_locality().runs) == ["dense", "hybrid", "global"]
    assert list(compare(arguments[0][::-1]).by_locality().runs) == ["dense", "hybrid", "global"]


def test_the_lit_place_is_the_patch_and_runs_have_one_scale(arguments: Arguments) -> None:
    comparison = compare(arguments[0]).by_locality()
    for viewing in views(comparison, Corpus(comparison.first, *arguments[1:]), 3):
        page = figure1.compose([viewing], OBJECTIVES)
        found = panels_of(page, viewing.picture.size, 3)
        light = []
        for panel in found:
            rows, columns = (((np.arange(GRID) + 0.5) / GRID * length).astype(int) for length in panel.shape)
            cells = np.array([[panel[r - 4 : r + 4, c + 10 : c + 14].mean() for c in columns] for r in rows])
            assert divmod(int(cells.argmax()), GRID) == PLANTED[0]  # the first noun
            light.append(np.median(cells))
        assert light[0] < light[1] - 5 < light[2] - 10, "cosines of 1, 0.7, 0.4 under one scale"


def test_same_input_same_bytes(arguments: Arguments, figure_file: Path, tmp_path: Path) -> None:
    figure1.draw(*arguments, 3, tmp_path / "figure1.png")
    for suffix in (".png", ".pdf"):
        assert (tmp_path / "figure1.png").with_suffix(suffix).read_bytes() == figure_file.with_suffix(
            suffix
        ).read_bytes()


def test_print_is_seven_inches_wide(figure_file: Path) -> None:
    with Image.open(figure_file) as page:
        assert page.width / page.info["dpi"][0] == pytest.approx(7, rel=1e-3)
    content = figure_file.with_suffix(".pdf").read_bytes()
    assert content.startswith(b"%PDF")
    _, box = content.split(b"/MediaBox")
    assert float(box.split(b"]")[0].split()[-2]) == pytest.approx(504, abs=1)
    assert b"CreationDate" not in content


def test_the_word_is_marked_in_the_description() -> None:
    page = np.asarray(figure1.compose([make_viewing()], {})).astype(int)
    places = np.argwhere(np.abs(page - SAID).max(-1) < 8)
    left = figure1.LEFT * figure1.ZOOM
    assert len(places) > 200
    above = places[:, 0] < places[:, 0].min() + 9 * figure1.ZOOM  # the description's own line
    assert above.any()
    assert (places[above][:, 1] > figure1.MARGIN * figure1.ZOOM + 20).all(), "the word before it is not marked"
    assert (places[~above][:, 1] < left + 40 * figure1.ZOOM).any()


def test_without_timings_the_sharpest_moment_is_marked_as_such(arguments: Arguments, tmp_path: Path) -> None:
    said = ["एक\n गेंद", "ᱥᱟᱱᱛᱟᱲᱤ"]  # the second in Ol Chiki, which no font here has
    transcripts = pl.DataFrame({"clip_id": [f"{1:032x}", f"{2:032x}"], "transcript": said})
    (path := tmp_path / "truth/audio/a.parquet").parent.mkdir(parents=True)
    transcripts.write_parquet(path)
    comparison = compare(arguments[0])
    found = views(comparison, Corpus(comparison.first, arguments[1], arguments[2], tmp_path / "truth"), 3)
    captions = {view.clip_id: view.description for view in found}
    assert [captions[f"{clip:032x}"] for clip in (1, 2, 3)] == ["एक गेंद", "", ""]
    assert {word.english for view in found for word in view.first().shown} == {"sharpest similarity"}
    figure1.draw(*arguments[:3], tmp_path / "truth", 3, tmp_path / "figure1.png")
    timed, without = figure1.compose([make_viewing()], {}), figure1.compose([make_untimed_viewing()], {})
    assert timed.tobytes() != without.tobytes()
    reddish = np.abs(np.asarray(without).astype(int) - SAID).max(-1) < 8
    assert not reddish[: 40 * figure1.ZOOM].any(), "no word of a transcript is known to be the one"
