"""The command line: `ves <stage> ...` or `python -m ves <stage> ...`, arguments to function calls and nothing else.

Each stage is a function below, and its signature and docstring are its arguments and help (ves.arguments). A stage
whose name begins with one of GROUPS may be written as two words: `vaani check`. What a stage needs is imported when it
is called: torch takes seconds.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ves import arguments, config, stage
from ves.corpus_config import CorpusConfig
from ves.files import read_json, write_json
from ves.section import Section

if TYPE_CHECKING:
    import polars as pl

PARTS = ("audio", "images")  # of a corpus


def list_shards(*, corpus: Path, out: Path) -> None:
    """List the shards of a corpus: one small file, on which all that follows depends."""
    from ves.corpora import source

    settings = _corpus(corpus)
    block = getattr(settings, settings.kind)
    shards = source(settings.kind).list_shards(block)
    shards = [shard | {"chosen": None} for shard in shards]  # all rows
    write_json(out, {"revision": getattr(block, "revision", None), "shards": shards})


def survey(*, corpus: Path, folder: Path, out: Path) -> None:
    """Read the listing of Vaani, and of each file the footer and the texts; nothing of the sound or the pictures."""
    from ves.corpora.survey import survey

    survey(_block(_corpus(corpus).vaani), folder, out)


def choose(*, corpus: Path, survey: Path, folder: Path, chosen: Path, out: Path) -> None:
    """Choose among the surveyed clips by label and caps; list the shards that are wanted."""
    from ves.corpora.choice import choose

    settings = _corpus(corpus)
    choose(_block(settings.vaani), _spellings(settings), survey, folder, chosen, out)


def plan(*, settings: Path, survey: Path, listing: Path, data: Path, page: Path, out: Path) -> None:
    """What a download will bring, weigh and take: a page for people, and the numbers as JSON.

    DATA is the folder of the corpus: what was surveyed and chosen is read there, and what is there already counts.
    """
    from ves.plan_page import write

    write(_read(config.PlanSettings, settings), survey, listing, data, page, out)


def check_room(*, plan: Path, data: Path) -> None:
    """Fail, before anything is downloaded, when the disk cannot hold what the plan foresees."""
    from ves.room import check_room

    check_room(plan, data)


def vaani_check(*, configfile: list[Path] | None = None, corpus: Path | None = None, out: Path | None = None) -> None:
    """Compare what VeS assumes of Vaani with one row group of its smallest shards; a table of what differs.

    The corpus is that of configuration files, laid over the config.yaml of this folder, or of a corpus.json. The table
    goes to OUT, by default to results/<corpus>/vaani-check.md.
    """
    from ves.validate import load

    if (configfile is None) == (corpus is None):
        raise ValueError("give --configfile, such as config/vaani-mini.yaml, or --corpus, a corpus.json; one of them")
    settings = _corpus(corpus) if corpus else load(Path("config.yaml"), configfile or []).corpus
    if settings.kind != "vaani":
        raise ValueError(f"corpus.kind: {settings.kind!r}; only of 'vaani' is anything assumed that could be checked")
    from ves.corpora.check import check

    surveyed = Path("data") / settings.name / "survey"  # used where it is there
    out = out or Path("results") / settings.name / "vaani-check.md"
    check(_block(settings.vaani), _spellings(settings), surveyed, out)


def fetch(*, corpus: Path, listing: Path, shard: str, out: Path) -> None:
    """Download one shard of Vaani; resumes, and verifies what came."""
    from ves.corpora.vaani import fetch

    entry = _listed(listing, shard)
    fetch(_block(_corpus(corpus).vaani), entry, out)


def pack(*, corpus: Path, shard: str, out: Path) -> None:
    """Pack one shard of your own pairs from the files that the tables name."""
    from ves.corpora.pairs import fetch

    fetch(_block(_corpus(corpus).pairs), shard, out)


def generate(*, corpus: Path, shard: str, out: Path, truth: Path) -> None:
    """Synthesise one shard of Spoken Scenes, and what only evaluation may know of it."""
    from ves.corpora.scenes import fetch

    fetch(_block(_corpus(corpus).scenes), shard, out, truth)


def ingest_audio(
    *, corpus: Path, listing: Path, shard: str, source: Path, store: Path, part: Path, truth: Path | None = None
) -> None:
    """Decode and check one shard of clips: samples to the store, one row per clip to the part, words to the truth."""
    from ves.ingest import ingest_audio
    from ves.source_rows import chosen_rows

    ingest_audio(_corpus(corpus), shard, source, store, part, chosen_rows(listing, _listed(listing, shard)), truth)


def ingest_images(*, corpus: Path, listing: Path, shard: str, source: Path, pictures: Path, part: Path) -> None:
    """Decode and check one shard of pictures: those accepted, and one row per picture to the part."""
    from ves.ingest import ingest_images
    from ves.source_rows import chosen_rows

    ingest_images(_corpus(corpus), shard, source, pictures, part, chosen_rows(listing, _listed(listing, shard)))


def merge(
    *, listing: Path, parts: Path, manifest: Path, refused: Path, images: Path, labels: Path | None = None
) -> None:
    """Merge the parts: who is in, who is out, and one row per distinct picture."""
    from ves.manifest import merge

    clip_parts, image_parts = ([parts / f"{name}.parquet" for name in _names(listing, part)] for part in PARTS)
    merge(clip_parts, image_parts, manifest, refused, images, labels)


def seal_audio(*, listing: Path, store: Path) -> None:
    """Join the shards' groups of samples to one store, and write its manifest."""
    from ves.audio_store import seal

    seal(store, _names(listing, "audio"))


def split(*, manifest: Path, images: Path, split: Path, out: Path, summary: Path, plot: Path) -> None:
    """Assign every clip to a split; no image, and in val no known speaker, is shared with train."""
    from ves.splits import write

    write(manifest, images, _read(config.SplitConfig, split), out, summary, plot)


def features(*, vision: Path, images: Path, pictures: Path, store: Path, part: str, out: Path) -> None:
    """Patch tokens of one part of the pictures, such as 2-of-8, from the frozen backbone; goes on where it was stopped.

    A part is whole shards of the store. OUT is the record of them that seal-features asks for.
    """
    from ves.extraction import extract

    extract(_read(config.VisionConfig, vision), images, pictures, store, part, out)


def seal_features(*, images: Path, store: Path, parts: list[Path], manifest: Path) -> None:
    """Mark the features complete once every part is there, and write their manifest."""
    from ves.extraction import seal

    seal(images, store, parts, manifest)


def train(run: Path) -> None:
    """Train the run described by RUN/config.json; goes on from its newest checkpoint."""
    from ves.train import train

    train(run)


def embed(run: Path, *, split: str, out: Path) -> None:
    """Embed the clips and images of a split with the model of a run."""
    from ves.embed import embed

    embed(run, split, out)


def retrieval(*, embeddings: Path, out: Path) -> None:
    """Recall and ranks, both directions."""
    from ves.retrieval import evaluate

    evaluate(embeddings, out)


def localisation(*, run: Path, embeddings: Path, truth: Path, out: Path) -> None:
    """Whether spoken nouns point at the objects that they name."""
    from ves.localisation import evaluate

    evaluate(embeddings, _read(config.RunConfig, run / "config.json").data, truth, out)


def table1(*, table: Path, results: Path, out: Path) -> None:
    """The table of retrieval results, with the chance rows."""
    from ves.tables import table1

    table1(_read(config.TableConfig, table), results, out)


def localisation_table(*, table: Path, results: Path, out: Path) -> None:
    """The table of pointing results, with its baselines."""
    from ves.tables import localisation_csv

    localisation_csv(_read(config.TableConfig, table), results, out)


def heatmaps(*, runs: list[Path], pictures: Path, truth: Path, clips: int, out: Path) -> None:
    """Heatmaps of some validation clips, the runs side by side."""
    from ves.heatmaps import draw

    draw(runs, _read(config.RunConfig, runs[0] / "config.json").data, pictures, truth, clips, out)


def store_info(path: Path) -> None:
    """What a store holds: arrays, shapes, sizes, attributes, and whether all of it is there."""
    from ves.inspection import describe

    print(describe(path))


def store_verify(path: Path, *, images: Path | None = None) -> None:
    """Check every byte of a feature store or an audio store; lists all that is wrong, and then ends with 1.

    IMAGES is the images.parquet that the features are of, by default that of the corpus that the store lies in.
    """
    from ves.shards import BadStore
    from ves.verification import verify

    for fault in (faults := verify(path, images)):
        print(fault)
    if faults:
        raise BadStore(f"{path}: not sound, places: {len(faults)}; run the stage that writes it again")
    print(f"{path}: sound")


def store_show(
    path: Path, image_id: str, *, out: Path | None = None, images: Path | None = None, pictures: Path | None = None
) -> None:
    """A picture beside its patch tokens, whose first three principal components are red, green and blue.

    The beginning of an IMAGE_ID is enough. IMAGES and PICTURES are by default images.parquet and images/ of the corpus
    that the store lies in; the PNG goes to OUT, by default to <first 16 digits>.png in this folder.
    """
    from ves.token_picture import show

    show(path, image_id, out, images, pictures)


STAGES: tuple[Callable[..., None], ...] = (
    *(
        vaani_check,
        list_shards,
        survey,
        choose,
        plan,
        check_room,
        fetch,
        pack,
        generate,
        ingest_audio,
        ingest_images,
        merge,
        seal_audio,
        split,
    ),
    *(features, seal_features, train, embed, retrieval, localisation, table1, localisation_table, heatmaps),
    *(store_info, store_verify, store_show),
)


GROUPS = ("vaani", "store")  # first words of stages of two words


def _read[T: Section](kind: type[T], path: Path) -> T:
    """A settings file as its section. Raises ValueError that names the file."""
    try:
        return kind.model_validate(read_json(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _corpus(path: Path) -> CorpusConfig:
    return _read(CorpusConfig, path)


def _spellings(corpus: CorpusConfig) -> "pl.DataFrame":
    """The table of spellings that the corpus names, or an empty one."""
    from ves import labels

    return labels.read(None if corpus.labels is None else Path(corpus.labels))


def _names(listing: Path, part: str) -> list[str]:
    """The shards of one part of the corpus."""
    return [shard["name"] for shard in read_json(listing)["shards"] if shard["part"] == part]


def _listed(listing: Path, shard: str) -> dict[str, Any]:
    """The entry of a shard. Raises ValueError that names the listing without it."""
    listed = {entry["name"]: entry for entry in read_json(listing)["shards"]}
    if shard not in listed:
        raise ValueError(
            f"{listing}: no shard {shard!r} among its {len(listed)}, such as {min(listed, default='none')}"
        )
    return listed[shard]


def _block[T](block: T | None) -> T:
    """The block of a corpus that is named after its kind; CorpusConfig has checked that it is there."""
    assert block is not None
    return block


def main(given_arguments: list[str] | None = None) -> int:
    """Run one stage; 0 when it is done, 1 after an error."""
    given = vars(arguments.parser(STAGES, GROUPS).parse_args(given_arguments))
    name, second, function, log_file = (given.pop(key, "") for key in ("stage", "second", "function", "log"))
    return stage.run(f"{name} {second}".rstrip(), function, given, log_file)


if __name__ == "__main__":
    sys.exit(main())
