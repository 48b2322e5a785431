"""How a stage runs as a process: its log, its end, and what an error prints."""

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

# New objects between two runs of the cyclic garbage collector; Python's own setting is 700. Libraries create very many
# objects when they load, none of them garbage, and at the end of the process all are searched once more. Loading what
# `embed` needs, and ending, took 4.3 s with 700 and takes 2.9 s with this.
GARBAGE = 10_000


def wait_asleep() -> None:
    """Let threads that share an operation sleep while they wait for each other. Call this before torch is loaded.

    By default OpenMP lets them spin, on cores that other processes could use. Then one busy process beside two threads
    makes a training with random operations (ves.training.gradient_cache) several times slower. A value of
    OMP_WAIT_POLICY that is already set is kept.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


class _LogFile(logging.StreamHandler):
    """The log file. If a line cannot be written (full disk), it says so, and the rest goes to the screen only."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        logging.getLogger().removeHandler(self)
        faulthandler.enable(sys.stderr)  # the file's number may soon belong to another file
        with suppress(OSError):  # flush errors are raised here, not again when the process ends
            self.stream.close()
        print(f"{self.stream.name}: this log ends here: {error}", file=sys.stderr)


def start_log(path: Path | None) -> None:
    """Log messages and warnings to standard error and to a file, which also has times and the traces of crashes."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setFormatter(logging.Formatter("%(message)s"))
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = open(path, "w", encoding="utf-8")  # noqa: SIM115 - the end of the process closes it
        faulthandler.enable(stream)
        handlers.append(_LogFile(stream))
        handlers[1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=handlers)
    logging.captureWarnings(True)


def die_with(parent: int) -> None:
    """Ask the kernel to end this process when its parent ends: after `kill -9` of the workflow, no stage writes on."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGTERM)


def remedy(error: Exception) -> str | None:
    """The message for an error that the user can fix: a setting, a file, the disk, the network, a diverged run.

    None for any other error, which is a bug in VeS.
    """
    from ves.store.shard_format import BadStore  # imported only after an error: most stages do not need it

    torch = sys.modules.get("torch")  # not imported: that takes seconds, and without torch there is no such error
    if torch is not None and isinstance(error, torch.cuda.OutOfMemoryError):
        return (
            "the GPU's memory is full; lower train.micro_batch (train.batch_size may stay) or, "
            f"for features, lower vision.batch_size ({str(error).partition('\n')[0]})"
        )
    if isinstance(error, ValueError | OSError | FloatingPointError | BadStore):
        return str(error) or type(error).__name__
    return None


def run(name: str, function: Callable[..., None], arguments: dict[str, Any], log_file: Path | None) -> int:
    """Call a stage and return the exit code: 0 if it succeeded, 1 after an error. Only a bug shows a traceback.

    75 (EX_TEMPFAIL) means that a signal stopped the stage and the same command resumes it.
    """
    rank = int(os.environ.get("RANK", "0"))  # torchrun numbers its processes
    if parent := os.environ.get("VES_DIE_WITH_PARENT"):  # set by the workflow only, so that nohup works by hand
        die_with(int(parent) if "TORCHELASTIC_RUN_ID" not in os.environ else os.getppid())  # under torchrun: with it
    start_log(log_file if rank == 0 else None)
    gc.set_threshold(GARBAGE)
    atexit.register(gc.freeze)
    if rank:
        logging.getLogger().setLevel(logging.WARNING)  # rank 0 logs the rest
    try:
        function(**arguments)
    except Stopped as error:
        log.warning("%s: %s", name, error)
        return EX_TEMPFAIL
    except Exception as error:  # nothing is hidden: a bug's traceback goes to the screen and to the log
        if (message := remedy(error)) is None:
            log.exception("%s failed because of a bug in VeS", name)
            return 1
        for line in message.splitlines():
            print(f"{name}: {line}", file=sys.stderr)
        for handler in logging.getLogger().handlers[1:]:  # the log file gets the traceback too
            handler.handle(log.makeRecord("ves", logging.ERROR, __file__, 0, name, (), sys.exc_info()))
        return 1
    return 0
