"""Spoken Scenes: shards are synthesised here, with the word timings and object masks for evaluation."""


include: "listing.smk"


rule generate:
    input:
        corpus=ancient("data/{corpus}/corpus.json"),
    output:
        source=source("data/{corpus}/source/{shard}.parquet"),
        truth="data/{corpus}/truth/{shard}.parquet",
    log:
        "logs/{corpus}/generate/{shard}.log",
    benchmark:
        "logs/{corpus}/generate/{shard}.tsv"
    params:
        version=2,
        origin=shard_origin,
    shell:
        "python -m ves generate --corpus {input.corpus:q} --shard {wildcards.shard:q} "
        "--out {output.source:q} --truth {output.truth:q} --log {log:q}"
