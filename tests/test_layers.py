"""Each module imports from its own layer or from those above it, never in a circle, and none knows the workflow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import of_project

LAYERS = (  # from the top; a module may use its own layer and those above
    {
        "section",
        "corpus_config",
        "shown_config",
        "config",
        "files",
        "parquet",
        "columns",
        "progress",
        "bfloat16",
        "stopping",
        "claims",
        "forms",
    },
    {
        *("ids", "labels", "manifest", "references", "compression", "stored_arrays", "inspection"),
        *("shards", "open_shard", "shard_map", "shard_rows", "zarr_rows"),
    },
    {
        "riff",
        "audio",
        "ffmpeg",
        "decoding",
        "audio_store",
        "audio_file",
        "audio_verification",
        "geometry",
        "images",
        "store",
        "store_layout",
        "feature_store",
        "maxsim",
        "side_by_side",
        "allocation",
        "maxsim_tiles",
        "maxsim_triton",
        "similarity",
        "losses",
        "regularisers",
        "spec_augment",
        "randomness",
        "gpus",
        "ranks",
        "near_duplicates",
    },
    {"draws", "given_splits", "split_page", "split_plot", "splits"},
    {
        *("corpora", "source_rows", "refusals", "ingest", "backbone", "features", "extraction"),
        *("augmentation", "order", "live", "dataset", "hubert", "model"),
        *("embeddings", "embeddings_verification", "verification"),
    },
    {
        *("chance", "truth", "nouns", "retrieval", "scores", "intervals", "retrieval_protocols"),
        *("localisation", "pointing", "word_heat", "noun_heats", "blind", "square", "provenance"),
        *("segmentation", "vggss", "sharpness", "localisation_protocols", "localisation_rows", "image_bootstrap"),
    },
    {
        *("recipe", "checkpoint", "divergence", "contrast", "optimiser", "watcher", "train", "embed", "evaluation"),
        *("tables", "localisation_tables", "plan", "room", "plan_page"),
    },
    {
        *("rank_tables", "differences", "breakdown", "published", "retrieval_page", "recall_plots"),
        *("refused_table", "stage_times", "html_page"),
    },
    {
        *("spoken", "comparison", "gallery", "viewing", "lettering", "transliteration", "overlay", "page", "timeline"),
        *("plate", "strips", "panels", "figure1", "mp4", "films", "gallery_page", "heatmaps"),
        *("localise", "explorer", "token_picture"),
    },
    {"curves", "boards", "watched", "watch"},  # of a training
    {"validate", "stage", "arguments", "commands", "__main__"},
)
MODULES = {file.relative_to("ves"): file for file in of_project("ves", "*.py")}


def layer(name: str) -> int:
    """Number of the layer of a module of ves, by its first name."""
    (found,) = [number for number, names in enumerate(LAYERS) if name in names] or [None]
    assert found is not None, f"ves/{name} has no layer: add it to LAYERS"
    return found


def imports(file: Path) -> set[str]:
    """First names below ves of what a file imports from ves; other packages by their full name."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "ves":
            found |= {f"ves.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_come_from_its_own_layer_or_from_above(module: Path) -> None:
    own = module.parts[0].removesuffix(".py")
    if own == "__init__":  # ves.load opens the way to a trained run, and imports what that takes when it is called
        assert {name for name in imports(MODULES[module]) if name.startswith("ves")} <= {"ves.localise"}
        return
    for name in imports(MODULES[module]):
        if name.startswith("ves.") and (other := name.split(".")[1]) != own:
            assert layer(other) <= layer(own), f"ves/{module} imports ves.{other} from a layer below its own"


def test_no_imports_go_in_a_circle() -> None:
    """Within a layer neither: modules that import each other are one module in two files."""
    uses: dict[str, set[str]] = {}
    for module, file in MODULES.items():
        own = module.parts[0].removesuffix(".py")
        named = {name.split(".")[1] for name in imports(file) if name.startswith("ves.")}
        uses[own] = uses.get(own, set()) | named - {own}
    while free := {name for name, used in uses.items() if not used & set(uses)}:
        uses = {name: used for name, used in uses.items() if name not in free}
    assert not uses, f"these import each other in a circle: {sorted(uses)}"


def test_losses_and_similarity_and_model_do_not_know_each_other() -> None:
    parts = {"losses", "similarity", "model"}
    for name in parts:
        others = {f"ves.{other}" for other in parts - {name}}
        assert not imports(Path(f"ves/{name}.py")) & others


@pytest.mark.parametrize("stage", ["ingest", "manifest", "splits", "features", "train", "embed", "retrieval_protocols"])
def test_nothing_that_makes_or_tunes_a_model_can_open_the_truth(stage: str) -> None:
    found, ahead = set(), {stage}
    while ahead:
        found |= ahead
        names = set().union(*(imports(Path(f"ves/{name}.py")) for name in ahead))
        ahead = {name.removeprefix("ves.") for name in names if name.startswith("ves.")} - found
    assert "truth" not in found


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_mentions_the_workflow_engine(module: Path) -> None:
    assert "snakemake" not in MODULES[module].read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("module", ["config", "validate", "manifest", "splits", "__main__", "corpora.scenes"])
def test_light_modules_do_not_import_torch(module: str) -> None:
    """Snakemake reads some of these at every start, and the generator of scenes needs no network library."""
    code = f"import sys, ves.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
