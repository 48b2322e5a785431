"""Who may import whom: the packages in the order that ves/__init__.py states, never in a circle, through files.

A package's `__init__` is its face, for users of ves; code inside ves imports the file that has the name. None knows the
workflow.
"""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.checkout import of_project

MODULES = {file.relative_to("ves"): file for file in of_project("ves", "*.py")}
TRUTH = Path("ves/evaluation/truth.py")


def wings() -> dict[str, set[str]]:
    """Each package in order, with those that it may import from, as the docstring of ves says."""
    said = ast.get_docstring(ast.parse(Path("ves/__init__.py").read_text(encoding="utf-8")))
    lines = re.findall(r"^ +(\w+) \(([\w, ]+)\): ", said or "", flags=re.MULTILINE)
    found: dict[str, set[str]] = {}
    for name, allowed in lines:
        named = set(allowed.split(", ")) - {"nothing"}
        found[name] = set(found) if named == {"all above"} else named
        assert found[name] <= found.keys() - {name}, f"{name} may import only from what stands above it"
    assert len(found) == len(lines) > 10
    return found


WINGS = wings()
PLACED = [module for module in MODULES if len(module.parts) > 1]


@cache
def file_of(dotted: str) -> Path | None:
    """The file of a module of ves by its full name; of a package its `__init__`; None if there is none."""
    path = Path(*dotted.split("."))
    files = [path.with_suffix(".py"), path / "__init__.py"]
    return next((file for file in files if file.exists()), None)


@cache
def imports(file: Path) -> tuple[tuple[str, str], ...]:
    """(module, name) of every import of a file: the full name of a module, and of what is taken from it ("" for all).

    `from ves.store.features_writer import shard` is all of ves.store.shard.
    """
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            module = node.module or ""
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                ours = module.split(".")[0] == "ves" and file_of(whole)
                found.append((whole, "") if ours else (module, alias.name))
    return tuple(found)


def uses(file: Path) -> Iterator[Path]:
    """The files of ves that a file imports."""
    for module, _ in imports(file):
        if module.split(".")[0] == "ves":
            used = file_of(module)
            assert used is not None, f"{file} imports {module}, which is not there"
            yield used


def reach(file: Path) -> set[Path]:
    """A file and all of ves that it imports, directly or not."""
    found, ahead = set(), {file}
    while ahead:
        found |= ahead
        ahead = {used for one in ahead for used in uses(one)} - found
    return found


def test_directly_in_ves_stand_packages_and_nothing_else() -> None:
    """Those that the docstring lists, and the folder of the stand-ins' weights, where config.yaml names them."""
    here = {path.parts[1] for path in of_project("ves", "*")}
    assert here == {"__init__.py", "__main__.py", "standins", *WINGS}
    assert all(Path("ves", name, "__init__.py").is_file() for name in WINGS)


@pytest.mark.parametrize("module", PLACED, ids=str)
def test_a_package_imports_only_from_those_that_it_may(module: Path) -> None:
    own = module.parts[0]
    for used in uses(MODULES[module]):
        other = used.parts[1]
        assert other == own or other in WINGS[own], f"ves/{module} imports {used}"


def test_the_package_itself_imports_only_what_ves_load_needs_when_it_is_called() -> None:
    tree = ast.parse(Path("ves/__init__.py").read_text(encoding="utf-8"))
    inside = [node for definition in tree.body if isinstance(definition, ast.FunctionDef) for node in definition.body]
    assert set(uses(Path("ves/__init__.py"))) == {Path("ves/models/localise.py")}
    assert [node for node in inside if isinstance(node, ast.ImportFrom)]


def test_no_imports_go_in_a_circle() -> None:
    """Files that import each other are one file in two parts."""
    left = {file: set(uses(file)) - {file} for file in MODULES.values()}
    while free := {file for file, used in left.items() if not used & left.keys()}:
        left = {file: used for file, used in left.items() if file not in free}
    assert not left, f"these import each other in a circle: {sorted(map(str, left))}"


@pytest.mark.parametrize("module", PLACED, ids=str)
def test_code_imports_a_file_and_not_the_face_of_a_package(module: Path) -> None:
    faces = {f"ves.{name}" for name in WINGS}
    assert not [(face, name) for face, name in imports(MODULES[module]) if face in faces]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_package_imports_what_another_keeps_to_itself(module: Path) -> None:
    """`_name` is of its own package: neither `from ves.store.rows import _name` nor `rows._name`."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for other, name in imports(MODULES[module]):
        if other.startswith("ves.") and other.split(".")[1] != module.parts[0].removesuffix(".py"):
            assert not name.startswith("_"), f"ves/{module} imports {other}.{name}"
            local = other.rsplit(".")[-1]
            private = [
                node.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == local
            ]
            assert name or not [attr for attr in private if re.match("_[^_]", attr)], f"ves/{module}: {other}"


def test_losses_and_similarity_and_towers_do_not_know_each_other() -> None:
    parts = [Path(f"ves/{part}.py") for part in ("losses/contrastive", "similarity/pairwise", "models/towers")]
    for part in parts:
        assert reach(part) & set(parts) == {part}


@pytest.mark.parametrize(
    "stage",
    [
        "corpus.ingest",
        "corpus.manifest",
        "corpus.splits",
        "models.features",
        "training.train",
        "evaluation.embed",
        "evaluation.retrieval.protocols",
    ],
)
def test_nothing_that_makes_or_tunes_a_model_can_open_the_truth(stage: str) -> None:
    file = file_of(f"ves.{stage}")
    assert TRUTH.exists()
    assert file is not None
    assert TRUTH not in reach(file)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_mentions_the_workflow_engine(module: Path) -> None:
    assert "snakemake" not in MODULES[module].read_text(encoding="utf-8").lower()


def test_no_test_imports_from_another_test() -> None:
    """What several need stands in tests/support."""
    tests = sorted(Path("tests").rglob("test_*.py"))
    assert len(tests) > 100
    named = {str(test): [module for module, _ in imports(test) if ".test_" in f".{module}"] for test in tests}
    assert not {test: modules for test, modules in named.items() if modules}


LIGHT = ("store", "config", "sources", "media", "losses")  # faces of packages
LIGHT += ("__main__", "commands.preflight", "corpus.manifest", "corpus.splits", "sources.scenes", "store.verify")


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_neither_torch_nor_matplotlib(module: str) -> None:
    """Snakemake reads some of these at every start, zarr the store at every bfloat16, and the generator of scenes needs
    no network library."""
    code = f"import sys, ves.{module}; sys.exit(bool({{'torch', 'matplotlib'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


FACES = {
    "ves": {"load"},
    "ves.config": {"Config", "CorpusConfig", "RunConfig", "TrainConfig", "load", "read"},
    "ves.media": {"BadAudio", "FrameGrid", "Geometry", "decode", "window"},
    "ves.store": {"AudioStore", "BadStore", "Embeddings", "open_features"},
    "ves.sources": {"SOURCES", "source"},
    "ves.similarity": {"SIMILARITIES", "max_mean", "mean_mean", "score"},
    "ves.losses": {"CHANCE", "LOSSES", "REGULARISERS", "info_nce"},
    "ves.models": {"Localisation", "Localiser", "VeS", "extract", "load"},
    "ves.evaluation": {"evaluate"},
}


@pytest.mark.parametrize("package", FACES)
def test_faces_have_what_users_were_promised(package: str) -> None:
    face = importlib.import_module(package)
    assert FACES[package] <= set(dir(face))
    assert all(callable(getattr(face, name)) or isinstance(getattr(face, name), dict) for name in FACES[package])
    assert not hasattr(face, "nothing_of_that_name")
