"""Checking a configuration before any job starts: every fault in one line that names file, key and what is allowed."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ves.config.experiment import Config

COMMAND_LINE = "command line (--config)"
KEY = re.compile(r"^([a-z0-9_]+(?:\.[a-z0-9_]+)*): ")  # our own validators begin with the key, if it is below theirs
EXPONENT = re.compile(r"[-+]?\d+e[-+]?\d+", re.IGNORECASE)


class _UniqueKeys(yaml.SafeLoader):
    """YAML without the silent rule that the last of two equal keys wins."""


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            where = f"{node.start_mark.name}: line {node.start_mark.line + 1}"
            raise ValueError(f"{where}: key {key!r} stands twice in one block")
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> Any:
    """Read one YAML file. Raises ValueError that names file and line for what is not YAML or sets a key twice."""
    try:
        with open(path, encoding="utf-8") as handle:
            return yaml.load(handle, _UniqueKeys)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error


def _at(content: Any, path: tuple[Any, ...]) -> Any:
    """What stands at `path` in nested mappings and lists. Raises LookupError where nothing does."""
    for part in path:
        if not isinstance(content, Mapping | list):
            raise LookupError(part)
        content = content[part]
    return content


def _origin(path: tuple[Any, ...], merged: Any, files: dict[Path, Any]) -> str:
    """Who set the key: the last file to give it its value, or the command line; of a block, the last one with it."""
    value, setter = _at(merged, path), COMMAND_LINE
    for file, content in files.items():
        try:
            found = _at(content, path)
        except LookupError:
            continue
        if repr(found) == repr(value) or isinstance(value, Mapping):  # by repr, since NaN is unequal to itself
            setter = str(file)
    return setter


def _known_keys(path: tuple[Any, ...]) -> str:
    """What may stand in the block at `path`, for the message about a key that may not."""
    block: Any = Config
    for part in ("train", *path[2:]) if path[:1] == ("runs",) else path:
        annotation = block.model_fields[part].annotation
        block = next((kind for kind in getattr(annotation, "__args__", ()) if isinstance(kind, type)), annotation)
    return ", ".join(block.model_fields)


def _message(error: Any, merged: Any, files: dict[Path, Any]) -> str:
    """One line for one fault that pydantic found."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    text, given = error["msg"].removeprefix("Value error, "), f" (given: {error['input']!r})"
    if error["type"] == "missing":
        return f"{' + '.join(map(str, files))}: {'.'.join(map(str, path))} is missing"
    if error["type"] == "value_error":
        given = ""  # ours name it
        if match := KEY.match(text):
            path, text = (*path, *match[1].split(".")), text[match.end() :]
    try:
        origin = _origin(path, merged, files)
    except LookupError:  # a block that is wanted and not there
        origin = " + ".join(map(str, files))
    key = ".".join(map(str, path))
    if error["type"] == "extra_forbidden":
        return f"{origin}: {key} is not a known key; known here: {_known_keys(path[:-1])}"
    if origin == COMMAND_LINE and isinstance(error["input"], str) and "valid" in text:
        given += "; inside a block --config takes everything as text: use --configfile"
    elif isinstance(error["input"], str) and EXPONENT.fullmatch(error["input"]):
        given += "; YAML takes a power without a point for text: write 1.0e-3 for 1e-3"
    return f"{origin}: {key}: {text}{given}"


def validate(content: Mapping[str, Any], files: list[Path]) -> Config:
    """Check a merged configuration; `files` are those it came from, in the order in which they were laid over another.

    Raises ValueError with one line per fault, each naming file, key and what is allowed.
    """
    read = {file: read_yaml(file) for file in files}
    try:
        config = Config.model_validate(dict(content))
    except ValidationError as error:
        raise ValueError("\n".join(_message(fault, content, read) for fault in error.errors())) from None
    faults = []
    for run in config.runs:
        try:
            config.train_of(run)
        except ValidationError as error:
            located = [{**fault, "loc": ("runs", run, *fault["loc"])} for fault in error.errors()]
            faults += [_message(fault, content, read) for fault in located]
    if faults:
        raise ValueError("\n".join(faults))
    return config


@contextmanager
def naming_files(content: Mapping[str, Any], files: list[Path]) -> Iterator[None]:
    """Put the file that set the key before errors that begin with the key, as `validate` does."""
    try:
        yield
    except ValueError as error:
        if not (match := KEY.match(str(error))):
            raise
        path = tuple(match[1].split("."))
        raise ValueError(f"{_origin(path, content, {file: read_yaml(file) for file in files})}: {error}") from None


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with another laid over it, as the workflow does it: blocks are merged, all else is replaced; an
    empty block replaces nothing."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and not value and key in merged:
            continue
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = laid_over(below, value)
        merged[key] = value
    return merged


def load(base: Path, files: list[Path]) -> Config:
    """The configuration of `base` with `files` laid over it in turn. Raises ValueError as `validate` does."""
    content: dict[str, Any] = {}
    for file in [base, *files]:
        if not isinstance(block := read_yaml(file), Mapping):
            raise ValueError(f"{file}: not a configuration: a mapping of keys to values is wanted")
        content = laid_over(content, block)
    return validate(content, [base, *files])
