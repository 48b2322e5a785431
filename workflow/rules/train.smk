"""One run for each objective and seed. Checkpoints and log.jsonl are undeclared, so that nothing deletes them."""


rule train:
    input:
        training_data,
        ancient("results/{corpus}/{run}/watch.json"),  # the model does not depend on what is shown
        config="results/{corpus}/{run}/config.json",
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
