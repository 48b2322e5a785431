"""Checking a configuration before any job starts: every fault in one line that names file, key and what is allowed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ves.config import Config, Section


class _UniqueKeys(yaml.SafeLoader):
    """YAML without the silent rule that the last of two equal keys wins."""


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"{node.start_mark.name}: line {node.start_mark.line + 1}: key {key!r} stands twice in one block")
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> Any:
    """Read one YAML file. Raises ValueError that names file and line for what is not YAML or sets a key twice."""
    try:
        with open(path, encoding="utf-8") as handle:
            return yaml.load(handle, _UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error


def _origin(path: tuple[str | int, ...], files: list[Path]) -> str:
    """The last of the files that sets the key, or the files that could have."""
    for file in reversed(files):
        node: Any = read_yaml(file)
        for part in path:
            if not isinstance(node, Mapping) or part not in node:
                break
            node = node[part]
        else:
            return str(file)
    return " + ".join(map(str, files)) or "the configuration"


def _message(error: Any, files: list[Path]) -> str:
    path = tuple(part for part in error["loc"] if part != "[key]")
    key = ".".join(map(str, path))
    text = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{_origin(path, files)}: {key} is missing"
    if error["type"] == "extra_forbidden":
        return f"{_origin(path, files)}: {key} is not a known key{_known_keys(path[:-1])}"
    given = "" if error["type"] == "value_error" else f" (given: {error['input']!r})"
    return f"{_origin(path, files)}: {key + ': ' if key else ''}{text}{given}"


def _known_keys(path: tuple[str | int, ...]) -> str:
    """What may stand in the block at `path`, for the message about a key that may not."""
    block: Any = Config
    for part in path:
        if not (isinstance(block, type) and issubclass(block, Section)) or part not in block.model_fields:
            return ""
        annotation = block.model_fields[str(part)].annotation
        block = next((t for t in getattr(annotation, "__args__", ()) if isinstance(t, type)), annotation)
    return f"; known here: {', '.join(block.model_fields)}" if issubclass(block, Section) else ""


def validate(content: Mapping[str, Any], files: list[Path]) -> Config:
    """Check a merged configuration. Raises ValueError with one line per fault, each naming file, key and what is allowed."""
    try:
        config = Config.model_validate(dict(content))
    except ValidationError as error:
        raise ValueError("\n".join(_message(fault, files) for fault in error.errors())) from None
    for run, overrides in config.runs.items():
        try:
            config.train_of(run)
        except ValidationError as error:
            raise ValueError("\n".join(_message(fault | {"loc": ("runs", run, *fault["loc"])}, files) for fault in error.errors())) from None
    return config
