"""Tables of localisation: the main numbers beside their baselines, every protocol with intervals, and by group.

All numbers are percent, and means over the configured seeds. So are the ends of intervals, which are then no narrower
than the interval of the mean over these seeds (they see the same pictures); `sd` is the standard deviation over seeds,
empty for one. The same inputs give the same bytes. For a corpus without word timings each loss has one row with n = 0
and a note that says why. Where things sound, a column `prompt` tells words from sounds.
"""

from collections.abc import Callable, Iterable, Sequence
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


type Reports = list[dict[str, Any]]  # of every seed of a run


def _reports(config: TableConfig, results: Path, name: str) -> dict[str, Reports] | str:
    """The reports of a run by what is localised, words or sounds; or why nothing was measured."""
    reports = results_of(config, results, name, "localisation.json")
    if reasons := [report["why"] for report in reports if not report["available"]]:
        return reasons[0]
    of_sounds = [report["sounds"] for report in reports if "sounds" in report]
    by_prompt = {"word": [report for report in reports if "nouns" in report], "sound": of_sounds}
    for prompt, some in by_prompt.items():
        if some:
            unmeasured = [None] * (len(reports) - len(some))
            same([*(report["nouns"] for report in some), *unmeasured], _set_of(prompt, results, f"{name}-s*"))
    return {prompt: some for prompt, some in by_prompt.items() if some}


def _set_of(prompt: str, results: Path, runs: str) -> str:
    return f"{results}/{runs}/localisation.json: the set of {'nouns' if prompt == 'word' else 'sounds'}"


def _with_prompts(config: TableConfig, results: Path) -> bool:
    """Whether the tables have the column `prompt`: anything but words was localised."""
    every = [_reports(config, results, name) for name in config.table]
    return any("sound" in one for one in every if isinstance(one, dict))


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
    """Write localisation.csv (percent of spoken nouns, and of sounds) from localisation.json of every run in
    config.table.

    Raises ValueError when runs were measured on different nouns or sounds.
    """
    nouns: dict[str, list[str]] = {}

    def rows_of(prompt: str, reports: Reports) -> Iterable[list[str]]:
        nouns.setdefault(prompt, []).append(reports[0]["nouns"])
        pointing = [_mean([report[key] for report in reports]) for key in POINTING.values()]
        others = [_mean([_model(report, *which) for report in reports]) for which in PROTOCOLS.values()]
        yield [*pointing, *others, str(reports[0]["n"]), ""]

    _write(config, results, out, MAIN[1:], rows_of)
    for prompt, digests in nouns.items():
        same(digests, _set_of(prompt, results, "*"))


def _write(
    config: TableConfig,
    results: Path,
    out: Path,
    columns: Sequence[str],
    rows_of: Callable[[str, Reports], Iterable[list[str]]],
) -> None:
    """Write a table with the rows that `rows_of` makes of each run and prompt; `columns` end with n and note."""
    prompts = _with_prompts(config, results)
    rows: list[list[str]] = []
    for name in config.table:
        by_prompt = _reports(config, results, name)
        if isinstance(by_prompt, str):
            rows.append([name, *[""] * (prompts + len(columns) - 2), "0", by_prompt])
            continue
        for prompt, reports in by_prompt.items():
            rows += [[name, *[prompt] * prompts, *row] for row in rows_of(prompt, reports)]
    write_csv(out, ["loss", *["prompt"] * prompts, *columns], rows)


def _over_seeds(reports: list[dict[str, Any]], part: str, keys: tuple[str, ...]) -> Iterable[list[str]]:
    """The rows of one part of the reports; where a seed lacks a row, its values are empty."""
    by_key = [{tuple(row[key] for key in keys): row for row in report[part]} for report in reports]
    for key, first in by_key[0].items():
        seeds = [rows.get(key, dict.fromkeys(RESULTS)) for rows in by_key]
        ends = [_mean([row[end] for row in seeds]) for end in RESULTS]
        yield [*key, *ends, _deviation([row["value"] for row in seeds]), str(first["n"]), ""]


def _long_csv(config: TableConfig, results: Path, out: Path, part: str, keys: tuple[str, ...]) -> None:
    columns = [*keys, *RESULTS, "sd", "n", "note"]
    _write(config, results, out, columns, lambda _, reports: _over_seeds(reports, part, keys))


def protocols_csv(config: TableConfig, results: Path, out: Path) -> None:
    """Write localisation_protocols.csv: every protocol, metric and heat, with intervals."""
    _long_csv(config, results, out, "protocols", KEYS)


def groups_csv(config: TableConfig, results: Path, out: Path) -> None:
    """Write localisation_by.csv: the same by language and by kind of thing, for the model and two baselines."""
    _long_csv(config, results, out, "protocols_by", GROUPS)
