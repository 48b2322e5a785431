"""The optional array of class tokens: what the backbone makes, found with its patch tokens, and damage found too."""

from pathlib import Path

import numpy as np
import pytest
import tensorstore
import torch
import zarr

from tests.support.backbones import vision_config
from tests.support.features import Corpus, save_backbone
from ves.config.experiment import VisionConfig, features_name
from ves.models.features import listed, squares
from ves.models.preprocessing import of_pictures
from ves.models.vision import load_backbone
from ves.store.features_layout import class_path
from ves.store.features_reader import open_features
from ves.store.features_writer import intact
from ves.store.shard_format import BadStore
from ves.store.verify.features import verify_features

ROWS = 10


@pytest.fixture(scope="module")
def vision(tmp_path_factory) -> VisionConfig:
    folder = tmp_path_factory.mktemp("backbones") / "tiny-dinov2"
    save_backbone(folder)
    return vision_config(folder, image_size=16, batch_size=3, class_token=True)


@pytest.fixture
def corpus(tmp_path, monkeypatch, vision) -> Corpus:
    """Ten pictures in three shards, extracted by two jobs."""
    monkeypatch.setattr("ves.store.features_layout.SHARD_ROWS", 4)
    made = Corpus(tmp_path)
    made.add("images/train-00000-of-00001", ROWS)
    made.extract(vision, 2)
    return made


def expected(corpus: Corpus, vision: VisionConfig) -> torch.Tensor:
    """The class token of every picture by the backbone itself, row by row."""
    model = load_backbone(vision)
    frame, made = listed(corpus.images), []
    normalisation = of_pictures(Path(vision.backbone))
    for row in range(ROWS):
        square = torch.from_numpy(squares(frame[[row]], corpus.pictures, vision, normalisation))
        with torch.inference_mode():
            made.append(model(pixel_values=square).last_hidden_state[0, 0])
    return torch.stack(made)


def faults(corpus: Corpus) -> list[str]:
    return [f"{fault.file.name}: {fault.what}" for fault in verify_features(corpus.store, corpus.images, 1)]


def test_it_is_the_token_that_the_backbone_puts_first(corpus, vision):
    store = open_features(corpus.store)
    rows = [7, 0, 0, 9]
    torch.testing.assert_close(store.class_tokens(rows).float(), expected(corpus, vision)[rows], atol=0.03, rtol=0.03)
    assert store.class_tokens([]).shape == (0, store.width)
    with pytest.raises(IndexError, match="no row 10, it has 10"):
        store.class_tokens([10])


def test_patch_tokens_are_those_of_a_store_without(corpus, vision, tmp_path):
    plain = vision.model_copy(update={"class_token": False})
    assert features_name(vision) == f"{features_name(plain)}-class"
    with_class, before = open_features(corpus.store), corpus.files()
    corpus.store, corpus.manifest = tmp_path / "plain.zarr", tmp_path / "plain.zarr.manifest.json"
    corpus.extract(plain)
    without = open_features(corpus.store)
    assert torch.equal(with_class.read(range(ROWS)), without.read(range(ROWS)))
    assert "class_token" not in without.attrs and not any("class_token" in file for file in corpus.files())
    assert any("class_token" in file for file in before)
    with pytest.raises(BadStore, match=r"has no class tokens; set vision\.class_token: true"):
        without.class_tokens([0])


def test_other_readers_read_it(corpus):
    ours = open_features(corpus.store).class_tokens(range(ROWS)).float().numpy()
    theirs = np.asarray(zarr.open_array(corpus.store / "class_token", mode="r")[:])
    assert np.array_equal(theirs.astype(np.float32), ours)
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(corpus.store / "class_token")}}
    assert np.array_equal(tensorstore.open(spec).result().read().result().astype(np.float32), ours)


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "of another shard", "zeros"])
def test_damage_is_found_and_repaired(corpus, vision, damage):
    assert faults(corpus) == []
    path, whole = class_path(corpus.store, 1), class_path(corpus.store, 1).read_bytes()
    if damage == "flip":
        path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    elif damage == "cut":
        path.write_bytes(whole[:-30])
    elif damage == "delete":
        path.unlink()
    elif damage == "of another shard":
        path.write_bytes(class_path(corpus.store, 0).read_bytes())
    else:
        path.write_bytes(bytes(len(whole)))
    assert faults(corpus)
    with pytest.raises(BadStore, match=r"class_token.*1"):
        open_features(corpus.store).class_tokens(range(ROWS))
    ids = open_features(corpus.store).image_ids
    store = open_features(corpus.store)
    assert not intact(corpus.store, 1, ids[4:8], store.patches, store.width)
    corpus.extract(vision)
    assert faults(corpus) == [] and path.read_bytes() == whole


def test_a_store_that_lost_the_array_says_so(corpus):
    (corpus.store / "class_token" / "zarr.json").unlink()
    with pytest.raises(BadStore, match="missing; run the features stage again"):
        open_features(corpus.store).class_tokens([0])
    assert any("zarr.json" in fault for fault in faults(corpus))


def test_a_network_without_one_is_refused_before_anything_is_written(corpus, vision, tmp_path):
    """Of one on the hub, no check of the configuration could know it."""
    other = vision.model_copy(update={"backbone": "ves/standins/efficientnet-lite0", "image_size": 32})
    corpus.store = tmp_path / "other.zarr"
    with pytest.raises(ValueError, match=r"vision\.class_token: .* is of the type efficientnet, which has none"):
        corpus.extract(other)
    assert not corpus.store.exists()
