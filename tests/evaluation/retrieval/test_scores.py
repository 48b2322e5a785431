"""Scores of all pairs: what blocks, lengths and pieces change (nothing), and what a killed process leaves behind."""

import logging

import numpy as np
import pytest
import torch

from tests.support.embeddings import random_embeddings
from ves.evaluation.retrieval import scores
from ves.evaluation.retrieval.scores import all_pairs, forget
from ves.similarity import pairwise
from ves.similarity.pairwise import score

pytestmark = pytest.mark.numbers


@pytest.mark.parametrize("name", ["max_mean", "mean_mean", "mean_max"])
def test_cutting_and_grouping_clips_changes_no_score(name, tmp_path, monkeypatch):
    """More clips than one group, of many lengths, one with a gap before its last token and one with no token at all."""
    stored = random_embeddings(75, 40)
    stored.audio_mask[7] = False
    stored.audio_mask[8] = torch.arange(10) % 3 == 0
    whole = score({name: 1.0}, stored.audio_tokens.float(), stored.audio_mask, stored.image_tokens.float())
    torch.testing.assert_close(all_pairs(name, stored, tmp_path / "a", []), whole)
    for changes in ({"CLIPS": 7, "BLOCK": 21}, {"IMAGES": 9}, {"CLIPS": 1, "BLOCK": 1, "IMAGES": 1}):
        for constant, value in changes.items():
            monkeypatch.setattr(scores, constant, value)
        torch.testing.assert_close(all_pairs(name, stored, tmp_path / str(changes), []), whole)


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_killed_scoring_goes_on(tmp_path, monkeypatch):
    """Of four blocks two are written when it is killed: the next process makes the other two, and all are the same."""
    monkeypatch.setattr(scores, "BLOCK", 8)
    stored = random_embeddings(32, 12)
    expected = all_pairs("max_mean", stored, tmp_path / "other", [b"manifest"])
    made, real = [], scores._block

    def count_call(name, stored, rows, lengths, device):
        if len(made) == 2:
            raise Killed
        made.append(len(rows))
        return real(name, stored, rows, lengths, device)

    monkeypatch.setattr(scores, "_block", count_call)
    with pytest.raises(Killed):
        all_pairs("max_mean", stored, tmp_path / "blocks", [b"manifest"])
    made.clear()
    assert torch.equal(all_pairs("max_mean", stored, tmp_path / "blocks", [b"manifest"]), expected)
    assert made == [8, 8]
    made.clear()
    assert torch.equal(all_pairs("max_mean", stored, tmp_path / "blocks", [b"manifest"]), expected)
    assert made == []
    forget(tmp_path / "blocks")
    assert not (tmp_path / "blocks").exists()


def test_blocks_of_other_embeddings_or_code_are_not_taken(tmp_path, monkeypatch):
    first, other = random_embeddings(10, 6), random_embeddings(10, 6, seed=1)
    before = all_pairs("max_mean", first, tmp_path, [b"first"])
    pooled = all_pairs("mean_mean", first, tmp_path, [b"first"])
    folders = {path.name for path in tmp_path.iterdir()}
    after = all_pairs("max_mean", other, tmp_path, [b"other"])
    assert not torch.equal(before, after)
    assert len({path.name for path in tmp_path.iterdir()} & folders) == 1, "those of mean_mean stay, of max_mean go"
    assert torch.equal(all_pairs("mean_mean", first, tmp_path, [b"first"]), pooled)
    edited = tmp_path / "edited.py"
    edited.write_bytes(b"# other code")
    own = scores._identity("max_mean", [])
    monkeypatch.setattr(pairwise, "__file__", str(edited))
    assert scores._identity("max_mean", []) != own


def test_a_damaged_block_is_made_again(tmp_path, caplog):
    stored = random_embeddings(10, 6)
    expected = all_pairs("max_mean", stored, tmp_path, [])
    (block,) = tmp_path.rglob("*.npy")
    for damage in (b"", b"\x93NUMPY\x01\x00 not a header", block.read_bytes()[:-9]):
        block.write_bytes(damage)
        with caplog.at_level(logging.WARNING):
            assert torch.equal(all_pairs("max_mean", stored, tmp_path, []), expected)
        assert "made again" in caplog.text
    np.save(block, np.zeros((3, 3), np.float32))  # whole, but of another size
    assert torch.equal(all_pairs("max_mean", stored, tmp_path, []), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_gpu_gives_the_same_scores(tmp_path, monkeypatch):
    stored = random_embeddings(70, 40)
    found = all_pairs("max_mean", stored, tmp_path / "gpu", [])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    torch.testing.assert_close(found, all_pairs("max_mean", stored, tmp_path / "cpu", []), atol=1e-5, rtol=0)
