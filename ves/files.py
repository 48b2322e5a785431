"""Files that are whole or absent: atomic writes, and a lock that dies with its holder.

A rename is atomic and an fsync before it makes it durable, so a final name never shows a half-written file, not after
`kill -9` and not after a power cut (torchtitan and nanochat write their checkpoints the same way).
"""

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def _sync(path: Path) -> None:
    """fsync one file or directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """fsync a file, or every file and directory below a directory, deepest first."""
    if path.is_dir():
        for child in path.iterdir():
            sync_tree(child)
    _sync(path)


def remove(path: Path) -> None:
    """Delete a file or a directory tree; absent is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success fsync it and rename it to `path`, on failure remove it.

    Works for a file and for a directory (an existing directory of that name is replaced). The temporary name is fixed,
    not random: what a killed writer left behind is overwritten by the next, so nothing piles up. Two writers of one
    path must therefore hold `lock`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    remove(temporary)
    try:
        yield temporary
        sync_tree(temporary)
        if path.is_dir():
            remove(path)
        temporary.replace(path)
        _sync(path.parent)
    except BaseException:
        remove(temporary)
        raise


def write_json(path: Path | str, content: Any) -> None:
    """Write `content` as indented JSON, atomically; the same content gives the same bytes."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read a JSON file. Raises ValueError that names the file when it is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); delete it and run again") from error


@contextmanager
def lock(path: Path | str) -> Iterator[None]:
    """Hold an exclusive lock on `<path>.lock` (waits, and says so). The kernel releases it when the process dies."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(path.name + ".lock"), "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process is writing %s; waiting for it to finish", path)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
