"""What people name on the command line and is not there is said at once, with what is spelt like it and what to do."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ves.__main__ import STAGES, TYPED
from ves.commands import presence
from ves.commands.arguments import arguments, name_of

BY_NAME = {name_of(stage): stage for stage in STAGES}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two runs, the second one trained and embedded."""
    for name in ("dense-s0", "global-s0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "global-s0" / "model.safetensors").write_bytes(b"")
    (tmp_path / "global-s0" / "embeddings").mkdir()
    (tmp_path / "global-s0" / "embeddings" / "val.zarr.manifest.json").write_text("{}")
    (tmp_path / "notes").mkdir()
    (tmp_path / "photo.jpg").write_bytes(b"")
    return tmp_path


def refusal(check: Callable[[Path], None], path: Path) -> str:
    with pytest.raises(ValueError, match=".") as error:
        check(path)
    return str(error.value)


def test_what_is_there_is_not_refused(results: Path) -> None:
    presence.file(results / "photo.jpg")
    presence.folder(results / "notes")
    presence.store(results / "notes")
    presence.run(results / "dense-s0")
    for check in (presence.run, presence.trained, presence.embedded, presence.checkpoint):
        check(results / "global-s0")


def test_a_file_that_is_not_there(results: Path) -> None:
    wrong = results / "foto.jpg"
    assert refusal(presence.file, wrong) == f"{wrong}: no such file; did you mean {results}/photo.jpg?"
    assert refusal(presence.file, results / "x") == f"{results}/x: no such file"
    assert refusal(presence.file, results / "gone" / "photo.jpg") == f"{results}/gone/photo.jpg: no such file"
    assert refusal(presence.file, results / "notes") == f"{results}/notes: this is a folder, not a file"


def test_a_folder_that_is_not_there(results: Path) -> None:
    wrong = results / "note"
    assert refusal(presence.folder, wrong) == f"{wrong}: no such folder; did you mean {results}/notes?"
    assert refusal(presence.store, wrong) == f"{wrong}: no such store; did you mean {results}/notes?"
    assert refusal(presence.folder, results / "photo.jpg") == f"{results}/photo.jpg: this is a file, not a folder"


def test_a_run_that_is_not_there(results: Path) -> None:
    wrong = results / "dens-s0"
    meant = f"{wrong}: not a run: there is no such folder; did you mean {results}/dense-s0?"
    for check in (presence.run, presence.trained, presence.embedded):
        assert refusal(check, wrong) == meant
    assert refusal(presence.run, results / "notes") == (
        f"{results}/notes: not a run: there is no config.json in it; "
        "the workflow makes the runs that config.yaml names, as results/<corpus>/<run>"
    )


def test_a_run_that_has_come_less_far(results: Path) -> None:
    run = results / "dense-s0"
    assert refusal(presence.trained, run) == (
        f"{run}: its training is not finished: there is no model.safetensors in it; run first: ves train {run}"
    )
    assert refusal(presence.embedded, run) == (
        f"{run}: its validation clips are not embedded: there is no {run}/embeddings/val.zarr.manifest.json; "
        f"run first: ves embed {run} --split val --out {run}/embeddings/val.zarr"
    )
    assert "no checkpoint: it has no model.safetensors" in refusal(presence.checkpoint, run)


def test_a_checkpoint_that_is_not_there(results: Path) -> None:
    wrong = results / "dense-s1"
    assert refusal(presence.checkpoint, wrong) == (
        f"{wrong}: no checkpoint: there is no such folder; did you mean {results}/dense-s0?"
    )
    assert "neither it nor a folder above it has the config.json" in refusal(presence.checkpoint, results / "notes")


@pytest.mark.parametrize("name", TYPED)
def test_whatever_people_name_and_is_read_is_checked(name: str) -> None:
    """Only what is written, and the truth (ves.evaluation.truth.folder_of looks at it), has no check here."""
    paths = [one for one in arguments(BY_NAME[name]) if one.kind is Path and one.key not in ("out", "truth")]
    assert [one.key for one in paths if one.check is None] == []


# For each stage that people type: command lines in which the path "nowhere" is not there; {} is the folder `results`.
LINES = [
    "train nowhere",
    "evaluate nowhere",
    "localise nowhere {}/photo.jpg --run {}/global-s0 --out out",
    "localise {}/photo.jpg nowhere --run {}/global-s0 --out out",
    "localise {}/photo.jpg {}/photo.jpg --run nowhere --out out",
    "results --configfile nowhere",
    "curves nowhere --out out",
    "heatmaps --runs {}/global-s0 nowhere --clips 1 --out out",
    "heatmaps --runs {}/global-s0 --pictures nowhere --clips 1 --out out",
    "explorer --runs {}/global-s0 nowhere --clips 1 --out out",
    "store info nowhere",
    "store-verify nowhere",
    "store verify {}/notes --images nowhere",
    "store show nowhere 12",
    "vaani check --configfile nowhere",
    "vaani check --corpus nowhere",
]


def test_every_stage_that_reads_is_tried() -> None:
    reading = [name for name in TYPED if any(one.check for one in arguments(BY_NAME[name]))]
    tried = {line.replace("store ", "store-").replace("vaani ", "vaani-").split()[0] for line in LINES}
    assert tried == set(reading)


def test_it_is_said_before_anything_is_loaded(results: Path) -> None:
    """All in one process, which ends without torch, transformers, polars or matplotlib."""
    lines = [line.replace("{}", str(results)) for line in LINES]
    code = (
        "import sys\nfrom ves.__main__ import main\n"
        "codes = [main(line.split()) for line in sys.argv[1:]]\n"
        "assert codes == [1] * len(codes), codes\n"
        "print({'torch', 'transformers', 'polars', 'matplotlib'} & {*sys.modules})\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, *lines], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "set()\n"), ended.stderr
    said = ended.stderr.splitlines()
    assert len(said) == len(lines)
    assert [line for line in said if ": nowhere: " not in line] == []
