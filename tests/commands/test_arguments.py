"""The command line is what the signatures say."""

from pathlib import Path
from typing import Annotated, Any

import pytest

from ves.commands.arguments import parser


def store_info(folder: Path, *, out: Path | None = None, runs: list[Path] | None = None) -> None:
    """What a store holds."""


def store_copy(
    *, clips: int, runs: list[Path], hard: Annotated[bool, "by links"] = False, by: Annotated[int, "bytes"] = 9
) -> None:
    """A copy."""


def storey() -> None:
    """Of no group, whatever its name begins with."""


PARSER = parser((store_info, store_copy, storey), ("store",))


def parsed(*arguments: str) -> dict[str, Any]:
    return vars(PARSER.parse_args(arguments))


@pytest.mark.parametrize("words", [("store-info",), ("store", "info")])
def test_a_stage_of_a_group_may_be_two_words(words: tuple[str, ...]) -> None:
    found = parsed(*words, "a", "--log", "b.log")
    assert found.pop("stage") == words[0]
    assert found.pop("second", None) == (words[1] if len(words) > 1 else None)
    assert found == {"function": store_info, "folder": Path("a"), "out": None, "runs": None, "log": Path("b.log")}


def test_options_are_read_as_they_are_annotated() -> None:
    found = parsed("store", "info", "a", "--out", "b", "--runs", "c", "d")
    assert (found["out"], found["runs"]) == (Path("b"), [Path("c"), Path("d")])
    assert parsed("store-copy", "--clips", "3", "--runs", "c")["clips"] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("store",), "ves store: error: the following arguments are required: STAGE"),
        (("store", "y"), "invalid choice: 'y'"),
        (("store", "copy", "--runs", "c"), "required: --clips"),
        (("store", "copy", "--runs", "c", "--clips", "many"), "argument --clips: invalid int value: 'many'"),
        (("store-info",), "required: FOLDER"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*arguments)
    assert words in capsys.readouterr().err


def test_help_is_the_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("store", "--help")
    shown = capsys.readouterr().out
    assert "info      What a store holds." in shown
    assert "copy      A copy." in shown
    assert "storey" not in shown and " y " not in shown


def test_an_option_may_have_a_help_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    found = parsed("store-copy", "--clips", "3", "--runs", "c", "--hard", "--by", "4")
    assert (found["hard"], found["by"]) == (True, 4)
    with pytest.raises(SystemExit):
        parsed("store-copy", "--help")
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["--hard", "by", "links"] in shown and ["--by", "BY", "bytes"] in shown


def test_what_is_written_has_a_short_name() -> None:
    assert parsed("store", "info", "a", "-o", "b")["out"] == Path("b")
