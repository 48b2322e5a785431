"""Project Vaani: the shards are downloaded from the hub, resumed and verified."""


# Not part of checking the configuration: whether this is a dry run, which needs no revision, is known only now.
onstart:
    require_revision()


rule fetch:
    input:
        corpus=ancient("data/{corpus}/corpus.json"),
        listing=ancient("data/{corpus}/shards.json"),
    output:
        source=source("data/{corpus}/source/{shard}.parquet"),
    log:
        "logs/{corpus}/fetch/{shard}.log",
    benchmark:
        "logs/{corpus}/fetch/{shard}.tsv"
    retries: 2
    params:
        version=1,
        origin=shard_origin,
    shell:
        "python -m ves fetch --corpus {input.corpus} --listing {input.listing} --shard {wildcards.shard} "
        "--out {output.source} --log {log}"
