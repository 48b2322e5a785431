"""Any checkpoint can be scored, and scores as the workflow's stages would score it; what is none is named."""

from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from ves.__main__ import main
from ves.base.files import read_json, write_json
from ves.config.experiment import run_config
from ves.evaluation.any_checkpoint import evaluate
from ves.evaluation.checkpoint_folder import find
from ves.evaluation.embed import embed
from ves.evaluation.localisation import measure as localisation
from ves.evaluation.retrieval.protocols import paper
from ves.models.towers import VeS

pytestmark = pytest.mark.numbers


@pytest.fixture
def run(tiny, tiny_run) -> Path:
    """A run that is not finished: two checkpoints of random weights."""
    folder = tiny_run()
    config = run_config(folder)
    for step in (3, 6):
        torch.manual_seed(step)
        checkpoint = folder / "checkpoints" / "abc" / f"step-{step:08d}"
        checkpoint.mkdir(parents=True)
        save_file(VeS(config.audio, config.model, 192, 0.05).trainable(), checkpoint / "model.safetensors")
    return folder


def test_the_newest_checkpoint_of_an_unfinished_run_scores_as_by_the_stages(tiny, run: Path, capsys) -> None:
    newest = run / "checkpoints" / "abc" / "step-00000006"
    assert find(run) == (run, newest)
    assert main(["evaluate", str(run)]) == 0
    out = run / "evaluated" / "step-00000006-val"
    assert sorted(path.name for path in out.iterdir()) == ["localisation.json", "retrieval.json"]

    (newest / "model.safetensors").rename(run / "model.safetensors")  # the same weights, as of a finished run
    store, data = run / "embeddings" / "val.zarr", tiny[1]
    embed(run, "val", store)
    paper(run, run / "scores", run / "ranks.parquet", run / "retrieval.json")
    localisation.evaluate(store, data, Path(data.manifest).parent / "truth", run / "localisation.json")
    for name in ("retrieval.json", "localisation.json"):
        assert (out / name).read_bytes() == (run / name).read_bytes()
    told = capsys.readouterr().out
    assert f"speech to image: R@1 {read_json(run / 'retrieval.json')['A2V']['R@1']:.1f}" in told
    assert "pointing " in told and "step-00000006 on val" in told


def test_a_step_and_a_finished_run_are_taken_as_they_are(run: Path) -> None:
    step = run / "checkpoints" / "abc" / "step-00000003"
    assert find(step) == (run, step)
    (run / "model.safetensors").write_bytes(b"")
    assert find(run) == (run, run)
    write_json(step / "config.json", read_json(run / "config.json"))  # kept with the checkpoint: its own settings
    assert find(step) == (step, step)


@pytest.mark.parametrize("name", ["checkpoints", "checkpoints-archive-1"])
def test_of_a_folder_of_checkpoints_it_is_the_newest_with_its_own_settings(run: Path, name: str) -> None:
    (run / "checkpoints").rename(folder := run / name)
    newest = folder / "abc" / "step-00000006"
    assert find(folder) == (run, newest)
    write_json(newest / "config.json", read_json(run / "config.json"))
    assert find(folder) == (newest, newest)


def test_another_split_goes_where_it_is_asked_to(tiny, run: Path, tmp_path: Path, capsys) -> None:
    step = run / "checkpoints" / "abc" / "step-00000003"
    write_json(step / "config.json", read_json(run / "config.json"))
    assert main(["evaluate", str(step), "--split", "tune", "--out", str(tmp_path / "out")]) == 0
    assert read_json(tmp_path / "out" / "retrieval.json")["split"] == "tune"
    own, other = Path(tiny[1].manifest).parent / "truth", tmp_path / "truth"
    files = list((own / "audio").rglob("*.parquet"))
    assert files
    for file in files:
        (copy := other / file.relative_to(own)).parent.mkdir(parents=True, exist_ok=True)
        pl.read_parquet(file).drop("start_s").write_parquet(copy)
    assert main(["evaluate", str(step), "--split", "tune", "--truth", str(other)]) == 0
    assert (run / "evaluated" / "step-00000003-tune" / "localisation.json").is_file()
    assert "pointing: this corpus has no word timings: its truth has no column start_s" in capsys.readouterr().out


def test_a_truth_that_is_none_is_an_error_and_not_a_corpus_without(run: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    for name, what in [("absent", "no such folder"), ("empty", "not the truth of this corpus: it has no ")]:
        assert main(["evaluate", str(run), "--truth", str(tmp_path / name)]) == 1
        assert f"evaluate: {tmp_path / name}: {what}" in capsys.readouterr().err
    assert not (run / "evaluated").exists()


@pytest.mark.parametrize("stage", ["heatmaps", "explorer", "figure1"])
def test_nor_do_figures_take_it_for_one(stage: str, run: Path, tmp_path: Path, capsys) -> None:
    write_json(run / "embeddings" / "val.zarr.manifest.json", {})  # of which nothing is read yet
    wrong, out = tmp_path / "truht", tmp_path / "out"
    given = ["--runs", str(run), "--clips", "1", "--out", str(out), "--truth", str(wrong)]
    assert main([stage, *given]) == 1
    assert f"{stage}: {wrong}: no such folder; the truth of this corpus is " in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("stage", ["localisation", "breakdown", "retrieval-page"])
def test_nor_do_tables(stage: str, run: Path, tmp_path: Path, capsys) -> None:
    """The runs of a table say whose truth it must be."""
    wrong, out = tmp_path / "truht", tmp_path / "out"
    write_json(tmp_path / "table.json", {"seeds": [0], "table": ["one"]})
    (tmp_path / "one-s0").symlink_to(run)
    of_table = {"--table": tmp_path / "table.json", "--results": tmp_path}
    options = {
        "localisation": {"--run": run, "--embeddings": run / "embeddings" / "val.zarr"},
        "breakdown": of_table | {"--manifest": tmp_path / "absent", "--splits": tmp_path / "absent"},
        "retrieval-page": of_table | {"--corpus": "toy"},
    }[stage]
    arguments = [str(part) for pair in (options | {"--truth": wrong, "--out": out}).items() for part in pair]
    assert main([stage, *arguments]) == 1
    assert f"{stage}: {wrong}: no such folder; the truth of this corpus is " in capsys.readouterr().err
    assert not out.exists()


def error_line(checkpoint: Path, capsys) -> str:
    """What is said of it: one line."""
    assert main(["evaluate", str(checkpoint)]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("evaluate: ")]
    assert len(lines) == 1
    return lines[0]


def test_what_is_no_checkpoint_ends_in_one_line(run: Path, tmp_path: Path, capsys) -> None:
    assert "no checkpoint: neither it nor a folder above it has the config.json" in error_line(tmp_path.parent, capsys)
    assert "nowhere: no checkpoint: there is no such folder" in error_line(run / "nowhere", capsys)
    (run / "checkpoints-2").mkdir()
    assert "checkpoints-2: no checkpoint: it has no model.safetensors" in error_line(run / "checkpoints-2", capsys)
    weights = run / "checkpoints" / "abc" / "step-00000006" / "model.safetensors"
    whole, state = weights.read_bytes(), load_file(weights)
    weights.write_bytes(whole[:-9])
    assert "model.safetensors: damaged weights" in error_line(run, capsys)
    save_file({"x": torch.zeros(1)}, weights)
    assert "model.safetensors: not the weights of a VeS model" in error_line(run, capsys)
    save_file({**state, "audio.head.0.bias": torch.zeros(3)}, weights)
    assert "not weights of this configuration: audio.head.0.bias" in error_line(run, capsys)
    weights.write_bytes(whole)
    (run / "config.json").write_text('{"run": "dense"}')
    assert "config.json: not a RunConfig: seed: field required; data: " in error_line(run, capsys)


def test_a_split_without_clips_is_named(run: Path) -> None:
    with pytest.raises(ValueError, match="no clip is in split 'nowhere'"):
        evaluate(run, "nowhere", None, None)
