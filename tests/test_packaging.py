"""pyproject.toml, requirements.lock and environment.yml agree; the lock holds names, versions and hashes only."""

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.support.checkout import of_project

PROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIRED = [Requirement(text) for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]]
LOCK = Path("requirements.lock").read_text(encoding="utf-8")
PINNED = {canonicalize_name(name): pin for name, pin in re.findall(r"^([\w.-]+)==(\S+)", LOCK, flags=re.MULTILINE)}


def test_the_lock_holds_names_versions_and_hashes_only() -> None:
    line = re.compile(r"^([a-z0-9][a-z0-9.-]*==[\w.]+( ; [^/@]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?)$")
    strange = [text for text in LOCK.splitlines() if not line.match(text)]
    assert not strange
    assert len(PINNED) == len(re.findall("==", LOCK)) > 50


def test_every_package_of_the_lock_has_a_hash() -> None:
    for entry in re.split(r"^(?=\w)", LOCK, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in entry


@pytest.mark.parametrize("requirement", REQUIRED, ids=str)
def test_the_lock_has_what_the_project_requires(requirement: Requirement) -> None:
    assert PINNED[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("requirement", REQUIRED, ids=str)
def test_what_is_installed_is_what_the_lock_says(requirement: Requirement) -> None:
    assert version(requirement.name) == PINNED[canonicalize_name(requirement.name)]


def test_one_python_everywhere() -> None:
    python = Path(".python-version").read_text(encoding="utf-8").strip()
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert f"{python}.5" in allowed
    major, minor = map(int, python.split("."))
    assert f"{major}.{minor + 1}.0" not in allowed
    assert f"{major}.{minor - 1}.9" not in allowed
    assert f"sys.version_info[:2] != ({major}, {minor})" in Path("scripts/install").read_text(encoding="utf-8")
    dependencies = yaml.safe_load(Path("environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert f"python={python}" in dependencies


def test_conda_users_get_the_lock() -> None:
    """Whatever else stood in environment.yml would be a second opinion on versions."""
    dependencies = yaml.safe_load(Path("environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert dependencies[1:] == ["pip", {"pip": ["-r requirements.lock"]}]


def test_every_import_is_a_declared_dependency() -> None:
    names = {"yaml": "pyyaml", "PIL": "pillow", "espeakng_loader": "espeakng-loader", "httpx2": "huggingface-hub"}
    names |= {"markdown_it": "markdown-it-py"}
    declared = {canonicalize_name(requirement.name) for requirement in REQUIRED}
    files = of_project("ves", "*.py")
    pattern = re.compile(r"^\s*(?:from|import) ([A-Za-z0-9_]+)", flags=re.MULTILINE)
    imports = [(file, name) for file in files for name in pattern.findall(file.read_text(encoding="utf-8"))]
    foreign = [(file, name) for file, name in imports if name not in sys.stdlib_module_names and name != "ves"]
    assert len(foreign) > 100
    for file, name in foreign:
        assert canonicalize_name(names.get(name) or name) in declared, f"{file} imports {name}"
