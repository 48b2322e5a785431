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


rule ingest_audio:
    input:
        corpus=ancient("data/{corpus}/corpus.json"),
        listing=ancient("data/{corpus}/shards.json"),
        source="data/{corpus}/source/{shard}.parquet",
    output:
        part="data/{corpus}/parts/{shard}.parquet",
    log:
        "logs/{corpus}/ingest/{shard}.log",
    benchmark:
        "logs/{corpus}/ingest/{shard}.tsv"
    wildcard_constraints:
        shard="audio/.+",
    priority: 1  # before another download or recording: what is ingested makes room
    params:
        version=3,
        origin=shard_origin,
        chosen=chosen_rows,
        keep_seconds=CONFIG.corpus.keep_seconds,
        store="data/{corpus}/audio.zarr",
        truth=transcripts_option,
    shell:
        "python -m ves ingest-audio --corpus {input.corpus:q} --listing {input.listing:q} --shard {wildcards.shard:q} "
        "--source {input.source:q} --store {params.store:q} --part {output.part:q} {params.truth:q} --log {log:q}"


rule ingest_images:
    input:
        corpus=ancient("data/{corpus}/corpus.json"),
        listing=ancient("data/{corpus}/shards.json"),
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
    priority: 1  # before another download or recording: what is ingested makes room
    params:
        version=2,
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
        labels=labels_table,
    output:
        manifest="data/{corpus}/manifest.parquet",
        refused="data/{corpus}/refused.parquet",
        # images that were there keep their rows, and so their features
        images=update("data/{corpus}/images.parquet"),
    log:
        "logs/{corpus}/merge.log",
    params:
        code=digest("corpus.manifest"),
        parts="data/{corpus}/parts",
        labels=labels_option,
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
        # the split that was there is read, to tell what has changed
        splits=update("data/{corpus}/splits.parquet"),
        summary="results/{corpus}/splits.md",
        plot="results/{corpus}/splits.png",
    log:
        "logs/{corpus}/split.log",
    params:
        code=digest("report.tables.splits"),
    shell:
        "python -m ves split --manifest {input.manifest} --images {input.images} --split {input.split} "
        "--out {output.splits} --summary {output.summary} --plot {output.plot} --log {log}"
