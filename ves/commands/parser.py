"""The parser of the command line: every stage with its options and help, and suggestions for misspelt words."""

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
NAMES = 22  # columns that the names of stages take in the overview

Stages = Sequence[Stage]


class Parser(argparse.ArgumentParser):
    """A parser that suggests what was probably meant by a stage or an option that does not exist."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)
        self.stages: list[str] = []  # the first word must be one of these, if there are any
        self.options = ["--help"]
        self._words: list[str] = []  # of the command line that is being parsed

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuses unknown arguments here, where the options of the stage are known, and not in the parent parser."""
        self._words = list(sys.argv[1:] if args is None else args)
        stage = next((word for word in self._words if not word.startswith("-")), None)
        if self.stages and stage is not None and stage not in self.stages:
            self.error(f"there is no stage {stage!r}{_meant(stage, self.stages)}; `{self.prog} --help` lists them")
        parsed, unknown = super().parse_known_args(self._words, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        """Print usage, message and, for each misspelt option, what was probably meant; end with exit code 2."""
        names = [word.partition("=")[0] for word in self._words if word.startswith("--") and word != "--"]
        misspelt = [name for name in names if not any(option.startswith(name) for option in self.options)]
        hints = [f"; {name}{hint}" for name in misspelt if (hint := _meant(name, self.options))]
        super().error(message + "".join(hints))


class _Version(argparse.Action):
    """Prints the versions. They are looked up only when asked for, and torch's without loading torch."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        python = ".".join(map(str, sys.version_info[:3]))
        print(f"ves {version('ves')} (torch {version('torch')}, Python {python})")
        parser.exit()


def _meant(word: str, names: Sequence[str]) -> str:
    """A question that names what is spelt like a word; empty if nothing is."""
    near = difflib.get_close_matches(word, names, n=3)
    return f", did you mean {' or '.join(near)}?" if near else ""


def parser(stages: Stages, groups: Sequence[str], typed: Sequence[str] = ()) -> Parser:
    """A command for each stage. A stage whose name begins with that of a group is also two words, `<group> <rest>`.

    The overview lists the stages that people type (the names `typed`, in that order) before the others. The parsed
    arguments are `stage` (and `second`, its second word), `function`, `log`, and the function's own.
    """
    top = Parser(
        prog="ves",
        description="Which pixels does a spoken word mean? Every step of VeS, for you and for the workflow.",
        epilog=_overview(stages, groups, typed),
    )
    about = "print the versions of ves, torch and Python"
    top.add_argument("--version", action=_Version, nargs=0, dest=argparse.SUPPRESS, help=about)
    top.options.append("--version")
    commands = top.add_subparsers(dest="stage", required=True, metavar="STAGE", help="one of the stages below")
    for stage in stages:
        _add(commands, name_of(stage), stage)
    for group in groups:
        members = {name_of(stage).removeprefix(f"{group}-"): stage for stage in stages if _in(group, stage)}
        words = commands.add_parser(group, description=f"The stages of the group `{group}`.")
        below = words.add_subparsers(dest="second", required=True, metavar="STAGE")
        for name, stage in members.items():
            _add(below, name, stage, help=paragraphs(stage)[0])
        words.stages = [*below.choices]
    top.stages = [*commands.choices]
    return top


def _in(group: str, stage: Stage) -> bool:
    return name_of(stage).startswith(f"{group}-")


def _overview(stages: Stages, groups: Sequence[str], typed: Sequence[str]) -> str:
    """The stages in two lists, each with the first paragraph of its docstring."""
    by_hand = sorted((stage for stage in stages if name_of(stage) in typed), key=lambda it: typed.index(name_of(it)))
    parts = {"For you to type": by_hand, "For the workflow": [one for one in stages if one not in by_hand]}
    shown = [
        "\n".join([f"{title}:", *(_line(two_words(stage, groups), paragraphs(stage)[0]) for stage in members)])
        for title, members in parts.items()
        if members
    ]
    return "\n\n".join([*shown, "`ves STAGE --help` says what a stage does and which arguments it takes."])


def _line(name: str, text: str) -> str:
    margin = " " * NAMES
    return textwrap.fill(text, _width(), initial_indent=f"  {name:<{NAMES - 3}} ", subsequent_indent=margin)


def _width() -> int:
    return max(shutil.get_terminal_size().columns - 2, 40)


def _add(commands: "argparse._SubParsersAction[Parser]", name: str, stage: Stage, **listed: Any) -> None:
    """Add one command with its options; `help` is given only if argparse should list it."""
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
