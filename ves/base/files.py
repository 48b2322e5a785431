"""Files that are whole or absent: atomic writes, and a lock that dies with its holder.

A rename is atomic and an fsync before it makes it durable, so a final name never shows a half-written file, not after
`kill -9` and not after a power cut (torchtitan and nanochat write their checkpoints the same way). Any number of
processes may write one path at once: each into a folder of its own, and the last to finish wins whole.

`fits` and `same` say whether what a JSON file holds has the form that it should have: files are damaged, and edited by
hand.
"""

import errno
import fcntl
import itertools
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeGuard

log = logging.getLogger(__name__)

GREATEST = 2**48  # of any whole number in a file of ours: rows, samples, bytes


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


class DiskFull(OSError):
    """There is no room for a file; the message names it and says what to do."""


FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def _naming_full_disk(path: Path) -> Iterator[None]:
    """Raise DiskFull that names `path` when it cannot be written for lack of room.

    Python's error of a write names no file. That of polars is one of its own, and only its text tells the cause.
    """
    try:
        yield
    except Exception as error:  # raised again, as it is or named: polars has a class of its own for a full disk
        told = isinstance(error, OSError) and error.errno in FULL
        if not told and not any(f"(os error {number})" in str(error) for number in FULL):
            raise
        text = f"{path}: not written, because the disk (or your quota on it) is full; free some and run again"
        raise DiskFull(text) from error


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a path to write to; on success fsync what is there and rename it to `path`, on failure remove it.

    Works for a file and for a directory (an existing directory of that name is replaced). It lies in a folder
    `.<name>.<random>.partial` beside `path`, of this writer alone. What killed writers left there is removed first.
    Raises DiskFull where there is no room for it.
    """
    path = Path(path)
    with _naming_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        with _partial(path) as temporary:
            yield temporary


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """The part of `atomic` that writes, in the folder of one writer."""
    folder, held = _new_folder(path)
    try:
        temporary = folder / path.name
        yield temporary
        sync_tree(temporary)
        _rename(temporary, path)
        _sync(path.parent)
    finally:
        with held:
            shutil.rmtree(folder, ignore_errors=True)


HELD = "writer.lock"  # in the folder of a writer, locked by it: the kernel lets go of it when the writer dies


def _remove_abandoned(path: Path) -> None:
    """Remove the folders of writers of `path` that live no more."""
    for folder in path.parent.iterdir():
        if folder.name.startswith(f".{path.name}.") and folder.name.endswith(".partial") and folder.is_dir():
            with suppress(OSError), open(folder / HELD, "w") as handle:  # in use, or another process removes it too
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


def written_by(folder: Path) -> Path | None:
    """The path that the writer with this folder writes, or wrote when it was killed; None for any other path."""
    name, *rest = folder.name.removeprefix(".").rsplit(".", 2)
    is_one = folder.name.startswith(".") and rest[1:] == ["partial"] and name and folder.is_dir()
    return folder.with_name(name) if is_one else None


def _new_folder(path: Path) -> tuple[Path, IO[str]]:
    """A folder beside `path` for one writer, and the open file that marks it as in use."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
        with suppress(FileNotFoundError):  # before it is locked, another writer may take it for abandoned: once more
            handle = open(folder / HELD, "w")  # noqa: SIM115 - whoever asked for the folder closes it
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle.fileno()), os.stat(folder / HELD)):
                return folder, handle


IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)


def _rename(new: Path, path: Path) -> None:
    """Rename a file or directory to `path`. A directory there cannot be replaced in one step: it is moved aside."""
    for attempt in itertools.count():
        try:
            new.replace(path)
            return
        except OSError as error:
            if error.errno not in IN_THE_WAY:
                raise
        with suppress(FileNotFoundError):  # another writer moved it
            path.rename(new.with_name(f"replaced-{attempt}"))


def write_json(path: Path | str, content: Any) -> None:
    """Write `content` as indented JSON, atomically; the same content gives the same bytes."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read a JSON file. Raises ValueError that names the file when it is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # of the JSON, or of bytes that are no text at all
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


def fits(content: Any, form: Any) -> TypeGuard[Any]:
    """Whether `content` is of that form.

    A form is a type (`int` is not negative, and no more than GREATEST), a list of one form for all items, a tuple of
    several of which one will do, or a dict of the keys that are needed.
    """
    if isinstance(form, tuple):
        return any(fits(content, one) for one in form)
    if isinstance(form, dict):
        return isinstance(content, dict) and all(key in content and fits(content[key], form[key]) for key in form)
    if isinstance(form, list):
        return isinstance(content, list) and all(fits(item, form[0]) for item in content)
    if form is int:
        return type(content) is int and 0 <= content <= GREATEST  # True is an int to Python
    return isinstance(content, form)


def same(content: Any, other: Any) -> bool:
    """Whether both are the same JSON, where True is not 1 and 1 is not 1.0; the order of keys does not matter."""
    return json.dumps(content, sort_keys=True) == json.dumps(other, sort_keys=True)
