"""The README: every file has its line in the tree, every line its file, and no link leads nowhere."""

import fnmatch
import re
from pathlib import Path

import pytest
from checkout import tracked

README = Path("README.md").read_text(encoding="utf-8")
PAGES = [
    "README.md",
    "data/README.md",
    "results/README.md",
    "ves/standins/README.md",
    "ves/report/drawing/fonts/README.md",
]


def tree() -> list[str]:
    """Paths and patterns of the tree: two spaces for each folder that a line is in; one with no line in it ends in
    /."""
    block = README.split("## The tree\n\n```\n")[1].split("```")[0].splitlines()
    depths = [(len(line) - len(line.lstrip())) // 2 for line in block]
    folders: list[str] = []
    found = []
    for line, depth, following in zip(block, depths, [*depths[1:], 0], strict=True):
        name, *_ = line.split()
        folders = folders[:depth]
        if not name.endswith("/") or following <= depth:
            found.append("".join(folders) + name)
        if name.endswith("/"):
            folders.append(name)
    return found


def covered(name: str, lines: list[str]) -> bool:
    """Whether a line names the file, a pattern of its own folder does, or a folder that it is somewhere in."""
    return any(
        name == line
        or (line.endswith("/") and name.startswith(line))
        or ("*" in line and fnmatch.fnmatchcase(name, line) and name.count("/") == line.count("/"))
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
