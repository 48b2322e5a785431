"""Helpers about the shards of the corpus: what decides each, and which there are, known once they are listed."""

import functools
import hashlib
import json

from ves.sources import kinds


def require_revision():
    """Refuse to run, before any job, what would have to download without saying which commit."""
    try:
        CONFIG.corpus.vaani.commit()
    except ValueError as error:
        raise WorkflowError(f"The configuration is not valid:\n{error}") from None


def nothing_to_plan(wildcards):
    """Asked for a plan of what is made here."""
    raise WorkflowError(
        f"There is nothing to plan: a plan is of what is downloaded (corpus.kind: vaani), and the corpus {CORPUS} is "
        f"made here (corpus.kind: {KIND}). Leave out the target `plan`."
    )


@functools.cache
def origins():
    """What decides the content of each shard that is made here; of own pairs, size and time of every file."""
    return kinds.source(KIND).origins(getattr(CONFIG.corpus, KIND))


def listing_origin(wildcards):
    """What decides the list of shards besides the settings: the tables of own pairs, which may change any time."""
    return hashlib.sha256("".join(origins()).encode()).hexdigest()


def shard_origin(wildcards):
    """What decides the content of a shard: a district added to the list leaves those already here alone."""
    return entry(wildcards).get("sha256") if KIND == "vaani" else origins().get(wildcards.shard)


def chosen_rows(wildcards):
    """Which rows of a downloaded shard are taken: a changed choice ingests anew the shards in which it takes others."""
    return entry(wildcards).get("chosen") if KIND == "vaani" else None


def raw_shard(wildcards):
    """A raw shard, and files that say how it is ingested; what in these decides its rows is in `params`."""
    data = f"data/{wildcards.corpus}"
    settings = {name: ancient(f"{data}/{file}.json") for name, file in (("corpus", "corpus"), ("listing", "shards"))}
    return {**settings, "source": f"{data}/source/{wildcards.shard}.parquet"}


def source(path):
    """A raw shard: deleted once ingested, unless the configuration keeps it."""
    return path if CONFIG.corpus.keep_source else temp(path)


def delete_ingested_sources():
    """Delete raw shards that are ingested and still here: Snakemake was killed before it came to that."""
    data = Path("data") / CORPUS
    for path in () if CONFIG.corpus.keep_source else (data / "source").rglob("*.parquet"):
        if (data / "parts" / path.relative_to(data / "source")).exists():
            path.unlink()


@functools.cache
def read_listing(listing, changed):
    """The shards of a listing by name; read once each time that it has changed: every job asks for its own entry."""
    return {shard["name"]: shard for shard in json.loads(listing.read_text())["shards"]}


def entries(wildcards):
    """The listed shards by name; known once they are listed."""
    listing = Path(checkpoints.list_shards.get(corpus=wildcards.corpus).output.listing)
    return read_listing(listing, listing.stat().st_mtime_ns)


def entry(wildcards):
    """What the listing says of a shard; nothing of one that another choice has left out."""
    return entries(wildcards).get(wildcards.shard, {})


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


def pictures(wildcards):
    """The accepted pictures themselves."""
    return shards(wildcards, "images", "images")


def truth(wildcards):
    """What only evaluation and figures may open; most corpora have nothing that these need."""
    return [file for part in ("audio", "images") * WITH_TRUTH for file in shards(wildcards, part, "truth")]
