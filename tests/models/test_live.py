"""Tokens from the pictures are those of the store, and a run that reads them so trains as one that reads the store."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ves.base.files import write_json
from ves.config.experiment import DataPaths, RunConfig
from ves.models.live import LiveFeatures
from ves.models.pictures import open_pictures, records
from ves.store.features_reader import FeatureStore
from ves.training.recipe import differences, recipe
from ves.training.train import train

pytestmark = pytest.mark.numbers


@pytest.fixture(scope="module")
def live_data(tiny, tmp_path_factory) -> DataPaths:
    """The tiny corpus, its features named by the settings of the backbone."""
    config, data = tiny
    settings = tmp_path_factory.mktemp("live") / "features.json"
    write_json(settings, config.vision.model_dump(mode="json"))
    return data.model_copy(update={"features": str(settings), "input": "live"})


def test_tokens_are_those_of_the_store(tiny, live_data: DataPaths) -> None:
    """To the last bit: in another order, with repeats, in batches that are not full and more than one batch."""
    store, live = open_pictures(tiny[1]), open_pictures(live_data)
    assert isinstance(store, FeatureStore) and isinstance(live, LiveFeatures)
    assert (len(live), live.grid, live.width, live.patches) == (len(store), store.grid, store.width, store.patches)
    assert (live.attrs["fit"], live.attrs["image_size"]) == (store.attrs["fit"], store.attrs["image_size"])
    rows = np.random.default_rng(0).integers(0, len(store), 37)
    assert torch.equal(live.read(rows), store.read(rows))
    out = torch.empty(2, live.patches, live.width, dtype=torch.bfloat16)
    assert live.read([7, 7], out) is out and torch.equal(out, store.read([7, 7]))
    assert live.read([]).shape == (0, live.patches, live.width)


def test_what_cannot_be_read_is_said(live_data: DataPaths, tmp_path: Path) -> None:
    live = open_pictures(live_data)
    with pytest.raises(IndexError, match=f"no row {len(live)}, images.parquet has {len(live)}"):
        live.read([0, len(live)])
    copy = tmp_path / "images.parquet"
    copy.write_bytes(Path(live_data.images).read_bytes())
    with pytest.raises(ValueError, match="no ingested pictures here, which `train.features: live` and `pixels` read"):
        LiveFeatures(Path(live_data.features), copy)
    write_json(tmp_path / "bad.json", {"backbone": "x"})
    with pytest.raises(ValueError, match="bad.json: .*image_size"):
        open_pictures(live_data.model_copy(update={"features": str(tmp_path / "bad.json")}))


def live_run(make, name: str, data: DataPaths, **changes) -> Path:
    run = make(name, **changes)
    config = RunConfig.model_validate_json((run / "config.json").read_text())
    (run / "config.json").write_text(config.model_copy(update={"data": data}).model_dump_json())
    return run


def test_a_run_trains_as_from_the_store(tiny_run, live_data: DataPaths, caplog) -> None:
    caplog.set_level("INFO")
    stored = tiny_run("stored", epochs=0.2, precision="fp32")
    live = live_run(tiny_run, "live", live_data, epochs=0.2, precision="fp32", features="live")
    train(stored)
    train(live)
    assert (live / "model.safetensors").read_bytes() == (stored / "model.safetensors").read_bytes()
    assert "features: live: " in caplog.text and "as every step will take" in caplog.text


def test_other_settings_of_the_backbone_are_another_training(tiny, tiny_run, live_data: DataPaths, tmp_path) -> None:
    """The settings and the local weights are named by their content."""
    run = live_run(tiny_run, "live", live_data, features="live")
    config = RunConfig.model_validate_json((run / "config.json").read_text())
    settings, *weights = records(live_data)
    assert settings == Path(live_data.features) and [path.suffix for path in weights] == [".safetensors"]
    write_json(tmp_path / "padded.json", tiny[0].vision.model_dump(mode="json") | {"fit": "pad"})
    padded = live_data.model_copy(update={"features": str(tmp_path / "padded.json")})
    (line,) = differences(recipe(config), recipe(config.model_copy(update={"data": padded})))
    assert line == "data.features: content changed"
