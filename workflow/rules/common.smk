"""Helpers of the rules in the files beside this one.

A step runs again if its inputs are newer or its settings change. Settings reach it as a small JSON file, a slice of the
configuration (ves/config/slices.py). Changes of the code count as follows:
* Cheap steps have `code=digest(...)`, a hash of the code that their stage runs: editing any of it runs them again.
* Costly steps (fetch, generate, ingest, features, train, embed) have a `version`, which is raised by hand if the
  meaning of their result changes, because editing a comment must not cost hours.
What has to survive a re-run (stores, checkpoints) is named in `params` and never in `output`, because Snakemake deletes
outputs before it runs a job again and after a failure. The output is a small file that the step writes last.
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
from ves.models.backbone import local_files
from ves.sources.kinds import SOURCES, settings_files

# Commands run with the interpreter that runs Snakemake, so nothing has to be activated. With `exec` (which is not
# printed, so that a printed command can be pasted) there is no shell between this process and a stage, and the stage
# ends when this process does.
here = str(Path(sys.executable).parent)
os.environ.update(PATH=os.pathsep.join([here, *os.get_exec_path()]), VES_DIE_WITH_PARENT=str(os.getpid()))
shell.prefix("exec ")


def checked_configuration():
    """The typed configuration. Every error in it is reported before any job starts."""
    # of `--configfile`: they override config.yaml, but are listed first
    overlays = list(workflow.overwrite_configfiles)
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


def settings_texts():
    """The text of every settings file, by path."""
    limited = "download" in workflow.global_resources  # by the profile or the command line
    downloads = workflow.global_resources["download" if limited else "_cores"].value
    settings = slices.files(CONFIG, FEATURES) | settings_files(CONFIG, FEATURES, downloads)
    return {file: block.model_dump_json(indent=2) for file, block in settings.items()}


CONFIG = checked_configuration()
CORPUS, KIND = CONFIG.corpus.name, CONFIG.corpus.kind
FEATURES = features_name(CONFIG.vision)
SETTINGS = settings_texts()
RUNS = slices.runs(CONFIG)
FIRST_RUN = f"{CONFIG.table[0]}-s{CONFIG.seeds[0]}"  # of the table: the one whose words are compared
LOCALISED = SOURCES[KIND].localised  # the corpus has word timings and object masks
LABELS = [] if CONFIG.corpus.labels is None else [CONFIG.corpus.labels]  # the table of spellings
REPORT_TABLES = ["table1"] + ["localisation"] * LOCALISED  # on the first page of the report
RETRIEVAL_FIGURES = ("recall_by_language", "recall_over_k", "rank_histogram")
PAGES = {  # pages that the report shows as HTML, with their categories
    "table1.md": "1 Retrieval",
    "comparisons.md": "1 Retrieval",
    **dict.fromkeys(("localisation.csv", "localisation_protocols.csv") * LOCALISED, "2 Localisation"),
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


def backbone_files(backbone):
    """The files that decide what a backbone in a local folder computes, as inputs; a revision fixes one on the hub."""
    return [str(file) for file in local_files(backbone)]


def preprocessing(wildcards):
    """How the vision backbone expects pictures to be normalised; the name of the features has the hash of its weights."""
    return [file for file in backbone_files(CONFIG.vision.backbone) if file.endswith(".json")]


def train_of(wildcards):
    """The training settings of a run."""
    return CONFIG.train_of(RUNS[wildcards.run][0])


def run_threads(wildcards):
    """The threads of a run. They are part of its recipe, so a run may override them."""
    return train_of(wildcards).threads


def one_process_per_gpu(wildcards, resources):
    """The program that runs the training. It depends on resources, so a change of it does not train again.

    Without the two dashes, torchrun would read `--log` as an option of its own.
    """
    return f"torchrun --standalone --nproc_per_node {resources.gpu} -m --" if resources.gpu > 1 else "python -m"


def embedding_gpu(wildcards):
    """One GPU, or none if jobs run on this machine and it has none; then several jobs embed at once, on one core each.

    The files of the drivers (NVIDIA, NVIDIA under Windows, AMD) tell, because asking torch takes seconds.
    """
    drivers = [Path(os.sep, "dev", name) for name in ("nvidiactl", "dxg", "kfd")]
    return int(workflow.non_local_exec or any(driver.exists() for driver in drivers))


def run_data(wildcards):
    """The pairs that a run reads: samples, and patch tokens or, without a store, the pictures and the backbone."""
    data = f"data/{wildcards.corpus}"
    patches = [f"{data}/features/{FEATURES}.zarr.manifest.json"]
    if train_of(wildcards).features != "store":
        patches = [f"{data}/features/{FEATURES}.json", *backbone_files(CONFIG.vision.backbone), *pictures(wildcards)]
    return [f"{data}/splits.parquet", f"{data}/audio.zarr.manifest.json", *patches]


def training_data(wildcards):
    """What a training reads: also the tables of the corpus, and the pretrained speech backbone."""
    tables = [f"data/{wildcards.corpus}/{name}.parquet" for name in ("manifest", "images")]
    return [*run_data(wildcards), *tables, *backbone_files(CONFIG.audio.backbone)]


def models(name):
    """The trained models of one entry of `runs`, one for each seed."""
    return [f"results/{CORPUS}/{name}-s{seed}/model.safetensors" for seed in CONFIG.seeds]


def table_runs(pattern, seeds=CONFIG.seeds):
    """`pattern` for every run in the table."""
    runs = [f"{name}-s{seed}" for name in CONFIG.table for seed in seeds]
    return expand(pattern, corpus=CORPUS, run=runs)


def retrieval_ranks():
    """The ranks of all queries for every run in the table, by both protocols."""
    files = ["ranks.parquet", "multi_positive.parquet"]
    return [path for file in files for path in table_runs(f"results/{{corpus}}/{{run}}/{file}")]


def embedded_clips(seeds=CONFIG.seeds):
    """What figures of validation clips read: the clips, and the embeddings of every run in the table."""
    files = ["config.json", "embeddings/val.zarr.manifest.json"]
    runs = [path for file in files for path in table_runs(f"results/{{corpus}}/{{run}}/{file}", seeds)]
    return [f"data/{CORPUS}/audio.zarr.manifest.json", *runs]


def results():
    """What bare `snakemake` makes, except the pages of the report. Localisation is measured only if the corpus has word
    timings and object masks."""
    tables = ("table1.md", "comparisons.md", "retrieval_by.csv", "rank_histogram.png")
    shown = ("figure1.png", "heatmaps", "explorer")
    outputs = ["results/table1.csv", *(f"results/{CORPUS}/{file}" for file in tables + shown)]
    outputs += table_runs("results/{corpus}/{run}/curves.png")
    located = ("localisation.csv", "words.csv") if LOCALISED else ()
    return outputs + [f"results/{CORPUS}/{file}" for file in located]


def final_outputs():
    """What bare `snakemake` makes."""
    return [*results(), *pages(), f"results/{CORPUS}/index.html"]


def pages():
    """The pages of the report, and the tables on its first page."""
    files = [*(Path(page).stem for page in PAGES), *(f"parts/{table}" for table in REPORT_TABLES)]
    return [f"results/{CORPUS}/pages/{file}.html" for file in files]


def in_report(file, category, what=None):
    """A result of the corpus that the report shows, with the caption of the same name. A file without a suffix is a
    folder with a page."""
    name = Path(file).stem
    path, index = f"results/{{corpus}}/{file}", None
    if not Path(file).suffix:
        path, index = directory(path), "index.html"
    labels = {"what": what or name.replace("_", " ")}
    return report(path, caption=f"../report/{name}.rst", category=category, labels=labels, htmlindex=index)
