"""times.csv, from measurements made by hand."""

from pathlib import Path

import polars as pl
import pytest

from ves.report.tables import times as stage_times

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def measured(file: Path, seconds: str, memory: str, cpu: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(HEADER + f"{seconds}\t0:00:01\t{memory}\t0\t0\t0\t0\t0\t0\t{cpu}\n")


def test_jobs_of_a_stage_are_added_up_and_stages_stand_as_they_run(tmp_path: Path) -> None:
    measured(tmp_path / "heatmaps.tsv", "20.0", "700", "19.0")
    measured(tmp_path / "train" / "dense-s0.tsv", "100.4", "900.4", "150.0")
    measured(tmp_path / "train" / "global-s0.tsv", "50.0", "800.0", "60.25")
    measured(tmp_path / "ingest" / "audio" / "north" / "0.tsv", "1.0", "10", "0.5")
    measured(tmp_path / "another.tsv", "-", "NA", "NA")  # too short to be measured
    (tmp_path / "train" / "dense-s0.log").write_text("no measurement")
    stage_times.write(tmp_path, tmp_path / "out" / "times.csv")
    assert pl.read_csv(tmp_path / "out" / "times.csv").rows() == [
        ("ingest", 1, 1.0, 0.5, 10),
        ("train", 2, 150.4, 210.2, 900),
        ("heatmaps", 1, 20.0, 19.0, 700),
        ("another", 1, 0.0, 0.0, 0),
    ]


def test_a_file_that_is_no_measurement_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(ValueError, match=r"train\.tsv: not the measurements of a job; delete it"):
        stage_times.write(tmp_path, tmp_path / "times.csv")
