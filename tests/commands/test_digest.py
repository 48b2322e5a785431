"""The digest of a stage: it changes with all that the stage runs, however that is imported, and with nothing else.

A small tree stands for ves here; test_workflow compares the digests of ves itself with what stages really ran.
"""

import tomllib
from pathlib import Path

import pytest

from ves.commands import digest

TREE = {
    "__init__.py": "def load():\n    from ves.models.localise import load\n    return load()\n",
    "base/__init__.py": "",
    "base/files.py": "",
    "models/__init__.py": "from ves.models import names\n\ndef __getattr__(name):\n    import ves.models.slow\n",
    "models/names.py": "",
    "models/slow.py": "",
    "models/localise.py": "",
    "models/towers.py": "def build():\n    from ves.models import lazy, vision as eyes\n    return eyes.see(lazy)\n",
    "models/lazy.py": 'from importlib import import_module\nBY_KIND = {"speech": "ves.models.speech"}\n',
    "models/speech.py": "import ves.base.files\n",
    "models/vision.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ves.models import types\n",
    "models/types.py": "",
    "models/face/__init__.py": "from ves.models.face.inner import shown\n",
    "models/face/inner.py": "shown = 1\n",
    "report/__init__.py": "",
    "report/lettering.py": '"""See ves.models.slow."""\nfrom pathlib import Path\n',
    "report/fonts/noto.ttf": "glyphs",
    "report/fonts/README.md": "where they are from",
    "report/fonts/OFL.txt": "their licence",
    "report/pages/__init__.py": "",
    "report/plots/__init__.py": "",
    "report/plots/plot.py": "import zarr.errors\nFONTS = Path(__file__).parents[1] / 'fonts/small'\n",
    "report/fonts/small/tiny.ttf": "glyphs",
    "store/__init__.py": "",
    "store/bfloat16.py": "",
    "report/pages/page.html": "<p>",
    "commands/__init__.py": "",
    "commands/inputs.py": "Run = str\n\ndef read(path):\n    return _text(path)\n\n"
    "def _text(path):\n    import ves.base.files\n\n"
    "def spellings():\n    import ves.models.slow\n",
    "commands/stages.py": "from ves.commands import inputs\nfrom ves.base import files\n\nSIZE = 3\n\n"
    "def train(run: inputs.Run):\n    'The help.'\n    from ves.models.towers import build\n"
    "    return build(inputs.read(run))\n\n"
    "def draw(out):\n    from ves.report import lettering\n    from ves.models.face import shown\n"
    "    return shown, SIZE\n\ndef plot():\n    import ves.report.plots.plot\n\n"
    "def show(draw, out):\n    from ves.report.pages import write as train\n    train(draw)\n",
}
ALWAYS = {"__init__.py", "base/__init__.py", "base/files.py"}
TRAINED = {"models/__init__.py", "models/names.py", "models/towers.py", "models/lazy.py", "models/speech.py"}
READ = {"commands/inputs.py:read", "commands/inputs.py:_text"}
FACE = {"models/__init__.py", "models/names.py", "models/face/__init__.py", "models/face/inner.py"}
EXPECTED = {
    "train": ALWAYS | TRAINED | READ | {"models/vision.py", "commands/stages.py:train"},
    "draw": ALWAYS
    | FACE
    | {"report/__init__.py", "report/lettering.py"}
    | {"report/fonts/noto.ttf", "report/fonts/OFL.txt", "report/fonts/small/tiny.ttf"}
    | {"commands/stages.py:draw", "commands/stages.py:SIZE"},
    "plot": ALWAYS
    | {"report/__init__.py", "report/plots/__init__.py", "report/plots/plot.py", "report/fonts/small/tiny.ttf"}
    | {"store/__init__.py", "store/bfloat16.py", "commands/stages.py:plot"},
    "show": ALWAYS
    | {"report/__init__.py", "report/pages/__init__.py", "report/pages/page.html", "commands/stages.py:show"},
}


def forget() -> None:
    for cached in (digest._tree, digest._top, digest._imported, digest._sha256, digest._file, digest._data_of):
        cached.cache_clear()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, text in TREE.items():
        (file := tmp_path / "ves" / name).parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(digest, "VES", tmp_path / "ves")
    monkeypatch.setattr(digest, "COMMANDS", tmp_path / "ves/commands")
    forget()
    yield tmp_path / "ves"
    forget()


@pytest.mark.parametrize("stage", EXPECTED)
def test_what_a_stage_runs_is_found_in_the_source(tree: Path, stage: str) -> None:
    assert digest.sources(stage).keys() == EXPECTED[stage]


@pytest.mark.parametrize("edited", [name for name in TREE if not name.startswith("commands/")])
def test_editing_a_file_changes_the_digests_of_the_stages_that_run_it(tree: Path, edited: str) -> None:
    before = {stage: digest.digest(stage) for stage in EXPECTED}
    (tree / edited).write_text(TREE[edited] + "\n")
    forget()
    changed = {stage for stage in EXPECTED if digest.digest(stage) != before[stage]}
    assert changed == {stage for stage, files in EXPECTED.items() if edited in files}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("stages.py", "SIZE = 3", "SIZE = 4", {"draw"}),
        ("stages.py", "return build(", "return  build(1, ", {"train"}),
        ("stages.py", "train(draw)", "train(draw, 1)", {"show"}),
        ("inputs.py", "return _text(path)", "return _text(path) or None", {"train"}),
        ("inputs.py", "def _text(path):", "def _text(path, more=None):", {"train"}),
        ("inputs.py", "def spellings():", "def spellings(more):", set()),
        ("inputs.py", "Run = str", "Run = int", set()),  # how the command line is read
        ("stages.py", "The help.", "Help.", set()),
        ("inputs.py", "def spellings():", "# a remark\ndef spellings():", set()),
    ],
)
def test_of_the_commands_only_what_a_stage_names_counts(
    tree: Path, file: str, old: str, new: str, expected: set[str]
) -> None:
    before = {stage: digest.digest(stage) for stage in EXPECTED}
    text = (tree / "commands" / file).read_text()
    assert old in text
    (tree / "commands" / file).write_text(text.replace(old, new))
    forget()
    assert {stage for stage in EXPECTED if digest.digest(stage) != before[stage]} == expected


def test_a_module_that_is_new_counts_as_soon_as_it_is_imported(tree: Path) -> None:
    before = digest.digest("train")
    (tree / "models/new.py").write_text("")
    forget()
    assert digest.digest("train") == before
    (tree / "models/lazy.py").write_text(TREE["models/lazy.py"] + "def more():\n    import ves.models.new\n")
    forget()
    assert "models/new.py" in digest.sources("train")


def test_a_stage_that_no_file_of_the_commands_defines_is_an_error(tree: Path) -> None:
    with pytest.raises(LookupError, match="0 files define a stage 'trian'; there must be one"):
        digest.digest("trian")


def test_plugins_are_the_entry_points_of_the_package() -> None:
    points = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    loaded = {group.split(".")[0]: point.split(":")[0] for group, found in points.items() for point in found.values()}
    assert loaded == digest.PLUGINS


def test_a_stage_of_two_words_is_a_function_of_one_name() -> None:
    assert digest.digest("retrieval-page") == digest.digest("retrieval_page")
    assert len(digest.digest("retrieval-page")) == 12
