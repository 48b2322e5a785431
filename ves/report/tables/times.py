"""times.csv: what each stage of the workflow cost, from the measurements beside its logs."""

import csv
from pathlib import Path

import polars as pl

from ves.base.files import atomic

ORDER = (  # as they run; others follow by name
    *("survey", "fetch", "generate", "pack", "cut_films", "ingest", "merge", "split", "features", "train", "embed"),
    *("retrieval", "multi_positive", "localisation", "breakdown", "figure1", "heatmaps", "explorer"),
)
COLUMNS = {"s": "wall_s", "cpu_time": "cpu_s", "max_rss": "memory_mb"}


def _numbers(file: Path) -> dict[str, float]:
    """The measurements of one job; for a job too short to be measured they are "-" or "NA", which count as 0.

    Raises ValueError that names a file without these columns.
    """
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened, delimiter="\t"))
    if not rows or not COLUMNS.keys() <= rows[-1].keys():
        raise ValueError(f"{file}: not the measurements of a job; delete it, or make its stage again")
    text = {new: rows[-1][old] for old, new in COLUMNS.items()}
    return {new: 0.0 if value in ("-", "NA") else float(value) for new, value in text.items()}


def write(logs: Path, out: Path) -> None:
    """One row for each stage with measurements: jobs, their seconds in all (by the clock and of processors), and the
    memory of the largest in MB.

    Each <stage>.tsv and <stage>/**/*.tsv in `logs` is a job. Of an interrupted job the last part counts.
    """
    jobs_of: dict[str, list[dict[str, float]]] = {}
    for file in sorted(logs.rglob("*.tsv")):
        stage = file.relative_to(logs).parts[0].removesuffix(".tsv")
        jobs_of.setdefault(stage, []).append(_numbers(file))
    place = {stage: number for number, stage in enumerate(ORDER)}
    rows = [
        (
            stage,
            len(jobs),
            round(sum(job["wall_s"] for job in jobs), 1),
            round(sum(job["cpu_s"] for job in jobs), 1),
            round(max(job["memory_mb"] for job in jobs)),
        )
        for stage, jobs in sorted(jobs_of.items(), key=lambda item: (place.get(item[0], len(ORDER)), item[0]))
    ]
    with atomic(out) as temporary:
        pl.DataFrame(rows, schema=["stage", "jobs", *COLUMNS.values()], orient="row").write_csv(temporary)
