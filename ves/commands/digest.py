"""A hash of the code that a stage runs: the workflow runs a cheap step again when it changes.

What runs is found in the source; nothing is imported. In ves.commands it is the function of the stage and what that
names there, so other stages may change; outside, every module that is imported, at the top of a file or in a function,
by a statement or by its full name in a string. With a module come the `__init__` of its packages, the data beside it,
and those that it names by a path, such as fonts. What every command loads to read its command line is no part of a
result.
"""

import ast
import copy
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from ves.base.checksums import file_sha256

VES = Path(__file__).parents[1]
COMMANDS = VES / "commands"
PLUGINS = {"zarr": "ves.store.bfloat16"}  # loaded when these libraries are (the entry points of pyproject.toml)

Module = tuple[Path, bool]  # a file, and whether its functions are called; of a package on the way they are not


def digest(stage: str) -> str:
    """Twelve hexadecimal digits. Raises LookupError for a stage that ves.commands does not define."""
    text = "".join(f"{path} {content}\n" for path, content in sorted(sources(stage).items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def sources(stage: str) -> dict[str, str]:
    """Everything in ves that a stage runs or reads: the path below ves, and a hash of the content; of ves.commands the
    path and name of each definition, and its text. Raises LookupError as `digest` does."""
    found, ahead = definitions(stage), set[Module]()
    for file in {COMMANDS / place.split(":")[0].removeprefix("commands/") for place in found}:
        ahead |= _imported(file, called=False)
    for content in found.values():
        ahead |= _imports([ast.parse(content)], called=True)
    modules: set[Module] = set()
    while ahead := {module for module in ahead if module[0].parent != COMMANDS} - modules:
        modules |= ahead
        ahead = set().union(*(_imported(file, called=called) for file, called in ahead))
    files = {file for file, _ in modules}
    files |= {data for file, called in modules if called for data in _data_of(file)}
    return found | {file.relative_to(VES).as_posix(): _sha256(file) for file in files}


def definitions(stage: str) -> dict[str, str]:
    """The function of a stage and all in ves.commands that it names, by file and name, such as commands/x.py:read."""
    name = stage.replace("-", "_")
    homes = [file for file in sorted(COMMANDS.glob("*.py")) if isinstance(_top(file).get(name), ast.FunctionDef)]
    if len(homes) != 1:
        raise LookupError(f"{COMMANDS}: {len(homes)} files define a stage {name!r}; there must be one")
    found: dict[str, str] = {}
    ahead = {(homes[0], name)}
    while ahead:
        file, name = ahead.pop()
        place = f"commands/{file.name}:{name}"
        if place not in found:
            node = _without_help(_top(file)[name])
            found[place] = ast.unparse(node)
            ahead |= set(_names(file, node))
    return found


def _without_help(node: ast.stmt) -> ast.stmt:
    """A definition without what only the command line reads: its docstring and what annotates its parameters."""
    if isinstance(node, ast.FunctionDef):
        node = copy.deepcopy(node)
        for parameter in ast.walk(node.args):
            if isinstance(parameter, ast.arg):
                parameter.annotation = None
        node.body = node.body[ast.get_docstring(node) is not None :] or [ast.Pass()]
    return node


def _names(file: Path, node: ast.AST) -> Iterator[tuple[Path, str]]:
    """What a definition in ves.commands names of that package: in its own file, or as `module.name`."""
    inside = list(ast.walk(node))
    local = {used.arg for used in inside if isinstance(used, ast.arg)}
    local |= {alias.asname or alias.name for used in inside if isinstance(used, ast.ImportFrom) for alias in used.names}
    own = {name: found for name, found in _top(file).items() if name not in local}
    for used in inside:
        if isinstance(used, ast.Name) and not isinstance(own.get(used.id), ast.ImportFrom | None):
            yield file, used.id
        elif isinstance(used, ast.Attribute) and isinstance(used.value, ast.Name):
            other = _file(f"ves.commands.{used.value.id}")
            if other and used.attr in _top(other) and isinstance(own.get(used.value.id), ast.ImportFrom):
                yield other, used.attr


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def _top(file: Path) -> dict[str, ast.stmt]:
    """What a file defines, assigns or imports at its top, by name."""
    found: dict[str, ast.stmt] = {}
    for node in _tree(file).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: node for alias in node.names}
    return found


@cache
def _imported(file: Path, *, called: bool) -> set[Module]:
    return _imports(_tree(file).body, called=called)


_sha256 = cache(file_sha256)


def _imports(nodes: Iterable[ast.AST], *, called: bool) -> set[Module]:
    """The modules of ves that some code imports, with the packages that they are in; `called`: functions in it run."""
    found: set[Module] = set()
    for node in (inner for outer in nodes for inner in _running(outer, called)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
            names = [name if _file(name) else module for name in names]
        elif called and isinstance(node, ast.Constant) and re.fullmatch(r"ves(\.\w+)+", str(node.value)):
            names = [str(node.value)]  # for import_module
        else:
            continue
        for name in names + [PLUGINS[library] for name in names if (library := name.split(".")[0]) in PLUGINS]:
            if file := _file(name):
                found.add((file, True))
                parents = [package / "__init__.py" for package in file.parents if VES in (package, *package.parents)]
                found |= {(package, False) for package in parents if package != file}
    return found


def _running(node: ast.AST, called: bool) -> Iterator[ast.AST]:
    """A node and those below it, but for what only type checkers read and, unless `called`, what functions do."""
    yield node
    below: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        below = node.orelse
    elif not called and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        below = ()
    for inner in below:
        yield from _running(inner, called)


@cache
def _file(name: str) -> Path | None:
    """The source of a module of ves by its full name; of a package, its `__init__`. None for what is no such module."""
    first, *parts = name.split(".")
    path = VES.joinpath(*parts)
    files = [path.parent / f"{path.name}.py"] * bool(parts) + [path / "__init__.py"]
    return next((file for file in files if first == "ves" and file.is_file()), None)


@cache
def _data_of(file: Path) -> list[Path]:
    """The data files beside a module, and those in folders of ves that it names by a path with a slash."""
    folders = [file.parent]
    for node in ast.walk(_tree(file)):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch(r"[\w.-]+(/[\w.-]+)+", node.value)
        ):
            folders += [
                found
                for above in file.parents
                if VES in (above, *above.parents)
                if (found := above / node.value).is_dir()
            ]
    return [data for folder in folders for data in _data(folder)]


def _data(folder: Path) -> list[Path]:
    """The data files in a folder, and in those below it that are no packages; what is Markdown only people read."""
    found: list[Path] = []
    for path in sorted(folder.glob("[!.]*")):
        if path.is_dir():
            found += [] if path.name == "__pycache__" or (path / "__init__.py").exists() else _data(path)
        elif path.suffix not in (".md", ".py"):
            found.append(path)
    return found
