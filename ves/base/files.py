"""Files that are whole or absent: atomic writes, and a lock that dies with its holder.

A rename is atomic, and an fsync before it makes it durable. So a final name never shows a half-written file, even after
`kill -9` or a power cut (torchtitan and nanochat write their checkpoints the same way). Any number of processes may
write one path at once: each writes into a folder of its own, and the last to finish wins.

`matches_schema` and `same` check the content of JSON files, which get damaged and are edited by hand.
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

GREATEST = 2**48  # no whole number in our files is larger: rows, samples, bytes


def _sync(path: Path) -> None:
    """fsync one file or directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """fsync a file, or all files and directories below a directory, deepest first."""
    if path.is_dir():
        for child in path.iterdir():
            sync_tree(child)
    _sync(path)


def remove(path: Path) -> None:
    """Delete a file or a directory tree, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class DiskFull(OSError):
    """The disk has no space for a file; the message names the file and says what to do."""


FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def _naming_full_disk(path: Path) -> Iterator[None]:
    """Raise DiskFull that names `path` if it cannot be written for lack of disk space.

    The error that Python raises for a write names no file. Polars raises one of its own, and only its text has the
    cause.
    """
    try:
        yield
    except Exception as error:  # any class, since polars has its own; it is raised again
        by_number = isinstance(error, OSError) and error.errno in FULL
        by_text = any(f"(os error {number})" in str(error) for number in FULL)
        if not by_number and not by_text:
            raise
        text = f"{path}: not written, because the disk (or your quota on it) is full; free some and run again"
        raise DiskFull(text) from error


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a path to write to. On success, fsync what is there and rename it to `path`; on failure, remove it.

    The path may become a file or a directory, which replaces an existing directory of that name. It lies in a folder
    `.<name>.<random>.partial` beside `path` that only this writer uses. The leftovers of killed writers are removed
    first. Raises DiskFull if the disk has no space for it.
    """
    path = Path(path)
    with _naming_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        with _partial(path) as temporary:
            yield temporary


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """The writing part of `atomic`, in a folder of its own."""
    folder, lock_file = _new_folder(path)
    try:
        temporary = folder / path.name
        yield temporary
        sync_tree(temporary)
        _rename(temporary, path)
        _sync(path.parent)
    finally:
        with lock_file:
            shutil.rmtree(folder, ignore_errors=True)


WRITER_LOCK = "writer.lock"  # in the folder of a writer, locked by it: the kernel releases it when the writer dies


def _remove_abandoned(path: Path) -> None:
    """Remove the folders that dead writers of `path` left behind."""
    for folder in path.parent.iterdir():
        if folder.name.startswith(f".{path.name}.") and folder.name.endswith(".partial") and folder.is_dir():
            with suppress(OSError), open(folder / WRITER_LOCK, "w") as handle:  # it is in use, or another removes it
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


def written_by(folder: Path) -> Path | None:
    """The path that the writer of this folder writes, or wrote when it was killed; None if no writer made it."""
    name, *rest = folder.name.removeprefix(".").rsplit(".", 2)
    is_one = folder.name.startswith(".") and rest[1:] == ["partial"] and name and folder.is_dir()
    return folder.with_name(name) if is_one else None


def _new_folder(path: Path) -> tuple[Path, IO[str]]:
    """A folder beside `path` for one writer, and the open file that marks it as in use."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
        with suppress(FileNotFoundError):  # before it is locked, another writer may take it for abandoned: once more
            handle = open(folder / WRITER_LOCK, "w")  # noqa: SIM115 - the caller closes it
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle.fileno()), os.stat(folder / WRITER_LOCK)):
                return folder, handle


IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)


def _rename(new: Path, path: Path) -> None:
    """Rename a file or directory to `path`. A directory in the way cannot be replaced in one step: it moves aside."""
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
    except ValueError as error:  # not JSON, or not even text
        raise ValueError(f"{path}: not valid JSON ({error}); delete it and run again") from error


@contextmanager
def lock(path: Path | str) -> Iterator[None]:
    """Hold an exclusive lock on `<path>.lock`; waiting for it is logged. The kernel releases it if the process dies."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(path.name + ".lock"), "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process is writing %s; waiting for it to finish", path)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def matches_schema(content: Any, schema: Any) -> TypeGuard[Any]:
    """Whether `content` matches a schema. pydantic would turn each of eight calls into a class, and take 20 ms to load.

    A schema is a type (`int` means 0 to GREATEST), a list with one schema for all items, a tuple of alternatives, or a
    dict of the keys that must be there.
    """
    if isinstance(schema, tuple):
        return any(matches_schema(content, alternative) for alternative in schema)
    if isinstance(schema, dict):
        return isinstance(content, dict) and all(
            key in content and matches_schema(content[key], schema[key]) for key in schema
        )
    if isinstance(schema, list):
        return isinstance(content, list) and all(matches_schema(item, schema[0]) for item in content)
    if schema is int:
        return type(content) is int and 0 <= content <= GREATEST  # True is an int to Python
    return isinstance(content, schema)


def same(content: Any, other: Any) -> bool:
    """Whether both are the same JSON. True is not 1, 1 is not 1.0, and the order of keys does not matter."""
    return json.dumps(content, sort_keys=True) == json.dumps(other, sort_keys=True)
