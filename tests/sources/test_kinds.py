"""A kind of source is entered in one place, and nothing else in VeS asks which kind a corpus is of."""

import ast
import re
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
from PIL import Image

from tests.support.checkout import of_project
from tests.support.pages import code_blocks, in_backquotes
from tests.support.recordings import tone_file
from tests.support.workflow import copy_to, run
from ves.config.corpus import KINDS, SourceBlock, SourceBlocks
from ves.sources.kinds import SOURCES, source

PAGE = "docs/new-source.md"


def test_the_kinds_that_the_configuration_knows_are_those_that_are_entered() -> None:
    assert tuple(SOURCES) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_everything_of_a_kind_bears_its_name(kind: str) -> None:
    files = [f"ves/sources/{kind}/__init__.py", f"ves/commands/{kind}.py", f"workflow/rules/{kind}.smk"]
    assert [file for file in files if Path(file).is_file()] == files
    block, _ = get_args(SourceBlocks.model_fields[kind].annotation)
    assert issubclass(block, SourceBlock)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_the_functions_of_a_source(kind: str) -> None:
    module = source(kind)
    assert callable(module.list_shards)
    assert callable(module.fetch)
    assert hasattr(module, "origins") == (not SOURCES[kind].downloaded)


def asked_in(code: str) -> set[str]:
    """The kinds that code compares with or looks into: `kind == "vaani"`, `config.corpus.vaani`."""
    asked = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            texts = [text for side in sides for text in (side.elts if isinstance(side, ast.Tuple) else [side])]
            asked |= {text.value for text in texts if isinstance(text, ast.Constant)} & set(KINDS)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("corpus"):
            asked |= {node.attr} & set(KINDS)
    return asked


def test_code_asks_for_a_kind_only_in_the_files_of_that_kind() -> None:
    assert asked_in('if settings.kind in ("vaani", "x") and config.corpus.pairs: x') == {"vaani", "pairs"}
    files = of_project("ves", "*.py")
    assert len(files) > 200
    found = [(file, kind) for file in files for kind in asked_in(file.read_text("utf-8"))]
    assert not [(file, kind) for file, kind in found if kind not in (*file.parts, file.stem)]


def test_rules_ask_for_a_kind_only_in_the_files_of_that_kind() -> None:
    asks = re.compile(rf"\bcorpus\.({'|'.join(KINDS)})\b|KIND (?:==|!=|in)\W+({'|'.join(KINDS)})")
    files = [*of_project("workflow", "*.smk"), Path("Snakefile")]
    found = {(file.stem, kind) for file in files for two in asks.findall(file.read_text("utf-8")) for kind in two}
    assert {(file, kind) for file, kind in found if kind} == {("vaani", "vaani")}  # its revision, before it downloads


def insert(file: Path, before: str, new: str) -> None:
    """Put a text in front of one that stands once in a file."""
    text = file.read_text("utf-8")
    assert text.count(before) == 1
    file.write_text(text.replace(before, new + before), "utf-8")


def test_a_new_kind_takes_what_the_page_says_and_no_more(tmp_path: Path) -> None:
    """The page's own kind, entered in a copy as the page says, brings its corpus by the real command."""
    copy = copy_to(tmp_path / "copy")
    block, shards, stages = code_blocks(PAGE, "python")
    said = in_backquotes(PAGE)
    (entry,) = [text for text in said if text.startswith('"twins": Source(')]
    (field,) = [text for text in said if text.startswith("twins: TwinsConfig")]
    (settings,) = [text for text in said if text.startswith("corpus: {name: pets")]
    insert(copy / "ves/sources/kinds.py", '    "vaani": Source(', f"    {entry}\n")
    insert(copy / "ves/config/corpus.py", "class SourceBlocks(", f"{block}\n\n")
    insert(copy / "ves/config/corpus.py", "    vaani: VaaniConfig | None", f"    {field}\n")
    (package := copy / "ves/sources/twins").mkdir()
    (package / "__init__.py").touch()
    (package / "shards.py").write_text(shards, "utf-8")
    (copy / "ves/commands/twins.py").write_text(stages, "utf-8")
    rules = (copy / "workflow/rules/pairs.smk").read_text("utf-8")
    (copy / "workflow/rules/twins.smk").write_text(rules.replace("pack", "collect"), "utf-8")
    (copy / "my.yaml").write_text(settings, "utf-8")
    (copy / "pets").mkdir()
    for name, number in (("cat", 1), ("dog", 2)):
        (copy / f"pets/{name}.wav").write_bytes(tone_file("wav", "pcm_s16le", seconds=number))
        Image.effect_noise((64, 64), 40 * number).save(copy / f"pets/{name}.png")
    run(copy, "--cores", "1", "data/pets/manifest.parquet", "--configfile", "my.yaml")
    clips = pl.read_parquet(copy / "data/pets/manifest.parquet")
    assert clips["language"].to_list() == ["Hindi", "Hindi"]
    assert clips["image_id"].n_unique() == 2
