"""Helpers for the shards of the corpus: what each depends on, and which exist, known once they are listed."""

import functools
import hashlib
import json

from ves.sources import kinds


def plan_page(wildcards):
    """The page that the target `plan` makes; it is refused for a corpus that has nothing to plan."""
    if SOURCES[KIND].planned:
        return f"results/{CORPUS}/plan.md"
    planned = " or ".join(kind for kind, one in SOURCES.items() if one.planned)
    raise WorkflowError(
        f"There is nothing to plan: a plan is for a download or for films (corpus.kind: {planned}), and the corpus "
        f"{CORPUS} is neither (corpus.kind: {KIND}). Leave out the target `plan`."
    )


@functools.cache
def origins():
    """What the content of each shard that is made here depends on; for own pairs, the size and time of every file."""
    return kinds.source(KIND).origins(CONFIG.corpus.block)


def listing_origin(wildcards):
    """What the list of shards depends on besides the settings: the tables of own pairs, which may change any time."""
    return hashlib.sha256("".join(origins()).encode()).hexdigest()


def shard_origin(wildcards):
    """What the content of a shard depends on. Another district in the list changes no existing shard."""
    return entry(wildcards).get("sha256") if SOURCES[KIND].downloaded else origins().get(wildcards.shard)


def films_origin(wildcards):
    """What the segments of a group of films depend on; they are one shard of sound and one of pictures."""
    return origins().get(f"audio/{wildcards.films}")


def segment_tables(wildcards):
    """The tables of the segments that are written as files, one for each group of films."""
    names = [name.removeprefix("audio/") for name, shard in entries(wildcards).items() if shard["part"] == "audio"]
    return [f"data/{wildcards.corpus}/segment_parts/{name}.csv" for name in names]


def chosen_rows(wildcards):
    """The chosen rows of a downloaded shard. After another choice, only shards with other rows are ingested again."""
    return entry(wildcards).get("chosen") if SOURCES[KIND].downloaded else None


def raw_shard(wildcards):
    """A raw shard, and the files that say how it is ingested. What its rows depend on in these is in `params`."""
    data = f"data/{wildcards.corpus}"
    settings = {name: ancient(f"{data}/{file}.json") for name, file in (("corpus", "corpus"), ("listing", "shards"))}
    return {**settings, "source": f"{data}/source/{wildcards.shard}.parquet"}


def source(path):
    """A raw shard. It is deleted once ingested, unless the configuration keeps it."""
    return path if CONFIG.corpus.keep_source else temp(path)


def delete_ingested_sources():
    """Delete raw shards that are ingested but still exist, because Snakemake was killed before it deleted them."""
    data = Path("data") / CORPUS
    for path in () if CONFIG.corpus.keep_source else (data / "source").rglob("*.parquet"):
        if (data / "parts" / path.relative_to(data / "source")).exists():
            path.unlink()


@functools.cache
def read_listing(listing, changed):
    """The shards of a listing by name. It is read once after each change, because every job asks for its own entry."""
    return {shard["name"]: shard for shard in json.loads(listing.read_text())["shards"]}


def entries(wildcards):
    """The listed shards by name; unknown until they are listed."""
    listing = Path(checkpoints.list_shards.get(corpus=wildcards.corpus).output.listing)
    return read_listing(listing, listing.stat().st_mtime_ns)


def entry(wildcards):
    """The listing's entry of a shard; empty if the present choice leaves it out."""
    return entries(wildcards).get(wildcards.shard, {})


def shards(wildcards, part, folder):
    """The files of one part of the corpus in one of its folders; unknown until the shards are listed."""
    names = [name for name, shard in entries(wildcards).items() if shard["part"] == part]
    return [f"data/{wildcards.corpus}/{folder}/{name}.parquet" for name in names]


def clip_parts(wildcards):
    """Rows of every clip, accepted or refused."""
    return shards(wildcards, "audio", "parts")


def image_parts(wildcards):
    """Rows of every image, accepted or refused."""
    return shards(wildcards, "images", "parts")


def pictures(wildcards):
    """The accepted pictures themselves."""
    return shards(wildcards, "images", "images")


def truth(wildcards):
    """Word timings and object masks, which only evaluation and figures may open; most corpora have none."""
    return [file for part in ("audio", "images") * LOCALISED for file in shards(wildcards, part, "truth")]
