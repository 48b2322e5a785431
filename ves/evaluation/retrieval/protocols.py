"""Retrieval of one run by two protocols, from stored embeddings: its reports, and the rank of every query.

* `paper`: the pairs of val, one clip to an image. Every clip ranks all images, every image all clips.
* `multi_positive`: all clips of the same images, val and val_more. Every clip ranks all images; an image ranks all
  clips, and any clip about it is right. Clips of speakers that training has heard (`seen`) and has not (`unseen`) are
  also reported apart, as queries and as galleries; an image without such a clip is then no query. Clips of unknown
  speakers are in `all` only.

The reference code (SajayR/VeS, evaluation/) scores every model, the hybrid included, under max_mean and mean_mean, and
never under a weighted sum. Here a run's own row is under the weighted sum that it was trained for; the two plain
similarities are `others`. The reference code's rank on the diagonal is ours where clips and images are one to one.

Dimension key
    Q queries    A clips    V images
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ves.base import parquet
from ves.base.files import atomic, write_json
from ves.config.experiment import run_config
from ves.evaluation.bootstrap import places
from ves.evaluation.provenance import load_of
from ves.evaluation.retrieval.chance import DIRECTIONS, OTHERS, OWN, chance
from ves.evaluation.retrieval.intervals import estimates
from ves.evaluation.retrieval.metrics import rank_by_image, report
from ves.evaluation.retrieval.scores import all_pairs, forget
from ves.store.embeddings import Embeddings, further, join, manifest_path


def pairs_digest(embeddings: Embeddings) -> str:
    """A hash of the set of pairs, in any order: two runs are comparable where it is the same."""
    images = [embeddings.image_id[image] for image in embeddings.clip_image]
    pairs = sorted(f"{clip} {image}" for clip, image in zip(embeddings.clip_id, images, strict=True))
    return hashlib.sha256("\n".join(pairs).encode()).hexdigest()


def rank_table(
    scores: Float[Tensor, "A V"], embeddings: Embeddings, direction: str, clips: Bool[Tensor, "A"] | None = None
) -> pl.DataFrame:
    """The rank of every query in one direction: query (id), image_id, rank, ties, right (items), gallery (items).

    Only `clips`, if there is such a mask, are queries (A2V) or the gallery (V2A). Sorted by query.
    """
    rows = torch.arange(len(scores)) if clips is None else clips.nonzero()[:, 0]
    scores, image = scores[rows], embeddings.clip_image[rows].long()
    clip_id = [embeddings.clip_id[row] for row in rows.tolist()]
    right = torch.bincount(image, minlength=len(embeddings.image_id))
    asked = (right > 0).nonzero()[:, 0]
    if direction == "A2V":
        pair, query, of, gallery = (image, torch.arange(len(right))), clip_id, image, len(right)
        right = torch.ones(len(image), dtype=torch.long)
    else:
        pair, query, of, gallery = (
            (asked, image),
            [embeddings.image_id[row] for row in asked.tolist()],
            asked,
            len(image),
        )
        scores, right = scores.T[asked], right[asked]
    rank, tied = rank_by_image(scores, *pair)
    of_id = [embeddings.image_id[row] for row in of.tolist()]
    columns = {"query": query, "image_id": of_id, "rank": rank.numpy(), "ties": tied.numpy(), "right": right.numpy()}
    table = pl.DataFrame(columns).with_columns(gallery=pl.lit(gallery))
    return table.with_columns(pl.col("rank", "ties", "right", "gallery").cast(pl.Int32)).sort("query")


def report_of(table: pl.DataFrame) -> dict[str, Any]:
    """The report of a table as `rank_table` makes it, with the interval of each metric, and chance."""
    rank, tied = (torch.from_numpy(table[name].to_numpy().astype(np.int64)) for name in ("rank", "ties"))
    gallery = int(table["gallery"][0])
    whole: dict[str, Any] = dict(report(rank, tied, gallery))
    bars = estimates(rank[None].numpy(), places(table["image_id"].to_list()))
    whole["interval"] = {name: [bar.low, bar.high] for name, bar in bars.items()}
    return whole | {"chance": chance(table["right"].to_numpy(), gallery)}


def own_scores(
    embeddings: Embeddings, folder: Path, manifests: list[bytes], others: tuple[str, ...]
) -> dict[str, Tensor]:
    """Scores [A, V] under the run's own objective (OWN), a weighted sum, and under the plain similarities named."""
    objective: dict[str, float] = embeddings.attrs["objective"]
    # each takes seconds to hours, so it is computed once, and the weighted sum is made of them
    names = [*objective, *(name for name in others if name not in objective)]
    plain = {name: all_pairs(name, embeddings, folder, manifests) for name in names}
    own = torch.stack([weight * plain[name] for name, weight in objective.items()]).sum(0)
    return {OWN: own} | {name: plain[name] for name in others}


def _manifest(run: Path, split: str) -> bytes:
    """The manifest of the embeddings of a split: it identifies their content, and so the scores that come from them."""
    return manifest_path(run / "embeddings" / f"{split}.zarr").read_bytes()


def _about(embeddings: Embeddings) -> dict[str, Any]:
    return {key: embeddings.attrs[key] for key in ("run", "split", "objective", "model_sha256")} | {
        "pairs": pairs_digest(embeddings)
    }


def _labelled(table: pl.DataFrame, **labels: str) -> pl.DataFrame:
    """A table of ranks, with columns before it that say what they are ranks of."""
    return table.select(*(pl.lit(label).alias(name) for name, label in labels.items()), pl.all())


def _write(ranks: pl.DataFrame, path: Path) -> None:
    with atomic(path) as temporary:
        ranks.write_parquet(temporary)


def one_to_one(embeddings: Embeddings, blocks: Path, manifests: list[bytes]) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Both directions under the run's own objective and under OTHERS: every rank, and the reports by similarity.

    `blocks` and `manifests` are those of `ves.evaluation.retrieval.scores.all_pairs`.
    """
    tables, reports = [], {}
    for name, matrix in own_scores(embeddings, blocks, manifests, OTHERS).items():
        for direction in DIRECTIONS:
            table = rank_table(matrix, embeddings, direction)
            reports.setdefault(name, {})[direction] = report_of(table)
            tables.append(_labelled(table, similarity=name, direction=direction))
    return pl.concat(tables), reports


def paper_report(embeddings: Embeddings, blocks: Path, manifests: list[bytes]) -> tuple[pl.DataFrame, dict[str, Any]]:
    """`one_to_one`: the rank of every query, and the content of retrieval.json."""
    table, reports = one_to_one(embeddings, blocks, manifests)
    return table, _about(embeddings) | reports[OWN] | {"others": {name: reports[name] for name in OTHERS}}


def paper(run: Path, blocks: Path, ranks: Path, out: Path) -> None:
    """Write retrieval.json and, before it, the rank of every query (ranks: similarity, direction, as `rank_table`).

    Blocks of scores stay in blocks/val: `multi_positive` reads them. Raises as `load_of` does.
    """
    table, result = paper_report(load_of(run, "val"), blocks / "val", [_manifest(run, "val")])
    _write(table, ranks)
    write_json(out, result)


def speakers(embeddings: Embeddings, splits: str) -> dict[str, Bool[Tensor, "A"]]:
    """Masks of the clips by group: of all speakers, of those in no training pair, and of those in some."""
    with parquet.naming(splits):
        known = pl.scan_parquet(splits).filter(pl.col("split").is_in(["val", "val_more"]))
        known = known.select("clip_id", "speaker_seen").collect()
    here = pl.DataFrame({"clip_id": embeddings.clip_id}).join(known, on="clip_id", how="left", maintain_order="left")
    chosen = {"unseen": here["speaker_seen"].eq_missing(False), "seen": here["speaker_seen"].eq_missing(True)}
    everyone = {"all": torch.ones(len(here), dtype=torch.bool)}
    return everyone | {name: torch.tensor(which.to_list(), dtype=torch.bool) for name, which in chosen.items()}


def all_clips(embeddings: Embeddings, scores: Float[Tensor, "A V"], splits: str) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Both directions for each group of speakers: every rank, and the reports (None for a group without a clip)."""
    tables, reports = [], {direction: {} for direction in DIRECTIONS}
    for group, clips in speakers(embeddings, splits).items():
        for direction in DIRECTIONS:
            table = rank_table(scores, embeddings, direction, clips) if clips.any() else None
            reports[direction][group] = None if table is None else report_of(table)
            if table is not None:
                tables.append(_labelled(table, direction=direction, speakers=group))
    return pl.concat(tables), reports


def multi_positive(run: Path, blocks: Path, ranks: Path, out: Path) -> None:
    """Write multi_positive.json and, before it, every rank (ranks: direction, speakers, as `rank_table`).

    Scores of val are read from `blocks` where `paper` left them there. Raises as `load_of` and `further` do.
    """
    val, more = load_of(run, "val"), load_of(run, "val_more")
    embeddings, manifests = join(val, more), [_manifest(run, "val"), _manifest(run, "val_more")]
    parts = [(val, "val", manifests[:1]), (further(val, more), "val_more", manifests)]
    scores = torch.cat([own_scores(part, blocks / split, by, ())[OWN] for part, split, by in parts])
    table, reports = all_clips(embeddings, scores, run_config(run).data.splits)
    _write(table, ranks)
    left_out = len(val.clip_id) + len(more.clip_id) - len(embeddings.clip_id)  # about other pictures of a group
    write_json(out, _about(embeddings) | {"split": ["val", "val_more"], "left_out": left_out} | reports)
    forget(blocks)
