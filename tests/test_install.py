"""scripts/install on machines that cannot have VeS: it says what is missing, fails, and leaves nothing behind.

The machine is a PATH of our own: the few real tools that the script uses, and stand-ins for Python and `df`.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = ("bash", "env", "dirname", "awk", "cat")
GIB = 1024 * 1024  # in the blocks of 1024 bytes that `df -Pk` counts


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


class Machine:
    """A copy of what the script needs, and the PATH it is run with. Python 3.12, a venv and 500 GB unless changed."""

    def __init__(self, folder: Path) -> None:
        self.root, self.bin = folder / "VeS of a user", folder / "bin"
        (self.root / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy("scripts/install", self.root / "scripts")
        shutil.copy("requirements.lock", self.root)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        self.disk(500 * GIB)

    def python(self, name: str, version: tuple[int, int], lacks: str | None = None) -> None:
        """An interpreter of this version; `-m venv`, where it is there, notes that it was asked and goes no further."""
        before = f"import sys; sys.version_info = (*{version}, 0, 'final', 0); "
        before += f"sys.modules['{lacks}'] = None; " if lacks else ""
        program(
            self.bin / name,
            f'if [ "$1" = --version ]; then echo "Python {version[0]}.{version[1]}.0"; exit; fi\n'
            f'if [ "$1" = -m ]; then echo "$@" >> "{self.root}/asked"; exit 9; fi\n'
            f'exec "{sys.executable}" -c "{before}$2"',
        )

    def disk(self, free: int) -> None:
        """`df -Pk` of a disk with so many KiB free."""
        program(
            self.bin / "df",
            '[ "$*" = "-Pk ." ] || exit 2\n'
            "echo 'Filesystem     1024-blocks      Used Available Capacity Mounted on'\n"
            f"echo '/dev/a-disk-with-a-long-name  {free + 10**8} 100000000 {free}  20% /home/of a user'",
        )

    def install(self) -> tuple[int, str]:
        done = subprocess.run(
            [self.root / "scripts/install"], env={"PATH": str(self.bin)}, capture_output=True, text=True, timeout=600
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def requests(self) -> list[str]:
        """What Python was asked to make."""
        file = self.root / "asked"
        return file.read_text().splitlines() if file.exists() else []

    def refusal(self) -> str:
        """The one line with which it fails; it has touched nothing."""
        status, said = self.install()
        assert status == 1
        assert said.startswith("VeS cannot be installed: ")
        assert said.count("\n") == 1, said
        assert not self.requests
        assert sorted(path.name for path in self.root.iterdir()) == ["requirements.lock", "scripts"]
        return said


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_no_python(machine: Machine) -> None:
    said = machine.refusal()
    assert "needs Python 3.12" in said
    assert "no python3 is what is here" in said
    assert "Install Python 3.12" in said


@pytest.mark.parametrize("version", [(3, 11), (3, 13), (2, 7), (3, 1)])
def test_another_python(machine: Machine, version: tuple[int, int]) -> None:
    machine.python("python3", version)
    said = machine.refusal()
    assert "needs Python 3.12" in said
    assert f"Python {version[0]}.{version[1]}.0 is what is here" in said


def test_no_venv_module(machine: Machine) -> None:
    machine.python("python3.12", (3, 12), lacks="venv")
    said = machine.refusal()
    assert "python3.12 has no venv module" in said
    assert "apt install python3.12-venv" in said


def test_debians_venv_without_ensurepip(machine: Machine) -> None:
    """Debian and Ubuntu split the module: `import venv` works there, and making one fails later."""
    machine.python("python3", (3, 12), lacks="ensurepip")
    said = machine.refusal()
    assert "python3 has no venv module" in said
    assert "apt install python3.12-venv" in said


@pytest.mark.parametrize(("free", "left"), [(12 * GIB - 1, "11 GB"), (3 * GIB, "3 GB"), (0, "0 GB")])
def test_too_little_disk(machine: Machine, free: int, left: str) -> None:
    machine.python("python3.12", (3, 12))
    machine.disk(free)
    said = machine.refusal()
    assert "needs 12 GB of disk" in said
    assert f"{left} are free here" in said


@pytest.mark.parametrize("name", ["python3.12", "python3", "python"])
def test_python_is_found_under_any_of_its_names_and_12_gb_are_enough(machine: Machine, name: str) -> None:
    """The stand-in stops where the environment would be made: that is how far it gets."""
    for other in ("python3.12", "python3", "python"):
        machine.python(other, (3, 12) if other == name else (3, 10))
    machine.disk(12 * GIB)
    assert machine.install() == (9, "")
    assert machine.requests == ["-m venv .venv"]


def test_the_right_one_of_two_pythons(machine: Machine) -> None:
    machine.python("python3", (3, 13))
    machine.python("python3.12", (3, 12))
    assert machine.install() == (9, "")
