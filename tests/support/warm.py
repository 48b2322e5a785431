"""Stages of VeS as processes of their own that start in milliseconds: forked from one that has imported everything.

`Warm` is the near side. The far side (this file run as a program) imports and forks, and never does any work itself:
the threads of polars start with the first query, in the child. Each child is a process like any other: it has its
environment, its log and its end, and can be killed. Given namespaces (`unshare`), all of them live in these.
"""

import builtins
import errno
import gc
import importlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
STACK = (  # what stages import when they are called; torchaudio resamples
    *("zarr", "pyarrow.parquet", "soundfile", "torchaudio.functional", "huggingface_hub.hf_api"),
    *(
        "ves.__main__",
        "ves.config.experiment",
        "ves.sources.vaani.listing",
        "ves.corpus.ingest",
        "ves.corpus.manifest",
        "ves.corpus.splits",
    ),
    *(
        "ves.sources.vaani.choice",
        "ves.sources.vaani.survey",
        "ves.report.tables.plan",
        "matplotlib.figure",
        "matplotlib.backends.backend_agg",
    ),
)


@dataclass(frozen=True)
class Order:
    """One stage to run."""

    arguments: list[str]  # of `python -m ves`
    output: str  # file that gets what it prints
    environment: dict[str, str] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=dict)  # "module:NAME" -> what it is there
    writes: int | None = None  # of files, from Python, that succeed before the disk is said to be full


class Warm:
    """The near side: runs one stage at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def run(self, order: Order, *, kill_after: float | Callable[[], bool] | None = None) -> int:
        """Exit code of the stage; -9 if it ran for longer than `kill_after` seconds, or when that had come true, and
        was killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order.__dict__).encode() + b"\n")
        child = self._answer(PATIENCE)
        assert child is not None, "no stage was started"
        if callable(kill_after):
            code = self._watch(kill_after)
        else:
            code = self._answer(PATIENCE if kill_after is None else kill_after)
        if code is None:
            with suppress(ProcessLookupError):  # it has ended just now
                os.kill(child, signal.SIGKILL)
            code = self._answer(PATIENCE)
        assert code is not None, "the stage did not end"
        assert code != -signal.SIGKILL or kill_after is not None, "somebody else killed the stage"
        return code

    def _watch(self, condition: Callable[[], bool]) -> int | None:
        """The exit code of the stage; None if the condition comes true while it runs."""
        code = None
        while code is None and not condition():
            code = self._answer(0.002)
        return code

    def hears(self) -> int | None:
        """Wait until all is imported; the process that did it."""
        return self._answer(PATIENCE)

    def _answer(self, seconds: float) -> int | None:
        """The next line, a number; None if none comes in time. (Unbuffered: what was read ahead, select would miss.)"""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return None
        return int(self._process.stdout.readline())


@contextmanager
def warm(namespaces: Sequence[str] = (), imports: Sequence[str] = ()) -> Iterator[Warm]:
    """Start the far side, and end it; `namespaces` is a command that runs another in some, such as `unshare -m`.

    `imports` are modules that it imports besides STACK.
    """
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"}
    environment = os.environ | threads | {"COLUMNS": "200"}  # bars of progress are whole, wherever tests run
    command = [*namespaces, sys.executable, "-m", "tests.support.warm", *imports]  # cwd is the root
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        ready = Warm(process)
        assert ready.hears() == process.pid, "the far side did not start"
        yield ready


def _set_constants(constants: Mapping[str, float]) -> None:
    for place, value in constants.items():
        module, name = place.split(":")
        assert hasattr(sys.modules[module], name), f"{place} is gone: change the test"
        setattr(sys.modules[module], name, value)


def _fill_disk_after(writes: int) -> None:
    """Let the write after so many, to files that Python opened for bytes or text, find a full disk."""
    real, left = io.open, iter(range(writes))

    def open_with_limit(path: Any, mode: str = "r", *given: Any, **options: Any) -> Any:
        file = real(path, mode, *given, **options)
        if not isinstance(path, int) and set(mode) & set("wax+"):
            really = file.write

            def write(content: Any) -> int:
                if next(left, None) is None:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return really(content)

            file.write = write
        return file

    builtins.open = io.open = open_with_limit


def _stage(order: Order) -> int:
    """In the child: run the stage as `python -m ves` does."""
    from ves.__main__ import main

    output = os.open(order.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ.update(order.environment)
    _set_constants(order.constants)
    if order.writes is not None:
        _fill_disk_after(order.writes)
    return main(order.arguments)


def _far_side() -> None:
    """Import what the stages import; then fork one for each line of orders, and tell its number and its exit code."""
    sys.path.insert(0, str(ROOT))
    for name in (*STACK, *sys.argv[1:]):
        importlib.import_module(name)
    gc.freeze()  # children do not copy the pages of what is imported to count it
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # none that works
    answers, sys.stdout = sys.stdout, sys.stderr
    print(os.getpid(), file=answers, flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = _stage(Order(**json.loads(line)))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)  # the files that are open here belong to the far side
        print(child, file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


if __name__ == "__main__":
    _far_side()
