"""The configuration: every fault is found before anything runs, and its message says file, key and what is allowed."""

import copy
import json
import math
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake.utils import update_config

from tests.support.checkout import of_project
from ves.commands.preflight import validate_backbones, validate_batches, validate_source
from ves.config import experiment, slices, train
from ves.config.check import laid_over, load, naming_files, read_yaml, validate
from ves.config.corpus import LANGUAGES
from ves.config.experiment import features_name
from ves.losses.contrastive import LOSSES
from ves.losses.regularisers import REGULARISERS
from ves.models.parts import PREFIXES
from ves.similarity.pairwise import SIMILARITIES
from ves.sources.scenes import lexicon
from ves.store.compression import CODECS
from ves.training.schedules import SCHEDULES

DEFAULT = Path("config.yaml")
VAANI = read_yaml(Path("config/vaani.yaml"))["corpus"]["vaani"]


@pytest.fixture
def content() -> dict[str, Any]:
    return copy.deepcopy(read_yaml(DEFAULT))


BLOCKS = st.recursive(
    st.none() | st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3),
)


@given(st.dictionaries(st.sampled_from("abc"), BLOCKS), st.dictionaries(st.sampled_from("abc"), BLOCKS))
def test_files_are_laid_over_one_another_as_the_workflow_does_it(base: dict[str, Any], over: dict[str, Any]) -> None:
    before, expected = copy.deepcopy(base), copy.deepcopy(base)
    update_config(expected, copy.deepcopy(over))
    assert laid_over(base, over) == expected
    assert base == before


def test_a_configuration_is_loaded_over_another(tmp_path: Path) -> None:
    config = load(DEFAULT, [Path("config/vaani.yaml"), Path("config/vaani-mini.yaml")])
    assert config.corpus.name == "vaani_mini"
    assert config.train.epochs == 20
    assert config.heatmaps.clips == read_yaml(DEFAULT)["heatmaps"]["clips"]
    (file := tmp_path / "empty.yaml").write_text("# nothing\n")
    with pytest.raises(ValueError, match=r"empty.yaml: not a configuration"):
        load(DEFAULT, [file])


def test_a_table_of_spellings_that_is_not_there_is_a_fault(content: dict[str, Any], tmp_path: Path) -> None:
    put(content, "corpus.labels", "config/lables.yaml")
    with pytest.raises(ValueError, match=r"^corpus.labels: there is no file 'config/lables.yaml'; null means no table"):
        validate_source(validate(content, [DEFAULT]))


def fault(tmp_path: Path, content: dict[str, Any]) -> str:
    """The message about a faulty configuration, with the file called FILE."""
    file = tmp_path / "faulty.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what the callers test
        validate(content, [file])
    return str(caught.value).replace(str(file), "FILE")


def put(content: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The configuration with one key set."""
    *path, last = key.split(".")
    block = content
    for part in path:
        block = block[part]
    block[last] = value
    return content


SHIPPED = [file for file in of_project("config", "*.yaml") if isinstance(read_yaml(file), dict)]  # not the labels


@pytest.mark.parametrize("file", ["config.yaml", *map(str, SHIPPED)])
def test_every_shipped_configuration_is_valid(file: str, content: dict[str, Any]) -> None:
    config = validate(laid_over(content, read_yaml(Path(file))), [DEFAULT, Path(file)])
    validate_backbones(config)
    assert set(config.table) <= set(config.runs)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        # wrong type: nothing is converted silently
        ("train.batch_size", "64", "FILE: train.batch_size: Input should be a valid integer (given: '64')"),
        ("train.batch_size", True, "FILE: train.batch_size: Input should be a valid integer (given: True)"),
        ("train.threads", 2.0, "FILE: train.threads: Input should be a valid integer (given: 2.0)"),
        ("train", None, "FILE: train: Input should be a valid dictionary"),
        ("corpus.scenes.objects", ["2", 6], "FILE: corpus.scenes.objects.0: Input should be a valid integer"),
        ("corpus.scenes.objects", [2, 6, 8], "FILE: corpus.scenes.objects: Tuple should have at most 2 items"),
        # a name that is not registered: the message lists those that are
        ("train.loss", "infonce", "FILE: train.loss: 'infonce' is not one of info_nce"),
        (
            "train.objective",
            {"max_men": 1.0},
            "FILE: train.objective.max_men: 'max_men' is not one of max_mean, ",
        ),
        ("train.optimizer", "sgd", "FILE: train.optimizer: Input should be 'adam8bit' or 'adamw' (given: 'sgd')"),
        ("vision.fit", "squash", "FILE: vision.fit: Input should be 'stretch', 'pad' or 'crop' (given: 'squash')"),
        ("corpus.kind", "films", "FILE: corpus.kind: 'films' is not one of scenes, sounding, pairs, video, vaani"),
        ("corpus.scenes.languages", ["hi", "en"], "FILE: corpus.scenes.languages: 'en' is not one of bn, gu, hi, "),
        ("corpus.scenes.languages", ["hi", "hi"], "FILE: corpus.scenes.languages: 'hi' is listed twice"),
        ("table", ["dense", "sparse"], "FILE: table: 'sparse' is not one of the runs: dense, global, "),
        # impossible values
        (
            "train.weight_decay",
            "1e-3",
            "FILE: train.weight_decay: Input should be a valid number (given: '1e-3'); YAML reads",
        ),
        ("train.epochs", 0, "FILE: train.epochs: Input should be greater than 0 (given: 0)"),
        ("train.objective", {}, "FILE: train.objective: Dictionary should have at least 1 item"),
        (
            "train.batch_size",
            18_701,
            "FILE: train.batch_size: 18701 is more than there are training clips (at most 18700)",
        ),
        ("train.epochs", math.inf, "FILE: train.epochs: Input should be a finite number (given: inf)"),
        ("train.epochs", math.nan, "FILE: train.epochs: Input should be a finite number (given: nan)"),
        ("corpus.scenes.snr_db", [5, math.inf], "FILE: corpus.scenes.snr_db.1: Input should be a finite number"),
        ("train.temperature", 0.001, "FILE: train.temperature: 0.001 is less than 1/max_scale, 0.01"),
        ("train.max_scale", 10.0, "FILE: train.temperature: 0.04 is less than 1/max_scale, 0.1"),
        ("seeds", [-1], "FILE: seeds.0: Input should be greater than or equal to 0 (given: -1)"),
        ("seeds", [2**32], "FILE: seeds.0: Input should be less than 4294967296"),
        ("split.seed", -1, "FILE: split.seed: Input should be greater than or equal to 0 (given: -1)"),
        ("corpus.scenes.seed", -1, "FILE: corpus.scenes.seed: Input should be greater than or equal to 0"),
        ("corpus.keep_seconds", 3.0, "FILE: corpus.keep_seconds: 3.0 is less than audio.seconds, 5.0"),
        (
            "corpus.scenes.audio_shards",
            13,
            "FILE: corpus.scenes.audio_shards: Input should be less than or equal to 12",
        ),
        ("corpus.scenes.speakers", 11, "FILE: corpus.scenes.speakers: 11, but each language and audio shard needs one"),
        ("corpus.scenes.clips", 4_299, "FILE: corpus.scenes.clips: 4299, but each of the 4300 images needs a clip"),
        ("corpus.scenes.images", 15, "FILE: corpus.scenes.images: 15, but each of the 8 audio shards needs two"),
        ("corpus.scenes.objects", [2, 9], "FILE: corpus.scenes.objects.1: Input should be less than or equal to 8"),
        (
            "corpus.scenes.image_side",
            [20, 90],
            "FILE: corpus.scenes.image_side.0: Input should be greater than or equal",
        ),
        ("table", ["dense", "dense"], "FILE: table: 'dense' is listed twice"),
        ("runs.chance", {}, "FILE: runs.chance: the tables use this name for random ranks; take another"),
        ("corpus.scenes.objects", [6, 2], "FILE: corpus.scenes.objects: [6, 2] is not an ascending range"),
        (
            "corpus.scenes.mentions",
            [3, 4],
            "FILE: corpus.scenes.mentions: at least 3, but some pictures show 2 objects",
        ),
        ("corpus.max_refused", 1.5, "FILE: corpus.max_refused: Input should be less than or equal to 1 (given: 1.5)"),
        ("plan.download_mb_s", 0.0, "FILE: plan.download_mb_s: Input should be greater than 0 (given: 0.0)"),
        ("corpus.name", "../scenes", "FILE: corpus.name: String should match pattern"),
        ("split.high", 0.9, "FILE: split.high: 0.9 is not below mid: 0.85"),
        ("split.val", 4_200, "FILE: split.val: the sum with split.tune must be less than corpus.scenes.images (4300)"),
        ("seeds", [0, 1, 0], "FILE: seeds: [0, 1, 0] repeats a seed"),
        ("seeds", [], "FILE: seeds: List should have at least 1 item"),
        # the same in a run's own block
        (
            "runs.dense",
            {"learning_rte": 1},
            "FILE: runs.dense.learning_rte is not a known key; known here: objective, ",
        ),
        ("runs.dense", {"augment": {"window": "start"}}, "FILE: runs.dense.augment.speed is missing"),
        ("runs.dense", {"loss": "nce"}, "FILE: runs.dense.loss: 'nce' is not one of info_nce"),
        ("runs.dense", {"objective": {"max": 1.0}}, "FILE: runs.dense.objective.max: 'max' is not one of max_mean, "),
        ("runs.dense", {"epochs": -1}, "FILE: runs.dense.epochs: Input should be greater than 0 (given: -1)"),
        (
            "runs.dense",
            {"batch_size": 99_999},
            "FILE: runs.dense.batch_size: 99999 is more than there are training clips",
        ),
        ("runs.dense", {"temperature": 0.001}, "FILE: runs.dense.temperature: 0.001 is less than 1/max_scale, 0.01"),
        (
            "runs.dense",
            {"negatives": "micro_batch", "micro_batch": 31},
            "FILE: runs.dense.micro_batch: 32 clips in micro-batches of 31 leave one clip alone, without negatives",
        ),
        ("runs.Dense run", {}, "FILE: runs.Dense run: String should match pattern"),
    ],
)
def test_a_fault_names_file_key_and_what_is_allowed(
    key: str, value: Any, message: str, content: dict[str, Any], tmp_path: Path
) -> None:
    assert fault(tmp_path, put(content, key, value)).startswith(message)


@pytest.mark.parametrize(
    ("block", "known"),
    [
        ("", "corpus, split, vision"),
        ("corpus", "name, kind"),
        ("corpus.scenes", "seed, images"),
        ("train", "objective, "),
        ("train.augment", "window, speed"),
        ("runs.dense", "objective, "),
    ],
)
def test_an_unknown_key_is_named_beside_the_known_ones(
    block: str, known: str, content: dict[str, Any], tmp_path: Path
) -> None:
    key = f"{block}.colour".lstrip(".")
    message = fault(tmp_path, put(content, key, 1))
    assert message.startswith(f"FILE: {key} is not a known key; known here: ")
    assert known in message


@pytest.mark.parametrize("revision", ["main", "0123abc", "0" * 41, "F" * 40, "refs/convert/parquet", "a b"])
def test_a_revision_that_may_move_is_refused_with_the_command_that_pins_it(
    revision: str, content: dict[str, Any], tmp_path: Path
) -> None:
    put(content, "corpus.kind", "vaani")
    put(content, "corpus.vaani", VAANI | {"revision": revision})
    message = fault(tmp_path, content)
    assert message.startswith(
        f"FILE: corpus.vaani.revision: {revision!r} is not a full commit id; a branch or tag moves"
    )
    name = f"'{revision}'" if " " in revision else revision  # can be pasted into a shell
    assert f"`hf datasets info ARTPARK-IISc/Vaani --revision {name} --expand sha`" in message
    assert "\n" not in message
    put(content, "corpus.vaani.revision", "0123456789abcdef0123456789abcdef01234567")
    validate(content, [DEFAULT])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("clips", 0), ("clips_per_language", -1), ("clips_per_image", 1.5), ("languages", []), ("districts", [""])),
        *(("audio", []), ("images", [""]), ("repository", ""), ("repository", "a/b/c")),
    ],
)
def test_a_choice_of_nothing_is_a_fault(key: str, value: Any, content: dict[str, Any], tmp_path: Path) -> None:
    put(content, "corpus.kind", "vaani")
    put(content, "corpus.vaani", VAANI | {key: value})
    assert fault(tmp_path, content).startswith(f"FILE: corpus.vaani.{key}")


def keys(block: dict[str, Any], prefix: str = "") -> list[str]:
    """Every key of nested blocks, dotted."""
    found = []
    for key, value in block.items():
        found.append(prefix + key)
        found += keys(value, f"{prefix}{key}.") if isinstance(value, dict) else []
    return found


FREE = re.compile(
    r"^(runs\..*|train\.(objective|rates)\..*|corpus\.(scenes|vaani))$"
)  # may be absent, or reported otherwise


@pytest.mark.parametrize("key", [key for key in keys(read_yaml(DEFAULT)) if not FREE.match(key)])
def test_every_key_is_required(key: str, content: dict[str, Any], tmp_path: Path) -> None:
    """Nothing has a default but in config.yaml."""
    *path, last = key.split(".")
    block = content
    for part in path:
        block = block[part]
    del block[last]
    assert f"FILE: {key} is missing" in fault(tmp_path, content)


def test_the_block_of_the_kind_is_required(content: dict[str, Any], tmp_path: Path) -> None:
    del content["corpus"]["scenes"]
    assert fault(tmp_path, content) == "FILE: corpus.scenes: this block is required, because kind is 'scenes'"


def test_all_faults_are_reported_at_once(content: dict[str, Any], tmp_path: Path) -> None:
    put(content, "train.loss", "x")
    put(content, "split.colour", 1)
    assert len(fault(tmp_path, content).splitlines()) == 2


def test_the_file_that_set_the_key_is_named(content: dict[str, Any], tmp_path: Path) -> None:
    base, over = tmp_path / "base.yaml", tmp_path / "over.yaml"
    base.write_text(yaml.safe_dump(put(content, "train.warmup", 2.0)))
    over.write_text("train: {epochs: -3}")
    with pytest.raises(ValueError, match="train.epochs") as caught:
        validate(laid_over(content, read_yaml(over)), [base, over])
    assert [line.split(": Input")[0] for line in str(caught.value).splitlines()] == [
        f"{over}: train.epochs",
        f"{base}: train.warmup",
    ]


def test_a_value_of_no_file_is_of_the_command_line(content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^command line \(--config\): train.epochs: "):
        validate(put(content, "train.epochs", 0), [DEFAULT])


def test_a_key_that_stands_twice_is_an_error(content: dict[str, Any], tmp_path: Path) -> None:
    """YAML would let the last one win."""
    file = tmp_path / "twice.yaml"
    file.write_text("train:\n  epochs: 1\n  warmup: 0.1\n  epochs: 2\n")
    with pytest.raises(ValueError, match="twice.yaml: line 2: key 'epochs' is set twice"):
        validate(content, [file])


def test_what_is_not_yaml_is_an_error_that_names_the_file(content: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "torn.yaml"
    file.write_text("train: {epochs: 1")
    with pytest.raises(ValueError, match=r"torn.yaml: not valid YAML"):
        validate(content, [file])


@pytest.mark.parametrize(
    ("names", "registry"),
    [
        (train.SIMILARITIES, SIMILARITIES),
        (train.LOSSES, LOSSES),
        (train.REGULARISERS, REGULARISERS),
        (train.SCHEDULES, SCHEDULES),
        (train.PARTS, PREFIXES),
        (experiment.CODECS, CODECS),
        (LANGUAGES, lexicon.codes()),
    ],
)
def test_the_names_that_are_allowed_are_those_that_are_registered(
    names: tuple[str, ...], registry: Iterable[str]
) -> None:
    assert names == tuple(registry)


def test_a_run_is_the_shared_block_with_its_overrides(content: dict[str, Any]) -> None:
    config = validate(content, [DEFAULT])
    assert config.train_of("dense") == config.train
    hybrid = config.train_of("hybrid")
    assert hybrid.objective == {"max_mean": 0.7, "mean_mean": 0.3}
    assert hybrid.model_copy(update={"objective": config.train.objective}) == config.train


def test_settings_files_come_back_as_they_were(content: dict[str, Any]) -> None:
    config = validate(content, [DEFAULT])
    for section in (
        slices.corpus(config),
        config.split,
        config.vision,
        config.audio,
        config.train_of("hybrid"),
        config,
    ):
        assert type(section).model_validate(json.loads(section.model_dump_json())) == section


def test_two_choices_of_features_never_share_a_name(content: dict[str, Any], tmp_path: Path) -> None:
    vision = validate(content, [DEFAULT]).vision
    folder = tmp_path / "backbone"
    folder.mkdir()
    choices = [
        vision,
        vision.model_copy(update={"fit": "pad"}),
        vision.model_copy(update={"image_size": 224}),
        vision.model_copy(update={"backbone": "facebook/dinov2-large", "revision": "4" * 40}),
        vision.model_copy(update={"backbone": "facebook/dinov2-large", "revision": "5" * 40}),
        *(vision.model_copy(update={"compression": name}) for name in CODECS),
    ]
    assert features_name(vision).endswith(f"-{vision.image_size}-stretch")  # without a compression, as it ever was
    names = [features_name(choice) for choice in choices]
    for weights in (b"one", b"two"):  # a local folder has no revision: its weights tell
        (folder / "model.safetensors").write_bytes(weights)
        names.append(features_name(vision.model_copy(update={"backbone": str(folder)})))
    assert len(set(names)) == len(names)


def test_a_backbone_is_a_folder_or_a_name_on_the_hub(content: dict[str, Any]) -> None:
    validate_backbones(validate(put(content, "vision.backbone", "facebook/dinov2-large"), [DEFAULT]))
    with pytest.raises(ValueError, match=r"audio.backbone: 'ves/standins/hubert' is neither an existing folder nor "):
        validate_backbones(validate(put(content, "audio.backbone", "ves/standins/hubert"), [DEFAULT]))


@pytest.mark.parametrize(("name", "kind"), [("vision", "dinov2"), ("audio", "hubert")])
def test_preprocessing_of_a_backbone_that_is_here_is_read_before_any_job(
    name: str, kind: str, content: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(DEFAULT.parent / f"ves/standins/{kind}-scenes", folder := tmp_path / name)
    config = validate(put(content, f"{name}.backbone", str(folder)), [DEFAULT])
    validate_backbones(config)
    (folder / "preprocessor_config.json").write_text('{"do_normalize": 1}')
    with pytest.raises(ValueError, match=rf"^{name}\.backbone: .*preprocessor_config\.json: do_normalize: 1 is"):
        validate_backbones(config)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("vision.image_size", 150, "vision.image_size: 150 is not a multiple of the patch size, 32; take 128 or 160"),
        (
            "model.visual_heads",
            3,
            "model.visual_heads: 3 does not divide the backbone's width, 320; take 1, 2, 4, 5, 8",
        ),
        ("audio.seconds", 0.01, "audio.seconds: 0.01 is shorter than one token, 0.0"),
        ("audio.backbone", "tests", "audio.backbone: the folder 'tests' has no config.json, so it is not a backbone"),
    ],
)
def test_sizes_must_fit_a_backbone_that_is_here(
    key: str, value: Any, message: str, content: dict[str, Any], tmp_path: Path
) -> None:
    over = tmp_path / "over.yaml"
    over.write_text(yaml.safe_dump({key.split(".")[0]: {key.split(".")[1]: value}}))
    config = validate(put(content, key, value), [DEFAULT, over])
    with pytest.raises(ValueError, match=f"^{re.escape(f'{over}: {message}')}"), naming_files(content, [DEFAULT, over]):
        validate_backbones(config)


@pytest.fixture
def split_corpus(content: dict[str, Any], tmp_path: Path) -> Path:
    """What the workflow leaves of a corpus with 100 training clips."""
    config = validate(content, [DEFAULT])
    (tmp_path / "corpus.json").write_text(slices.corpus(config).model_dump_json())
    (tmp_path / "split.json").write_text(config.split.model_dump_json())
    pl.DataFrame({"split": ["train"] * 100 + ["val"] * 500}).write_parquet(tmp_path / "splits.parquet")
    return tmp_path


def test_a_batch_larger_than_the_training_set_is_an_error(content: dict[str, Any], split_corpus: Path) -> None:
    validate_batches(validate(put(content, "train.batch_size", 100), [DEFAULT]), split_corpus)
    with pytest.raises(ValueError, match=r"^train.batch_size: 101 is more than the 100 training clips of .*parquet"):
        validate_batches(validate(put(content, "train.batch_size", 101), [DEFAULT]), split_corpus)
    put(content, "runs.global.batch_size", 102)
    with pytest.raises(ValueError, match=r"^runs.global.batch_size: 102 is more than the 100 training clips"):
        validate_batches(validate(put(content, "train.batch_size", 100), [DEFAULT]), split_corpus)


def test_a_batch_larger_than_the_recordings_is_an_error(content: dict[str, Any], split_corpus: Path) -> None:
    """60 training clips are of 20 recordings, 40 of none; clips of other splits do not count."""
    ids, films = [f"{n:032x}" for n in range(600)], [f"film {n % 20}" for n in range(60)]
    names = [*films, *([None] * 40), *(f"other {n}" for n in range(500))]
    splits = pl.read_parquet(split_corpus / "splits.parquet")
    splits.with_columns(pl.Series("clip_id", ids)).write_parquet(split_corpus / "splits.parquet")
    pl.DataFrame({"clip_id": ids, "recording_id": names}).write_parquet(split_corpus / "manifest.parquet")
    validate_batches(validate(put(content, "train.batch_size", 60), [DEFAULT]), split_corpus)
    with pytest.raises(ValueError, match=r"^train.batch_size: 61 is more than the 60 recordings of the training clips"):
        validate_batches(validate(put(content, "train.batch_size", 61), [DEFAULT]), split_corpus)
    none = pl.Series("recording_id", [None] * 600, dtype=pl.String)
    pl.DataFrame({"clip_id": ids, "recording_id": none}).write_parquet(split_corpus / "manifest.parquet")
    validate_batches(validate(content, [DEFAULT]), split_corpus)


def test_a_corpus_about_to_be_made_anew_says_nothing_about_batches(content: dict[str, Any], split_corpus: Path) -> None:
    put(content, "train.batch_size", 101)
    with pytest.raises(ValueError, match="more than the 100 training clips"):
        validate_batches(validate(content, [DEFAULT]), split_corpus)  # of this very split it would say something
    validate_batches(validate(put(content, "split.seed", 1), [DEFAULT]), split_corpus)
    validate_batches(validate(content, [DEFAULT]), split_corpus / "absent")


PIXELS = {"rates": {"audio.head": 1e-3, "image.head": 1e-3, "image.backbone": 1e-4}, "features": "pixels"}
LATE = {"epoch": 1.0, "warmup": 0.1}


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            {"rates": PIXELS["rates"]},
            "FILE: train.rates: image.backbone has a rate, but with features: store its tokens",
        ),
        ({"features": "pixels"}, "FILE: train.features: pixels puts the vision backbone into the graph, but rates has"),
        ({"rates": {"audio.tail": 1e-3}}, "FILE: train.rates.audio.tail: 'audio.tail' is not one of audio.backbone, "),
        ({"rates": {"scale": None}}, "FILE: train.rates: no part has one, so nothing would be trained"),
        ({"rates": {"scale": -1.0}}, "FILE: train.rates.scale: Input should be greater than 0"),
        ({"unfreeze": {"image.backbone": LATE}}, "FILE: train.unfreeze: image.backbone is to move, but rates has none"),
        ({"unfreeze": {"scale": LATE | {"step": 3}}}, "FILE: train.unfreeze.scale: say either the epoch or the step"),
        ({"unfreeze": {"scale": {"warmup": 0.1}}}, "FILE: train.unfreeze.scale: say either the epoch or the step"),
        (
            {"unfreeze": {"scale": LATE}, "epochs": 1.0},
            "FILE: train.unfreeze: scale would move after epoch 1 of 1: never",
        ),
        ({"unfreeze": {"scale": LATE}, "rates": {"scale": 1e-3}}, "FILE: train.unfreeze: every part that has a rate"),
        ({"schedule": "linear"}, "FILE: train.schedule: 'linear' is not one of warmup_cosine, one_cycle, "),
        (
            {"one_cycle": {"div": 10.0, "final_div": 1.0, "beta1": [0.9, 0.8]}},
            "FILE: train.one_cycle.beta1: [0.9, 0.8]: ",
        ),
        (
            {"regularisers": {"temperature_bounds": 8.0}},
            "FILE: train.regularisers: temperature_bounds takes {weight: 8.0",
        ),
        (
            {"regularisers": {"non_negativity": {"weight": 1.0, "low": 1.0, "high": 2.0}}},
            "FILE: train.regularisers: non_negativity takes a number",
        ),
        ({"min_scale": 50.0}, "FILE: train.temperature: 0.04 is more than 1/min_scale, 0.02"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_its_key(
    train: dict[str, Any], message: str, content: dict[str, Any], tmp_path: Path
) -> None:
    content["train"] |= train
    assert message in fault(tmp_path, content)


def test_a_run_overrides_some_rates_and_may_freeze_a_part(content: dict[str, Any], tmp_path: Path) -> None:
    put(content, "runs.dense", {"rates": {"scale": 1e-3, "audio.backbone": None}})
    train = validate(content, []).train_of("dense")
    assert train.rates == {"audio.backbone": None, "audio.head": 7e-4, "image.head": 7e-4, "scale": 1e-3}
    assert train.moving == {"audio.head", "image.head", "scale"}


def test_class_tokens_of_a_backbone_without_one_are_refused(content: dict[str, Any]) -> None:
    put(content, "vision.class_token", True)
    with pytest.raises(
        ValueError, match=r"vision\.class_token: .* is of the type efficientnet, which has no class token"
    ):
        validate_backbones(validate(content, []))
