"""Which files of a repository in Vaani's layout are chosen, and that they arrive as they are."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import polars as pl
import pytest
from snakemake.utils import update_config

from tests.support.loopback import COMMIT, REPOSITORY, Hub, serve
from ves.config.check import read_yaml, validate
from ves.config.corpus import VaaniConfig
from ves.sources.kinds import SOURCES, source
from ves.sources.vaani import listing

ROOT = Path(__file__).parents[3]


def parquet(**columns: list[Any]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


def clips(district: str, shard: int) -> bytes:
    return parquet(
        audio=[{"bytes": b"RIFF" + bytes([shard, row]), "path": f"{district}_{shard}_{row}.wav"} for row in range(3)],
        language=["Hindi", "Konkani", "Hindi"],
        referenceImage=[f"Images/{district}-SPECIFIC_{row:05}.jpg" for row in range(3)],
    )


def repository() -> dict[str, bytes]:
    """Three districts of 12, 2 and 1 shards, the pictures, and what else lies in a repository."""
    files = {"README.md": b"# Vaani", "audio/pincode_metadata.csv": b"district,pincode\n"}
    for district, shards in {"Goa/NorthSouthGoa": 12, "Bihar/Araria": 2, "Bihar/Jamui": 1}.items():
        for shard in reversed(range(shards)):  # the hub's order is not promised
            files[f"audio/{district}/train-{shard:05}-of-{shards:05}.parquet"] = clips(district[-4:], shard)
    files["images/train-00000-of-00001.parquet"] = parquet(image=[{"bytes": b"jpeg", "path": "Images/a.jpg"}])
    return files


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve(repository()) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server
    huggingface_hub.close_session()


def settings(**changes: Any) -> VaaniConfig:
    """The block of config/vaani.yaml, with changes; unvalidated, to allow what the validator refuses."""
    block = {"repository": REPOSITORY, "revision": COMMIT, "audio": ["audio/*/*/train-*.parquet"]}
    block |= {"images": ["images/train-*.parquet"], "shards_per_district": None}
    block |= dict.fromkeys(("languages", "districts", "clips", "clips_per_language", "clips_per_image")) | {"seed": 0}
    return VaaniConfig.model_construct(**(block | changes))


def names(shards: list[dict[str, Any]], part: str) -> list[str]:
    return [shard["name"] for shard in shards if shard["part"] == part]


def test_every_parquet_file_that_is_chosen_is_listed_in_order(hub: Hub):
    hub.page = 5
    shards = listing.list_shards(settings())
    goa = [f"audio/Goa/NorthSouthGoa/train-{shard:05}-of-00012" for shard in range(12)]
    bihar = ["Araria/train-00000-of-00002", "Araria/train-00001-of-00002", "Jamui/train-00000-of-00001"]
    assert names(shards, "audio") == [f"audio/Bihar/{name}" for name in bihar] + goa
    assert names(shards, "images") == ["images/train-00000-of-00001"]
    for shard in shards:
        content = hub.files[f"{shard['name']}.parquet"]
        assert (shard["bytes"], shard["sha256"]) == (len(content), hub.sha256(f"{shard['name']}.parquet"))


def test_the_cap_takes_the_first_shards_of_each_district_and_all_images(hub: Hub):
    hub.files["images/train-00001-of-00001.parquet"] = b"PAR1"
    shards = listing.list_shards(settings(shards_per_district=1))
    districts = ["Bihar/Araria", "Bihar/Jamui", "Goa/NorthSouthGoa"]
    assert [name.rsplit("/", 1)[0] for name in names(shards, "audio")] == [f"audio/{name}" for name in districts]
    assert all("train-00000" in name for name in names(shards, "audio"))
    assert len(names(shards, "images")) == 2


def test_folders_of_other_revisions_stand_below_the_part(hub: Hub):
    """As at the end of 2024, when districts stood at the top; everything of a corpus is below audio/ or images/."""
    hub.files |= {"Goa_NorthSouthGoa/train-00000-of-00001.parquet": clips("Goa", 0), "pictures/a b.parquet": b"PAR1"}
    audio, images = listing.list_shards(settings(audio=["Goa_*"], images=["pictures/*"]))
    assert (audio["name"], audio["path"]) == (
        "audio/Goa_NorthSouthGoa/train-00000-of-00001",
        "Goa_NorthSouthGoa/train-00000-of-00001.parquet",
    )
    assert (images["name"], images["path"]) == ("images/pictures/a b", "pictures/a b.parquet")
    hub.files["audio/Goa_NorthSouthGoa/train-00000-of-00001.parquet"] = clips("Goa", 1)
    with pytest.raises(ValueError, match="would be one shard"):
        listing.list_shards(settings(audio=["*Goa_*"]))


def test_patterns_add_up_and_do_not_repeat(hub: Hub):
    shards = listing.list_shards(settings(audio=["audio/Bihar/*", "audio/*/Jamui/*"]))
    assert len(names(shards, "audio")) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"audio": ["audio/Goaa/*"]}, r"vaani.audio: 'audio/Goaa/\*' matches no .*folders of audio/: Bihar, Goa$"),
        ({"audio": ["audio/Goa/*", "audio/goa/*"]}, r"'audio/goa/\*' matches no"),
        ({"audio": ["audio/*.csv"]}, r"'audio/\*.csv' matches no .parquet file"),
        ({"images": ["pictures/*"]}, r"vaani.images: 'pictures/\*' .*folders of the repository: audio, images$"),
        ({"audio": ["*"]}, "both audio and images match images/train-00000-of-00001.parquet"),
        ({"revision": None}, f"corpus.vaani.revision is not set; `hf datasets info {REPOSITORY} --expand sha`"),
    ],
)
def test_a_choice_that_cannot_be_right_is_explained(hub: Hub, changes: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        listing.list_shards(settings(**changes))


def test_a_fetched_shard_is_the_hub_s_and_resumes_nothing_of_its_neighbour(hub: Hub, tmp_path: Path):
    for shard in listing.list_shards(settings(audio=["audio/Bihar/*"])):
        destination = tmp_path / f"{shard['name']}.parquet"
        listing.fetch(settings(), shard, destination)
        assert destination.read_bytes() == hub.files[f"{shard['name']}.parquet"]
    frame = pl.read_parquet(tmp_path / "audio/Bihar/Araria/train-00001-of-00002.parquet")
    assert frame["audio"][2] == {"bytes": b"RIFF\x01\x02", "path": "aria_1_2.wav"}


@pytest.mark.parametrize(("name", "shards"), [("vaani", 3 + 9 + 9), ("vaani-mini", 4)])
def test_the_shipped_configurations_are_valid_and_choose_shards(hub: Hub, name: str, shards: int):
    """Laid over config.yaml as Snakemake does it, with a commit in place of the null that asks for one."""
    hub.files |= {f"audio/AndhraPradesh/Anantpur/train-{shard:05}-of-00052.parquet": b"PAR1" for shard in range(52)}
    content, files = read_yaml(ROOT / "config.yaml"), [ROOT / "config.yaml", ROOT / "config" / f"{name}.yaml"]
    update_config(content, read_yaml(files[1]))
    assert content["corpus"]["vaani"]["revision"] is None  # none is known; VaaniConfig.commit tells how to find one
    content["corpus"]["vaani"]["revision"] = COMMIT
    config = validate(content, files)
    assert config.corpus.kind == "vaani"
    assert config.corpus.keep_seconds == config.audio.seconds
    assert config.corpus.vaani is not None
    chosen = listing.list_shards(config.corpus.vaani)
    assert (len(names(chosen, "audio")), len(names(chosen, "images"))) == (shards, 1)


def test_the_registry_imports_no_source_before_it_is_used():
    assert source("vaani") is listing
    loaded = "[name for name in ('huggingface_hub', 'PIL', 'torch') if name in sys.modules]"
    loaded = f"import sys, ves.sources.kinds; print({loaded})"
    answer = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
    assert set(SOURCES) >= {"scenes", "pairs", "vaani"}
