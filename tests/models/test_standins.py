"""The stand-in backbones load like the real ones, are small, and learned from nothing that the corpus holds."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Dinov2Model, HubertModel

from tests.support.checkout import of_project

ROOT = Path(__file__).resolve().parents[2]
STANDINS = ROOT / "ves" / "standins"
LEXICON = ROOT / "ves" / "sources" / "scenes" / "lexicon"

sys.path.append(str(ROOT / "scripts"))  # the scripts are no package of the project
from standins import exemplars, pictures, pseudowords  # noqa: E402  # pyright: ignore[reportMissingImports]
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


def test_together_they_are_below_8_megabytes():
    assert sum(file.stat().st_size for file in of_project("ves/standins", "*")) < 8e6


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


@pytest.mark.parametrize(("side", "patches"), [(140, 100), (168, 144)])
def test_patch_tokens_of_a_picture(dinov2, side, patches):
    with torch.no_grad():
        assert dinov2(torch.randn(2, 3, side, side)).last_hidden_state.shape == (2, 1 + patches, 192)


def test_patch_tokens_keep_colour_and_place(dinov2):
    picture = torch.zeros(1, 3, 140, 140)
    picture[:, 0, :, 70:] = 2.0  # left grey, right red
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
    picture, things, colours = pictures.probe_picture(np.random.default_rng(5), things=12)
    assert picture.shape == (pictures.SIDE, pictures.SIDE, 3)
    assert things.max() <= 12
    assert np.array_equal(things > 0, colours > 0)
    assert 0.02 < (things > 0).mean() < 0.9


def test_ridge_probe_reads_what_is_linear_and_nothing_else():
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (600,))
    tokens = torch.randn(600, 8)
    told = tokens.clone()
    told[torch.arange(600), labels] += 6
    assert ridge_accuracy(told[:400], labels[:400], told[400:], labels[400:]) > 0.97
    assert ridge_accuracy(tokens[:400], labels[:400], tokens[400:], labels[400:]) < 0.5


def test_a_patch_must_name_the_nearest_thing_within_reach():
    places = torch.tensor([[[-0.9, -0.9, 0.3], [0.1, -0.9, 0.3]]])  # centres of the patches at columns 0 and 5, row 0
    drawn = exemplars.Drawn(np.zeros((1, 140, 140, 3), np.uint8), torch.tensor([[7, 11]]), places)
    named = exemplars.thing_at_patch(drawn, torch.tensor([0])).reshape(10, 10)
    assert named[0].tolist() == [7, 7, -100, -100, 11, 11, 11, -100, -100, -100]  # 0.75 x 0.3 reaches one patch, 0.2
    assert named[1].tolist() == [7, -100, -100, -100, -100, 11, -100, -100, -100, -100]
    assert (named[2:] == -100).all()


def test_a_histogram_counts_the_pixels_of_its_patch():
    picture = np.zeros((1, 140, 140, 3), np.uint8)
    picture[0, 14:28, 28:35] = (255, 0, 0)  # half of the patch in row 1, column 2
    picture[0, 14:28, 35:42] = (0, 70, 200)
    shares = exemplars.colour_histogram(picture)
    assert shares.shape == (1, 100, 64)
    assert shares.sum(-1).allclose(torch.ones(1, 100))
    assert shares[0, 12].nonzero().flatten().tolist() == [7, 48]  # (0, 1, 3) and (3, 0, 0) to the base of 4
    assert shares[0, 12, [7, 48]].tolist() == [0.5, 0.5]
    assert shares[0, 0, 0] == 1


def test_the_teacher_s_features_are_standardised_at_each_patch():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    drawn = exemplars.Drawn(
        rng.integers(0, 256, (64, 140, 140, 3), dtype=np.uint8), torch.zeros(64, 1), torch.zeros(64, 1, 3)
    )
    teacher = exemplars.Teacher().eval()
    features = exemplars.targets(teacher, drawn)
    assert features.shape == (64, 100, exemplars.WIDTH)
    slow = teacher(exemplars.to_input(drawn.pictures[:2]))[1, :, 3, 4].detach()
    everywhere = teacher(exemplars.to_input(drawn.pictures)).flatten(2).transpose(1, 2).flatten(0, 1).detach()
    expected = (slow - everywhere.mean(0)) / everywhere.std(0).clamp_min(0.05)
    assert torch.corrcoef(torch.stack([features[1, 34].float(), expected]))[0, 1] > 0.95  # bfloat16
