"""From the list of shards to the splits."""


onsuccess:
    delete_ingested_sources()


rule ingest_audio:
    input:
        unpack(raw_shard),
    output:
        part="data/{corpus}/parts/{shard,audio/.+}.parquet",
    log:
        "logs/{corpus}/ingest/{shard}.log",
    benchmark:
        "logs/{corpus}/ingest/{shard}.tsv"
    priority: 1  # before the next download or recording, because ingesting frees disk space
    params:
        version=5,
        origin=shard_origin,
        chosen=chosen_rows,
        keep_seconds=CONFIG.corpus.keep_seconds,
        store="data/{corpus}/audio.zarr",
        truth=["--truth", "data/{corpus}/truth/{shard}.parquet"] if SOURCES[KIND].downloaded else [],  # transcripts
    shell:
        "python -m ves ingest-audio --corpus {input.corpus:q} --listing {input.listing:q} --shard {wildcards.shard:q} "
        "--source {input.source:q} --store {params.store:q} --part {output.part:q} {params.truth:q} --log {log:q}"


rule ingest_images:
    input:
        unpack(raw_shard),
    output:
        part="data/{corpus}/parts/{shard,images/.+}.parquet",
        pictures="data/{corpus}/images/{shard}.parquet",
    log:
        "logs/{corpus}/ingest/{shard}.log",
    benchmark:
        "logs/{corpus}/ingest/{shard}.tsv"
    priority: 1  # before the next download or recording, because ingesting frees disk space
    params:
        version=3,
        origin=shard_origin,
        chosen=chosen_rows,
    shell:
        "python -m ves ingest-images --corpus {input.corpus:q} --listing {input.listing:q} --shard {wildcards.shard:q} "
        "--source {input.source:q} --pictures {output.pictures:q} --part {output.part:q} --log {log:q}"


rule merge:
    input:
        clip_parts,
        image_parts,
        listing="data/{corpus}/shards.json",
        labels=LABELS,
    output:
        manifest="data/{corpus}/manifest.parquet",
        refused="data/{corpus}/refused.parquet",
        # existing images keep their rows, and so their features
        images=update("data/{corpus}/images.parquet"),
    log:
        "logs/{corpus}/merge.log",
    params:
        code=digest("merge"),
        parts="data/{corpus}/parts",
        labels=["--labels", *LABELS] if LABELS else [],
    shell:
        "python -m ves merge --listing {input.listing} --parts {params.parts} --manifest {output.manifest} "
        "--refused {output.refused} --images {output.images} {params.labels:q} --log {log}"


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


rule split:
    input:
        manifest="data/{corpus}/manifest.parquet",
        images="data/{corpus}/images.parquet",
        split="data/{corpus}/split.json",
    output:
        # the previous split is read, to say what has changed
        splits=update("data/{corpus}/splits.parquet"),
        summary="results/{corpus}/splits.md",
        plot="results/{corpus}/splits.png",
    log:
        "logs/{corpus}/split.log",
    params:
        code=digest("split"),
    shell:
        "python -m ves split --manifest {input.manifest} --images {input.images} --split {input.split} "
        "--out {output.splits} --summary {output.summary} --plot {output.plot} --log {log}"
