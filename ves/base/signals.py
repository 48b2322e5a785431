"""How a long stage is asked to stop: after one SIGTERM or SIGINT it ends at the next point from which it can resume.

Schedulers send SIGTERM before they kill, and a terminal sends SIGINT. When a workflow ends, the kernel sends SIGTERM to
its stages (ves.commands.process.die_with). The stage looks at `asked` wherever it may stop. The same signal once more
ends the process at once, as usual, unless it comes from the death of the parent.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EX_TEMPFAIL = 75  # from sysexits.h, "try again later": the exit code of a stage that stopped on request


class Stopped(Exception):
    """A stage stopped on request; the message says what is kept and how to resume."""


class Stop:
    """Whether somebody has asked this process to stop: the name of the first signal, or None."""

    def __init__(self) -> None:
        self.asked: str | None = None
        self._signals: set[int] = set()
        self._parent = os.getppid()

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if number in self._signals and os.getppid() == self._parent:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._signals.add(number)
        if self.asked is None:
            self.asked = name
            os.write(2, f"{name}: stopping after this step; once more ends it at once\n".encode())  # log may be in use


@contextmanager
def on_signals() -> Iterator[Stop]:
    """Catch SIGTERM and SIGINT inside this block. Only the main thread can; in others, `asked` stays None."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop._receive) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
