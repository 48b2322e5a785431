"""A hash of the code that a stage runs. When the hash changes, the workflow runs a cheap step again.

The code is found by reading the source; nothing is imported. In ves.commands, the hash covers the function of the stage
and the definitions there that it uses, so a change of another stage does not count. Elsewhere it covers every module
that is imported: at the top of a file or in a function, by a statement or by its full name in a string. With a module
come the `__init__` files of its packages, the data files beside it, and those that it names by a path, such as fonts.
The code that parses the command line is left out, because no result depends on it.
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
PLUGINS = {"zarr": "ves.store.bfloat16"}  # loaded together with these libraries (entry points of pyproject.toml)

Module = tuple[Path, bool]  # a file, and whether its functions may be called (not those of an `__init__` on the way)


def digest(stage: str) -> str:
    """Twelve hexadecimal digits. Raises LookupError if ves.commands does not define the stage."""
    text = "".join(f"{path} {content}\n" for path, content in sorted(sources(stage).items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def sources(stage: str) -> dict[str, str]:
    """Everything in ves that a stage runs or reads: paths of files below ves with hashes of their contents, and paths
    and names of definitions in ves.commands with their texts. Raises LookupError as `digest` does."""
    texts, ahead = definitions(stage), set[Module]()
    for file in {COMMANDS / place.split(":")[0].removeprefix("commands/") for place in texts}:
        ahead |= _imports(_tree(file).body, called=False, uses=True)
    for content in texts.values():
        ahead |= _imports([ast.parse(content)], called=True, uses=True)
    modules: set[Module] = set()
    while ahead := {module for module in ahead if module[0].parent != COMMANDS} - modules:
        modules |= ahead
        ahead = set().union(*(_imported(file, called=called) for file, called in ahead))
    files = {file for file, _ in modules}
    files |= {data for file, called in modules if called for data in _data_of(file)}
    return texts | {file.relative_to(VES).as_posix(): _sha256(file) for file in files}


def definitions(stage: str) -> dict[str, str]:
    """The text of a stage's function and of every definition in ves.commands that it uses, by file and name, such as
    commands/x.py:read."""
    name = stage.replace("-", "_")
    homes = [file for file in sorted(COMMANDS.glob("*.py")) if isinstance(_top(file).get(name), ast.FunctionDef)]
    if len(homes) != 1:
        raise LookupError(f"{COMMANDS}: {len(homes)} files define a stage {name!r}; there must be one")
    texts: dict[str, str] = {}
    ahead = {(homes[0], name)}
    while ahead:
        file, name = ahead.pop()
        place = f"commands/{file.name}:{name}"
        if place not in texts:
            node = _without_help(_top(file)[name])
            texts[place] = ast.unparse(node)
            ahead |= set(_names(file, node))
    return texts


def _without_help(node: ast.stmt) -> ast.stmt:
    """A definition without its docstring and the annotations of its parameters, which only the command line reads."""
    if isinstance(node, ast.FunctionDef):
        node = copy.deepcopy(node)
        for parameter in ast.walk(node.args):
            if isinstance(parameter, ast.arg):
                parameter.annotation = None
        node.body = node.body[ast.get_docstring(node) is not None :] or [ast.Pass()]
    return node


def _names(file: Path, node: ast.AST) -> Iterator[tuple[Path, str]]:
    """The definitions in ves.commands that one of them uses: those of its own file, and those written `module.name`."""
    inside = list(ast.walk(node))
    local = {used.arg for used in inside if isinstance(used, ast.arg)}
    local |= {alias.asname or alias.name for used in inside if isinstance(used, ast.ImportFrom) for alias in used.names}
    own = {name: defined for name, defined in _top(file).items() if name not in local}
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
    """The statements at the top level of a file that define, assign or import a name, by that name."""
    statements: dict[str, ast.stmt] = {}
    for node in _tree(file).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            statements[node.name] = node
        elif isinstance(node, ast.Assign):
            statements |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            statements |= {alias.asname or alias.name: node for alias in node.names}
    return statements


@cache
def _imported(file: Path, *, called: bool) -> set[Module]:
    return _imports(_tree(file).body, called=called, uses=called)  # what an `__init__` imports, it only hands on


_sha256 = cache(file_sha256)


def _imports(nodes: Iterable[ast.AST], *, called: bool, uses: bool) -> set[Module]:
    """The modules of ves that some code imports, and their packages.

    `called` says whether its functions may run, `uses` whether those of the modules may.
    """
    modules: set[Module] = set()
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
                modules.add((file, uses))
                parents = [package / "__init__.py" for package in file.parents if VES in (package, *package.parents)]
                modules |= {(package, False) for package in parents if package != file}
    return modules


def _running(node: ast.AST, called: bool) -> Iterator[ast.AST]:
    """A node and all nodes below it, except code for type checkers only and, unless `called`, bodies of functions."""
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
    """The source of a module of ves by its full name; of a package, its `__init__`. None if it is not one."""
    first, *parts = name.split(".")
    path = VES.joinpath(*parts)
    files = [path.parent / f"{path.name}.py"] * bool(parts) + [path / "__init__.py"]
    return next((file for file in files if first == "ves" and file.is_file()), None)


@cache
def _data_of(file: Path) -> list[Path]:
    """The data files beside a module, and those in folders of ves that it names by a path with a slash in it."""
    folders = [file.parent]
    for node in ast.walk(_tree(file)):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch(r"[\w.-]+(/[\w.-]+)+", node.value)
        ):
            folders += [
                named
                for above in file.parents
                if VES in (above, *above.parents)
                if (named := above / node.value).is_dir()
            ]
    return [data for folder in folders for data in _data(folder)]


def _data(folder: Path) -> list[Path]:
    """The data files in a folder and in its subfolders, packages excepted. Markdown is left out: only people read
    it."""
    files: list[Path] = []
    for path in sorted(folder.glob("[!.]*")):
        if path.is_dir():
            files += [] if path.name == "__pycache__" or (path / "__init__.py").exists() else _data(path)
        elif path.suffix not in (".md", ".py"):
            files.append(path)
    return files
