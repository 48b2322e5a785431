"""The README and the pages of docs/: short, linked, in step with the code, and what they tell people to type exists."""

import ast
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from snakemake.cli import parse_args
from snakemake.utils import update_config

from tests.support.checkout import ROOT, of_project
from tests.support.pages import README, code_blocks, commands, headings, in_backquotes, pages, prose, text
from ves.__main__ import main
from ves.commands import process
from ves.config.check import read_yaml, validate
from ves.config.corpus import PairsConfig
from ves.sources.pairs import tables

PAGES = pages()
ALL = [*PAGES, "data/README.md", "results/README.md", "ves/standins/README.md", "ves/report/drawing/fonts/README.md"]
LINES = {README: 200}  # at most
OTHERS = 150
MADE_UP = "twins"  # the kind of source that docs/new-source.md takes as an example
OWN = "my.yaml"  # what pages call a reader's own file of settings
ELSEWHERE = {"conda", "pip", "hf"}  # programs that are not the project's
TRIED = {f"docs/{name}.md" for name in ("extending", "new-source", "features", "figures")}  # a test runs their Python
CONFIG = read_yaml(ROOT / "config.yaml")
RULES = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "Snakefile", *of_project("workflow", "*.smk")])


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_short(page: str) -> None:
    assert len(text(page).splitlines()) <= LINES.get(page, OTHERS)


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#\s]+\.md)", text(README)))
    assert linked == set(PAGES) - {README}


def test_links_and_pictures_are_there() -> None:
    targets = [(page, target) for page in ALL for target in re.findall(r"\]\(([^)\s]+)\)", text(page))]
    ours = [(page, target) for page, target in targets if "://" not in target]
    assert len(ours) > 20
    for page, target in ours:
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.exists(), f"{page}: {target}"
        assert not anchor or anchor in headings(file), f"{page}: {target}"


def test_paths_in_the_text_are_there() -> None:
    """What stands in backquotes and looks like a file of the repository is one."""
    roots = {path.parts[0] for path in of_project(".", "*") if len(path.parts) > 1} - {"data", "results"}
    named = [(page, name) for page in PAGES for name in re.findall(r"`([\w.-]+/[\w./-]*)`", prose(page))]
    named = [(page, name) for page, name in named if name.split("/")[0] in roots and MADE_UP not in name]
    assert len(named) > 20
    assert not [(page, name) for page, name in named if not (ROOT / name).exists()]


def test_the_map_of_packages_is_that_of_ves() -> None:
    """The same packages in the same order, in the same words."""
    said = ast.get_docstring(ast.parse((ROOT / "ves/__init__.py").read_text(encoding="utf-8"))) or ""
    listed = re.findall(r"^ +(\w+) \([\w, ]+\): (.+)$", said, re.MULTILINE)
    assert len(listed) > 10
    (block,) = re.findall(r"^## The packages$.*?```\n(.*?)```", text(README), re.DOTALL | re.MULTILINE)
    assert re.findall(r"^(\w+) +(.+)$", block, re.MULTILINE) == listed


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_what_the_programs_take(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of a shell block is parsed by the program that it calls, and what it names is there."""
    called: list[str] = []
    monkeypatch.setattr(process, "run", lambda name, *_: called.append(name) or 0)
    for words in commands(page):
        named = [word for word in words if word.startswith(("config/", "scripts/", "tests/", "benchmarks/"))]
        assert not [name for name in named if not (ROOT / name).exists()], words
        if "ves" in words[:-1] and words[0] not in ("snakemake", "make"):  # also behind torchrun
            before = len(called)
            assert main(words[words.index("ves") + 1 :]) == 0
            assert len(called) == before + 1
        else:
            _check(page, words)


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_text_are_there(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those in backquotes may leave out arguments: stages, options and targets are looked at."""
    for words in map(str.split, in_backquotes(page)):
        if words[0] == "ves" and words[1:]:
            stage = words[1:3] if words[1] in ("store", "vaani") else words[1:2]
            with pytest.raises(SystemExit) as ended:
                main([*stage, "--help"])
            assert ended.value.code == 0, words
            told = capsys.readouterr().out
            assert not [word for word in words if word.startswith("-") and word not in told], words
        elif words[0] in ("snakemake", "make") and words[1:]:
            _check(page, words)


def _check(page: str, words: list[str]) -> None:
    """That a command other than `ves` is one. What is no option is a target, a file or a script."""
    program, *rest = words
    if program == "snakemake":
        _, given = parse_args(rest)
        assert not [file for file in map(str, given.configfile) if file != OWN and not (ROOT / file).is_file()], words
        for target in given.targets:
            assert _makes(page, target), f"{target}: no rule makes it"
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(rest) <= set(targets), words
    elif Path(program).name == "python":
        assert [word for word in rest if (ROOT / word).exists()], words
    else:
        known = program in ELSEWHERE or (ROOT / program).is_file()
        assert known, f"{page}: {program}: no test knows this program"


def _makes(page: str, target: str) -> bool:
    """Whether a rule is called so, or makes a file that is."""
    runs = {*CONFIG["runs"], *(name for block in _settings(page) for name in block.get("runs", {}))}
    rules = {*re.findall(r"^(?:rule|checkpoint) (\w+):", RULES, re.MULTILINE), *(f"train_{name}" for name in runs)}
    return target in rules or f'"{target}"' in RULES


def _settings(page: str) -> list[dict[str, Any]]:
    """The blocks of settings on a page."""
    return [yaml.safe_load(block) for block in code_blocks(page, "yaml")]


@pytest.mark.parametrize("page", [page for page in PAGES if code_blocks(page, "yaml")])
def test_settings_are_valid(page: str, tmp_path: Path) -> None:
    """Laid over config.yaml, as Snakemake does it; and each block's first setting is in what the workflow then has."""
    for block in code_blocks(page, "yaml"):
        (tmp_path / OWN).write_text(block, encoding="utf-8")
        content, own = read_yaml(ROOT / "config.yaml"), read_yaml(tmp_path / OWN)
        update_config(content, own)
        config: Any = validate(content, [ROOT / "config.yaml", tmp_path / OWN]).model_dump(mode="json")
        while isinstance(own, dict):
            key = next(iter(own))
            config, own = config[key], own[key]
        assert config == own


def test_the_table_of_own_pairs_is_read(tmp_path: Path) -> None:
    (table,) = code_blocks("docs/own-data.md", "csv")
    (tmp_path / "pairs.csv").write_text(table, encoding="utf-8")
    block = next(block["corpus"]["pairs"] for block in _settings("docs/own-data.md") if "pairs" in block["corpus"])
    rows = tables.read(PairsConfig.model_validate(block | {"folder": str(tmp_path)}))
    assert rows["language"].to_list() == ["Tulu", "Tulu"]
    assert rows["speaker"].to_list() == ["anna", "bhima"]


def test_python_is_tried_wherever_it_stands() -> None:
    """A page with a new snippet needs a test that runs it: here, in test_kinds, test_store_by_hand or test_localise."""
    assert {page for page in PAGES if code_blocks(page, "python")} == TRIED


def test_the_similarity_of_the_page_is_what_it_says() -> None:
    code, _ = code_blocks("docs/extending.md", "python")
    found: dict[str, Any] = {}
    exec(code, found)  # what a reader of the page would paste
    generator = torch.Generator().manual_seed(0)
    audio, image = (F.normalize(torch.randn(size, generator=generator), dim=-1) for size in [(2, 3, 4), (2, 5, 4)])
    mask, image_mask = torch.ones(2, 3, dtype=torch.bool), torch.ones(2, 5, dtype=torch.bool)
    mask[1, 1:], image_mask[0, 2:] = False, False
    for a in range(2):
        for v in range(2):
            tokens, patches = audio[a][mask[a]], image[v][image_mask[v]]
            means = [(row * (row / 0.1).softmax(0)).sum() for row in (patches @ token for token in tokens)]
            expected = torch.stack(means).mean()
            torch.testing.assert_close(found["soft_mean"](audio, mask, image, image_mask)[a, v], expected)
    assert torch.isfinite(found["soft_mean"](audio, mask, image)).all()


def test_the_loss_of_the_page_is_its_definition_and_has_its_level_of_chance() -> None:
    _, code = code_blocks("docs/extending.md", "python")
    found: dict = {}
    exec(code, found)
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    same = torch.eye(4, dtype=torch.bool)
    same[0, 2] = same[2, 0] = True
    slow = 0.0
    for i in range(4):
        for j in range(4):
            if i == j or not same[i, j]:
                slow += math.log1p(math.exp(-logits[i, j] if i == j else logits[i, j])) / 4
    loss, metrics = found["sigmoid"](logits, same)
    assert loss.item() == pytest.approx(slow) == metrics["loss"].item()
    for pairs in (2, 7, 32):
        flat = torch.linspace(-12, 12, 2401, dtype=torch.float64)
        costs = [found["sigmoid"](logit.expand(pairs, pairs))[0].item() for logit in flat]
        assert found["sigmoid_chance"](pairs) == pytest.approx(min(costs), abs=1e-4)
