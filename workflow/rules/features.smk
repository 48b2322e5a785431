"""Patch tokens of every picture, once, from the frozen backbone."""


scattergather:
    features=1,  # jobs; `--set-scatter features=8` makes it eight, which changes no byte of the store


localrules:
    write_vision_config,


rule write_vision_config:
    output:
        "data/{corpus}/features/{features}.json",
    log:
        "logs/{corpus}/write_vision_config/{features}.log",
    params:
        content=as_json(CONFIG.vision),
    shell:
        "printf '%s\\n' {params.content:q} > {output} 2> {log}"


rule features:
    input:
        pictures,
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
        pictures="data/{corpus}/images/",
        store="data/{corpus}/features/{features}.zarr",
    shell:
        "python -m ves features --vision {input.vision} --images {input.images} --pictures {params.pictures} "
        "--store {params.store} --part {wildcards.scatteritem} --out {output.part} --log {log}"


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
