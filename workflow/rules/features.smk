"""Patch tokens of every picture, computed once by the frozen backbone."""


scattergather:
    features=1,  # jobs; `--set-scatter features=8` makes it eight, and no byte of the store changes


rule features:
    input:
        pictures,
        preprocessing,
        images="data/{corpus}/images.parquet",
        vision="data/{corpus}/features/{features}.json",
    output:
        part=temp("data/{corpus}/features/{features}.parts/{scatteritem}.json"),
    log:
        "logs/{corpus}/features/{features}/{scatteritem}.log",
    benchmark:
        "logs/{corpus}/features/{features}/{scatteritem}.tsv"
    threads: 2
    resources:
        gpu=1,
    params:
        version=2,
        store="data/{corpus}/features/{features}.zarr",
    shell:
        "python -m ves features --vision {input.vision} --images {input.images} --part {wildcards.scatteritem} "
        "--pictures data/{wildcards.corpus}/images/ --store {params.store} --out {output.part} --log {log}"


rule seal_features:
    input:
        images="data/{corpus}/images.parquet",
        parts=gather.features("data/{{corpus}}/features/{{features}}.parts/{scatteritem}.json"),
    output:
        manifest="data/{corpus}/features/{features}.zarr.manifest.json",
    log:
        "logs/{corpus}/seal_features/{features}.log",
    params:
        store="data/{corpus}/features/{features}.zarr",
    shell:
        "python -m ves seal-features --images {input.images} --store {params.store} --parts {input.parts} "
        "--manifest {output.manifest} --log {log}"
