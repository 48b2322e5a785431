"""The curves of a training, from its log.jsonl: a figure for each run, drawn when the run is finished.

Panels share the axis of steps. Noisy values are a thin line, with their running mean as a thick one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from ves.config.experiment import RunConfig, run_config
from ves.evaluation.retrieval.chance import informative
from ves.report.drawing import plots
from ves.report.drawing.page import INK, QUIET
from ves.training.divergence import chance_loss

COLOURS = ("#3b5b7a", "#b3402a", "#6a9a5b", "#e8a33d")
DPI, WIDTH, HEIGHT_EACH = 110, 8.0, 1.55  # inches but for DPI
WINDOWS = 40  # a running mean is over a 40th of the run


@dataclass(frozen=True)
class Panel:
    """One quantity of the log: its keys there, each with a name; `level` is the height of a line, and what it means."""

    title: str
    keys: Mapping[str, str]
    noisy: bool = False
    logarithmic: bool = False
    from_zero: bool = False
    level: tuple[float, str] | None = None


def panels(config: RunConfig, entries: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """The panels of a run, from the top."""
    train = config.train
    terms = {f"{name}/loss": name.replace("_", " ") for name in train.objective} if len(train.objective) > 1 else {}
    chance = chance_loss(train)
    level = None if chance is None else (chance * sum(train.objective.values()), "equal scores for all pairs")
    return [
        Panel(f"loss ({train.loss})", {"loss": "weighted sum" if terms else ""} | terms, noisy=True, level=level),
        *_recall(entries),
        Panel("temperature", {"temperature": ""}, level=(1 / train.max_scale, "least allowed")),
        Panel("learning rate", {"learning_rate": ""}),
        Panel(
            f"gradient norm, before it is clipped at {train.clip_norm:g}",
            {"gradient_norm": ""},
            noisy=True,
            logarithmic=True,
            level=(train.clip_norm, "clipped above"),
        ),
    ]


def _recall(entries: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """Recall on tune, with the number of clips and chance, which logs of older versions lack. No panel where no ten of
    the clips are fewer than all: R@10 is 100 then, whatever the model does."""
    known = next((entry for entry in entries if "tune/n" in entry), None)
    if known is None:
        return [Panel("recall on tune (R@10, %)", {"tune/R@10": ""}, from_zero=True)]
    n = known["tune/n"]
    title, chance = f"recall on tune (R@10, %), {n:,} clips", (known["tune/chance_R@10"], "chance")
    return [Panel(title, {"tune/R@10": ""}, from_zero=True, level=chance)] if informative("R@10", n) else []


def read(path: Path) -> list[dict[str, Any]]:
    """The steps in a log.jsonl. Raises ValueError or OSError that names the file, and the line that is not a step."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: absent; training writes it, and without it there are no curves to draw")
    lines = path.read_text(encoding="utf-8").splitlines()
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            entries.append({"step": entry["step"], **entry})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: line {number} is not a step of a training ({error!r})") from error
    if not entries:
        raise ValueError(f"{path}: empty; train the run first")
    return entries


def running_mean(values: Float[np.ndarray, "S"], width: int) -> Float[np.ndarray, "S"]:
    """The mean over `width` neighbours of each value, fewer at the ends; values that are not finite are left out."""
    ones = np.ones(width)
    finite = np.isfinite(values)
    sums = np.convolve(np.where(finite, values, 0.0), ones, "same")[: len(values)]
    counts = np.convolve(finite.astype(float), ones, "same")[: len(values)]
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)


def draw(run: Path, out: Path) -> None:
    """Write a PNG of the run's log."""
    config = run_config(run)
    entries = read(run / "log.jsonl")
    with plots.our_style():
        plots.save(_figure(config, entries), out)


def _figure(config: RunConfig, entries: Sequence[Mapping[str, Any]]) -> Figure:
    shown = panels(config, entries)
    figure = plots.figure(WIDTH, HEIGHT_EACH * len(shown) + 0.6, DPI)
    columns = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(columns, shown, strict=True):
        _draw(axes, panel, entries)
    columns[-1].set_xlabel(f"steps of {config.train.batch_size} pairs", fontsize=9, color=INK)
    columns[0].set_xlim(0, entries[-1]["step"])
    figure.suptitle(f"{config.run}, {config.data.corpus}", fontsize=11, color=INK, x=0.02, ha="left")
    return figure


def _draw(axes: Axes, panel: Panel, entries: Sequence[Mapping[str, Any]]) -> None:
    for colour, (key, name) in zip(COLOURS, panel.keys.items(), strict=False):
        pairs = [(entry["step"], entry[key]) for entry in entries if key in entry]
        points = np.array(pairs, dtype=float).reshape(-1, 2)
        if panel.noisy:
            axes.plot(points[:, 0], points[:, 1], color=colour, alpha=0.3, linewidth=0.5)
            smooth = running_mean(points[:, 1], max(1, len(points) // WINDOWS))
            axes.plot(points[:, 0], smooth, color=colour, linewidth=1.6, label=name)
        else:
            few = "o" if 0 < len(points) <= WINDOWS else ""
            axes.plot(points[:, 0], points[:, 1], marker=few, markersize=3, color=colour, linewidth=1.4, label=name)
    if panel.logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    if panel.from_zero:
        axes.set_ylim(bottom=0)
    if panel.level is not None:
        _level(axes, *panel.level)
    axes.set_title(panel.title, fontsize=9, color=INK, loc="left")
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    if any(panel.keys.values()):
        beside = {"loc": "lower right", "bbox_to_anchor": (1, 0.96), "borderaxespad": 0}  # the title, not the curves
        axes.legend(fontsize=8, frameon=False, ncols=len(panel.keys), **beside)


def _level(axes: Axes, height: float, meaning: str) -> None:
    """A dotted line with its meaning, if it is near the curve: otherwise it would squeeze the curve."""
    low, high = axes.get_ylim()
    reach = high - low
    if low - reach / 2 <= height <= high + reach / 2:
        axes.axhline(height, color=QUIET, linewidth=0.8, linestyle=":")
        where = axes.get_yaxis_transform()
        axes.text(0.995, height, meaning, transform=where, ha="right", va="bottom", fontsize=7.5, color=QUIET)
