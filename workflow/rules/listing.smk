"""The listing of a corpus whose shards are made here: scenes, own pairs and films."""


# A checkpoint: later jobs are known only once the shards are.
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


rule plan:
    input:
        plan_page,
