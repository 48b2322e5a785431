"""Helpers of the rules, which stand in the files beside this one.

What makes a step run again, besides newer inputs and changed settings (these reach it as a small JSON file, a slice of
the configuration, see ves/config/slices.py):
* cheap steps carry `code=digest(...)`, a hash of the code that their stage runs: editing any of it re-runs them;
* costly ones (fetch, generate, ingest, features, train, embed) carry a `version` raised by hand when the meaning of
  their result changes, since editing a comment must not cost hours.
What must survive a re-run (stores, checkpoints) is named in `params`, never in `output`, because Snakemake deletes
outputs before it runs a job again and after it fails; the output is a small file that the step writes last.
"""

import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)  # this checkout's ves, wherever another one may be installed

from ves.commands.digest import digest
from ves.commands.preflight import validate_backbones, validate_batches, validate_source
from ves.config import slices
from ves.config.check import naming_files, validate
from ves.config.experiment import TRAINING, features_name

# Commands run with the interpreter that runs Snakemake, so nothing needs to be activated. `exec` (not printed, so that
# a printed command can be pasted) leaves no shell between this process and a stage, which is told to end with it.
here = str(Path(sys.executable).parent)
os.environ.update(PATH=os.pathsep.join([here, *os.get_exec_path()]), VES_DIE_WITH_PARENT=str(os.getpid()))
shell.prefix("exec ")


def checked_configuration():
    """The typed configuration. Every fault is reported before any job starts."""
    overlays = list(workflow.overwrite_configfiles)  # of `--configfile`: laid over config.yaml, though listed before it
    files = [file for file in workflow.configfiles if file not in overlays] + overlays
    files = [Path(os.path.relpath(file)) for file in files]
    try:
        checked = validate(config, files)
        with naming_files(config, files):
            validate_backbones(checked)
            validate_source(checked)
            validate_batches(checked, Path("data") / checked.corpus.name)
    except ValueError as error:
        raise WorkflowError(f"The configuration is not valid:\n{error}") from None
    return checked


def settings_files():
    """Path and text of every settings file."""
    limited = "download" in workflow.global_resources  # in the profile, or on the command line
    downloads = workflow.global_resources["download" if limited else "_cores"].value
    found = slices.files(CONFIG, FEATURES, downloads)
    return {file: section.model_dump_json(indent=2) for file, section in found.items()}


CONFIG = checked_configuration()
CORPUS, KIND = CONFIG.corpus.name, CONFIG.corpus.kind
FEATURES = features_name(CONFIG.vision)
SETTINGS = settings_files()
RUNS = slices.runs(CONFIG)
WITH_TRUTH = KIND in ("scenes",)  # the corpus knows when words are said and where things are
LABELS = [] if CONFIG.corpus.labels is None else [CONFIG.corpus.labels]  # the table of spellings
RETRIEVAL_FIGURES = ("recall_by_language", "recall_over_k", "rank_histogram")
PAGES = {  # that the report shows as HTML, with the category that each is in
    "table1.md": "1 Retrieval",
    "comparisons.csv": "1 Retrieval",
    **dict.fromkeys(("localisation.csv", "localisation_protocols.csv") * WITH_TRUTH, "2 Localisation"),
    "splits.md": "5 Data",
    "refused.csv": "5 Data",
    "times.csv": "6 Cost",
}


wildcard_constraints:
    corpus=CORPUS,
    features=FEATURES,
    shard=r"(audio|images)/.+",
    run="|".join(RUNS),
    split="train|tune|val|val_more",


def settings_text(wildcards):
    return SETTINGS[wildcards.file]


def weights(backbone):
    """The weights of a backbone in a local folder, as an input; one on the hub is known by its revision."""
    file = Path(backbone) / "model.safetensors"
    return [str(file)] if file.is_file() else []


def train_of(wildcards):
    """The training settings of a run."""
    return CONFIG.train_of(RUNS[wildcards.run][0])


def run_threads(wildcards):
    """Threads of one run: part of its recipe, so a run may override them."""
    return train_of(wildcards).threads


def one_process_per_gpu(wildcards, resources):
    """What runs the training. (Depending on resources, it is no reason to train again.)

    Without the two dashes torchrun takes `--log` for an option of its own.
    """
    return f"torchrun --standalone --nproc_per_node {resources.gpu} -m --" if resources.gpu > 1 else "python -m"


def embedding_gpu(wildcards):
    """A GPU to embed on, unless jobs run on this machine and it has none: then several embed at once, on a core each.

    Told by the files of drivers, of NVIDIA's, of it below Windows, and of AMD's: to ask torch takes seconds.
    """
    drivers = [Path(os.sep, "dev", name) for name in ("nvidiactl", "dxg", "kfd")]
    return int(workflow.non_local_exec or any(driver.exists() for driver in drivers))


def run_data(wildcards):
    """What a run reads of its pairs: samples, and patch tokens or, live, what these are computed from."""
    data = f"data/{wildcards.corpus}"
    patches = [f"{data}/features/{FEATURES}.zarr.manifest.json"]
    if train_of(wildcards).features == "live":
        patches = [f"{data}/features/{FEATURES}.json", *weights(CONFIG.vision.backbone), *pictures(wildcards)]
    return [f"{data}/splits.parquet", f"{data}/audio.zarr.manifest.json", *patches]


def training_data(wildcards):
    """What a training reads: also the rows of the corpus, and the speech backbone that it begins with."""
    tables = [f"data/{wildcards.corpus}/{name}.parquet" for name in ("manifest", "images")]
    return [*run_data(wildcards), *tables, *weights(CONFIG.audio.backbone)]


def models(name):
    """The trained models of one run, one per seed."""
    return [f"results/{CORPUS}/{name}-s{seed}/model.safetensors" for seed in CONFIG.seeds]


def table_runs(pattern, seeds=CONFIG.seeds):
    """`pattern` for every run that the table has."""
    runs = [f"{name}-s{seed}" for name in CONFIG.table for seed in seeds]
    return expand(pattern, corpus=CORPUS, run=runs)


def retrieval_ranks():
    """The rank of every query by every run that the table has, by both protocols."""
    files = ["ranks.parquet", "multi_positive.parquet"]
    return [path for file in files for path in table_runs(f"results/{{corpus}}/{{run}}/{file}")]


def embedded_clips(seeds=CONFIG.seeds):
    """What figures of validation clips read of every run that the table has, and the clips."""
    files = ["config.json", "embeddings/val.zarr.manifest.json"]
    found = [path for file in files for path in table_runs(f"results/{{corpus}}/{{run}}/{file}", seeds)]
    return [f"data/{CORPUS}/audio.zarr.manifest.json", *found]


def results():
    """What bare `snakemake` makes, but for what tells of it in the report; localisation is measured where there is a
    truth to measure it by."""
    tables = ("table1.md", "comparisons.csv", "retrieval_by.csv", "rank_histogram.png")
    shown = ("figure1.png", "heatmaps", "explorer")
    outputs = ["results/table1.csv", *(f"results/{CORPUS}/{file}" for file in tables + shown)]
    outputs += table_runs("results/{corpus}/{run}/curves.png")
    return outputs + [f"results/{CORPUS}/localisation.csv"] * WITH_TRUTH


def final_outputs():
    """What bare `snakemake` makes."""
    return [*results(), *(f"results/{CORPUS}/pages/{Path(page).stem}.html" for page in PAGES)]


def in_report(file, category, what=None):
    """A result of the corpus that the report shows, with the caption that is named after it; without a suffix it is a
    folder with a page."""
    name = Path(file).stem
    path, index = f"results/{{corpus}}/{file}", None
    if not Path(file).suffix:
        path, index = directory(path), "index.html"
    labels = {"what": what or name.replace("_", " ")}
    return report(path, caption=f"../report/{name}.rst", category=category, labels=labels, htmlindex=index)
