"""What the tab key offers: the script of `ves completion`, run by the shells themselves."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ves.__main__ import GROUPS, STAGES, main
from ves.commands.completion import script

BASH, ZSH = shutil.which("bash"), shutil.which("zsh")

IN_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_ves
printf '%s\\n' "${COMPREPLY[@]}"
"""

# zsh offers words only while a line is edited, so what it would offer is read from the functions that it calls
IN_ZSH = """
compdef() { registered=$*; }
compadd() { shift; print -l -- ${(M)@:#$words[CURRENT]*}; }
_files() { print; }
source $1; shift
[[ $registered == '_ves ves' ]] || exit 1
words=("$@"); CURRENT=$#
_ves
"""

OFFERED = {  # the words of the line, the last one unfinished: what is offered for it; none, and it is a file
    ("tra",): {"train"},
    ("local",): {"localise", "localisation", "localisation-table"},
    ("store", "in"): {"info"},
    ("store", ""): {"info", "verify", "show"},
    ("--ver",): {"--version"},
    ("train", ""): set(),
    ("train", "resu"): set(),
    ("train", "results/a", "--f"): {"--fresh"},
    ("train", "--fr"): {"--fresh"},
    ("store", "show", "--im"): {"--images"},
    ("store-show", "--im"): {"--images"},
    ("localize", "a", "b", "--r"): {"--run"},
    ("completion", ""): {"bash", "zsh"},
    ("unknown", "--"): {"--help"},
}


def completions(shell: str | None, name: str, code: str, folder: Path, words: tuple[str, ...]) -> set[str]:
    assert shell is not None
    file = folder / f"ves.{name}"
    file.write_text(script(name, STAGES, GROUPS), encoding="utf-8")
    options = ["-f"] if name == "zsh" else ["--norc"]
    ended = subprocess.run([shell, *options, "-c", code, name, file, "ves", *words], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    return set(ended.stdout.split())


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
@pytest.mark.parametrize("words", OFFERED, ids=" ".join)
def test_bash_offers(words: tuple[str, ...], tmp_path: Path) -> None:
    assert completions(BASH, "bash", IN_BASH, tmp_path, words) == OFFERED[words]


@pytest.mark.skipif(ZSH is None, reason="zsh is not installed")
@pytest.mark.parametrize("words", OFFERED, ids=" ".join)
def test_zsh_offers(words: tuple[str, ...], tmp_path: Path) -> None:
    assert completions(ZSH, "zsh", IN_ZSH, tmp_path, words) == OFFERED[words]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_command_prints_the_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == script(shell, STAGES, GROUPS)
