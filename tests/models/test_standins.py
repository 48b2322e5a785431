"""The stand-in backbones load like the real ones, are small, and learned from nothing that the corpus holds."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from transformers import Dinov2Model, EfficientNetModel, HubertModel

from tests.support.checkout import of_project
from ves.media.normalisation import IMAGENET
from ves.models.preprocessing import of_pictures
from ves.sources.sounding.sounds import SOUNDING

ROOT = Path(__file__).resolve().parents[2]
STANDINS = ROOT / "ves" / "standins"
LEXICON = ROOT / "ves" / "sources" / "scenes" / "lexicon"

sys.path.append(str(ROOT / "scripts"))  # the scripts are no package of the project
import efficientnet_lite  # noqa: E402  # pyright: ignore[reportMissingImports]
from standins import collages, emoji, imagenet, noises, pictures, pseudowords, teacher, vision  # noqa: E402  # pyright: ignore[reportMissingImports]
from standins.probe import ridge_accuracy  # noqa: E402  # pyright: ignore[reportMissingImports]

pytestmark = pytest.mark.numbers


@pytest.fixture(scope="module")
def hubert():
    return HubertModel.from_pretrained(STANDINS / "hubert-scenes", dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def dinov2():
    return Dinov2Model.from_pretrained(STANDINS / "dinov2-scenes", dtype=torch.float32).eval()


def frames(model, waveform, valid):
    mask = (torch.arange(waveform.shape[1]) < torch.tensor(valid)[:, None]).long()
    with torch.no_grad():
        return model(waveform, attention_mask=mask).last_hidden_state


def test_together_they_are_below_15_megabytes():
    """A checkout stays small: 7 MB of these are the network of photographs, which nothing smaller replaced."""
    assert sum(file.stat().st_size for file in of_project("ves/standins", "*")) < 15e6


def test_the_network_of_photographs_is_what_its_authors_ship():
    made = json.loads((STANDINS / "efficientnet-lite0" / "made.json").read_text("utf-8"))
    assert made["largest_difference"] < 1e-4
    assert made["relative_error_in_half_precision"] < 0.01
    assert of_pictures(STANDINS / "efficientnet-lite0") == IMAGENET


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("_conv_stem.weight", "embeddings.convolution.weight"),
        ("_blocks.3._bn1.running_var", "encoder.blocks.3.depthwise_conv.depthwise_norm.running_var"),
        ("_bn1.bias", "encoder.top_bn.bias"),
        ("_fc.weight", None),
    ],
)
def test_names_of_the_network_of_photographs(theirs, ours):
    assert efficientnet_lite.renamed(theirs) == ours


def test_gates_of_the_network_of_photographs_are_open():
    """It has no squeeze-and-excitation; transformers' class has, and must pass everything."""
    network = EfficientNetModel.from_pretrained(STANDINS / "efficientnet-lite0", dtype=torch.float32).eval()
    channels = torch.rand(1, 96, 4, 4, generator=torch.Generator().manual_seed(0))
    gate: Any = network.encoder.blocks[1].squeeze_excite
    assert torch.equal(gate(channels), channels)


def test_five_seconds_are_124_frames(hubert):
    assert frames(hubert, torch.randn(2, 80_000), [80_000, 40_000]).shape == (2, 124, 128)
    assert hubert.config.conv_stride == [20, 8, 4]
    assert hubert.config.conv_kernel == [40, 16, 4]


def test_nothing_random_is_left_in_the_audio_one(hubert):
    assert not any(getattr(hubert.config, name) for name in ("mask_time_prob", "mask_feature_prob", "layerdrop"))
    waveform = torch.randn(1, 80_000)
    hubert.train()
    first, second = frames(hubert, waveform, [80_000]), frames(hubert, waveform, [80_000])
    hubert.eval()
    assert torch.equal(first, second)


def test_amount_of_padding_changes_no_valid_frame(hubert):
    speech = torch.randn(1, 40_000)
    short = frames(hubert, torch.nn.functional.pad(speech, (0, 10_000)), [40_000])
    long = frames(hubert, torch.nn.functional.pad(speech, (0, 40_000)), [40_000])
    whole = 61  # frames i with 640 i + 820 <= 40,000
    torch.testing.assert_close(short[:, :whole], long[:, :whole], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("side", "patches"), [(200, 100), (240, 144)])
def test_patch_tokens_of_a_picture(dinov2, side, patches):
    with torch.no_grad():
        assert dinov2(torch.randn(2, 3, side, side)).last_hidden_state.shape == (2, 1 + patches, 192)


def test_patch_tokens_keep_colour_and_place(dinov2):
    picture = torch.zeros(1, 3, 200, 200)
    picture[:, 0, :, 100:] = 2.0  # left grey, right red
    with torch.no_grad():
        tokens = dinov2(picture).last_hidden_state[0, 1:].unflatten(0, (10, 10))
    left, right = tokens[5, 1], tokens[5, 8]
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(left, tokens[5, 2], dim=0) > cosine(left, right, dim=0) + 0.1


def test_pretraining_was_worth_it():
    of_speech = json.loads((STANDINS / "hubert-scenes" / "made.json").read_text("utf-8"))["measured"]
    assert of_speech["frame_accuracy"]["phoneme_frames"] > 0.8
    assert of_speech["linear_probe_trained"] > of_speech["linear_probe_untrained"] + 0.4
    of_vision = json.loads((STANDINS / "dinov2-scenes" / "made.json").read_text("utf-8"))["measured"]
    trained, untrained = of_vision["linear_probe_trained"], of_vision["linear_probe_untrained"]
    assert trained["thing"] > untrained["thing"] + 0.3
    assert trained["colour"] > untrained["colour"]  # which the weights that it starts from nearly give already


def test_lexicon_words_are_found_whatever_the_shape_of_the_table(tmp_path):
    (tmp_path / "xx.yaml").write_text("a: {m: लाल, f: नीली}\nb: [{word: Ball, also: [दो शब्द]}]\n", "utf-8")
    assert pseudowords.lexicon_words(tmp_path) >= {"लाल", "नीली", "ball", "दो", "शब्द"}
    with pytest.raises(FileNotFoundError, match="no lexicon"):
        pseudowords.lexicon_words(tmp_path / "nowhere")


@pytest.mark.parametrize("voice", pseudowords.VOICES)
def test_pseudo_words_are_no_words_of_the_corpus(voice):
    forbidden = pseudowords.lexicon_words(LEXICON)
    assert {"लाल", "ball"} <= forbidden
    rng = np.random.default_rng(3)
    words = {word.rstrip(",") for _ in range(40) for word in pseudowords.sentence(voice, 8, forbidden, rng).split()}
    assert len(words) > 200
    assert not words & forbidden


def test_a_forbidden_word_is_drawn_again():
    rng = np.random.default_rng(0)
    common = {pseudowords.pseudo_word("hi", (), rng) for _ in range(2000)}
    rng = np.random.default_rng(0)
    assert not common & {pseudowords.pseudo_word("hi", common, rng) for _ in range(300)}


def test_probe_labels_are_where_the_things_are():
    picture, colours = pictures.probe_picture(np.random.default_rng(5))
    assert picture.shape == (pictures.SIDE, pictures.SIDE, 3)
    assert 0 < colours.max() <= len(pictures.PROBE_COLOURS)
    assert 0.02 < (colours > 0).mean() < 0.9


def test_ridge_probe_reads_what_is_linear_and_nothing_else():
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (600,))
    tokens = torch.randn(600, 8)
    told = tokens.clone()
    told[torch.arange(600), labels] += 6
    assert ridge_accuracy(told[:400], labels[:400], told[400:], labels[400:]) > 0.97
    assert ridge_accuracy(tokens[:400], labels[:400], tokens[400:], labels[400:]) < 0.5


def test_a_patch_is_named_after_what_covers_most_of_it():
    owner = np.zeros((1, 280, 280), np.uint16)
    owner[0, :28, :28] = 7  # the first patch, of 28 pixels here
    owner[0, :28, 28:46] = 11  # 18 of 28 columns of the second
    owner[0, :28, 56:72] = 11  # 16 of 28 of the third: less than MOSTLY
    assert vision._labels(owner)[0, :4].tolist() == [7, 11, 0, 0]


def test_a_histogram_counts_the_pixels_of_its_patch():
    picture = np.zeros((1, 200, 200, 3), np.uint8)
    picture[0, 20:40, 40:50] = (255, 0, 0)  # half of the patch in row 1, column 2
    picture[0, 20:40, 50:60] = (0, 70, 200)
    shares = vision.colour_histogram(torch.from_numpy(picture))
    assert shares.shape == (1, 100, 64)
    assert shares.sum(-1).allclose(torch.ones(1, 100))
    assert shares[0, 12].nonzero().flatten().tolist() == [7, 48]  # (0, 1, 3) and (3, 0, 0) to the base of 4
    assert shares[0, 12, [7, 48]].tolist() == [0.5, 0.5]
    assert shares[0, 0, 0] == 1


@pytest.fixture(scope="module")
def cut_outs():
    """A red disc and a blue square."""
    disc, square = Image.new("RGBA", (40, 40)), Image.new("RGBA", (40, 20), (20, 20, 230, 255))
    ImageDraw.Draw(disc).ellipse((0, 0, 39, 39), (230, 20, 20, 255))
    return [disc, square]


def test_a_collage_says_what_is_seen_where(cut_outs):
    seen = set()
    for number in range(8):
        picture, owner = collages.collage(0, number, cut_outs, 200)
        assert picture.shape == (200, 200, 3)
        assert owner.shape == (200, 200)
        for index in np.unique(owner[owner > 0]):
            seen.add(int(index))
            mean, ground = (picture[part].mean(0) for part in (owner == index, owner == 0))
            assert np.abs(mean - ground).max() > 10, "a thing is seen where its owner says"
    assert seen == {1, 2}
    first, again = (collages.collage(3, 1, cut_outs, 64) for _ in range(2))
    assert np.array_equal(first[0], again[0])


def test_the_stand_in_learns_from_no_kind_of_the_corpus(tmp_path):
    """A folder like the package's: those of the corpus, kin by keyword, tones of skin and flags are left out."""
    assets, annotations = tmp_path / "assets", tmp_path / "annotations" / "en"
    assets.mkdir()
    annotations.mkdir(parents=True)
    said = {"🚗": ("automobile", ["car"]), "🏎": ("racing car", ["race"]), "🚙": ("sport vehicle", ["car"])}
    said |= {"🦁": ("lion", ["face"]), "👋🏽": ("hand", ["wave"]), "🇮🇳": ("flag", ["flag"]), "🧱": ("brick", ["clay"])}
    table = {sign: {"default": words, "tts": [name]} for sign, (name, words) in said.items()}
    (annotations / "annotations.json").write_text(json.dumps({"annotations": {"annotations": table}}), "utf-8")
    for sign in said:
        code = "-".join(f"{ord(part):x}" for part in sign)
        side = 40 if sign == "🦁" else 60
        Image.new("RGBA", (side, side), (200, 100, 50, 255)).save(assets / f"{code}.webp", lossless=True)
    assert sorted(picture.size for picture in emoji.other_emoji(tmp_path, tmp_path)) == [(40, 40), (60, 60)]


class _Mean(torch.nn.Module):
    """In place of the network: each channel of a patch is its mean colour, scaled and moved."""

    def forward(self, pictures):
        pooled = torch.nn.functional.adaptive_avg_pool2d(pictures, 10).flatten(2).transpose(1, 2)
        return (pooled * 3 + 1).repeat(1, 1, 107)[..., : teacher.WIDTH]


def test_taught_features_are_those_of_the_picture_and_standardised(cut_outs):
    shown, features = teacher.taught(_Mean(), 40, 5, cut_outs)
    assert shown.shape == (40, 200, 200, 3)
    assert features.shape == (40, 100, teacher.WIDTH)
    assert features.float().mean((0, 1)).abs().max() < 0.02
    assert (features.float().std((0, 1)) - 1).abs().max() < 0.02
    mean = torch.nn.functional.adaptive_avg_pool2d(imagenet.to_input(torch.from_numpy(shown)), 10)
    of_patch = torch.stack([mean[:, 0].flatten(), features[..., 0].float().flatten()])
    assert torch.corrcoef(of_patch)[0, 1] > 0.99, "a picture and its features stand in the same row"


def test_the_one_that_has_heard_sounds_heard_none_of_the_corpus():
    made = json.loads((STANDINS / "hubert-sounds" / "made.json").read_text("utf-8"))
    kinds = set(made["heard"]) | set(made["kept_back"])
    assert set(noises.KINDS) == kinds and not set(made["heard"]) & set(made["kept_back"])
    assert not kinds & set(SOUNDING)
    assert made["after"]["sounds_kept_back_probe"] >= made["before"]["sounds_kept_back_probe"] > 0.9
    assert made["after"]["phoneme_probe"] > 0.9 * made["before"]["phoneme_probe"], "speech is not forgotten"


@pytest.mark.parametrize("kind", sorted(noises.KINDS))
def test_a_sound_that_it_hears_has_the_length_and_loudness_asked_for(kind):
    waves = [noises.take(kind, np.random.default_rng(seed), 1.5) for seed in (1, 1, 2)]
    assert all(len(wave) == 24_000 and np.isfinite(wave).all() for wave in waves)
    assert np.sqrt(np.mean(waves[0] ** 2)) == pytest.approx(1)
    assert np.array_equal(waves[0], waves[1]) and not np.array_equal(waves[0], waves[2])


def test_it_is_the_same_network_as_the_one_of_speech_with_other_weights():
    one, other = (
        HubertModel.from_pretrained(STANDINS / name, dtype=torch.float32).state_dict()
        for name in ("hubert-scenes", "hubert-sounds")
    )
    assert {name: tensor.shape for name, tensor in one.items()} == {
        name: tensor.shape for name, tensor in other.items()
    }
    assert any(not torch.equal(tensor, other[name]) for name, tensor in one.items())
