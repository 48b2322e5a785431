"""Embeddings of a split by every run, and what is measured on them: retrieval, and where spoken nouns point.

Each job has one core. Jobs that others wait for come first, then the long ones, so that none is left alone at the end.
"""


rule embed:
    input:
        run_data,
        config="results/{corpus}/{run}/config.json",
        model="results/{corpus}/{run}/model.safetensors",
    output:
        manifest="results/{corpus}/{run}/embeddings/{split}.zarr.manifest.json",
    log:
        "logs/{corpus}/embed/{run}-{split}.log",
    benchmark:
        "logs/{corpus}/embed/{run}-{split}.tsv"
    priority: 3
    resources:
        gpu=embedding_gpu,
    params:
        version=1,
        run=subpath(input.model, parent=True),
        store="results/{corpus}/{run}/embeddings/{split}.zarr",
    shell:
        "python -m ves embed {params.run} --split {wildcards.split} --out {params.store} --log {log}"


# Scores are in undeclared blocks, so that a killed job resumes. Those of val stay until multi_positive has read them.
rule retrieval:
    input:
        multiext("results/{corpus}/{run}/", "config.json", "model.safetensors"),
        splits="data/{corpus}/splits.parquet",
        embeddings="results/{corpus}/{run}/embeddings/val.zarr.manifest.json",
    output:
        metrics="results/{corpus}/{run}/retrieval.json",
        ranks="results/{corpus}/{run}/ranks.parquet",
    log:
        "logs/{corpus}/retrieval/{run}.log",
    benchmark:
        "logs/{corpus}/retrieval/{run}.tsv"
    priority: 2
    params:
        code=digest("retrieval"),
        run=subpath(input[0], parent=True),
        blocks="results/{corpus}/{run}/scores",
    shell:
        "python -m ves retrieval {params.run} --blocks {params.blocks} --ranks {output.ranks} --out {output.metrics} "
        "--log {log}"


# retrieval.json is not read; as an input, it makes sure that the scores of val exist.
rule multi_positive:
    input:
        multiext("results/{corpus}/{run}/", "config.json", "model.safetensors", "retrieval.json"),
        splits="data/{corpus}/splits.parquet",
        embeddings=multiext("results/{corpus}/{run}/embeddings/val", ".zarr.manifest.json", "_more.zarr.manifest.json"),
    output:
        metrics="results/{corpus}/{run}/multi_positive.json",
        ranks="results/{corpus}/{run}/multi_positive.parquet",
    log:
        "logs/{corpus}/multi_positive/{run}.log",
    benchmark:
        "logs/{corpus}/multi_positive/{run}.tsv"
    priority: 2
    params:
        code=digest("multi-positive"),
        run=subpath(input[0], parent=True),
        blocks="results/{corpus}/{run}/scores",
    shell:
        "python -m ves multi-positive {params.run} --blocks {params.blocks} --ranks {output.ranks} "
        "--out {output.metrics} --log {log}"


rule localisation:
    input:
        truth,
        "data/{corpus}/splits.parquet",
        config="results/{corpus}/{run}/config.json",
        embeddings="results/{corpus}/{run}/embeddings/val.zarr.manifest.json",
    output:
        metrics="results/{corpus}/{run}/localisation.json",
    log:
        "logs/{corpus}/localisation/{run}.log",
    benchmark:
        "logs/{corpus}/localisation/{run}.tsv"
    priority: 1
    params:
        code=digest("localisation"),
        run=subpath(input.config, parent=True),
        embeddings=subpath(input.embeddings, strip_suffix=".manifest.json"),
    shell:
        "python -m ves localisation --run {params.run} --embeddings {params.embeddings} "
        "--truth data/{wildcards.corpus}/truth --out {output.metrics} --log {log}"
