"""Your own pairs: shards are packed from the files that the tables list."""


include: "listing.smk"


rule pack:
    input:
        corpus=ancient("data/{corpus}/corpus.json"),
    output:
        source=source("data/{corpus}/source/{shard}.parquet"),
    log:
        "logs/{corpus}/pack/{shard}.log",
    benchmark:
        "logs/{corpus}/pack/{shard}.tsv"
    params:
        version=2,
        origin=shard_origin,
    shell:
        "python -m ves pack --corpus {input.corpus:q} --shard {wildcards.shard:q} --out {output.source:q} --log {log:q}"
