"""The command line: what a user sees of an error, what the log keeps, and who ends with whom."""

import importlib
import os
import platform
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.waiting import PATIENCE
from ves import __main__ as command_line
from ves.commands import process as stage
from ves.commands.arguments import arguments, name_of, two_words
from ves.commands.parser import parser
from ves.config.check import read_yaml, validate
from ves.store.shard_format import BadStore

PYTHON_VES = [sys.executable, "-m", "ves"]


def ves(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One stage in a process of its own."""
    return subprocess.run([*PYTHON_VES, *map(str, arguments)], capture_output=True, text=True)


def test_every_stage_has_help_from_its_own_docstring() -> None:
    shown = ves("--help").stdout
    typed, others = shown.split("For you to type:")[1].split("For the workflow:")
    assert len(command_line.STAGES) > 40
    for function in command_line.STAGES:
        name = name_of(function)
        part = typed if name in command_line.TYPED else others
        assert f"\n  {two_words(function, command_line.GROUPS)} " in part
    assert "resume its training from the newest checkpoint" in " ".join(ves("train", "--help").stdout.split())


def test_every_stage_has_one_line_in_the_overview_of_a_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    overview = parser(command_line.STAGES, command_line.GROUPS, command_line.TYPED).epilog or ""
    listed = [line for line in overview.splitlines() if line.startswith("  ")]
    assert len(listed) == len(command_line.STAGES)
    assert max(map(len, listed)) <= 100


def test_what_people_type_is_there() -> None:
    assert set(command_line.TYPED) <= {name_of(function) for function in command_line.STAGES}


@pytest.mark.parametrize("function", command_line.STAGES, ids=name_of)
def test_every_argument_has_one_line_of_help(function: Callable[..., None]) -> None:
    for argument in arguments(function):
        assert argument.help, f"{name_of(function)}: {argument.key} has no help; give it Annotated[..., 'help']"
        assert len(argument.help) <= 100 and "\n" not in argument.help
        assert not argument.help.endswith(".") and not argument.help[0].isspace()


def test_versions_and_help_load_neither_torch_nor_numpy() -> None:
    for option in ("--version", "--help"):
        code = (
            "import sys\nfrom ves.__main__ import main\n"
            f"try: main(['{option}'])\n"
            "except SystemExit: sys.exit(f'loaded: {loaded}' if (loaded := {'torch', 'numpy'} & {*sys.modules}) else 0)"
        )
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout


def test_versions_are_those_that_are_installed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(["--version"])
    assert ended.value.code == 0
    found = re.fullmatch(r"ves (\S+) \(torch (\S+), Python (\S+)\)\n", capsys.readouterr().out)
    assert found is not None
    ours = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    assert found.groups() == (ours, torch.__version__.partition("+")[0], platform.python_version())


def test_a_misspelt_stage_is_proposed() -> None:
    ended = ves("trian", "x")
    assert ended.returncode == 2
    assert ended.stderr.endswith(
        "ves: error: there is no stage 'trian', did you mean train?; `ves --help` lists them\n"
    )


def test_a_missing_option_is_named() -> None:
    ended = ves("table1", "--out", "x.csv")
    assert ended.returncode == 2
    assert "required: --table" in ended.stderr


def test_settings_reach_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def stage(run: Path, *, runs: list[Path], clips: int, labels: Path | None = None) -> None:
        """A stage."""
        calls.append((run, runs, clips, labels))

    monkeypatch.setattr(command_line, "STAGES", (stage,))
    assert command_line.main(["stage", "a", "--runs", "b", "c", "--clips", "3"]) == 0
    assert command_line.main(["stage", "a", "--runs", "b", "--clips", "3", "--labels", "d"]) == 0
    assert calls == [(Path("a"), [Path("b"), Path("c")], 3, None), (Path("a"), [Path("b")], 3, Path("d"))]


def test_a_check_wants_one_corpus_and_one_of_vaani(tmp_path: Path) -> None:
    ended = ves("vaani", "check")
    assert ended.returncode == 1
    assert ended.stderr.startswith("vaani check: give either --configfile, such as config/vaani-mini.yaml, or --corpus")
    ended = ves("vaani-check", "--configfile", "config/toy.yaml")
    assert ended.stderr.startswith("vaani-check: corpus.kind: 'scenes', but this stage is for a corpus of kind 'vaani'")


def test_the_console_script_is_this_command_line() -> None:
    scripts = tomllib.loads(Path("pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["ves"].partition(":")
    assert getattr(importlib.import_module(module), function) is command_line.main


def test_an_option_with_a_default_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def stage(*, out: Path, truth: Path | None = None) -> None:
        """A stage."""
        calls.append((out, truth))

    monkeypatch.setattr(command_line, "STAGES", (stage,))
    assert command_line.main(["stage", "--out", "a"]) == 0
    assert command_line.main(["stage", "--out", "a", "--truth", "b"]) == 0
    assert calls == [(Path("a"), None), (Path("a"), Path("b"))]


def test_what_a_user_can_mend_is_one_line_and_the_log_has_the_traceback(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "split.log"
    settings = tmp_path / "split.json"
    settings.write_text('{"seed": 0')
    absent = tmp_path / "absent"
    ended = ves(
        *("split", "--manifest", absent, "--images", absent, "--split", settings),
        *("--out", tmp_path / "out", "--summary", tmp_path / "summary", "--plot", tmp_path / "plot", "--log", log),
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"split: {settings}: ")
    assert "not valid JSON" in line
    assert "Traceback" in log.read_text()
    assert "JSONDecodeError" in log.read_text()


@pytest.mark.parametrize(
    ("error", "traceback"),
    [
        (ValueError("key: wrong"), False),
        (FileNotFoundError(2, "absent", "f"), False),
        (BadStore("a row is damaged"), False),
        (torch.cuda.OutOfMemoryError("Tried to allocate 2 GiB"), False),
        (KeyError("bug"), True),
        (RuntimeError("bug"), True),
    ],
)
def test_only_faults_of_ours_show_a_traceback(
    error: Exception,
    traceback: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        """A stage that fails."""
        raise error

    monkeypatch.setattr(command_line, "STAGES", (fail,))
    monkeypatch.setattr(stage, "start_log", lambda path: None)
    assert command_line.main(["fail"]) == 1
    shown = capsys.readouterr().err
    assert ("bug in VeS" in caplog.text and "Traceback" in caplog.text) == traceback
    assert shown.startswith("fail: ") != traceback
    assert ("train.batch_size" in shown) == isinstance(error, torch.cuda.OutOfMemoryError)


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    manifest, images, split = tmp_path / "manifest.parquet", tmp_path / "images.parquet", tmp_path / "split.json"
    manifest.write_bytes(b"PAR1 and then nothing")
    split.write_text(validate(read_yaml(Path("config.yaml")), [Path("config.yaml")]).split.model_dump_json())
    ended = ves(
        *("split", "--manifest", manifest, "--images", images, "--split", split),
        *("--out", tmp_path / "out", "--summary", tmp_path / "summary", "--plot", tmp_path / "plot"),
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"split: {manifest}: not a complete parquet file (")
    assert "Traceback" not in ended.stderr


def test_a_shard_that_is_not_listed_is_named(tmp_path: Path) -> None:
    listing = tmp_path / "shards.json"
    listing.write_text('{"shards": [{"name": "audio/a/b"}]}')
    ended = ves("fetch", "--corpus", tmp_path, "--listing", listing, "--shard", "audio/x", "--out", tmp_path / "out")
    assert ended.stderr == f"fetch: {listing}: no shard 'audio/x' among its 1, such as audio/a/b\n"


# A parent that starts a stage which never ends by itself (its input is a pipe that nobody writes to).
PARENT = """
import os, subprocess, sys
environment = os.environ | ({"VES_DIE_WITH_PARENT": str(os.getpid())} if sys.argv[3] == "True" else {})
stage = [sys.executable, "-m", "ves", "list-shards", "--corpus", sys.argv[1], "--out", sys.argv[2]]
child = subprocess.Popen(stage, env=environment)
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.parametrize("in_workflow", [True, False])
def test_a_stage_ends_with_its_parent_only_in_the_workflow(in_workflow: bool, tmp_path: Path) -> None:
    pipe = tmp_path / "corpus.json"
    os.mkfifo(pipe)
    command = [sys.executable, "-c", PARENT, str(pipe), str(tmp_path / "out"), str(in_workflow)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    # opens when the stage opens it to read: it runs by now, and has said whom it dies with
    with open(pipe, "w", encoding="utf-8") as writer:
        parent.kill()
        parent.wait()
        if not in_workflow:
            writer.write("its input, and its end")
            writer.close()
        try:
            said = parent.communicate(timeout=PATIENCE)[1]  # until the last of the two has ended
        except subprocess.TimeoutExpired:
            os.kill(child, signal.SIGKILL)
            raise
    assert (f"{pipe}: not valid JSON" in said) != in_workflow


def test_a_stage_whose_parent_has_ended_already_does_nothing(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    environment = os.environ | {"VES_DIE_WITH_PARENT": "1"}  # this test is not process 1
    ended = subprocess.run([*PYTHON_VES, "store-info", absent], env=environment)
    assert ended.returncode == -signal.SIGTERM


def test_a_log_that_cannot_be_written_is_said_once_and_hides_no_error(tmp_path: Path):
    absent = tmp_path / "absent"
    ended = ves("table1", "--table", absent, "--results", tmp_path, "--out", tmp_path / "out", "--log", "/dev/full")
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"table1: [Errno 2] No such file or directory: '{absent}'",
        "/dev/full: this log ends here: [Errno 28] No space left on device",
    ]
