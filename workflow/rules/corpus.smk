"""From the list of shards to who is in which split."""


localrules:
    write_corpus_config,
    write_split_config,


onsuccess:
    delete_ingested_sources()


rule write_corpus_config:
    output:
        "data/{corpus}/corpus.json",
    log:
        "logs/{corpus}/write_corpus_config.log",
    params:
        content=corpus_config,
    shell:
        "printf '%s\\n' {params.content:q} > {output} 2> {log}"


# A checkpoint: what follows is known once the shards are.
checkpoint list_shards:
    input:
        corpus="data/{corpus}/corpus.json",
    output:
        listing="data/{corpus}/shards.json",
    log:
        "logs/{corpus}/list_shards.log",
    params:
        origin=listing_origin,
    shell:
        "python -m ves list-shards --corpus {input.corpus} --out {output.listing} --log {log}"


rule ingest_audio:
    input:
        corpus=ancient("data/{corpus}/corpus.json"),
        source="data/{corpus}/source/{shard}.parquet",
    output:
        part="data/{corpus}/parts/{shard}.parquet",
    log:
        "logs/{corpus}/ingest/{shard}.log",
    benchmark:
        "logs/{corpus}/ingest/{shard}.tsv"
    wildcard_constraints:
        shard="audio/.+",
    params:
        version=1,
        origin=shard_origin,
        keep_seconds=CONFIG.corpus.keep_seconds,
        store="data/{corpus}/audio.zarr",
    shell:
        "python -m ves ingest-audio --corpus {input.corpus} --shard {wildcards.shard} --source {input.source} "
        "--store {params.store} --part {output.part} --log {log}"


rule ingest_images:
    input:
        corpus=ancient("data/{corpus}/corpus.json"),
        source="data/{corpus}/source/{shard}.parquet",
    output:
        part="data/{corpus}/parts/{shard}.parquet",
        pictures="data/{corpus}/images/{shard}.parquet",
    log:
        "logs/{corpus}/ingest/{shard}.log",
    benchmark:
        "logs/{corpus}/ingest/{shard}.tsv"
    wildcard_constraints:
        shard="images/.+",
    params:
        version=1,
        origin=shard_origin,
    shell:
        "python -m ves ingest-images --corpus {input.corpus} --shard {wildcards.shard} --source {input.source} "
        "--pictures {output.pictures} --part {output.part} --log {log}"


rule merge:
    input:
        clip_parts,
        image_parts,
        listing="data/{corpus}/shards.json",
    output:
        manifest="data/{corpus}/manifest.parquet",
        refused="data/{corpus}/refused.parquet",
        # images that were there keep their rows, and so their features
        images=update("data/{corpus}/images.parquet"),
    log:
        "logs/{corpus}/merge.log",
    params:
        code=digest("manifest"),
        parts="data/{corpus}/parts",
    shell:
        "python -m ves merge --listing {input.listing} --parts {params.parts} --manifest {output.manifest} "
        "--refused {output.refused} --images {output.images} --log {log}"


rule seal_audio:
    input:
        clip_parts,
        listing="data/{corpus}/shards.json",
    output:
        manifest="data/{corpus}/audio.zarr.manifest.json",
    log:
        "logs/{corpus}/seal_audio.log",
    params:
        store="data/{corpus}/audio.zarr",
    shell:
        "python -m ves seal-audio --listing {input.listing} --store {params.store} --log {log}"


rule write_split_config:
    output:
        "data/{corpus}/split.json",
    log:
        "logs/{corpus}/write_split_config.log",
    params:
        content=as_json(CONFIG.split),
    shell:
        "printf '%s\\n' {params.content:q} > {output} 2> {log}"


rule split:
    input:
        manifest="data/{corpus}/manifest.parquet",
        images="data/{corpus}/images.parquet",
        split="data/{corpus}/split.json",
    output:
        splits="data/{corpus}/splits.parquet",
        summary="data/{corpus}/splits.md",
    log:
        "logs/{corpus}/split.log",
    params:
        code=digest("splits"),
    shell:
        "python -m ves split --manifest {input.manifest} --images {input.images} --split {input.split} "
        "--out {output.splits} --summary {output.summary} --log {log}"
