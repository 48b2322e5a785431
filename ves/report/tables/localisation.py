"""Tables of localisation: the main numbers beside their baselines, every protocol with intervals, and by group.

All numbers are percent, and means over the configured seeds. So are the ends of intervals, which are then no narrower
than the interval of the mean over these seeds (they see the same pictures); `sd` is the standard deviation over seeds,
empty for one. The same inputs give the same bytes. For a corpus without word timings each loss has one row with n = 0
and a note that says why.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ves.config.experiment import TableConfig
from ves.report.tables.table1 import results_of, same, write_csv

# column of localisation.csv: key of localisation.json
POINTING = {"pointing": "pointing", "centre": "centre", "random_patch": "random", "wrong_clip": "wrong_clip"}
# column of localisation.csv: protocol and metric, of the model's heat
PROTOCOLS = {
    "denseav_mAP": ("denseav", "mAP"),
    "denseav_mIoU": ("denseav", "mIoU"),
    "vggss_cIoU": ("vggss", "cIoU"),
    "vggss_AUC": ("vggss", "AUC"),
    "mass_inside": ("sharpness", "mass_inside"),
    "entropy": ("sharpness", "entropy"),
}
MAIN = ["loss", *POINTING, *PROTOCOLS, "n", "note"]
KEYS = ("protocol", "metric", "heat")
GROUPS = ("by", "group", *KEYS)
RESULTS = ("value", "low", "high")


def _reports(config: TableConfig, results: Path, name: str) -> list[dict[str, Any]] | str:
    """localisation.json of every seed of a run; or why localisation was not measured."""
    reports = results_of(config, results, name, "localisation.json")
    if reasons := [report["why"] for report in reports if not report["available"]]:
        return reasons[0]
    same((report["nouns"] for report in reports), f"{results}/{name}-s*/localisation.json: the set of nouns")
    return reports


def _mean(values: Sequence[float | None]) -> str:
    """Mean to two decimals; empty where a seed has no value."""
    defined = [value for value in values if value is not None]
    return f"{fmean(defined):.2f}" if len(defined) == len(values) else ""


def _deviation(values: Sequence[float | None]) -> str:
    """Standard deviation over seeds, where there are several and all have a value."""
    defined = [value for value in values if value is not None]
    return f"{stdev(defined):.2f}" if len(defined) == len(values) > 1 else ""


def _model(report: dict[str, Any], protocol: str, metric: str) -> float | None:
    """The value of the model's own heat."""
    wanted = (protocol, metric, "model")
    return next(row["value"] for row in report["protocols"] if tuple(row[key] for key in KEYS) == wanted)


def main_csv(config: TableConfig, results: Path, out: Path) -> None:
    """Write localisation.csv (percent of spoken nouns) from localisation.json of every run in config.table.

    Raises ValueError when runs were measured on different nouns.
    """
    rows, nouns = [], []
    for name in config.table:
        reports = _reports(config, results, name)
        if isinstance(reports, str):
            rows.append([name, *[""] * (len(MAIN) - 3), "0", reports])
            continue
        nouns.append(reports[0]["nouns"])
        pointing = [_mean([report[key] for report in reports]) for key in POINTING.values()]
        others = [_mean([_model(report, *which) for report in reports]) for which in PROTOCOLS.values()]
        rows.append([name, *pointing, *others, str(reports[0]["n"]), ""])
    if nouns:
        same(nouns, f"{results}/*/localisation.json: the set of nouns")
    write_csv(out, MAIN, rows)


def _over_seeds(reports: list[dict[str, Any]], part: str, keys: tuple[str, ...]) -> Iterable[list[str]]:
    """The rows of one part of the reports; where a seed lacks a row, its values are empty."""
    by_key = [{tuple(row[key] for key in keys): row for row in report[part]} for report in reports]
    for key, first in by_key[0].items():
        seeds = [rows.get(key, dict.fromkeys(RESULTS)) for rows in by_key]
        ends = [_mean([row[end] for row in seeds]) for end in RESULTS]
        yield [*key, *ends, _deviation([row["value"] for row in seeds]), str(first["n"]), ""]


def _long_csv(config: TableConfig, results: Path, out: Path, part: str, keys: tuple[str, ...]) -> None:
    header = ["loss", *keys, *RESULTS, "sd", "n", "note"]
    rows = []
    for name in config.table:
        reports = _reports(config, results, name)
        if isinstance(reports, str):
            rows.append([name, *[""] * (len(header) - 3), "0", reports])
        else:
            rows += [[name, *row] for row in _over_seeds(reports, part, keys)]
    write_csv(out, header, rows)


def protocols_csv(config: TableConfig, results: Path, out: Path) -> None:
    """Write localisation_protocols.csv: every protocol, metric and heat, with intervals."""
    _long_csv(config, results, out, "protocols", KEYS)


def groups_csv(config: TableConfig, results: Path, out: Path) -> None:
    """Write localisation_by.csv: the same by language and by kind of thing, for the model and two baselines."""
    _long_csv(config, results, out, "protocols_by", GROUPS)
