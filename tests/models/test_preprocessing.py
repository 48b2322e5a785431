"""Pictures are normalised as the backbone's own processor does it, and nothing about it is guessed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    BeitImageProcessorPil,
    BitImageProcessorPil,
    CLIPImageProcessorPil,
    EfficientNetImageProcessorPil,
    ViTImageProcessorPil,
)

from tests.support.backbones import SPEECH, preprocessor, speech_model, vision_config, vision_model
from tests.support.features import Corpus
from ves.base.files import write_json
from ves.media.images import decode, pixels
from ves.media.normalisation import IMAGENET, Normalisation
from ves.models import preprocessing
from ves.store.features_reader import open_features

pytestmark = pytest.mark.numbers

OWN = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}


def own(processor: Any, square: Image.Image) -> np.ndarray:
    """What transformers makes of a square that has its size already."""
    return processor(square, do_resize=False, do_center_crop=False, return_tensors="np")["pixel_values"][0]


@pytest.mark.parametrize(
    "processor",
    [
        *(CLIPImageProcessorPil(), ViTImageProcessorPil(), BeitImageProcessorPil()),
        BitImageProcessorPil(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]),
        ViTImageProcessorPil(do_normalize=False),
        ViTImageProcessorPil(rescale_factor=1 / 127.5),
        ViTImageProcessorPil(do_rescale=False, image_mean=[127.5] * 3, image_std=[64.0, 32.0, 16.0]),
        EfficientNetImageProcessorPil(image_mean=[0.485, 0.456, 0.406], image_std=[0.4785, 0.4732, 0.4743]),
        EfficientNetImageProcessorPil(include_top=False, rescale_offset=True, rescale_factor=1 / 127.5),
        EfficientNetImageProcessorPil(do_normalize=False),
    ],
    ids=[
        *("CLIP", "ViT", "BEiT", "DINOv2", "not normalised", "rescaled to 0 to 2", "not rescaled"),
        *("EfficientNet divides twice", "EfficientNet, offset", "EfficientNet divides only"),
    ],
)
def test_pixels_are_those_of_the_own_processor(processor: Any, tmp_path: Path) -> None:
    square = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8))
    processor.save_pretrained(tmp_path)
    found = preprocessing.of_pictures(tmp_path)
    np.testing.assert_allclose(pixels(square, found), own(processor, square), rtol=1e-5, atol=1e-5)


def test_features_of_a_clip_backbone_are_of_its_own_pixels_and_say_so(tmp_path: Path) -> None:
    model, processor = vision_model("clip_vision_model"), CLIPImageProcessorPil()
    for saved in (model, processor):
        saved.save_pretrained(tmp_path / "clip")
    corpus = Corpus(tmp_path)
    corpus.add("images/train-00000-of-00001", 3)
    corpus.extract(vision_config(tmp_path / "clip"))
    store = open_features(corpus.store)
    normalisation = store.attrs["normalisation"]
    assert tuple(normalisation["mean"]) == tuple(processor.image_mean)
    assert tuple(normalisation["std"]) == tuple(processor.image_std)
    for row in range(3):
        square = decode(corpus.contents[row]).resize((16, 16), Image.Resampling.BICUBIC)
        with torch.no_grad():
            expected = model(torch.from_numpy(own(processor, square))[None]).last_hidden_state[0, 1:]
        assert (store.read([row])[0].float() - expected).abs().max() < 0.03 * expected.abs().max()
    preprocessor(tmp_path / "clip", **OWN)
    with pytest.raises(ValueError, match=r"made with normalisation .*, now .*0\.27.*; delete it to extract anew"):
        corpus.extract(vision_config(tmp_path / "clip"))


def test_without_the_file_a_dino_has_imagenet_s_and_no_other_is_guessed(tmp_path: Path) -> None:
    vision_model("dinov3_vit").save_pretrained(tmp_path / "dino")
    assert preprocessing.of_pictures(tmp_path / "dino") == IMAGENET
    for kind in ("clip_vision_model", "vit", "beit"):
        vision_model(kind).save_pretrained(tmp_path / kind)
        with pytest.raises(ValueError, match=rf"{kind}: no preprocessor_config\.json, .* for a {kind}; copy"):
            preprocessing.of_pictures(tmp_path / kind)


def test_a_processor_of_several_models_has_the_settings_too(tmp_path: Path) -> None:
    write_json(
        tmp_path / "processor_config.json", {"image_processor": OWN, "feature_extractor": {"do_normalize": True}}
    )
    assert preprocessing.of_pictures(tmp_path) == Normalisation((0.48, 0.46, 0.41), (0.27, 0.26, 0.28))
    assert preprocessing.of_sound(tmp_path)
    preprocessor(tmp_path, **OWN | {"image_mean": 0.5}, do_normalize=True)  # that of the model alone comes first
    assert preprocessing.of_pictures(tmp_path).mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_std": [1, 1, 1]}, "no image_mean"),
        (OWN | {"image_mean": [0.5, 0.5]}, r"image_mean: \[0.5, 0.5\] is not 3 numbers"),
        (OWN | {"image_mean": "0.5"}, "image_mean: '0.5' is not 3 numbers"),
        (OWN | {"image_std": [0.1, 0, 0.1]}, r"image_std: \[0.1, 0.0, 0.1\] are not all above 0"),
        (OWN | {"rescale_factor": "1/255"}, "rescale_factor: '1/255' is not 1 number"),
        (OWN | {"do_normalize": "yes"}, "do_normalize: 'yes' is neither true nor false"),
    ],
)
def test_settings_that_say_nothing_are_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    preprocessor(tmp_path, **settings)
    with pytest.raises(ValueError, match=rf"preprocessor_config\.json: {message}"):
        preprocessing.of_pictures(tmp_path)


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "preprocessor_config.json", [1])
    for read in (preprocessing.of_pictures, preprocessing.of_sound):
        with pytest.raises(ValueError, match=r"preprocessor_config\.json: not the settings of a preprocessor"):
            read(tmp_path)


def test_sound_is_normalised_where_the_file_says_so(tmp_path: Path) -> None:
    for settings, expected in (({}, True), ({"do_normalize": True}, True), ({"do_normalize": False}, False)):
        preprocessor(tmp_path, sampling_rate=16_000, **settings)
        assert preprocessing.of_sound(tmp_path) is expected


@pytest.mark.parametrize("kind", [kind for kind in SPEECH if "layer" in SPEECH[kind][1].values()])
def test_without_the_file_a_layer_norm_is_not_guessed_about(kind: str, tmp_path: Path) -> None:
    speech_model(kind).save_pretrained(tmp_path / "speech")
    with pytest.raises(ValueError, match=r"speech: no preprocessor_config\.json, .*; copy the file of the published"):
        preprocessing.of_sound(tmp_path / "speech")


@pytest.mark.parametrize("kind", [kind for kind in SPEECH if "layer" not in SPEECH[kind][1].values()])
def test_without_the_file_a_group_norm_takes_any_loudness(kind: str, tmp_path: Path) -> None:
    (model := speech_model(kind)).save_pretrained(tmp_path)
    assert not preprocessing.of_sound(tmp_path)
    waveform = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3200)).astype(np.float32))
    with torch.no_grad():
        peak, variance = (model(scale * waveform).last_hidden_state for scale in (1 / waveform.abs().max(), 1))
    torch.testing.assert_close(peak, variance, rtol=1e-3, atol=1e-3)


def test_the_stand_in_takes_clips_with_a_peak_of_1() -> None:
    assert not preprocessing.of_sound(Path("ves/standins/hubert-scenes"))
