"""The parser of the command line: every stage with its options, its help, and what was meant by a misspelt word."""

import argparse
import difflib
import shutil
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from ves.commands.arguments import ALIASES, Argument, Stage, arguments, name_of, paragraphs, two_words

SHORT = {"out": ("-o",)}  # options that have a short name too
NAMES = 22  # columns for the names of stages in the overview

Stages = Sequence[Stage]


class Parser(argparse.ArgumentParser):
    """One that says what was probably meant by a stage or an option that does not exist."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)
        self.stages: list[str] = []  # the first word must be one of these, where there are any
        self.options = ["--help"]
        self._words: list[str] = []  # of the command line that is being read

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuses what is unknown here, where the options of the stage are known, not in the parser above it."""
        self._words = list(sys.argv[1:] if args is None else args)
        stage = next((word for word in self._words if not word.startswith("-")), None)
        if self.stages and stage is not None and stage not in self.stages:
            self.error(f"there is no stage {stage!r}{_meant(stage, self.stages)}; `{self.prog} --help` lists them")
        found, unknown = super().parse_known_args(self._words, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Usage, the message and, for each misspelt option, the one that was probably meant. Ends with exit code 2."""
        names = [word.partition("=")[0] for word in self._words if word.startswith("--") and word != "--"]
        misspelt = [name for name in names if not any(option.startswith(name) for option in self.options)]
        meant = [f"; {name}{found}" for name in misspelt if (found := _meant(name, self.options))]
        super().error(message + "".join(meant))


class _Version(argparse.Action):
    """Versions are looked up only when they are asked for, and torch's without loading it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        python = ".".join(map(str, sys.version_info[:3]))
        print(f"ves {version('ves')} (torch {version('torch')}, Python {python})")
        parser.exit()


def _meant(word: str, names: Sequence[str]) -> str:
    """A question that names what is spelt like a word; empty where nothing is."""
    near = difflib.get_close_matches(word, names, n=3)
    return f", did you mean {' or '.join(near)}?" if near else ""


def parser(stages: Stages, groups: Sequence[str], typed: Sequence[str] = ()) -> Parser:
    """A command for each stage; those whose names begin with a group's also as two words, `<group> <rest>`.

    The overview shows the stages that people type (the names `typed`, in that order) before the others. Parsed
    arguments have `stage` (and `second`, its second word), `function`, `log`, and what the function is given.
    """
    top = Parser(
        prog="ves",
        description="Which pixels does a spoken word mean? Every step of VeS, by hand or for the workflow.",
        epilog=_overview(stages, groups, typed),
    )
    about = "print the versions of ves, torch and Python, and end"
    top.add_argument("--version", action=_Version, nargs=0, dest=argparse.SUPPRESS, help=about)
    top.options.append("--version")
    commands = top.add_subparsers(dest="stage", required=True, metavar="STAGE", help="one of those below")
    for stage in stages:
        _add(commands, name_of(stage), stage)
    for group in groups:
        members = {name_of(stage).removeprefix(f"{group}-"): stage for stage in stages if _in(group, stage)}
        words = commands.add_parser(group, description=f"Stages that may be written as two words, `{group} ...`.")
        below = words.add_subparsers(dest="second", required=True, metavar="STAGE")
        for name, stage in members.items():
            _add(below, name, stage, help=paragraphs(stage)[0])
        words.stages = [*below.choices]
    top.stages = [*commands.choices]
    return top


def _in(group: str, stage: Stage) -> bool:
    return name_of(stage).startswith(f"{group}-")


def _overview(stages: Stages, groups: Sequence[str], typed: Sequence[str]) -> str:
    """The stages in two groups, each with the first line of its docstring."""
    by_hand = sorted((stage for stage in stages if name_of(stage) in typed), key=lambda it: typed.index(name_of(it)))
    parts = {"What people type": by_hand, "What the workflow calls": [one for one in stages if one not in by_hand]}
    shown = [
        "\n".join([f"{title}:", *(_line(two_words(stage, groups), paragraphs(stage)[0]) for stage in members)])
        for title, members in parts.items()
        if members
    ]
    return "\n\n".join([*shown, "`ves STAGE --help` says what a stage does and takes."])


def _line(name: str, text: str) -> str:
    margin = " " * NAMES
    return textwrap.fill(text, _width(), initial_indent=f"  {name:<{NAMES - 3}} ", subsequent_indent=margin)


def _width() -> int:
    return max(shutil.get_terminal_size().columns - 2, 40)


def _add(commands: "argparse._SubParsersAction[Parser]", name: str, stage: Stage, **listed: Any) -> None:
    """One command, with its options; `help` only where argparse is to list it."""
    about = "\n\n".join(textwrap.fill(text, _width()) for text in paragraphs(stage))
    command = commands.add_parser(name, description=about, aliases=ALIASES.get(name, ()), **listed)
    command.add_argument("--log", type=Path, metavar="FILE", help="also write messages and tracebacks to this file")
    command.options.append("--log")
    command.set_defaults(function=stage)
    for argument in arguments(stage):
        _add_argument(command, argument)


def _add_argument(command: Parser, argument: Argument) -> None:
    default = f" (default: {argument.default})" if argument.default not in (None, False) else ""
    options: dict[str, Any] = {"help": argument.help + default}
    if argument.kind is bool:
        options |= {"action": "store_true"}
    else:
        options |= {"type": argument.kind, "nargs": "+" if argument.several else None, "default": argument.default}
        options |= {"choices": argument.choices} if argument.choices else {"metavar": argument.key.upper()}
    if argument.positional:
        command.add_argument(argument.key, **options)
        return
    command.options.append(f"--{argument.key}")
    command.add_argument(f"--{argument.key}", *SHORT.get(argument.key, ()), required=argument.required, **options)
