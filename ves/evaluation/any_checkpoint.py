"""Scores of any checkpoint, without the workflow: of an unfinished run, or of weights that somebody put aside.

The functions are those of the workflow; the embeddings are removed once the metrics are written.
"""

import logging
import tempfile
from pathlib import Path
from typing import Any

from ves.base.files import read_json, write_json
from ves.config.experiment import run_config
from ves.evaluation.checkpoint_folder import WEIGHTS, find
from ves.evaluation.embed import embed_weights
from ves.evaluation.localisation import measure as localisation
from ves.evaluation.retrieval.protocols import paper_report
from ves.evaluation.truth import folder_of as truth_of
from ves.store.embeddings import load, manifest_path

log = logging.getLogger(__name__)

PRINTED = {"R@1": ".1f", "R@10": ".1f", "median_rank": "g", "n": "d"}  # metrics of retrieval, and their formats


def evaluate(checkpoint: Path, split: str, out: Path | None, truth: Path | None) -> str:
    """Write retrieval.json and localisation.json of a checkpoint on a split to `out`; returns a short text of them.

    Raises ValueError where there is no checkpoint, for a truth of another corpus, for weights of another configuration
    and for a split without clips.
    """
    run, folder = find(checkpoint)
    if folder != checkpoint:
        log.info("%s: the newest checkpoint there is %s", checkpoint, folder)
    config = run_config(run)
    out = out or _run_of(run) / "evaluated" / f"{folder.absolute().name}-{split}"
    truth = truth_of(config.data, truth)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".embeddings.", dir=out) as temporary:
        store = Path(temporary) / f"{split}.zarr"
        embed_weights(folder / WEIGHTS, config, split, store, threads=config.train.threads)
        _, result = paper_report(load(store), Path(temporary) / "scores", [manifest_path(store).read_bytes()])
        write_json(out / "retrieval.json", result)
        localisation.evaluate(store, config.data, truth, out / "localisation.json")
    heading = f"{folder} on {split}, metrics in {out}"
    return "\n".join([heading, *_retrieval(read_json(out / "retrieval.json")), *_pointing(out / "localisation.json")])


def _run_of(folder: Path) -> Path:
    """The run directory: a checkpoint may keep a config.json of its own, below checkpoints/."""
    outer = [above.parent for above in (folder, *folder.parents) if above.name.startswith("checkpoints")]
    return outer[-1] if outer else folder


def _retrieval(metrics: dict[str, Any]) -> list[str]:
    """A line for each direction."""
    directions = {"A2V": "speech to image", "V2A": "image to speech"}
    return [
        f"{meaning}: " + ", ".join(f"{name} {metrics[key][name]:{form}}" for name, form in PRINTED.items())
        for key, meaning in directions.items()
    ]


def _pointing(path: Path) -> list[str]:
    """A line of pointing, and one where things sound; where the corpus does not say what words mean, the reason."""
    report = read_json(path)
    if not report["available"]:
        return [f"pointing: {report['why']}"]
    lines = []
    for prefix, metrics in (("", report), ("sounds: ", report.get("sounds", {}))):
        known = {name: metrics.get(name) for name in ("pointing", "centre", "wrong_clip")}
        shown = ", ".join(f"{name} {value:.1f} %" for name, value in known.items() if value is not None)
        lines += [f"{prefix}{shown}, n {metrics['n']}"] if shown else []
    return lines
