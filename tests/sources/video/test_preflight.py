"""What can be wrong with films is said before any job: that there are too few of them, which table they have."""

from pathlib import Path
from typing import Any

import pytest
from snakemake.utils import update_config

from tests.support.video import settings
from ves.config.check import read_yaml, validate
from ves.config.experiment import Config
from ves.sources.video.preflight import check, inputs

FILES = [Path("config.yaml"), Path("config/films.yaml")]


def configured(**split: Any) -> Config:
    """The configuration of films, with another split."""
    content = read_yaml(FILES[0])
    for other in (read_yaml(FILES[1]), {"split": split}):
        update_config(content, other)
    return validate(content, FILES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four films, of which nothing is read here."""
    for number in range(4):
        (tmp_path / f"{number}.mp4").write_bytes(b"x")
    return tmp_path


def test_each_pair_of_the_split_needs_a_recording(folder: Path) -> None:
    check(settings(folder), configured(val=3, tune=1))
    with pytest.raises(
        ValueError, match=r"^split.val: val and tune need 5 pairs, each of another recording, but .* 4 "
    ):
        check(settings(folder), configured(val=3, tune=2))


def test_a_split_of_the_table_needs_none(folder: Path) -> None:
    (folder / "films.csv").write_text("file,split\n0,val\n1,train\n2,train\n3,train\n")
    block = settings(folder, table=str(folder / "films.csv"))
    check(block, configured(val=300, tune=2))
    with pytest.raises(ValueError, match="val and tune need 9 pairs"):
        check(block, configured(val=300, tune=9))
    assert inputs(block) == [folder / "films.csv"]
    assert inputs(settings(folder)) == []
