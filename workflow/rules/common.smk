"""Helpers of the rules, which stand in the files beside this one.

What makes a step run again, besides newer inputs and changed settings (these reach it as a small JSON file, a slice of
the configuration, written by a step whose `params` is that slice):
* cheap steps carry `code=digest(...)`, a hash of the module that defines their result and of those that it imports:
  editing one of these re-runs them;
* costly ones (fetch, generate, ingest, features, train, embed) carry a `version` raised by hand when the meaning of
  their result changes, since editing a comment must not cost hours.
What must survive a re-run (stores, checkpoints) is named in `params`, never in `output`, because Snakemake deletes
outputs before it runs a job again and after it fails; the output is a small file that the step writes last.
"""

import ast
import functools
import hashlib
import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)  # this checkout's ves, wherever another one may be installed

from ves.config.experiment import TRAINING, DataPaths, PlanSettings, RunConfig, TableConfig, features_name
from ves.config.display import WatchConfig
from ves.commands.preflight import validate_backbones, validate_batches, validate_source
from ves.config.check import naming_files, validate

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


def require_revision():
    """Refuse to run, before any job, what would have to download without saying which commit."""
    try:
        CONFIG.corpus.vaani.commit()
    except ValueError as error:
        raise WorkflowError(f"The configuration is not valid:\n{error}") from None


CONFIG = checked_configuration()
CORPUS = CONFIG.corpus.name
FEATURES = features_name(CONFIG.vision)
WITHOUT_A_PART = {"corpus_config", "shown_config", "section", "files", "parquet", "progress"}  # in any result
WITHOUT_A_PART |= {f"base.{name}" for name in WITHOUT_A_PART}
RETRIEVAL_FIGURES = ("recall_by_language", "recall_over_k", "rank_histogram")
PAGES = {  # that the report shows as HTML, with the category that each is in
    "table1.md": "1 Retrieval",
    "comparisons.csv": "1 Retrieval",
    **dict.fromkeys(
        ("localisation.csv", "localisation_protocols.csv") * (CONFIG.corpus.kind == "scenes"), "2 Localisation"
    ),
    "splits.md": "5 Data",
    "refused.csv": "5 Data",
    "times.csv": "6 Cost",
}


wildcard_constraints:
    corpus=CORPUS,
    features=FEATURES,
    shard=r"(audio|images)/.+",
    run="|".join(f"{name}-s{seed}" for name in CONFIG.runs for seed in CONFIG.seeds),
    split="train|tune|val|val_more",


def as_json(section):
    """A part of the configuration as the text of a settings file."""
    return section.model_dump_json(indent=2)


def corpus_config(wildcards):
    """Settings of the corpus; what is done with its raw shards afterwards is none of them."""
    return as_json(CONFIG.corpus_slice())


def shard_origin(wildcards):
    """What decides the content of a shard: a district added to the list leaves those already here alone."""
    if CONFIG.corpus.kind == "pairs":
        return pairs_origins().get(wildcards.shard)
    if CONFIG.corpus.kind == "vaani":
        return entries(wildcards).get(wildcards.shard, {}).get("sha256")
    scenes = CONFIG.corpus.scenes.model_dump_json()
    return scenes + words_digest() if wildcards.shard.startswith("audio/") else scenes


def chosen_rows(wildcards):
    """Which rows of a downloaded shard are taken: a changed choice ingests anew the shards in which it takes others."""
    if CONFIG.corpus.kind != "vaani":
        return None
    return entries(wildcards).get(wildcards.shard, {}).get("chosen")


def survey_config(wildcards):
    """Settings of the corpus as far as they decide which files are surveyed; what is chosen of them does not."""
    everything = dict.fromkeys(("languages", "districts", "clips", "clips_per_language", "clips_per_image")) | {
        "seed": 0
    }
    vaani = CONFIG.corpus.vaani.model_copy(update=everything)
    whole = {"vaani": vaani, "keep_seconds": None, "labels": None, "max_refused": 1.0}
    return as_json(CONFIG.corpus_slice().model_copy(update=whole))


def plan_settings(wildcards):
    """Settings that decide sizes and times, also whether raw shards are kept; of the split, only the strata."""
    limited = "download" in workflow.global_resources  # in the profile, or on the command line
    at_once = workflow.global_resources["download" if limited else "_cores"]
    other = {"scenes": None, "pairs": None}
    return as_json(
        PlanSettings(
            corpus=CONFIG.corpus.model_copy(update=other),
            split=CONFIG.split.model_copy(update={"seed": 0, "val": 1, "tune": 1, "near_duplicate_bits": 0}),
            vision=CONFIG.vision.model_copy(update={"batch_size": 1}),
            plan=CONFIG.plan,
            downloads=at_once.value,
        )
    )


def nothing_to_plan(wildcards):
    """Asked for a plan of what is made here."""
    raise WorkflowError(
        f"There is nothing to plan: a plan is of what is downloaded (corpus.kind: vaani), and the corpus {CORPUS} is "
        f"made here (corpus.kind: {CONFIG.corpus.kind}). Leave out the target `plan`."
    )


def listing_origin(wildcards):
    """What decides the list of shards besides the settings: the tables of own pairs, which may change any time."""
    return hashlib.sha256("".join(pairs_origins()).encode()).hexdigest() if CONFIG.corpus.kind == "pairs" else None


@functools.cache
def pairs_origins():
    """What decides each shard of own pairs; reads the tables and asks for size and time of every file that they name."""
    from ves.sources.pairs.packing import origins

    return origins(CONFIG.corpus.pairs)


def words_digest():
    """Hash of the word tables of the languages that are spoken: pictures do not depend on them, recordings do."""
    tables = Path(workflow.basedir) / "ves/sources/scenes/lexicon"
    text = b"".join((tables / f"{language}.yaml").read_bytes() for language in CONFIG.corpus.scenes.languages)
    return hashlib.sha256(text).hexdigest()[:12]


def source(path):
    """A raw shard: deleted once ingested, unless the configuration keeps it."""
    return path if CONFIG.corpus.keep_source else temp(path)


def entries(wildcards):
    """The listed shards by name; known once they are listed."""
    listing = Path(checkpoints.list_shards.get(corpus=wildcards.corpus).output.listing)
    return read_listing(listing, listing.stat().st_mtime_ns)


@functools.cache
def read_listing(listing, changed):
    """The shards of a listing by name; read once each time that it has changed: every job asks for its own entry."""
    return {shard["name"]: shard for shard in json.loads(listing.read_text())["shards"]}


def delete_ingested_sources():
    """Delete raw shards that are ingested and still here: Snakemake was killed before it came to that."""
    data = Path("data") / CORPUS
    for path in () if CONFIG.corpus.keep_source else (data / "source").rglob("*.parquet"):
        if (data / "parts" / path.relative_to(data / "source")).exists():
            path.unlink()


def shards(wildcards, part, folder):
    """The files of one part of the corpus in a folder of it; known once the shards are listed."""
    found = [name for name, shard in entries(wildcards).items() if shard["part"] == part]
    return [f"data/{wildcards.corpus}/{folder}/{name}.parquet" for name in found]


def clip_parts(wildcards):
    """Rows of every clip, accepted or refused."""
    return shards(wildcards, "audio", "parts")


def image_parts(wildcards):
    """Rows of every image, accepted or refused."""
    return shards(wildcards, "images", "parts")


def labels_table(wildcards):
    """The table of spellings, where the configuration names one."""
    return [] if CONFIG.corpus.labels is None else [CONFIG.corpus.labels]


def labels_option(wildcards):
    """The option that names it."""
    return ["--labels", *labels_table(wildcards)] if labels_table(wildcards) else []


def pictures(wildcards):
    """The accepted pictures themselves."""
    return shards(wildcards, "images", "images")


def transcripts_option(wildcards):
    """Where ingest puts what Vaani's speakers were written to have said; other kinds of corpora have no such column."""
    path = f"data/{wildcards.corpus}/truth/{wildcards.shard}.parquet"
    return ["--truth", path] if CONFIG.corpus.kind == "vaani" else []


def truth(wildcards):
    """What only evaluation and figures may open; Vaani has none."""
    if CONFIG.corpus.kind != "scenes":
        return []
    return shards(wildcards, "audio", "truth") + shards(wildcards, "images", "truth")


def run_threads(wildcards):
    """Threads of one run: part of its recipe, so a run may override them."""
    return CONFIG.train_of(wildcards.run.rsplit("-s", 1)[0]).threads


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


def run_config(wildcards):
    """Everything that decides one run, and nothing else: editing another run leaves this text as it is."""
    name, seed = wildcards.run.rsplit("-s", 1)
    data, train = f"data/{wildcards.corpus}", CONFIG.train_of(name)
    paths = DataPaths(
        corpus=wildcards.corpus,
        manifest=f"{data}/manifest.parquet",
        splits=f"{data}/splits.parquet",
        images=f"{data}/images.parquet",
        audio=f"{data}/audio.zarr",
        features=f"{data}/features/{FEATURES}.{'json' if train.features == 'live' else 'zarr'}",
    )
    return as_json(
        RunConfig(
            run=wildcards.run,
            seed=int(seed),
            data=paths,
            audio=CONFIG.audio,
            model=CONFIG.model,
            train=train,
        )
    )


def watch_config(wildcards):
    """What is shown of a training; it decides nothing of the model, so it is no part of the run's configuration."""
    return as_json(
        WatchConfig(
            log=CONFIG.log,
            visualise=CONFIG.visualise,
            pictures=f"data/{wildcards.corpus}/images",
            truth=f"data/{wildcards.corpus}/truth",
        )
    )


def patch_source(wildcards):
    """What a run gets patch tokens from: the store, or, live, the pictures and the settings of the backbone."""
    folder = f"data/{wildcards.corpus}/features/{FEATURES}"
    if CONFIG.train_of(wildcards.run.rsplit("-s", 1)[0]).features == "live":
        return [f"{folder}.json", *weights(CONFIG.vision.backbone), *pictures(wildcards)]
    return [f"{folder}.zarr.manifest.json"]


def embeddings_store(wildcards, input):
    """The store that a manifest of embeddings vouches for."""
    return input.embeddings.removesuffix(".manifest.json")


def table_config(wildcards):
    """The rows of the tables."""
    return as_json(TableConfig(table=CONFIG.table, seeds=CONFIG.seeds))


def weights(backbone):
    """The weights of a backbone in a local folder, as an input; one on the hub is known by its revision."""
    file = Path(backbone) / "model.safetensors"
    return [str(file)] if file.is_file() else []


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


def results():
    """What bare `snakemake` makes, but for what tells of it in the report; localisation is measured where there is a
    truth to measure it by."""
    tables = ("table1.md", "comparisons.csv", "retrieval_by.csv", "rank_histogram.png")
    shown = ("figure1.png", "heatmaps", "explorer")
    outputs = ["results/table1.csv", *(f"results/{CORPUS}/{file}" for file in tables + shown)]
    outputs += table_runs("results/{corpus}/{run}/curves.png")
    return outputs + [f"results/{CORPUS}/localisation.csv"] * (CONFIG.corpus.kind == "scenes")


def final_outputs():
    """What bare `snakemake` makes."""
    return [*results(), *(f"results/{CORPUS}/pages/{Path(page).stem}.html" for page in PAGES)]


def in_report(file, category):
    """A result of the corpus that the report shows, with the caption that is named after it."""
    name = Path(file).stem
    caption, labels = f"../report/{name}.rst", {"what": name.replace("_", " ")}
    return report(f"results/{{corpus}}/{file}", caption=caption, category=category, labels=labels)


def module_file(module):
    """The source of a module of ves, by its dotted name below ves; of a package, its `__init__`."""
    path = Path(workflow.basedir, "ves", *module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(module):
    """Modules of ves that a module of it imports, but for those that have no part in any result."""
    names = set()
    for node in ast.walk(ast.parse(module_file(module).read_text())):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("ves."):
            within = node.module.split(".")[1:]
            found = [".".join([*within, alias.name]) for alias in node.names]
            files = {
                name for name in found if module_file(name).is_file()
            }  # `from ves.store.features_writer import shard`
            names |= files if len(files) == len(found) else files | {".".join(within)}
    return {name for name in names if name.split(".")[0] != "config"} - WITHOUT_A_PART


def digest(module, *others):
    """Hash of the source of a module of ves, all that it builds on and `others` (files of ves, as patterns).

    As a param, it re-runs a rule when any of that changes.
    """
    found, ahead = set(), {module}
    while ahead:
        found |= ahead
        ahead = set().union(*map(imported, ahead)) - found
    sources = [module_file(name) for name in sorted(found)]
    sources += [file for pattern in others for file in sorted((Path(workflow.basedir) / "ves").glob(pattern))]
    text = b"".join(source.read_bytes() for source in sources)
    return hashlib.sha256(text).hexdigest()[:12]
