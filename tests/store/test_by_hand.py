"""What docs/features.md shows of a store works as it stands there, and the commands say what it says of them."""

import re
from pathlib import Path

import pytest

from tests.support.pages import code_blocks, commands, text
from tests.support.small_stores import IDS, small_shards, some_tokens, write_images, write_store
from ves.__main__ import main
from ves.store.features_layout import shard_path
from ves.store.shard_format import HEADER

PAGE = "docs/features.md"
ZARR, TENSORSTORE, TORCH = code_blocks(PAGE, "python")
COMMANDS = [words[1:] for words in commands(PAGE) if words[:2] == ["ves", "store"]]
(NAME,) = set(re.findall(r"data/scenes/features/[\w.-]+\.zarr", text(PAGE)))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The store of the page, seen from the folder that its lines are typed in."""
    monkeypatch.chdir(tmp_path)
    with small_shards():
        yield write_store(Path(NAME), some_tokens())


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("code", [ZARR, TENSORSTORE], ids=["zarr", "tensorstore"])
def test_an_array_is_read_as_on_the_page(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(code, {})  # what a reader of the page would paste
    output = capsys.readouterr().out
    assert IDS[0] in output
    assert f"{float(some_tokens()[0, 0, 0]):.6g}"[:5] in output


@pytest.mark.usefixtures("store")
def test_rows_are_read_as_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    exec(TORCH, {})
    assert capsys.readouterr().out == f"{some_tokens()[:2].float().mean(dim=(1, 2))}\n"


def test_what_a_reader_pastes_is_short() -> None:
    assert max(len(code.strip().splitlines()) for code in (ZARR, TENSORSTORE, TORCH)) <= 7


def test_the_commands_of_the_page_work(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info, verify, show = COMMANDS
    assert main(info) == 0
    assert "patch_tokens  10 x 4 x 8" in capsys.readouterr().out
    assert main(verify) == 0
    assert capsys.readouterr().out == f"{NAME}: intact\n"
    content = bytearray(shard_path(store, 1).read_bytes())
    content[HEADER + 70] ^= 1
    shard_path(store, 1).write_bytes(content)
    assert main(verify) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == f"{NAME}/patch_tokens/c/1/0/0: row 5: wrong checksum"
    assert said.err.splitlines()[-1].startswith(f"store verify: {NAME}: damaged, places: 1; extract again: delete")
    assert main(show) == 1
    assert f"store show: {NAME}: no image whose id begins with '5862a4', among 10" in capsys.readouterr().err


def test_verify_is_told_of_another_list_of_images(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "verify", NAME, "--images", str(write_images(Path("listed.parquet"), IDS[::-1]))]) == 1
    assert "image_id/c/0/0: rows 0-3: not the image that listed.parquet lists" in capsys.readouterr().out
    assert main(["store", "verify", "data"]) == 1
    assert "none of the stores that VeS makes" in capsys.readouterr().err


def test_what_lies_beside_a_store_is_found_from_its_own_folder(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """A relative name of one component has no parent but ".", which is not where the corpus is."""
    path = Path(NAME).absolute()
    write_images(path.parents[1] / "images.parquet", IDS[::-1])
    monkeypatch.chdir(path.parent)
    assert main(["store", "verify", path.name]) == 1
    assert "not the image that" in capsys.readouterr().out
