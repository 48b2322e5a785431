import hashlib
import multiprocessing
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from tests.support.backbones import vision_config
from tests.support.features import SMALL, Corpus, save_backbone
from ves.base.checksums import file_sha256
from ves.base.files import read_json
from ves.config.experiment import VisionConfig, features_name
from ves.media.geometry import Geometry
from ves.media.images import decode, pixels
from ves.media.normalisation import IMAGENET
from ves.models import features
from ves.models.vision import load_backbone, patch_grid, patch_tokens
from ves.store.features_layout import shard_path
from ves.store.features_reader import open_features
from ves.store.verify import verify

pytestmark = pytest.mark.numbers


@pytest.fixture(scope="module")
def backbone(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("backbones") / "tiny-dinov2"
    save_backbone(folder)
    return folder


@pytest.fixture
def vision(backbone) -> VisionConfig:
    return vision_config(backbone, batch_size=4)


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    made = Corpus(tmp_path)
    made.add("images/train-00000-of-00002", 150)
    made.add("images/train-00001-of-00002", 140)
    return made


def reference(corpus: Corpus, vision: VisionConfig, row: int) -> torch.Tensor:
    """Tokens of one picture by the plain way: one by one, in fp32."""
    model = Dinov2Model.from_pretrained(vision.backbone).eval()
    picture = decode(corpus.contents[row])
    square = Geometry(*picture.size, vision.image_size, vision.fit).square(picture)
    with torch.no_grad():
        return model(pixel_values=torch.from_numpy(pixels(square, IMAGENET))[None]).last_hidden_state[0, 1:]


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_tokens_are_those_of_the_plain_way(corpus, vision, fit):
    vision = vision.model_copy(update={"fit": fit})
    corpus.extract(vision)
    opened = open_features(corpus.store)
    assert (len(opened), opened.grid, opened.width) == (290, (4, 4), 16)
    assert opened.image_ids == [name for name, _, _ in corpus.rows]
    for row in (0, 149, 150, 255, 256, 289):
        (tokens,) = opened.read([row]).float()
        expected = reference(corpus, vision, row)
        assert (tokens - expected).abs().max() < 0.05, row  # bfloat16: three digits; values are near 1
        assert torch.nn.functional.cosine_similarity(tokens, expected).min() > 0.999


def test_the_store_says_what_it_holds(corpus, vision):
    corpus.extract(vision)
    attrs = open_features(corpus.store).attrs
    weights = Path(vision.backbone) / "model.safetensors"
    assert attrs["backbone"] == vision.backbone and attrs["revision"] is None
    assert attrs["weight_hash"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert attrs["weight_hash"][:8] in features_name(vision)
    assert (attrs["image_size"], attrs["grid"], attrs["fit"], attrs["complete"]) == (16, [4, 4], "stretch", True)
    assert attrs["normalisation"]["resample"] == "bicubic"
    assert attrs["versions"]["torch"] == torch.__version__.split("+")[0]
    manifest = read_json(corpus.manifest)
    assert manifest["rows"] == 290 and manifest["attrs"] == attrs
    assert [(shard["file"], shard["rows"]) for shard in manifest["shards"]] == [
        ("patch_tokens/c/0/0/0", 256),
        ("patch_tokens/c/1/0/0", 34),
    ]
    assert manifest["shards"][1]["sha256"] == file_sha256(shard_path(corpus.store, 1))
    ids = "\n".join(name for name, _, _ in corpus.rows)
    assert manifest["images_sha256"] == hashlib.sha256(ids.encode()).hexdigest()


def test_two_runs_give_the_same_bytes_and_the_second_computes_nothing(corpus, vision, monkeypatch):
    corpus.extract(vision)
    first, manifest = corpus.files(), corpus.manifest.read_bytes()
    corpus.manifest.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(features, "load_backbone", None)
        corpus.extract(vision)
    assert corpus.files() == first and corpus.manifest.read_bytes() == manifest
    for path in (shard_path(corpus.store, 0), corpus.store / "image_id" / "c" / "1" / "0"):
        path.unlink()
    corpus.extract(vision)
    assert corpus.files() == first


def test_tokens_do_not_depend_on_the_company(corpus, vision):
    """The same picture alone, among others, and in batches of another size."""
    corpus.extract(vision)
    all_rows = open_features(corpus.store).read(range(290)).float()
    model = load_backbone(vision)
    frame = features.listed(corpus.images)
    alone = torch.zeros(7, 3, 16, 16)
    for row in (3, 150, 289):
        alone[2] = torch.from_numpy(features.squares(frame[row : row + 1], corpus.pictures, vision, IMAGENET)[0])
        tokens = patch_tokens(model, alone)[2].float()
        torch.testing.assert_close(tokens, all_rows[row], atol=0.03, rtol=0.02)  # the last bits of bfloat16


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's compiler, of itself
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler here")
def test_a_compiled_backbone_gives_the_same_tokens(corpus, vision):
    """To the last bits of bfloat16, by as many threads."""
    corpus.extract(vision)
    plain = open_features(corpus.store).read(range(290)).float()
    shutil.rmtree(corpus.store)
    corpus.extract(vision.model_copy(update={"compile": True}))
    compiled = open_features(corpus.store)
    assert compiled.attrs["compiled"]
    torch.testing.assert_close(compiled.read(range(290)).float(), plain, atol=0.03, rtol=0.02)


def test_a_damaged_shard_is_written_again_and_only_that(corpus, vision):
    corpus.extract(vision)
    before = corpus.files()
    intact = shard_path(corpus.store, 0).stat().st_mtime_ns
    damaged = bytearray(shard_path(corpus.store, 1).read_bytes())
    damaged[500] ^= 4
    shard_path(corpus.store, 1).write_bytes(damaged)
    corpus.extract(vision)
    assert corpus.files() == before
    assert shard_path(corpus.store, 0).stat().st_mtime_ns == intact


def test_a_corpus_that_grows_extracts_what_is_new(corpus, vision):
    corpus.extract(vision)
    old = open_features(corpus.store).read(range(290))
    kept = shard_path(corpus.store, 0).stat().st_mtime_ns
    corpus.add("images/more/train-00000-of-00001", 300)
    corpus.extract(vision)
    opened = open_features(corpus.store)
    assert len(opened) == 590 and opened.rows([corpus.rows[400][0]]).tolist() == [400]
    torch.testing.assert_close(opened.read(range(290)).float(), old.float(), atol=0.03, rtol=0.02)
    assert (opened.read([400])[0].float() - reference(corpus, vision, 400)).abs().max() < 0.05
    assert shard_path(corpus.store, 0).stat().st_mtime_ns == kept


def test_rows_that_are_numbered_anew_are_extracted_anew(corpus, vision):
    corpus.extract(vision)
    order = list(range(289, -1, -1))
    corpus.list(order)
    corpus.extract(vision)
    opened = open_features(corpus.store)
    assert opened.image_ids == [corpus.rows[at][0] for at in order]
    assert (opened.read([0])[0].float() - reference(corpus, vision, 289)).abs().max() < 0.05


def test_a_failure_leaves_a_store_that_is_not_read(corpus, vision, monkeypatch):
    """The backbone fails at the second shard: the first is kept, nothing says complete, and a new run goes on."""
    real, calls = features.patch_tokens, []

    def fails(model, squares, **options):
        calls.append(len(squares))
        if len(calls) > 70:
            raise RuntimeError("out of memory")
        return real(model, squares, **options)

    with monkeypatch.context() as patched:
        patched.setattr(features, "patch_tokens", fails)
        with pytest.raises(RuntimeError, match="out of memory"):
            corpus.extract(vision)
    assert not corpus.manifest.exists()
    with pytest.raises(RuntimeError, match="incomplete"):
        open_features(corpus.store)
    kept = shard_path(corpus.store, 0).stat().st_mtime_ns
    corpus.extract(vision)
    assert len(open_features(corpus.store)) == 290 and shard_path(corpus.store, 0).stat().st_mtime_ns == kept


def test_the_number_of_threads_is_given_back(corpus, vision):
    before = torch.get_num_threads()
    corpus.extract(vision)
    assert torch.get_num_threads() == before


def test_another_backbone_is_refused(corpus, vision, tmp_path):
    corpus.extract(vision)
    before = corpus.files()
    save_backbone(tmp_path / "other", seed=1)
    with pytest.raises(ValueError, match="made with (backbone|weight_hash)"):
        corpus.extract(vision.model_copy(update={"backbone": str(tmp_path / "other")}))
    with pytest.raises(ValueError, match="made with image_size 16, now 32"):
        corpus.extract(vision.model_copy(update={"image_size": 32}))
    assert corpus.files() == before


def test_pictures_that_are_not_those_listed_are_refused(corpus, vision):
    corpus.list([1, 0, *range(2, 290)])
    frame = pl.read_parquet(corpus.images)
    swapped = pl.when(pl.col("row") < 2).then(pl.col("row").cast(pl.Int64)).otherwise(pl.col("row_in_shard"))
    frame.with_columns(swapped.alias("row_in_shard")).write_parquet(corpus.images)
    with pytest.raises(ValueError, match=r"train-00000-of-00002\.parquet: not the content of image"):
        corpus.extract(vision)


@pytest.mark.parametrize("rows", [[0, 1, 3], [0, 1, 1], []])
def test_rows_must_count_the_images(tmp_path, rows):
    names = ["ab"] * len(rows)
    pl.DataFrame({"image_id": names, "row": rows, "shard": names, "row_in_shard": rows}).write_parquet(tmp_path / "i")
    with pytest.raises(ValueError, match="does not number the images"):
        features.listed(tmp_path / "i")


def test_the_square_must_be_whole_patches(backbone):
    config = Dinov2Config(patch_size=14)
    assert patch_grid(config, 140) == (10, 10)
    with pytest.raises(ValueError, match=r"vision\.image_size: 150 is not a multiple .* take 140 or 154"):
        patch_grid(config, 150)
    with pytest.raises(ValueError, match="take 14"):
        patch_grid(config, 10)


def test_register_tokens_are_left_out(vision, tmp_path):
    model = Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**SMALL, image_size=16, num_register_tokens=3)).eval()
    model.save_pretrained(tmp_path / "registers")
    loaded = load_backbone(vision.model_copy(update={"backbone": str(tmp_path / "registers")}))
    batch = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        expected = model(pixel_values=batch).last_hidden_state[:, 4:]
    torch.testing.assert_close(patch_tokens(loaded, batch).float(), expected, atol=0.05, rtol=0.02)


def test_a_backbone_that_is_not_there_is_named(vision, tmp_path):
    with pytest.raises(ValueError, match=r"vision\.backbone: 'ves/standins/nothing' is neither a folder nor"):
        load_backbone(vision.model_copy(update={"backbone": "ves/standins/nothing"}))
    with pytest.raises(ValueError, match=r"vision\.backbone: no \*\.safetensors"):
        load_backbone(vision.model_copy(update={"backbone": str(tmp_path)}))


def _extract(folder: Path, vision: VisionConfig) -> None:
    Corpus(folder).extract(vision)


@pytest.mark.slow
def test_two_processes_take_turns(corpus, vision):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_extract, args=(corpus.images.parent, vision)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert len(open_features(corpus.store)) == 290


def test_what_is_extracted_is_sound(corpus, vision, tmp_path):
    corpus.extract(vision)
    assert verify(corpus.store, corpus.images) == []
    frame = pl.read_parquet(corpus.images)
    frame.with_columns(pl.col("row").reverse()).write_parquet(tmp_path / "reversed.parquet")
    assert "not the image that" in str(verify(corpus.store, tmp_path / "reversed.parquet")[0])


@pytest.mark.parametrize("lost", ["zarr.json", "patch_tokens/zarr.json", "image_id/zarr.json"])
def test_a_lost_description_is_written_again_and_no_shard_with_it(corpus, vision, lost):
    corpus.extract(vision)
    before = corpus.files()
    times = {path: path.stat().st_mtime_ns for path in corpus.store.glob("*/c/**/*") if path.is_file()}
    (corpus.store / lost).unlink()
    corpus.extract(vision)
    assert corpus.files() == before
    assert {path: path.stat().st_mtime_ns for path in times} == times, "no shard was computed again"
