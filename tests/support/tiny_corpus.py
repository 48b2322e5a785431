"""A tiny corpus made by the real stages: generated, ingested, merged, split, its features extracted."""

from pathlib import Path

import polars as pl
import pytest

from tests.support.features import extract_all
from ves.base.files import write_json
from ves.config.check import read_yaml, validate
from ves.config.corpus import CorpusConfig
from ves.config.experiment import DataPaths, RunConfig, features_name

ROOT = Path(__file__).parents[2]
TINY = {
    "seed": 5,
    "images": 60,
    "clips": 260,
    "languages": ["hi", "bn"],
    "speakers": 12,
    "audio_shards": 2,
    "image_shards": 1,
    "image_side": [100, 180],
}


def tiny_config():
    """config.yaml with a corpus that fits a test, a small backbone, and a layer in the visual adapter."""
    content = read_yaml(ROOT / "config.yaml")
    content["corpus"]["scenes"] |= TINY
    content["split"] |= {"val": 12, "tune": 6}
    content["vision"] |= {"backbone": str(ROOT / "ves/standins/dinov2-scenes"), "image_size": 200, "batch_size": 16}
    content["audio"] |= {"backbone": str(ROOT / content["audio"]["backbone"]), "seconds": 3.0}
    content["model"] |= {"dim": 32, "visual_layers": 1}
    content["train"] |= {"batch_size": 16, "epochs": 2, "checkpoint_every": 3, "evaluate_every": 10}
    return validate(content, [ROOT / "config.yaml"])


def build(corpus: CorpusConfig, config, folder: Path) -> DataPaths:
    """Run every stage up to the features, as the workflow does."""
    from ves.corpus import ingest, manifest, splits
    from ves.sources.kinds import source as source_of
    from ves.store import audio as audio_store

    source = source_of(corpus.kind)
    parts: dict[str, list[Path]] = {"audio": [], "images": []}
    for shard in source.list_shards(corpus.scenes):
        name, raw = shard["name"], folder / "source" / f"{shard['name']}.parquet"
        source.fetch(corpus.scenes, shard["name"], raw, folder / "truth" / f"{name}.parquet")
        part = folder / "parts" / f"{name}.parquet"
        if shard["part"] == "audio":
            ingest.ingest_audio(corpus, name, raw, folder / "audio.zarr", part)
        else:
            ingest.ingest_images(corpus, name, raw, folder / "images" / f"{name}.parquet", part)
        parts[shard["part"]].append(part)
    files = {name: folder / f"{name}.parquet" for name in ("manifest", "refused", "images", "splits")}
    manifest.merge(parts["audio"], parts["images"], files["manifest"], files["refused"], files["images"])
    audio_store.seal(
        folder / "audio.zarr",
        [part.relative_to(folder / "parts").with_suffix("").as_posix() for part in parts["audio"]],
    )
    splits.write(files["manifest"], files["images"], config.split, files["splits"])
    store = folder / "features" / f"{features_name(config.vision)}.zarr"
    extract_all(config.vision, files["images"], folder / "images", store)
    return DataPaths(
        corpus=corpus.name,
        manifest=str(files["manifest"]),
        splits=str(files["splits"]),
        images=str(files["images"]),
        audio=str(folder / "audio.zarr"),
        features=str(store),
        input="store",
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> tuple:
    """(Config, DataPaths) of the tiny corpus; read only."""
    config = tiny_config()
    return config, build(config.corpus, config, tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny_run(tiny, tmp_path):
    """Makes run folders with a config.json of the tiny corpus: tiny_run(name, **changes to train)."""
    config, data = tiny

    def make(name: str = "dense", seed: int = 0, **changes) -> Path:
        train = config.train_of("dense").model_copy(update=changes)
        run = RunConfig(
            run=name, seed=seed, data=data, audio=config.audio, vision=None, model=config.model, train=train
        )
        write_json(tmp_path / name / "config.json", run.model_dump(mode="json"))
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def tiny_clips(tiny) -> pl.DataFrame:
    """Training clips of the tiny corpus."""
    from ves.training.dataset import clips

    return clips(tiny[1], "train")
