"""`ves results`, with which `make table1` ends: the table, and what there is to open."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ves.__main__ import main
from ves.base.files import write_json
from ves.report.tables.overview import overview

TABLE = "loss,direction,R@1,n\ndense,A2V,1.40,500\nchance,A2V,10.20,500\n"
MAKE = shutil.which("make")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (folder := tmp_path / "results" / "scenes").mkdir(parents=True)
    (folder / "table1.csv").write_text(TABLE)
    return folder


def test_the_table_stands_in_columns_and_what_is_missing_is_said(results: Path) -> None:
    assert overview(results).splitlines() == [
        f"{results}/table1.csv: retrieval on validation clips of the corpus scenes; R@k in percent, n queries",
        "",
        "loss    direction    R@1    n",
        "dense   A2V         1.40  500",
        "chance  A2V        10.20  500",
        "",
        f"Not made yet, in {results}: "
        "index.html, explorer/index.html, heatmaps/index.html, figure1.png, pages/table1.html",
    ]


def test_what_is_there_to_open_is_named(results: Path) -> None:
    (results / "explorer").mkdir()
    for name in ("explorer/index.html", "figure1.png"):
        (results / name).write_bytes(b"")
    assert overview(results).splitlines()[6:] == [
        "To open:",
        f"  {results}/explorer/index.html  play clips, point at words and pictures, search",
        f"  {results}/figure1.png          words of some clips, the runs side by side",
        f"Not made yet, in {results}: index.html, heatmaps/index.html, pages/table1.html",
    ]


def test_a_recall_that_no_row_has_is_no_column(results: Path) -> None:
    (results / "table1.csv").write_text("loss,direction,R@1,R@50,n\ndense,A2V,1.40,,20\n")
    assert overview(results).splitlines()[2:4] == ["loss   direction   R@1   n", "dense  A2V        1.40  20"]


def test_numbers_of_a_training_of_few_steps_are_not_shown_as_results(results: Path) -> None:
    write_json(results / "table.json", {"seeds": [0], "table": ["dense", "global"]})
    for run, steps in (("dense-s0", 7), ("global-s0", 50)):
        (results / run).mkdir()
        (results / run / "log.jsonl").write_text("".join(f'{{"step": {n}}}\n' for n in range(1, steps + 1)))
    said = "with fewer than 50 steps a model has learned next to nothing (steps: dense-s0 7)"
    assert said in overview(results).splitlines()[6]
    (results / "dense-s0" / "log.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"dense-s0/log\.jsonl: its last line is not a step"):
        overview(results)


def test_the_command_is_of_the_configured_corpus(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path.cwd()
    for name in ("config.yaml", "ves"):
        (results.parents[1] / name).symlink_to(root / name)
    monkeypatch.chdir(results.parents[1])
    assert main(["results"]) == 0
    assert capsys.readouterr().out.startswith("results/scenes/table1.csv: retrieval")
    Path("mine.yaml").write_text("corpus: {name: mine}\n")
    assert main(["results", "--configfile", "mine.yaml"]) == 1
    assert capsys.readouterr().err == (
        "results: results/mine/table1.csv: not made yet; "
        "run the workflow with this configuration (of config.yaml alone: make table1)\n"
    )


@pytest.mark.skipif(MAKE is None, reason="make is not installed")
def test_make_table1_ends_with_it() -> None:
    assert MAKE is not None
    printed = subprocess.run([MAKE, "--dry-run", "table1"], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-3:] == [
        ".venv/bin/snakemake --cores all results/table1.csv",
        ".venv/bin/python -m ves results",
        "echo 'To make all of it: .venv/bin/snakemake --cores all'",
    ]
