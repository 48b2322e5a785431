"""Tables of localisation: pointing beside its baselines.

Numbers are means over the configured seeds; the same inputs give the same bytes.
"""

from pathlib import Path
from statistics import fmean

from ves.config import TableConfig
from ves.tables import results_of, same, write_csv

# column of localisation.csv: key of localisation.json
POINTING = {"pointing": "pointing", "centre": "centre", "random_patch": "random", "wrong_clip": "wrong_clip"}
LOCALISATION = ["loss", *POINTING, "n", "note"]


def localisation_csv(config: TableConfig, results: Path, out: Path) -> None:
    """Write localisation.csv (percent of spoken nouns) from localisation.json of every run in config.table.

    A corpus without word timings has empty cells, n = 0 and a note that says why.
    """
    rows = []
    for name in config.table:
        found = results_of(config, results, name, "localisation.json")
        if reasons := [result["why"] for result in found if not result["available"]]:
            rows.append([name, *[""] * len(POINTING), "0", reasons[0]])
            continue
        n = same((result["n"] for result in found), f"{results}/{name}-s*/localisation.json: the number of nouns")
        rows.append([name, *(_mean([result[key] for result in found]) for key in POINTING.values()), str(n), ""])
    write_csv(out, LOCALISATION, rows)


def _mean(values: list[float | None]) -> str:
    """Mean to two decimals; empty where a seed has no value."""
    defined = [value for value in values if value is not None]
    return f"{fmean(defined):.2f}" if len(defined) == len(values) else ""
