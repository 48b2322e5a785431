"""Sounding Scenes: shards are synthesised here, with words, sounds and masks for evaluation; on request also films."""


include: "listing.smk"


rule generate_films:
    input:
        corpus=ancient("data/{corpus}/corpus.json"),
    output:
        source=source("data/{corpus}/source/{shard}.parquet"),
        truth="data/{corpus}/truth/{shard}.parquet",
    log:
        "logs/{corpus}/generate_films/{shard}.log",
    benchmark:
        "logs/{corpus}/generate_films/{shard}.tsv"
    params:
        version=1,
        origin=shard_origin,
    shell:
        "python -m ves generate-films --corpus {input.corpus:q} --shard {wildcards.shard:q} "
        "--out {output.source:q} --truth {output.truth:q} --log {log:q}"


# The films themselves are undeclared, so that an interruption loses none: those that are there are kept.
rule write_films:
    input:
        corpus="data/{corpus}/corpus.json",
    output:
        table="data/{corpus}/films/segments-{part}.csv",
    log:
        "logs/{corpus}/write_films/{part}.log",
    wildcard_constraints:
        part=r"\d+",
    params:
        version=1,
        folder="data/{corpus}/films",
    shell:
        "python -m ves write-films --corpus {input.corpus:q} --part {wildcards.part} --folder {params.folder:q} "
        "--out {output.table:q} --log {log:q}"


rule films:
    input:
        [f"data/{CORPUS}/films/segments-{part}.csv" for part in range(CONFIG.corpus.block.shards)],
