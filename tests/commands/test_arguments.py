"""The command line is what the signatures say, and says what is wrong with it."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, Unpack

import pytest

from ves.commands.arguments import check
from ves.commands.parser import parser


def store_info(folder: Path, *, out: Path | None = None, runs: list[Path] | None = None) -> None:
    """What a store holds."""


def store_copy(
    *, clips: int, runs: list[Path], hard: Annotated[bool, "by links"] = False, by: Annotated[int, "bytes"] = 9
) -> None:
    """A copy."""


def storey(kind: Annotated[Literal["low", "high"], "how high"]) -> None:
    """Of no group, whatever its name begins with.

    A second paragraph.
    """


def localise() -> None:
    """Spelt in two ways."""


class Shared(TypedDict):
    """What several stages take."""

    clips: Annotated[int, "number of clips"]
    truth: Annotated[Path, "word timings"] | None


def show(*, out: Path, **shared: Unpack[Shared]) -> None:
    """Show clips."""


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that has room for a line of help."""
    monkeypatch.setenv("COLUMNS", "100")


PARSER = parser((store_info, store_copy, storey, localise, show), ("store",), ("localise", "store-info"))


def parse(*arguments: str) -> dict[str, Any]:
    return vars(PARSER.parse_args(arguments))


def test_options_that_stages_share_are_those_of_their_typed_dict() -> None:
    found = parsed("show", "--out", "a", "--clips", "3")
    assert (found["out"], found["clips"], found["truth"]) == (Path("a"), 3, None)
    assert parsed("show", "--out", "a", "--clips", "3", "--truth", "t")["truth"] == Path("t")
    with pytest.raises(SystemExit):
        parsed("show", "--out", "a")  # without --clips


@pytest.mark.parametrize("words", [("store-info",), ("store", "info")])
def test_a_stage_of_a_group_may_be_two_words(words: tuple[str, ...]) -> None:
    found = parse(*words, "a", "--log", "b.log")
    assert found.pop("stage") == words[0]
    assert found.pop("second", None) == (words[1] if len(words) > 1 else None)
    assert found == {"function": store_info, "folder": Path("a"), "out": None, "runs": None, "log": Path("b.log")}


def test_options_are_read_as_they_are_annotated() -> None:
    found = parse("store", "info", "a", "--out", "b", "--runs", "c", "d")
    assert (found["out"], found["runs"]) == (Path("b"), [Path("c"), Path("d")])
    assert parse("store-copy", "--clips", "3", "--runs", "c")["clips"] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("store",), "ves store: error: the following arguments are required: STAGE"),
        (("store", "y"), "there is no stage 'y'; `ves store --help` lists them"),
        (("store", "inof"), "there is no stage 'inof', did you mean info?"),
        (("stroe-info", "a"), "there is no stage 'stroe-info', did you mean store-info"),
        (("--quick", "storey", "low"), "unrecognized arguments: --quick"),
        (("store-copy", "--rusn", "c", "--clips", "3"), "required: --runs; --rusn, did you mean --runs?"),
        (("store-copy", "--runs", "c", "--clips", "3", "--hrad=1"), "--hrad=1; --hrad, did you mean --hard?"),
        (("storey", "middle"), "argument kind: invalid choice: 'middle' (choose from 'low', 'high')"),
        (("store", "copy", "--runs", "c"), "required: --clips"),
        (("store", "copy", "--runs", "c", "--clips", "many"), "argument --clips: invalid int value: 'many'"),
        (("store-info",), "required: FOLDER"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(*arguments)
    assert words in capsys.readouterr().err


def test_an_option_that_is_like_none_is_only_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("store-info", "a", "--xyz")
    assert capsys.readouterr().err.endswith("ves store-info: error: unrecognized arguments: --xyz\n")


def test_the_overview_has_two_groups_with_the_first_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    _, typed, others = capsys.readouterr().out.split("\nFor ")
    assert typed.splitlines()[:3] == [
        "you to type:",
        "  localise            Spelt in two ways.",
        "  store info          What a store holds.",
    ]
    assert others.splitlines()[:3] == [
        "the workflow:",
        "  store copy          A copy.",
        "  storey              Of no group, whatever its name begins with.",
    ]
    assert "second paragraph" not in others


def test_a_stage_may_be_spelt_in_two_ways() -> None:
    assert parse("localize")["function"] is parse("localise")["function"] is localise


def test_an_argument_is_checked_when_it_is_given() -> None:
    def refuse(number: int) -> None:
        if number > 3:
            raise ValueError(f"{number} is too many")

    def stage(*, one: Annotated[int, "a number", refuse] | None, many: Annotated[list[int], "numbers", refuse]) -> None:
        """A stage."""

    check(stage, {"one": None, "many": [1, 2]})
    with pytest.raises(ValueError, match="^4 is too many$"):
        check(stage, {"one": 4, "many": [1, 2]})
    with pytest.raises(ValueError, match="^5 is too many$"):
        check(stage, {"one": 1, "many": [1, 5]})


def test_help_is_the_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("store", "--help")
    shown = capsys.readouterr().out
    assert "info      What a store holds." in shown
    assert "copy      A copy." in shown
    assert "storey" not in shown and " y " not in shown


def test_an_option_may_have_a_help_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    found = parse("store-copy", "--clips", "3", "--runs", "c", "--hard", "--by", "4")
    assert (found["hard"], found["by"]) == (True, 4)
    with pytest.raises(SystemExit):
        parse("store-copy", "--help")
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["--hard", "by", "links"] in shown and ["--by", "BY", "bytes", "(default:", "9)"] in shown


def test_what_is_written_has_a_short_name() -> None:
    assert parse("store", "info", "a", "-o", "b")["out"] == Path("b")
