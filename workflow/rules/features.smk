"""Patch tokens of every picture, once, from the frozen backbone."""


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
        manifest="data/{corpus}/features/{features}.zarr.manifest.json",
    log:
        "logs/{corpus}/features/{features}.log",
    benchmark:
        "logs/{corpus}/features/{features}.tsv"
    threads: 2
    resources:
        gpu=1,
    params:
        version=1,
        pictures="data/{corpus}/images/",
        store="data/{corpus}/features/{features}.zarr",
    shell:
        "python -m ves features --vision {input.vision} --images {input.images} --pictures {params.pictures} "
        "--store {params.store} --manifest {output.manifest} --log {log}"
