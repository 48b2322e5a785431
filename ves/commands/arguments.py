"""The arguments of a command line, read off the signatures of the functions that it calls.

Positional parameters are positional arguments, keyword-only ones are options of that name, required unless they have a
default, and the docstring is the help. A bool is a switch; `Annotated[kind, "text"]` is a kind with a help of its own.
"""

import argparse
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path

Stage = Callable[..., None]
SHORT = {"out": ("-o",)}  # options that have a short name too


def parser(stages: Sequence[Stage], groups: Sequence[str]) -> argparse.ArgumentParser:
    """A command for each stage; those whose names begin with a group's also as two words, `<group> <rest>`.

    Parsed arguments have `stage` (and `second`, its second word), `function`, `log`, and what the function is given.
    """
    top = argparse.ArgumentParser(prog="ves", description="The stages of VeS, in order.")
    commands = top.add_subparsers(dest="stage", required=True, metavar="STAGE")
    for stage in stages:
        _add(commands, _words(stage), stage)
    for group in groups:
        members = {_words(stage).removeprefix(f"{group}-"): stage for stage in stages if _in(group, stage)}
        words = commands.add_parser(group, help=f"{group}-{{{','.join(members)}}} as two words")
        below = words.add_subparsers(dest="second", required=True, metavar="STAGE")
        for name, stage in members.items():
            _add(below, name, stage)
    return top


def _words(stage: Stage) -> str:
    return stage.__name__.replace("_", "-")


def _in(group: str, stage: Stage) -> bool:
    return _words(stage).startswith(f"{group}-")


def _add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, stage: Stage) -> None:
    """One command, with its options."""
    help_text = inspect.getdoc(stage)
    command = commands.add_parser(name, help=help_text, description=help_text)
    command.add_argument("--log", type=Path, metavar="FILE", help="also write messages and tracebacks to this file")
    command.set_defaults(function=stage)
    for key, parameter in inspect.signature(stage).parameters.items():
        annotation, told = parameter.annotation, None
        if typing.get_origin(annotation) is typing.Annotated:
            annotation, told = typing.get_args(annotation)
        if annotation is bool:
            command.add_argument(f"--{key}", action="store_true", help=told)
            continue
        options: dict[str, typing.Any] = {"metavar": key.upper(), "help": told} | _kind(annotation)
        if parameter.kind is not parameter.KEYWORD_ONLY:
            command.add_argument(key, **options)
            continue
        names = [f"--{key}", *SHORT.get(key, ())]
        if parameter.default is parameter.empty:
            command.add_argument(*names, required=True, **options)
        else:
            command.add_argument(*names, default=parameter.default, **options)


def _kind(annotation: typing.Any) -> dict[str, typing.Any]:
    """How an argument is read: `T`, `list[T]` (several), or either `| None` (it may be absent)."""
    if isinstance(annotation, types.UnionType):
        (annotation,) = (kind for kind in typing.get_args(annotation) if kind is not types.NoneType)
    if typing.get_origin(annotation) is list:
        return {"type": typing.get_args(annotation)[0], "nargs": "+"}
    return {"type": annotation}
