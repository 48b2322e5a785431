"""One run per objective and seed. Checkpoints and log.jsonl lie beside the model, undeclared: nothing deletes them."""


localrules:
    write_run_config,
    write_watch_config,


rule write_run_config:
    output:
        "results/{corpus}/{run}/config.json",
    log:
        "logs/{corpus}/write_run_config/{run}.log",
    params:
        content=run_config,
    shell:
        "printf '%s\\n' {params.content:q} > {output} 2> {log}"


rule write_watch_config:
    output:
        "results/{corpus}/{run}/watch.json",
    log:
        "logs/{corpus}/write_watch_config/{run}.log",
    params:
        content=watch_config,
    shell:
        "printf '%s\\n' {params.content:q} > {output} 2> {log}"


rule train:
    input:
        patch_source,
        # what is shown decides nothing of the model
        watch=ancient("results/{corpus}/{run}/watch.json"),
        config="results/{corpus}/{run}/config.json",
        manifest="data/{corpus}/manifest.parquet",
        images="data/{corpus}/images.parquet",
        splits="data/{corpus}/splits.parquet",
        audio="data/{corpus}/audio.zarr.manifest.json",
        backbone=weights(CONFIG.audio.backbone),
    output:
        model="results/{corpus}/{run}/model.safetensors",
    log:
        "logs/{corpus}/train/{run}.log",
    benchmark:
        "logs/{corpus}/train/{run}.tsv"
    threads: run_threads
    resources:
        gpu=1,
    params:
        version=TRAINING,
        run=subpath(output.model, parent=True),
        python=one_process_per_gpu,
    shell:
        "{params.python} ves train {params.run} --log {log}"
