"""The README and the pages of docs/ as tests read them: fenced blocks, commands, and what stands in backquotes."""

import re
import shlex
import textwrap
from pathlib import Path

from tests.support.checkout import ROOT, of_project

README = "README.md"
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def pages() -> list[str]:
    """README and every page of docs/, seen from the root."""
    found = [README, *(path.as_posix() for path in of_project("docs", "*.md"))]
    assert len(found) > 1
    return found


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return FENCED.sub("", text(page))


def code_blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in a language, without the indentation of a list that they are in."""
    return [textwrap.dedent(block) for _, named, block in FENCED.findall(text(page)) if named == language]


def commands(page: str) -> list[list[str]]:
    """The words of each line of the shell blocks of a page, without comments."""
    lines = [line for block in code_blocks(page, "bash") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def in_backquotes(page: str) -> list[str]:
    """What stands in single backquotes, lines joined."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose(page))]


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ +(.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
