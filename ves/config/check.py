"""Checks a configuration before any job starts; each error is one line that names file, key and what is allowed."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ves.config.experiment import Config

COMMAND_LINE = "command line (--config)"
KEY = re.compile(
    r"^([a-z0-9_]+(?:\.[a-z0-9_]+)*): "
)  # how messages of our own validators begin that name a key below theirs
EXPONENT = re.compile(r"[-+]?\d+e[-+]?\d+", re.IGNORECASE)


class _UniqueKeys(yaml.SafeLoader):
    """Loads YAML, but refuses a key that is set twice; plain YAML silently keeps the last value."""


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            where = f"{node.start_mark.name}: line {node.start_mark.line + 1}"
            raise ValueError(f"{where}: key {key!r} is set twice in one block")
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> Any:
    """Read one YAML file. Raises ValueError that names file and line if it is not YAML or sets a key twice."""
    try:
        with open(path, encoding="utf-8") as handle:
            return yaml.load(handle, _UniqueKeys)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error


def _at(content: Any, path: tuple[Any, ...]) -> Any:
    """The value at `path` in nested mappings and lists. Raises LookupError if there is none."""
    for part in path:
        if not isinstance(content, Mapping | list):
            raise LookupError(part)
        content = content[part]
    return content


def _origin(path: tuple[Any, ...], merged: Any, files: dict[Path, Any]) -> str:
    """Who set the key: the last file that has this value, else the command line. For a block: the last file that has
    it."""
    value, setter = _at(merged, path), COMMAND_LINE
    for file, content in files.items():
        try:
            own = _at(content, path)
        except LookupError:
            continue
        if repr(own) == repr(value) or isinstance(value, Mapping):  # by repr, since NaN is unequal to itself
            setter = str(file)
    return setter


def _known_keys(path: tuple[Any, ...]) -> str:
    """The keys that the block at `path` may have, for the message about an unknown one."""
    block: Any = Config
    for part in ("train", *path[2:]) if path[:1] == ("runs",) else path:
        annotation = block.model_fields[part].annotation
        block = next((kind for kind in getattr(annotation, "__args__", ()) if isinstance(kind, type)), annotation)
    return ", ".join(block.model_fields)


def _message(error: Any, merged: Any, files: dict[Path, Any]) -> str:
    """One line about one of the errors that pydantic reports."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    text, value = error["msg"].removeprefix("Value error, "), f" (given: {error['input']!r})"
    if error["type"] == "missing":
        return f"{' + '.join(map(str, files))}: {'.'.join(map(str, path))} is missing"
    if error["type"] == "value_error":
        value = ""  # our own messages name it
        if match := KEY.match(text):
            path, text = (*path, *match[1].split(".")), text[match.end() :]
    try:
        origin = _origin(path, merged, files)
    except LookupError:  # a required block that is missing
        origin = " + ".join(map(str, files))
    key = ".".join(map(str, path))
    if error["type"] == "extra_forbidden":
        return f"{origin}: {key} is not a known key; known here: {_known_keys(path[:-1])}"
    if origin == COMMAND_LINE and isinstance(error["input"], str) and "valid" in text:
        value += "; inside a block, --config reads every value as text: use --configfile"
    elif isinstance(error["input"], str) and EXPONENT.fullmatch(error["input"]):
        value += "; YAML reads a number such as 1e-3, without a decimal point, as text: write 1.0e-3"
    return f"{origin}: {key}: {text}{value}"


def validate(content: Mapping[str, Any], files: list[Path]) -> Config:
    """Check a merged configuration. `files` are the files it was merged from; later ones override earlier ones.

    Raises ValueError with one line for each error, which names file, key and what is allowed.
    """
    read = {file: read_yaml(file) for file in files}
    try:
        config = Config.model_validate(dict(content))
    except ValidationError as error:
        raise ValueError("\n".join(_message(fault, content, read) for fault in error.errors())) from None
    messages = []
    for run in config.runs:
        try:
            config.train_of(run)
        except ValidationError as error:
            located = [{**fault, "loc": ("runs", run, *fault["loc"])} for fault in error.errors()]
            messages += [_message(fault, content, read) for fault in located]
    if messages:
        raise ValueError("\n".join(messages))
    return config


@contextmanager
def naming_files(content: Mapping[str, Any], files: list[Path]) -> Iterator[None]:
    """Prefix an error that begins with a key with the file that set the key, as `validate` does."""
    try:
        yield
    except ValueError as error:
        if not (match := KEY.match(str(error))):
            raise
        path = tuple(match[1].split("."))
        raise ValueError(f"{_origin(path, content, {file: read_yaml(file) for file in files})}: {error}") from None


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration overridden by another, as in the workflow: blocks are merged, other values are replaced, and an
    empty block changes nothing."""
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
    """The configuration of `base`, overridden by each of `files` in turn. Raises ValueError as `validate` does."""
    content: dict[str, Any] = {}
    for file in [base, *files]:
        if not isinstance(block := read_yaml(file), Mapping):
            raise ValueError(f"{file}: not a configuration: it has to be a mapping of keys to values")
        content = laid_over(content, block)
    return validate(content, [base, *files])
