"""The workflow run in a folder of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from playwright.sync_api import Page

from tests.support.stage_recorder import environment

PARTS = ("Snakefile", "config.yaml", "config", "profiles", "ves", "workflow")
SNAKEMAKE = str(Path(sys.executable).parent / "snakemake")


def copy_to(folder: Path) -> Path:
    """A copy of what the workflow is made of."""
    folder.mkdir()
    for part in PARTS:
        if Path(part).is_dir():
            shutil.copytree(part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(part, folder / part)
    return folder


def start(copy: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Snakemake in a copy; its output goes to `output`. The environment is not activated: PATH is as bare as can be."""
    bare = os.environ | {"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1"} | environment(copy)
    bare.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of its stages would compile ves anew
    with open(copy / "output", "wb") as output:
        return subprocess.Popen(
            [SNAKEMAKE, *arguments],
            cwd=copy,
            env=bare,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def run(copy: Path, *arguments: str, fails: bool = False) -> str:
    """Output of one Snakemake that ended as expected."""
    code = start(copy, *arguments).wait()
    output = (copy / "output").read_text(encoding="utf-8")
    assert (code != 0) == fails, output[-5000:]
    return output


def dry_run(copy: Path, *arguments: str) -> set[str]:
    """The jobs that a dry run shows, as "rule", "rule run" or "write_settings file"."""
    output = run(copy, "--dry-run", *arguments)
    jobs = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)+)", output, flags=re.MULTILINE)
    assert jobs or "Nothing to be done" in output, output
    runs = [re.search(r"wildcards:.*\b(?:run|file)=([\w./-]+)", body) for _, body in jobs]
    return {f"{rule} {found[1]}" if found else rule for (rule, _), found in zip(jobs, runs, strict=True)}


def report(copy: Path, *arguments: str) -> Path:
    """The folder of the report that is made, unpacked; there is no network while it is made."""
    with pytest.MonkeyPatch.context() as patch:
        for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            patch.setenv(proxy, "http://127.0.0.1:9")  # where nobody listens
        run(copy, "--report", "report.zip", *arguments)
    with ZipFile(copy / "report.zip") as packed:
        packed.extractall(copy)
    return copy / "report"


def method(page: Page) -> str:
    """What the first page of a report says."""
    return re.sub(r"\s+", " ", page.locator(".prose").first.inner_text())
