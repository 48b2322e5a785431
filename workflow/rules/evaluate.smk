"""Embeddings of a split by every run, and what they show: retrieval, and where spoken nouns point."""


rule embed:
    input:
        patch_source,
        config="results/{corpus}/{run}/config.json",
        model="results/{corpus}/{run}/model.safetensors",
        splits="data/{corpus}/splits.parquet",
        audio="data/{corpus}/audio.zarr.manifest.json",
    output:
        manifest="results/{corpus}/{run}/embeddings/{split}.zarr.manifest.json",
    log:
        "logs/{corpus}/embed/{run}-{split}.log",
    benchmark:
        "logs/{corpus}/embed/{run}-{split}.tsv"
    threads: run_threads
    resources:
        gpu=1,
    params:
        version=1,
        run=subpath(input.model, parent=True),
        store="results/{corpus}/{run}/embeddings/{split}.zarr",
    shell:
        "python -m ves embed {params.run} --split {wildcards.split} --out {params.store} --log {log}"


rule retrieval:
    input:
        embeddings="results/{corpus}/{run}/embeddings/val.zarr.manifest.json",
    output:
        metrics="results/{corpus}/{run}/retrieval.json",
    log:
        "logs/{corpus}/retrieval/{run}.log",
    benchmark:
        "logs/{corpus}/retrieval/{run}.tsv"
    params:
        code=digest("retrieval"),
        embeddings=embeddings_store,
    shell:
        "python -m ves retrieval --embeddings {params.embeddings} --out {output.metrics} --log {log}"


rule localisation:
    input:
        truth,
        config="results/{corpus}/{run}/config.json",
        embeddings="results/{corpus}/{run}/embeddings/val.zarr.manifest.json",
    output:
        metrics="results/{corpus}/{run}/localisation.json",
    log:
        "logs/{corpus}/localisation/{run}.log",
    benchmark:
        "logs/{corpus}/localisation/{run}.tsv"
    params:
        code=digest("localisation"),
        run=subpath(input.config, parent=True),
        embeddings=embeddings_store,
        truth="data/{corpus}/truth",
    shell:
        "python -m ves localisation --run {params.run} --embeddings {params.embeddings} "
        "--truth {params.truth} --out {output.metrics} --log {log}"
