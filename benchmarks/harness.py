"""What the scripts of this folder share: the line about the machine, ways that take turns, Markdown tables, and data.

Every script measures a way of VeS beside another in the same minutes, since machines are shared and no two alike: ways
take turns, a table has medians, and ratios say more than seconds. Nothing here loads torch before it is asked to:
benchmarks/contention.py settles first how its threads wait.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ves.config.check import read_yaml, validate
from ves.config.experiment import Config, DataPaths, features_name

if TYPE_CHECKING:
    from torch import Tensor

FILES = {"manifest": "manifest.parquet", "splits": "splits.parquet", "images": "images.parquet", "audio": "audio.zarr"}


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A command line whose help is the docstring of the script, as it is written."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def machine() -> str:
    """The cores that this process may use, and their kind."""
    return f"{len(os.sched_getaffinity(0))} cores of {platform.machine()}"


def processor() -> str:
    """The name of the processor, where the system tells it, and all of its cores."""
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def today() -> str:
    """The date (UTC)."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


@contextmanager
def session(setting: str) -> Iterator[None]:
    """Print the date, what is measured on what, and how busy the machine is; and in the end, how busy it was then."""
    print(f"{today()}, {setting}, load {os.getloadavg()[0]:.1f} at the start", flush=True)
    yield
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


def header(*names: str) -> None:
    """Begin a table."""
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)


def row(*cells: object) -> None:
    """A row of a table, shown as soon as it is there."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def turns[**P](
    ways: Mapping[str, Callable[P, object]],
    draw: Callable[[], tuple[object, ...]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each way in each repeat, by a clock of the module time.

    Ways take turns in an order drawn anew, each with arguments of its own, so that none finds in the processor's cache
    what another has read.
    """
    spent: dict[str, list[float]] = {name: [] for name in ways}
    order = np.random.default_rng(1)
    for _ in range(repeats):
        for name in order.permutation(list(ways)).tolist():
            way, drawn = ways[name], draw()
            start = clock()
            kept = way(*drawn)  # pyright: ignore[reportCallIssue]
            spent[name].append(clock() - start)
            del kept  # what it takes to free it is not part of the way
    return spent


def medians(spent: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each way."""
    return {name: statistics.median(times) for name, times in spent.items()}


def ratio(numbers: Sequence[float], others: Sequence[float]) -> float:
    """The median over repeats of the ratio within each."""
    return statistics.median(one / other for one, other in zip(numbers, others, strict=True))


def write_store(store: Path, patches: int, width: int, image_ids: Sequence[str], shards: "Iterable[Tensor]") -> None:
    """A complete feature store of these images; `shards` are bfloat16 [up to SHARD_ROWS, patches, width] each."""
    from ves.store.features_layout import SHARD_ROWS
    from ves.store.features_writer import create_features, set_complete, write_shard

    create_features(store, len(image_ids), patches, width, {"grid": [1, patches]})
    for number, tokens in enumerate(shards):
        first = number * SHARD_ROWS
        write_shard(store, number, tokens, image_ids[first : first + SHARD_ROWS])
    set_complete(store, True)


def configured(corpus: Path) -> tuple[Config, DataPaths]:
    """The default configuration, and where the files of its corpus are."""
    config = validate(read_yaml(Path("config.yaml")), [Path("config.yaml")])
    names = FILES | {"features": f"features/{features_name(config.vision)}.zarr"}
    return config, DataPaths(corpus=corpus.name, live=False, **{key: str(corpus / name) for key, name in names.items()})


def resident(field: str) -> float:
    """MiB of this process: VmRSS, what it has now, or VmHWM, the most it had since the peak was reset."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) / 1024
