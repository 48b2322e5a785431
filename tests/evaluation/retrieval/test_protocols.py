"""Both protocols on runs made by hand: against loops, and that what does not belong together is refused."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from tests.support.embeddings import embeddings, random_embeddings
from tests.support.retrieval import both_directions
from tests.support.run_folders import CLIPS, IMAGES, clip_id, corpus, evaluate, run
from ves.base.files import read_json
from ves.evaluation.retrieval import scores
from ves.evaluation.retrieval.protocols import multi_positive, one_to_one, pairs_digest, paper
from ves.similarity.pairwise import score
from ves.store.embeddings import join, load, manifest_path, write

pytestmark = pytest.mark.numbers


@pytest.fixture
def run_and_corpus(tmp_path):
    """A run folder and its corpus, evaluated."""
    data = corpus(tmp_path / "data")
    folder = run(tmp_path / "results", "dense-s0", data)
    evaluate(folder)
    return folder, data


def plain(report: dict) -> dict:
    return {key: value for key, value in report.items() if key not in ("interval", "chance")}


def test_the_own_objective_is_the_weighted_sum_and_the_plain_ones_stand_beside_it(tmp_path):
    objective = {"max_mean": 0.7, "mean_mean": 0.3}
    folder = run(tmp_path / "results", "dense-s0", corpus(tmp_path / "data"), objective=objective)
    evaluate(folder)
    stored, report = load(folder / "embeddings" / "val.zarr"), read_json(folder / "retrieval.json")
    tokens = (stored.audio_tokens.float(), stored.audio_mask, stored.image_tokens.float())
    for similarity, found in (
        (objective, report),
        ({"max_mean": 1.0}, report["others"]["max_mean"]),
        ({"mean_mean": 1.0}, report["others"]["mean_mean"]),
    ):
        expected = both_directions(score(similarity, *tokens), stored.clip_image)
        for way in expected:
            assert plain(found[way]) == pytest.approx(expected[way])
    assert report["others"]["max_mean"] != report["others"]["mean_mean"]
    assert (report["run"], report["split"]) == ("dense-s0", "val")
    assert report["A2V"]["chance"]["R@1"] == 100 / IMAGES
    assert report["A2V"]["interval"]["R@1"][0] <= report["A2V"]["R@1"] <= report["A2V"]["interval"]["R@1"][1]


def test_a_similarity_that_is_not_among_the_plain_ones(tmp_path):
    stored = random_embeddings(12, 12, objective={"mean_max": 2.0})
    _, reports = one_to_one(stored, tmp_path, [])
    matrix = score({"mean_max": 1.0}, stored.audio_tokens.float(), stored.audio_mask, stored.image_tokens.float())
    assert plain(reports["own"]["A2V"]) == both_directions(matrix, torch.arange(12))["A2V"]
    assert set(reports) == {"own", "max_mean", "mean_mean"}


def test_padding_of_a_picture_is_never_the_best_patch(tmp_path):
    """Image 1 holds the token of clip 0 in a patch that is padding: it must not win."""
    audio = torch.eye(2)[:, None, :]
    image = torch.tensor([[[0.8, 0.6], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    mask = torch.tensor([[True, True], [True, False]])
    bare, masked = embeddings(audio, image, [0, 1]), embeddings(audio, image, [0, 1], image_mask=mask)
    assert one_to_one(bare, tmp_path / "a", [])[1]["own"]["A2V"]["mean_rank"] == 1.5
    assert one_to_one(masked, tmp_path / "b", [])[1]["own"]["A2V"]["mean_rank"] == 1.0


def test_any_clip_of_the_right_image_counts(run_and_corpus):
    """Every rank of every group of speakers, from loops over a matrix of scores."""
    folder, data = run_and_corpus
    val, more = (load(folder / "embeddings" / f"{split}.zarr") for split in ("val", "val_more"))
    stored = join(val, more)
    assert len(stored.clip_id) == CLIPS - 1, "the one about a near-duplicate is left out"
    matrix = score({"max_mean": 1.0}, stored.audio_tokens.float(), stored.audio_mask, val.image_tokens.float())
    splits = pl.read_parquet(data.splits)
    seen = dict(splits.select("clip_id", "speaker_seen").iter_rows())
    table, report = pl.read_parquet(folder / "multi_positive.parquet"), read_json(folder / "multi_positive.json")
    for group, wanted in (("all", (True, False, None)), ("unseen", (False,)), ("seen", (True,))):
        clips = [a for a, clip in enumerate(stored.clip_id) if seen[clip] in wanted]
        image = {a: int(stored.clip_image[a]) for a in clips}
        a2v = {stored.clip_id[a]: 1 + int((matrix[a] > matrix[a, image[a]]).sum()) for a in clips}
        v2a = {}
        for v in set(image.values()):
            best = max(float(matrix[a, v]) for a in clips if image[a] == v)
            v2a[val.image_id[v]] = 1 + sum(float(matrix[a, v]) > best for a in clips)
        for way, expected in (("A2V", a2v), ("V2A", v2a)):
            rows = table.filter(direction=way, speakers=group)
            assert dict(rows.select("query", "rank").iter_rows()) == expected, (group, way)
            assert report[way][group]["n"] == len(expected)
            assert report[way][group]["mean_rank"] == pytest.approx(np.mean(list(expected.values())))
    assert report["V2A"]["all"]["gallery"] == CLIPS - 1
    assert report["V2A"]["seen"]["n"] < report["V2A"]["unseen"]["n"] == IMAGES
    assert report["left_out"] == 1
    assert report["V2A"]["all"]["chance"]["R@1"] == pytest.approx(100 * (CLIPS - 1) / IMAGES / (CLIPS - 1))


def test_a_group_of_speakers_without_a_clip_is_null(tmp_path):
    data = corpus(tmp_path / "data")
    pl.read_parquet(data.splits).with_columns(speaker_seen=pl.lit(None, pl.Boolean)).write_parquet(data.splits)
    folder = run(tmp_path / "results", "dense-s0", data)
    evaluate(folder)
    report = read_json(folder / "multi_positive.json")
    assert (report["A2V"]["unseen"], report["V2A"]["seen"]) == (None, None)
    assert report["A2V"]["all"]["n"] == CLIPS - 1


@pytest.mark.parametrize("kept", [0, 1])
def test_no_clip_of_val_more_may_be_about_an_image_of_val(tmp_path, kept):
    """Where every picture has one clip; or where there is none but the one about a near-duplicate."""
    data = corpus(tmp_path / "data")
    folder = run(tmp_path / "results", "dense-s0", data)
    more = load(folder / "embeddings" / "val_more.zarr")
    rows = slice(len(more.clip_id) - kept, None)
    fewer = replace(
        more,
        audio_tokens=more.audio_tokens[rows],
        audio_mask=more.audio_mask[rows],
        clip_image=more.clip_image[rows],
        clip_id=more.clip_id[rows],
    )
    write(folder / "embeddings" / "val_more.zarr", fewer)
    splits = pl.read_parquet(data.splits)
    gone = pl.col("clip_id").is_in(more.clip_id[: rows.start])
    splits.with_columns(split=pl.when(gone).then(pl.lit("train")).otherwise("split")).write_parquet(data.splits)
    evaluate(folder)
    report, paper_report = (read_json(folder / f"{name}.json") for name in ("multi_positive", "retrieval"))
    assert report["A2V"]["all"]["n"] == IMAGES
    assert report["A2V"]["all"]["mean_rank"] == paper_report["A2V"]["mean_rank"]
    assert report["left_out"] == kept


def test_evaluating_twice_gives_the_same_bytes_and_leaves_no_blocks(run_and_corpus):
    folder, _ = run_and_corpus
    names = ("retrieval.json", "ranks.parquet", "multi_positive.json", "multi_positive.parquet")
    first = {name: (folder / name).read_bytes() for name in names}
    evaluate(folder)
    assert {name: (folder / name).read_bytes() for name in names} == first
    assert not list((folder / "scores").rglob("*.npy"))


def test_all_clips_are_scored_once(run_and_corpus, monkeypatch):
    """Those of val by `paper`, in blocks that `multi_positive` reads; and where they are gone, by itself."""
    folder, _ = run_and_corpus
    scored, real = [], scores._block
    monkeypatch.setattr(scores, "_block", lambda name, stored, *a: scored.append(stored) or real(name, stored, *a))
    whole = (folder / "multi_positive.json").read_bytes()
    evaluate(folder)
    assert [len(stored.clip_id) for stored in scored] == [IMAGES, IMAGES, CLIPS - 1 - IMAGES]
    assert (folder / "multi_positive.json").read_bytes() == whole
    scored.clear()
    multi_positive(folder, folder / "scores", folder / "multi_positive.parquet", folder / "multi_positive.json")
    assert [len(stored.clip_id) for stored in scored] == [IMAGES, CLIPS - 1 - IMAGES]
    assert (folder / "multi_positive.json").read_bytes() == whole


def test_the_digest_names_the_pairs_and_not_their_order():
    audio, image = torch.ones(3, 1, 1), torch.ones(3, 1, 1)
    assert pairs_digest(embeddings(audio, image, [0, 1, 2])) == pairs_digest(embeddings(audio, image, [0, 1, 2]))
    assert pairs_digest(embeddings(audio, image, [0, 1, 2])) != pairs_digest(embeddings(audio, image, [0, 2, 1]))


def test_what_is_not_of_one_making_is_refused_and_named(run_and_corpus, tmp_path):
    folder, data = run_and_corpus

    def both() -> None:
        for stage in (paper, multi_positive):
            stage(folder, tmp_path / "blocks", tmp_path / "ranks.parquet", tmp_path / "out.json")

    model = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(b"trained again")
    with pytest.raises(
        ValueError, match=r"val\.zarr: embeddings of another model than .*safetensors; delete .*manifest"
    ):
        both()
    (folder / "model.safetensors").write_bytes(model)
    splits = pl.read_parquet(data.splits)
    now = pl.when(clip_id=clip_id(0)).then(pl.lit("train")).otherwise("split")
    splits.with_columns(split=now).write_parquet(data.splits)
    with pytest.raises(ValueError, match=r"val\.zarr: embeddings of other clips than .*splits\.parquet has in val"):
        both()
    splits.write_parquet(data.splits)
    manifest = manifest_path(folder / "embeddings" / "val_more.zarr")
    manifest.unlink()
    with pytest.raises(FileNotFoundError, match=r"val_more\.zarr\.manifest\.json: absent"):
        both()
