"""How a long stage is asked to stop: SIGTERM or SIGINT, once, and it ends where it can go on later.

Schedulers send SIGTERM before they kill, a terminal sends SIGINT; after the end of a workflow the kernel sends SIGTERM
to its stages (ves.commands.process.die_with). The stage looks at `asked` where it may stop. The same signal once more
ends the process at once, as it does without us; but not the one that the death of the parent sends after it.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EX_TEMPFAIL = 75  # of sysexits.h: try again later; the exit code of a stage that stopped because it was asked to


class Stopped(Exception):
    """A stage was asked to stop, and did; the message says what is kept and how to go on."""


class Stop:
    """Whether somebody has asked this process to stop: the name of the first signal, or None."""

    def __init__(self) -> None:
        self.asked: str | None = None
        self._seen: set[int] = set()
        self._parent = os.getppid()

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if number in self._seen and os.getppid() == self._parent:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._seen.add(number)
        if self.asked is None:
            self.asked = name
            os.write(2, f"{name}: stopping after this step; once more ends it at once\n".encode())  # log may be in use


@contextmanager
def on_signals() -> Iterator[Stop]:
    """Catch SIGTERM and SIGINT within. Another thread than the main one cannot, and is never asked."""
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
