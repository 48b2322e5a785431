"""What people look at: the tables, Figure 1, and the gallery of some validation clips."""


localrules:
    write_table_config,
    publish,


rule write_table_config:
    output:
        "results/{corpus}/table.json",
    log:
        "logs/{corpus}/write_table_config.log",
    params:
        content=table_config,
    shell:
        "printf '%s\\n' {params.content:q} > {output} 2> {log}"


rule table1:
    input:
        table_runs("results/{corpus}/{run}/retrieval.json"),
        table="results/{corpus}/table.json",
    output:
        table="results/{corpus}/table1.csv",
    log:
        "logs/{corpus}/table1.log",
    params:
        code=digest("tables"),
        results=subpath(output.table, parent=True),
    shell:
        "python -m ves table1 --table {input.table} --results {params.results} --out {output.table} --log {log}"


# results/table1.csv is the table of the corpus that the configuration names.
rule publish:
    input:
        f"results/{CORPUS}/table1.csv",
    output:
        "results/table1.csv",
    log:
        "logs/publish.log",
    shell:
        "cp {input} {output} 2> {log}"


rule localisation_table:
    input:
        table_runs("results/{corpus}/{run}/localisation.json"),
        table="results/{corpus}/table.json",
    output:
        table="results/{corpus}/localisation.csv",
    log:
        "logs/{corpus}/localisation_table.log",
    params:
        code=digest("tables"),
        results=subpath(output.table, parent=True),
    shell:
        "python -m ves localisation-table --table {input.table} --results {params.results} --out {output.table} --log {log}"


rule draw_figure1:
    input:
        truth,
        pictures,
        table_runs("results/{corpus}/{run}/embeddings/val.zarr.manifest.json", CONFIG.seeds[:1]),
        audio="data/{corpus}/audio.zarr.manifest.json",
        configs=table_runs("results/{corpus}/{run}/config.json", CONFIG.seeds[:1]),
    output:
        png="results/{corpus}/figure1.png",
        pdf="results/{corpus}/figure1.pdf",
    log:
        "logs/{corpus}/figure1.log",
    benchmark:
        "logs/{corpus}/figure1.tsv"
    params:
        code=digest("figure1"),
        clips=CONFIG.figure1.clips,
        runs=table_runs("results/{corpus}/{run}", CONFIG.seeds[:1]),
        pictures="data/{corpus}/images/",
        truth="data/{corpus}/truth",
    shell:
        "python -m ves figure1 --runs {params.runs} --pictures {params.pictures} --truth {params.truth} "
        "--clips {params.clips} --out {output.png} --log {log}"


rule draw_heatmaps:
    input:
        truth,
        pictures,
        table_runs("results/{corpus}/{run}/embeddings/val.zarr.manifest.json", CONFIG.seeds[:1]),
        audio="data/{corpus}/audio.zarr.manifest.json",
        configs=table_runs("results/{corpus}/{run}/config.json", CONFIG.seeds[:1]),
    output:
        index="results/{corpus}/heatmaps/index.json",
    log:
        "logs/{corpus}/heatmaps.log",
    benchmark:
        "logs/{corpus}/heatmaps.tsv"
    params:
        code=digest("heatmaps"),
        clips=CONFIG.heatmaps.clips,
        runs=table_runs("results/{corpus}/{run}", CONFIG.seeds[:1]),
        pictures="data/{corpus}/images/",
        truth="data/{corpus}/truth",
        out=subpath(output.index, parent=True),
    shell:
        "python -m ves heatmaps --runs {params.runs} --pictures {params.pictures} --truth {params.truth} "
        "--clips {params.clips} --out {params.out} --log {log}"
