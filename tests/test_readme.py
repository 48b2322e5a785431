"""The README: every file has its line in the tree, every line its file, and no link leads nowhere."""

import fnmatch
import re
from pathlib import Path

import pytest
from checkout import tracked

README = Path("README.md").read_text(encoding="utf-8")
PAGES = ["README.md", "data/README.md", "results/README.md", "ves/standins/README.md", "ves/fonts/README.md"]


def tree() -> list[str]:
    """Paths and patterns of the tree: two spaces for each folder that a line is in."""
    block = README.split("## The tree\n\n```\n")[1].split("```")[0]
    folders: list[str] = []
    found = []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, *_ = line.split()
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name)
        if not name.endswith("/") or name == "tests/":
            found.append("".join(folders) + name if name != "tests/" else "tests/*")
    return found


def covered(name: str, lines: list[str]) -> bool:
    """Whether a line names the file, or a pattern of its own folder does (of tests/, at any depth)."""
    return any(
        name == line
        or (
            "*" in line
            and fnmatch.fnmatchcase(name, line)
            and (line == "tests/*" or name.count("/") == line.count("/"))
        )
        for line in lines
    )


@pytest.mark.skipif(tracked() is None, reason="no checkout: nobody says which files are the project's, which a user's")
def test_every_file_has_its_line() -> None:
    lines = tree()
    assert not [name for name in tracked() or () if not covered(name, lines)]


def test_every_line_has_its_file() -> None:
    lines = tree()
    assert not [line for line in lines if not any(path.is_file() for path in Path().glob(line))]
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there(page: str) -> None:
    text = Path(page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            assert (Path(page).parent / target.split("#")[0]).exists(), target


def test_paths_in_the_text_are_there() -> None:
    """What stands in backquotes and looks like a file of the repository is one."""
    prose = README.split("## The tree")[0] + README.split("## The tree")[1].split("```", 2)[2]
    roots = {name.split("/")[0] for name in tree() if "/" in name} - {"data", "results"}
    named = [name for name in re.findall(r"`([\w.-]+/[\w./-]*)`", prose) if name.split("/")[0] in roots]
    assert len(named) > 5
    assert not [name for name in named if not Path(name).exists()]
