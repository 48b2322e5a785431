"""What people look at: the tables, the curves of trainings, Figure 1, and the gallery of some validation clips."""


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


rule comparisons:
    input:
        retrieval_ranks(),
        table="results/{corpus}/table.json",
    output:
        table="results/{corpus}/comparisons.csv",
    log:
        "logs/{corpus}/comparisons.log",
    params:
        code=digest("differences"),
        results=subpath(output.table, parent=True),
    shell:
        "python -m ves comparisons --table {input.table} --results {params.results} --out {output.table} --log {log}"


rule breakdown:
    input:
        truth,
        retrieval_ranks(),
        table="results/{corpus}/table.json",
        manifest="data/{corpus}/manifest.parquet",
        splits="data/{corpus}/splits.parquet",
    output:
        table="results/{corpus}/retrieval_by.csv",
    log:
        "logs/{corpus}/breakdown.log",
    benchmark:
        "logs/{corpus}/breakdown.tsv"
    params:
        code=digest("breakdown"),
        results=subpath(output.table, parent=True),
        truth="data/{corpus}/truth",
    shell:
        "python -m ves breakdown --table {input.table} --results {params.results} --manifest {input.manifest} "
        "--splits {input.splits} --truth {params.truth} --out {output.table} --log {log}"


rule retrieval_page:
    input:
        truth,
        retrieval_ranks(),
        table="results/{corpus}/table.json",
    output:
        page="results/{corpus}/table1.md",
    log:
        "logs/{corpus}/retrieval_page.log",
    params:
        code=digest("retrieval_page"),
        results=subpath(output.page, parent=True),
        truth="data/{corpus}/truth",
    shell:
        "python -m ves retrieval-page --table {input.table} --results {params.results} --corpus {wildcards.corpus} "
        "--truth {params.truth} --out {output.page} --log {log}"


rule retrieval_figures:
    input:
        retrieval_ranks(),
        table="results/{corpus}/table.json",
        groups="results/{corpus}/retrieval_by.csv",
    output:
        expand("results/{{corpus}}/{figure}.png", figure=["recall_by_language", "recall_over_k", "rank_histogram"]),
    log:
        "logs/{corpus}/retrieval_figures.log",
    params:
        code=digest("recall_plots"),
        results=subpath(input.table, parent=True),
    shell:
        "python -m ves retrieval-figures --table {input.table} --results {params.results} --groups {input.groups} "
        "--out {output} --log {log}"


rule localisation_table:
    input:
        table_runs("results/{corpus}/{run}/localisation.json"),
        table="results/{corpus}/table.json",
    output:
        table="results/{corpus}/localisation.csv",
        protocols="results/{corpus}/localisation_protocols.csv",
        by="results/{corpus}/localisation_by.csv",
    log:
        "logs/{corpus}/localisation_table.log",
    params:
        code=digest("localisation_tables"),
        results=subpath(output.table, parent=True),
    shell:
        "python -m ves localisation-table --table {input.table} --results {params.results} --out {output.table} "
        "--protocols {output.protocols} --by {output.by} --log {log}"


# Of log.jsonl, which training writes beside the model.
rule curves:
    input:
        config="results/{corpus}/{run}/config.json",
        model="results/{corpus}/{run}/model.safetensors",
    output:
        curves="results/{corpus}/{run}/curves.png",
    log:
        "logs/{corpus}/curves/{run}.log",
    params:
        code=digest("curves"),
        run=subpath(input.config, parent=True),
    shell:
        "python -m ves curves {params.run} --out {output.curves} --log {log}"


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


rule explorer:
    input:
        truth,
        pictures,
        table_runs("results/{corpus}/{run}/embeddings/val.zarr.manifest.json"),
        manifest="data/{corpus}/manifest.parquet",
        audio="data/{corpus}/audio.zarr.manifest.json",
        configs=table_runs("results/{corpus}/{run}/config.json"),
    output:
        page="results/{corpus}/explorer/index.html",
    log:
        "logs/{corpus}/explorer.log",
    benchmark:
        "logs/{corpus}/explorer.tsv"
    params:
        code=digest("explorer.build", "explorer/page/*"),
        clips=CONFIG.explorer.clips,
        runs=table_runs("results/{corpus}/{run}"),
        pictures="data/{corpus}/images/",
        truth="data/{corpus}/truth",
        out=subpath(output.page, parent=True),
    shell:
        "python -m ves explorer --runs {params.runs} --pictures {params.pictures} --truth {params.truth} "
        "--clips {params.clips} --out {params.out} --log {log}"
