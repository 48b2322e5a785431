"""Pictures with a heatmap that we planted; what is drawn is read back from the PNGs."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from tests.support.embeddings import embeddings
from tests.support.planted_heat import GRID, PLANTED, RUNS, SIZES, patch_box, write_corpus, write_embedded, write_run
from ves.report.clips.comparison import compare
from ves.report.clips.gallery import draw


@pytest.fixture(scope="module")
def gallery(tmp_path_factory) -> tuple[Path, list]:
    """(folder that was drawn, the arguments that draw it)."""
    folder = tmp_path_factory.mktemp("gallery")
    runs = [write_run(folder, name, cosine) for name, cosine in RUNS.items()]
    (folder / "out").mkdir()
    for name in ("of-yesterday.png", "of-yesterday.mp4"):
        (folder / "out" / name).write_bytes(b"")
    arguments = [runs, *write_corpus(folder), 3, folder / "out"]
    draw(*arguments)
    return folder / "out", arguments


def index(out: Path) -> dict:
    return json.loads((out / "index.json").read_text(encoding="utf-8"))


def cells(out: Path, clip: dict, file: str = "file") -> dict[tuple[str, int], np.ndarray]:
    """Brightness [GRID, GRID] beside the middle of each patch of each panel (stretch), read from a PNG."""
    page = np.asarray(Image.open(out / clip[file]).convert("L"), float)
    found = {}
    for panel in clip["panels"]:
        x0, y0, x1, y1 = panel["box"]
        centres = (np.arange(GRID) + 0.5) / GRID
        rows, columns = (y0 + centres * (y1 - y0)).astype(int), (x0 + centres * (x1 - x0)).astype(int)
        blocks = [[page[r - 4 : r + 5, c + 6 : c + 9].mean() for c in columns] for r in rows]  # beside the dot
        found[panel["run"], panel["word"]] = np.array(blocks)
    return found


def test_what_is_there_is_what_the_index_names(gallery) -> None:
    out, _ = gallery
    kinds = ("file", "file_values", "strip", "strip_values", "film", "poster", "thumbnail")
    files = {clip[kind] for clip in index(out)["clips"] for kind in kinds}
    assert len(files) == 21
    rows = index(out)["four_panels"]
    assert list(rows) == ["dense", "global", "hybrid"]
    assert {file.name for file in out.iterdir()} == files | set(rows.values()) | {"index.json", "index.html"}
    assert {clip["language"] for clip in index(out)["clips"]} == {"Hindi", "Tamil", "Urdu"}
    assert {tuple(word["text"] for word in clip["words"]) for clip in index(out)["clips"]} == {("गेंद", "कमीज़")}


def test_the_page_shows_every_file_and_no_other(gallery) -> None:
    out, _ = gallery
    shown = re.findall(r'(?:src|poster)="([^"]+)"', (out / "index.html").read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(file.name for file in out.iterdir() if file.suffix in (".png", ".mp4", ".jpg"))


def test_the_brightest_place_is_the_planted_patch(gallery) -> None:
    out, _ = gallery
    for clip in index(out)["clips"]:
        for file in ("file", "file_values"):
            for (_, word), found in cells(out, clip, file).items():
                assert divmod(int(found.argmax()), GRID) == PLANTED[word]


def test_brightness_compares_between_runs(gallery) -> None:
    """One scale for all panels: a weak model looks weak, though its own greatest value is in the same place."""
    out, _ = gallery
    for clip in index(out)["clips"]:
        assert clip["scale"] == pytest.approx([0, 1], abs=1e-3)
        for word in range(2):
            runs = ("dense", "global", "hybrid")
            dense, weak, hybrid = (cells(out, clip, "file_values")[run, word].max() for run in runs)
            assert weak + 10 < hybrid < dense - 10
            dense, weak, hybrid = (np.median(cells(out, clip)[run, word]) for run in runs)
            assert dense + 10 < hybrid < weak - 10 < 100, "what stands out more dims the rest more"


def test_the_hottest_patch_is_marked_in_white(gallery) -> None:
    out, _ = gallery
    for clip in index(out)["clips"]:
        page = np.asarray(Image.open(out / clip["file"]))
        for panel in clip["panels"]:
            x0, y0, x1, y1 = panel["box"]
            rows, columns = np.nonzero((page[y0:y1, x0:x1] == 255).all(-1))
            row, column = PLANTED[panel["word"]]
            height, width = (y1 - y0) / GRID, (x1 - x0) / GRID
            assert rows.mean() == pytest.approx((row + 0.5) * height, abs=1)
            assert columns.mean() == pytest.approx((column + 0.5) * width, abs=1)


def test_pictures_are_not_squashed(gallery) -> None:
    out, _ = gallery
    shapes = {}
    for clip in index(out)["clips"]:
        (shape,) = {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in (panel["box"] for panel in clip["panels"])}
        shapes[clip["language"]] = shape[0] / shape[1]
    ratios = {language: w / h for language, (w, h) in zip(("Hindi", "Tamil", "Urdu"), SIZES, strict=True)}
    assert shapes == pytest.approx(ratios, rel=0.01)


def test_same_input_same_bytes(gallery) -> None:
    out, arguments = gallery
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    draw(*arguments)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_other_fits_find_the_patch_in_the_picture(fit: str, tmp_path: Path) -> None:
    runs = [write_run(tmp_path, name, cosine, fit=fit) for name, cosine in RUNS.items()]
    draw(runs, *write_corpus(tmp_path), 3, tmp_path / "out")
    (clip,) = [clip for clip in index(tmp_path / "out")["clips"] if clip["language"] == "Hindi"]
    page, lit = (np.asarray(Image.open(tmp_path / "out" / clip[file])) for file in ("file_values", "file"))
    panels = [panel for panel in clip["panels"] if panel["run"] == "dense"]
    assert panels
    for panel in panels:
        x0, y0, x1, y1 = panel["box"]
        drawn = page[y0:y1, x0:x1].astype(int)
        scale = (x1 - x0) / SIZES[0][0]
        left, top, right, bottom = (patch_box(SIZES[0], PLANTED[panel["word"]], fit) * scale).astype(int)
        inside = np.zeros(drawn.shape[:2], bool)
        inside[top + 5 : bottom - 5, left + 5 : right - 5] = True
        far = np.ones_like(inside)
        far[max(top - 60, 0) : bottom + 60, max(left - 60, 0) : right + 60] = False
        heat = drawn[..., 0] - drawn[..., 2]  # magma ends in yellow; the picture beneath is grey
        assert np.median(heat[inside]) > np.quantile(heat[far], 0.95) + 15
        bright = lit[y0:y1, x0:x1].astype(int).sum(-1)
        assert np.quantile(bright[inside], 0.6) > np.quantile(bright[far], 0.95) + 60


def test_what_a_crop_cuts_off_has_no_colour(tmp_path: Path) -> None:
    """The model saw nothing there."""
    runs = [write_run(tmp_path, name, cosine, fit="crop") for name, cosine in RUNS.items()]
    draw(runs, *write_corpus(tmp_path), 3, tmp_path / "out")
    (clip,) = [clip for clip in index(tmp_path / "out")["clips"] if clip["language"] == "Hindi"]
    page = np.asarray(Image.open(tmp_path / "out" / clip["file_values"]))
    panels = [panel for panel in clip["panels"] if panel["run"] == "dense"]
    assert panels
    for panel in panels:
        x0, y0, x1, y1 = panel["box"]
        cut_off = page[y0:y1, x0 : x0 + int(75 * (x1 - x0) / SIZES[0][0])].astype(int)
        assert (np.ptp(cut_off, -1) <= 2).mean() > 0.95


def test_without_word_timings_moments_are_shown(gallery, tmp_path: Path) -> None:
    _, (runs, data, pictures, _, _, _) = gallery
    draw(runs, data, pictures, tmp_path / "absent", 2, tmp_path / "out")
    clips = index(tmp_path / "out")["clips"]
    assert len(clips) == 2
    for clip in clips:
        peaks = [word for word in clip["words"] if word["english"] == "sharpest similarity"]
        assert len(peaks) == len(clip["words"]) == 3
        tokens = [round((word["start_s"] + word["end_s"]) / 2 / 0.1) for word in peaks]
        assert set(tokens) & {1, 2, 3}
        assert set(tokens) & {5, 6, 7}


def test_runs_of_other_clips_are_refused(gallery, tmp_path: Path) -> None:
    _, (runs, *rest) = gallery
    stored = embeddings(torch.eye(8)[None, :3], torch.eye(8)[None, :4], [0], run="other-s0")
    write_embedded(tmp_path / "other-s0", replace(stored, clip_id=["0" * 32]))
    with pytest.raises(ValueError, match="other: embeddings of other validation clips than those of dense-s0"):
        draw([runs[0], tmp_path / "other-s0"], *rest)
    coarse = write_run(tmp_path, "coarse-s0", 1.0, seconds=2.0)
    with pytest.raises(ValueError, match=r"coarse: seconds is 2\.0, but 1\.0 in dense-s0"):
        draw([runs[0], coarse], *rest)


def test_embeddings_of_another_model_or_split_are_not_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path, "dense-s0", 1.0)
    compare([run])
    (run / "model.safetensors").write_bytes(b"trained anew")
    with pytest.raises(ValueError, match=r"val\.zarr: embeddings of another model than .*model\.safetensors; delete"):
        compare([run])
    (run / "model.safetensors").unlink()
    pl.DataFrame({"clip_id": ["0" * 32], "split": "val"}).write_parquet(run / "splits.parquet")
    with pytest.raises(ValueError, match=r"embeddings of other clips than .*splits\.parquet has in val: 1 are there"):
        compare([run])


def test_seeds_of_one_run_are_told_apart(gallery, tmp_path: Path) -> None:
    _, (runs, data, pictures, truth, _, _) = gallery
    draw([runs[0], write_run(tmp_path, "dense-s1", 1.0)], data, pictures, truth, 3, tmp_path / "out")
    assert {panel["run"] for panel in index(tmp_path / "out")["clips"][0]["panels"]} == {"dense-s0", "dense-s1"}


def test_a_character_without_a_font_is_an_error(gallery, tmp_path: Path) -> None:
    _, (runs, *_) = gallery
    with pytest.raises(ValueError, match="no font for '🦊'"):
        draw(runs, *write_corpus(tmp_path, text="🦊"), 3, tmp_path / "out")
    assert not (tmp_path / "out" / "index.json").exists()


def test_the_hidden_and_the_unheard_are_not_shown(gallery, tmp_path: Path) -> None:
    _, (runs, *_) = gallery
    data, pictures, truth = write_corpus(tmp_path)
    objects, words = (pl.read_parquet(truth / part / "a.parquet") for part in ("images", "audio"))
    hidden = pl.when(pl.col("object") == 1).then(0).otherwise(pl.col("visible_pixels"))
    objects.with_columns(visible_pixels=hidden).write_parquet(truth / "images" / "a.parquet")
    draw(runs, data, pictures, truth, 3, tmp_path / "hidden")
    assert {len(clip["words"]) for clip in index(tmp_path / "hidden")["clips"]} == {1}
    objects.write_parquet(truth / "images" / "a.parquet")
    late = pl.when(pl.col("object") == 1).then(1.1).otherwise(pl.col("end_s"))  # the models hear one second
    words.with_columns(end_s=late).write_parquet(truth / "audio" / "a.parquet")
    draw(runs, data, pictures, truth, 3, tmp_path / "late")
    assert {len(clip["words"]) for clip in index(tmp_path / "late")["clips"]} == {1}
    words.with_columns(end_s=pl.lit(1.1)).write_parquet(truth / "audio" / "a.parquet")
    with pytest.raises(ValueError, match="no validation clip is about an object that its picture shows"):
        draw(runs, data, pictures, truth, 3, tmp_path / "nothing")
