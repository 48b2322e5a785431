"""Ranks and what is made of them, against loops, numbers checkable by eye, and simulated chance."""

import json
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stored import embeddings, random_embeddings

from ves import retrieval
from ves.embeddings import write
from ves.retrieval import all_pairs, both_directions, chance, pairs_digest, ranks, summary, ties
from ves.similarity import score

BY_EYE = torch.tensor(
    [
        [0.9, 0.1, 0.2, 0.3],  # clip 0 -> image 0: first
        [0.8, 0.4, 0.5, 0.1],  # clip 1 -> image 1: behind 0.8 and 0.5, third
        [0.7, 0.7, 0.7, 0.7],  # clip 2 -> image 2: ties with three, so first, or last when ties go against it
        [0.6, 0.5, 0.4, 0.3],  # clip 3 -> image 3: last
    ]
)


def slow_rank(scores: list[float], right: list[bool]) -> int:
    best = max(s for s, r in zip(scores, right, strict=True) if r)
    return 1 + sum(1 for s in scores if s > best)


def slow_ties(scores: list[float], right: list[bool]) -> int:
    best = max(s for s, r in zip(scores, right, strict=True) if r)
    return sum(1 for s, r in zip(scores, right, strict=True) if not r and s == best)


def test_ranks_by_eye():
    right = torch.eye(4, dtype=torch.bool)
    assert ranks(BY_EYE, right).tolist() == [1, 3, 1, 4]
    assert ties(BY_EYE, right).tolist() == [0, 0, 3, 0]
    assert ranks(BY_EYE.T, right).tolist() == [1, 3, 1, 2], "columns: 0.4 is behind 0.7 and 0.5, and 0.3 behind 0.7"
    assert ties(BY_EYE.T, right).tolist() == [0, 0, 0, 1]


def test_the_report_by_eye():
    report = both_directions(BY_EYE, torch.arange(4))
    assert report["A2V"] == {
        "R@1": 50.0, "R@5": 100.0, "R@10": 100.0, "R@50": 100.0, "mean_rank": 2.25, "median_rank": 2.0, "n": 4,
        "gallery": 4, "queries_with_ties": 1, "pessimistic_median_rank": 3.5,
    }  # fmt: skip
    assert report["V2A"]["mean_rank"] == 7 / 4
    assert report["V2A"]["median_rank"] == 1.5
    assert report["V2A"]["pessimistic_median_rank"] == 2.0, "ranks 1 3 1 2 with one tie of the last: 1 3 1 3"


def test_any_clip_of_the_right_image_counts():
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.7], [0.3, 0.2]])  # clips 0 and 1 show image 0, clip 2 image 1
    report = both_directions(scores, torch.tensor([0, 0, 1]))
    assert report["A2V"]["n"] == 3
    assert report["A2V"]["gallery"] == 2
    assert report["A2V"]["mean_rank"] == (2 + 1 + 2) / 3
    assert report["V2A"]["n"] == 2
    assert report["V2A"]["gallery"] == 3
    assert report["V2A"]["mean_rank"] == (1 + 3) / 2, "image 0 finds clip 1 first; image 1 finds its clip last"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 10**6))
def test_ranks_and_ties_equal_loops(queries, gallery, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (queries, gallery)).astype(np.float32)  # few values, so that many tie
    right = rng.random((queries, gallery)) < 0.4
    right[np.arange(queries), rng.integers(0, gallery, queries)] = True
    given_scores, given_right = torch.from_numpy(scores), torch.from_numpy(right)
    assert ranks(given_scores, given_right).tolist() == [slow_rank(*row) for row in zip(scores, right, strict=True)]
    assert ties(given_scores, given_right).tolist() == [slow_ties(*row) for row in zip(scores, right, strict=True)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=9))
def test_summary_equals_plain_python(found):
    report = summary(torch.tensor(found))
    for k in (1, 5, 10, 50):
        assert report[f"R@{k}"] == pytest.approx(100 * sum(rank <= k for rank in found) / len(found))
    assert report["mean_rank"] == pytest.approx(statistics.mean(found))
    assert report["median_rank"] == statistics.median(found)
    assert report["n"] == len(found)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_do_not_depend_on_the_order_of_rows(seed):
    rng = np.random.default_rng(seed)
    scores, image = torch.from_numpy(rng.integers(0, 9, (12, 5)).astype(np.float32)), torch.arange(12) % 5
    clips, images = torch.from_numpy(rng.permutation(12)), torch.from_numpy(rng.permutation(5))
    moved = both_directions(scores[clips][:, images], images.argsort()[image[clips]])
    assert moved == both_directions(scores, image)


@pytest.mark.parametrize("n", [1, 4, 7, 60])
def test_chance_is_what_random_scores_give(n):
    """20,000 queries against random galleries: every number within five standard errors."""
    found = torch.randint(1, n + 1, (20_000,), generator=torch.Generator().manual_seed(n))
    simulated, exact = summary(found), chance(n)
    for k in (1, 5, 10, 50):
        assert simulated[f"R@{k}"] == pytest.approx(exact[f"R@{k}"], abs=5 * 100 * 0.5 / 20_000**0.5)
    assert simulated["mean_rank"] == pytest.approx(exact["mean_rank"], abs=5 * n / 12**0.5 / 20_000**0.5)
    assert simulated["median_rank"] == pytest.approx(exact["median_rank"], abs=max(0.5, 5 * n / 2 / 20_000**0.5))
    assert exact["n"] == n


def test_chance_through_ranks_of_random_scores():
    scores = torch.rand(400, 400, generator=torch.Generator().manual_seed(1))
    found, exact = both_directions(scores, torch.arange(400))["A2V"], chance(400)
    assert found["mean_rank"] == pytest.approx(exact["mean_rank"], rel=0.15)
    assert found["R@50"] == pytest.approx(exact["R@50"], abs=8)
    assert (exact["R@1"], exact["R@50"], exact["median_rank"]) == (0.25, 12.5, 200.5)


def test_what_has_no_rank_is_an_error():
    right = torch.eye(2, dtype=torch.bool)
    with pytest.raises(ValueError, match="query 1 and gallery item 0 is NaN"):
        ranks(torch.tensor([[0.0, 1.0], [float("nan"), 0.0]]), right)
    with pytest.raises(ValueError, match="query 1 has no right item"):
        ranks(torch.zeros(2, 2), torch.tensor([[True, False], [False, False]]))
    with pytest.raises(ValueError, match="no queries"):
        summary(torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match="gallery of 0"):
        chance(0)


def test_infinite_scores_have_ranks():
    scores = torch.tensor([[-torch.inf, 0.0, torch.inf]])
    assert ranks(scores, torch.tensor([[True, False, False]])).tolist() == [3]
    assert ranks(scores, torch.tensor([[False, False, True]])).tolist() == [1]


def evaluate(stored, tmp_path):
    write(tmp_path / "val.zarr", stored)
    retrieval.evaluate(tmp_path / "val.zarr", tmp_path / "retrieval.json")
    return json.loads((tmp_path / "retrieval.json").read_text())


def test_the_own_objective_is_the_weighted_sum_and_the_plain_ones_stand_beside_it(tmp_path):
    objective = {"max_mean": 0.7, "mean_mean": 0.3}
    stored = random_embeddings(30, 30, objective=objective)
    report = evaluate(stored, tmp_path)
    tokens = (stored.audio_tokens.float(), stored.audio_mask, stored.image_tokens.float())
    assert {key: report[key] for key in ("A2V", "V2A")} == both_directions(score(objective, *tokens), torch.arange(30))
    for name in ("max_mean", "mean_mean"):
        assert report["others"][name] == both_directions(score({name: 1.0}, *tokens), torch.arange(30))
    assert report["others"]["max_mean"] != report["others"]["mean_mean"]
    assert report["objective"] == objective
    assert report["run"] == "dense-s0"


def test_a_similarity_that_is_not_among_the_plain_ones(tmp_path):
    stored = random_embeddings(12, 12, objective={"mean_max": 2.0})
    report = evaluate(stored, tmp_path)
    scores = score({"mean_max": 1.0}, stored.audio_tokens.float(), stored.audio_mask, stored.image_tokens.float())
    assert report["A2V"] == both_directions(scores, torch.arange(12))["A2V"]
    assert set(report["others"]) == {"max_mean", "mean_mean"}


@pytest.mark.parametrize("name", ["max_mean", "mean_mean", "mean_max"])
def test_cutting_and_grouping_clips_changes_no_score(name):
    """More clips than one group, of many lengths, one with a gap before its last token and one with no token at all."""
    stored = random_embeddings(75, 40)
    stored.audio_mask[7] = False
    stored.audio_mask[8] = torch.arange(10) % 3 == 0
    whole = score({name: 1.0}, stored.audio_tokens.float(), stored.audio_mask, stored.image_tokens.float())
    torch.testing.assert_close(all_pairs(name, stored), whole)


def test_padding_of_a_picture_is_never_the_best_patch(tmp_path):
    """Image 1 holds the token of clip 0 in a patch that is padding: it must not win."""
    audio = torch.eye(2)[:, None, :]
    image = torch.tensor([[[0.8, 0.6], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    mask = torch.tensor([[True, True], [True, False]])
    assert evaluate(embeddings(audio, image, [0, 1]), tmp_path)["A2V"]["mean_rank"] == 1.5
    assert evaluate(embeddings(audio, image, [0, 1], image_mask=mask), tmp_path)["A2V"]["mean_rank"] == 1.0


def test_evaluating_twice_gives_the_same_bytes(tmp_path):
    evaluate(random_embeddings(20, 20), tmp_path)
    first = (tmp_path / "retrieval.json").read_bytes()
    retrieval.evaluate(tmp_path / "val.zarr", tmp_path / "retrieval.json")
    assert (tmp_path / "retrieval.json").read_bytes() == first


def test_the_digest_names_the_pairs_and_not_their_order():
    audio, image = torch.ones(3, 1, 1), torch.ones(3, 1, 1)
    assert pairs_digest(embeddings(audio, image, [0, 1, 2])) == pairs_digest(embeddings(audio, image, [0, 1, 2]))
    assert pairs_digest(embeddings(audio, image, [0, 1, 2])) != pairs_digest(embeddings(audio, image, [0, 2, 1]))
