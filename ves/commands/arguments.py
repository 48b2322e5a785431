"""The arguments of a command line, derived from the signatures of the functions that it calls.

A positional parameter is a positional argument. A keyword-only parameter is an option of that name, which is required
unless it has a default. `Annotated[kind, "help"]` adds the line of help, and `Annotated[kind, "help", check]` also a
function that raises ValueError for a bad value. A bool is a switch, a Literal a choice, a list several values. Options
that several stages share are a TypedDict: `**shared: Unpack[...]`, where `kind | None` may be left out.
"""

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Stage = Callable[..., None]
Check = Callable[[Any], object]
ALIASES = {"localise": ("localize",)}  # stages whose names have two spellings


@dataclass(frozen=True)
class Argument:
    """One parameter of a stage."""

    key: str
    kind: Callable[[str], Any]  # parses each value
    help: str
    check: Check | None
    several: bool
    choices: tuple[str, ...]
    positional: bool
    required: bool
    default: Any


def arguments(stage: Stage) -> list[Argument]:
    """The arguments of a stage, in order."""
    return [
        _argument(each) for parameter in inspect.signature(stage).parameters.values() for each in _single(parameter)
    ]


def _single(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """The parameter itself; of `**name: Unpack[...]`, which several stages share, each key of the TypedDict in it."""
    if parameter.kind is not parameter.VAR_KEYWORD:
        return [parameter]
    (shared,) = typing.get_args(parameter.annotation)
    kinds = typing.get_type_hints(shared, include_extras=True)
    defaults = {key: None for key, kind in kinds.items() if types.NoneType in typing.get_args(kind)}
    return [
        parameter.replace(
            name=key, kind=parameter.KEYWORD_ONLY, annotation=kind, default=defaults.get(key, parameter.empty)
        )
        for key, kind in kinds.items()
    ]


def _argument(parameter: inspect.Parameter) -> Argument:
    kind, metadata = _plain(parameter.annotation)
    several = typing.get_origin(kind) is list
    if several:
        (kind,) = typing.get_args(kind)
    choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    required = parameter.default is parameter.empty
    return Argument(
        key=parameter.name,
        kind=str if choices else kind,
        help=metadata[0] if metadata else "",
        check=metadata[1] if len(metadata) > 1 else None,
        several=several,
        choices=choices,
        positional=parameter.kind is not parameter.KEYWORD_ONLY,
        required=required,
        default=None if required else parameter.default,
    )


def _plain(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """(kind, metadata) of `kind` or `Annotated[kind, *metadata]`, either also as `... | None`, an optional argument."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        (annotation,) = (kind for kind in typing.get_args(annotation) if kind is not types.NoneType)
    if typing.get_origin(annotation) is typing.Annotated:
        kind, *metadata = typing.get_args(annotation)
        return kind, tuple(metadata)
    return annotation, ()


def check(stage: Stage, values: Mapping[str, Any]) -> None:
    """Check the values of a stage's arguments before it runs. Raises the ValueError of the first check that fails."""
    for argument in arguments(stage):
        value = values[argument.key]
        if argument.check is None or value is None:
            continue
        for one in value if argument.several else (value,):
            argument.check(one)


def name_of(stage: Stage) -> str:
    """A stage's name on the command line."""
    return stage.__name__.replace("_", "-")


def two_words(stage: Stage, groups: Sequence[str]) -> str:
    """The name as people type it: `<group> <rest>` for a stage that belongs to a group."""
    group, dash, rest = name_of(stage).partition("-")
    return f"{group} {rest}" if dash and group in groups else name_of(stage)


def paragraphs(stage: Stage) -> list[str]:
    """The paragraphs of the docstring, each on one line."""
    text = inspect.getdoc(stage) or ""
    return [" ".join(part.split()) for part in text.split("\n\n")]
