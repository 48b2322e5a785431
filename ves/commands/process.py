"""How a stage runs as a process: its log, its life, and what is shown of an error."""

import atexit
import ctypes
import faulthandler
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ves.base.signals import EX_TEMPFAIL, Stopped

log = logging.getLogger("ves")

# Objects between two searches for garbage in cycles; Python has 700. Libraries make very many as they load, none of it
# garbage, and as a process ends all are searched again: to load what `embed` needs, and to end, took 4.3 s, now 2.9.
GARBAGE = 10_000


def wait_asleep() -> None:
    """Let threads that share an operation sleep while they wait for each other; to be called before torch is loaded.

    By itself OpenMP lets them spin, on cores that others could use, and each meeting takes a turn of the scheduler: one
    busy process beside two threads makes a training in which something is drawn at random (see ves.contrast) several
    times slower. Whoever has set OMP_WAIT_POLICY keeps it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


class _LogFile(logging.StreamHandler):
    """The log file. Where a line cannot be written (a full disk), that is said and the screen alone has the rest."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        logging.getLogger().removeHandler(self)
        faulthandler.enable(sys.stderr)  # the number of the file may soon be another's
        with suppress(OSError):  # of what is left to write, now and not once more when the process ends
            self.stream.close()
        print(f"{self.stream.name}: this log ends here: {error}", file=sys.stderr)


def start_log(path: Path | None) -> None:
    """Messages and warnings to standard error and, with times and the traces of crashes, to a file."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setFormatter(logging.Formatter("%(message)s"))
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = open(path, "w", encoding="utf-8")  # noqa: SIM115 - it is closed when the process ends
        faulthandler.enable(stream)
        handlers.append(_LogFile(stream))
        handlers[1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=handlers)
    logging.captureWarnings(True)


def die_with(parent: int) -> None:
    """Ask the kernel to end this process when its parent does: after kill -9 of the workflow no stage writes on."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGTERM)


def remedy(error: Exception) -> str | None:
    """What to tell of an error that a user can mend (a setting, a file, the disk, the network, a diverged run).

    None for any other: that is a fault of VeS.
    """
    from ves.store.shard_format import BadStore  # only now, when something went wrong: most stages start without

    torch = sys.modules.get("torch")  # no error of it without it, and it takes seconds
    if torch is not None and isinstance(error, torch.cuda.OutOfMemoryError):
        return (
            "the GPU's memory is full; lower train.micro_batch (train.batch_size may stay) or, "
            f"for features, lower vision.batch_size ({str(error).partition('\n')[0]})"
        )
    if isinstance(error, ValueError | OSError | FloatingPointError | BadStore):
        return str(error) or type(error).__name__
    return None


def run(name: str, function: Callable[..., None], given: dict[str, Any], log_file: Path | None) -> int:
    """Call a stage; 0 when it is done, 1 after an error, which is one line unless it is a fault of ours.

    75 (EX_TEMPFAIL) when it stopped because a signal asked it to, and can go on: try again later.
    """
    rank = int(os.environ.get("RANK", "0"))  # torchrun numbers the processes that it starts
    if parent := os.environ.get("VES_DIE_WITH_PARENT"):  # set by the workflow only: by hand, nohup keeps its meaning
        die_with(int(parent) if "TORCHELASTIC_RUN_ID" not in os.environ else os.getppid())  # of which torchrun is one
    start_log(log_file if rank == 0 else None)
    gc.set_threshold(GARBAGE)
    atexit.register(gc.freeze)
    if rank:
        logging.getLogger().setLevel(logging.WARNING)  # the first says the rest
    try:
        function(**given)
    except Stopped as error:
        log.warning("%s: %s", name, error)
        return EX_TEMPFAIL
    except Exception as error:  # the last resort: nothing is muffled, the traceback goes to the screen and to the log
        if (message := remedy(error)) is None:
            log.exception("%s failed, which is a fault of VeS", name)
            return 1
        for line in message.splitlines():
            print(f"{name}: {line}", file=sys.stderr)
        for handler in logging.getLogger().handlers[1:]:  # the file keeps the traceback
            handler.handle(log.makeRecord("ves", logging.ERROR, __file__, 0, name, (), sys.exc_info()))
        return 1
    return 0
