"""Run folders with embeddings made by hand, and the corpus that they are of: for tests of what evaluates them."""

import hashlib
from pathlib import Path

import polars as pl

from tests.support.embeddings import random_embeddings
from ves.base.files import write_json
from ves.config.check import read_yaml, validate
from ves.config.experiment import DataPaths, RunConfig, TableConfig
from ves.store.embeddings import Embeddings, write

ROOT = Path(__file__).parents[2]
IMAGES, CLIPS = 12, 30  # of val one clip for each image, of val_more the rest; the last of these is of an image unknown
LANGUAGES = ("Hindi", "Tamil", "Odia")


def clip_id(number: int) -> str:
    """As tests/support/embeddings.py numbers them."""
    return f"{number + 1:032x}"


def split_in_two(whole: Embeddings) -> tuple[Embeddings, Embeddings]:
    """val, and val_more without its images: one more clip there is about an image that val does not have."""
    fields = vars(whole)
    val = fields | {
        "audio_tokens": whole.audio_tokens[:IMAGES],
        "audio_mask": whole.audio_mask[:IMAGES],
        "clip_image": whole.clip_image[:IMAGES],
        "clip_id": whole.clip_id[:IMAGES],
    }
    shown = sorted({*range(3, IMAGES), IMAGES})  # images 0 to 2 have no further clip; IMAGES is a near-duplicate
    of = [shown.index(int(image)) if image >= 3 else 0 for image in whole.clip_image[IMAGES:]]
    more = fields | {
        "audio_tokens": whole.audio_tokens[IMAGES:],
        "audio_mask": whole.audio_mask[IMAGES:],
        "clip_image": whole.clip_image[IMAGES:].new_tensor([*of[:-1], len(shown) - 1]),
        "clip_id": whole.clip_id[IMAGES:],
        "image_id": [f"{image + 1:064x}" for image in shown],
        "image_tokens": whole.image_tokens[:0],
        "image_mask": whole.image_mask[:0],
        "attrs": whole.attrs | {"split": "val_more"},
    }
    return Embeddings(**val), Embeddings(**more)


def corpus(folder: Path) -> DataPaths:
    """manifest.parquet and splits.parquet of CLIPS held-out clips, and of some that are trained on."""
    numbers = range(CLIPS + 40)
    clips = pl.DataFrame(
        {
            "clip_id": [clip_id(number) for number in numbers],
            "language": [LANGUAGES[number % 3] for number in numbers],
            "duration_s": [1.5 + number % 5 for number in numbers],
            "shard": ["audio/a"] * len(numbers),
            "source_path": [f"{number}.wav" for number in numbers],
            "split": ["val" if n < IMAGES else "val_more" if n < CLIPS else "train" for n in numbers],
            "stratum": [("high", "mid", "low")[number % 3] for number in numbers],
            "speaker_seen": [False if n < IMAGES else (None, True, False)[n % 3] for n in numbers],
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    clips.select("clip_id", "language", "duration_s", "shard", "source_path").write_parquet(folder / "manifest.parquet")
    clips.select("clip_id", "split", "stratum", "speaker_seen").write_parquet(folder / "splits.parquet")
    names = ("manifest", "splits", "images", "audio", "features")
    return DataPaths(corpus="made", input="store", **{name: str(folder / f"{name}.parquet") for name in names})


def run_settings(name: str, data: DataPaths, seed: int = 0) -> RunConfig:
    """The configuration of a run of `dense`, as config.yaml has it, on a corpus."""
    config = validate(read_yaml(ROOT / "config.yaml"), [ROOT / "config.yaml"])
    train = config.train_of("dense")
    return RunConfig(run=name, seed=seed, data=data, audio=config.audio, vision=None, model=config.model, train=train)


def run(results: Path, name: str, data: DataPaths, seed: int = 0, **attrs) -> Path:
    """A run folder: config.json, a model that is none, embeddings of both splits. Its clips lean to their images."""
    folder = results / name
    folder.mkdir(parents=True)
    write_json(folder / "config.json", run_settings(name, data, seed).model_dump(mode="json"))
    (folder / "model.safetensors").write_bytes(name.encode())
    whole = random_embeddings(
        CLIPS, IMAGES, seed=seed, run=name, model_sha256=hashlib.sha256(name.encode()).hexdigest(), **attrs
    )
    whole.clip_image[IMAGES:] = whole.clip_image[IMAGES:].clamp(min=3)
    own = whole.image_tokens[whole.clip_image.long(), :1]
    whole.audio_tokens[:] = (whole.audio_tokens + own).half()
    for split, part in zip(("val", "val_more"), split_in_two(whole), strict=True):
        write(folder / "embeddings" / f"{split}.zarr", part)
    return folder


def table(*names: str, seeds: tuple[int, ...] = (0,)) -> TableConfig:
    """Rows of the tables."""
    return TableConfig(table=list(names), seeds=list(seeds))


def evaluate(folder: Path) -> None:
    """Both stages of retrieval."""
    from ves.evaluation.retrieval.protocols import multi_positive, paper

    paper(folder, folder / "scores", folder / "ranks.parquet", folder / "retrieval.json")
    multi_positive(folder, folder / "scores", folder / "multi_positive.parquet", folder / "multi_positive.json")
