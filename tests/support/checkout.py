"""Which files are the project's. What else lies in the folder is the user's own, and no fault.

In a checkout the project's files are those that git keeps. Where git does not say (an unpacked archive, a folder inside
another repository, no git at all) all files count but hidden ones and those of editors.
"""

import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
BESIDE = (".", "#", "~")  # how names begin or end of what systems and editors lay beside a file


def _git(*arguments: str) -> str | None:
    """What git prints; None where it is not there or fails."""
    if shutil.which("git") is None:
        return None
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, encoding="utf-8")
    return None if done.returncode else done.stdout


@cache
def git_files() -> tuple[str, ...] | None:
    """Files that git keeps and that are here, seen from the root; None where git does not say."""
    if _git("rev-parse", "--show-prefix") != "\n":  # no repository, or another one around this folder
        return None
    listed = _git("ls-files", "-z", "--cached") or ""
    return tuple(name for name in listed.split("\0") if name and (ROOT / name).is_file()) or None


def of_project(folder: str, pattern: str) -> list[Path]:
    """The project's files below a folder whose names match, seen from the root."""
    names = git_files()
    if names is not None:
        return sorted(path for path in map(Path, names) if path.is_relative_to(folder) and path.match(pattern))
    found = (path.relative_to(ROOT) for path in (ROOT / folder).rglob(pattern) if path.is_file())
    return sorted(path for path in found if not path.name.startswith(BESIDE) and not path.name.endswith(BESIDE))
