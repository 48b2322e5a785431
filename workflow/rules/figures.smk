"""What people look at: the tables, the curves of trainings, Figure 1, the gallery and the explorer of some validation
clips; what of it is in the report, with the captions in ../report."""


report: "../report/workflow.rst"


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
        table=report(
            "results/{corpus}/table1.csv",
            caption="../report/table1_csv.rst",
            category="1 Retrieval",
            labels={"what": "Table 1, as CSV"},
        ),
    log:
        "logs/{corpus}/table1.log",
    params:
        code=digest("report.tables.table1"),
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
        code=digest("report.tables.comparisons"),
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
        code=digest("report.tables.breakdown"),
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
        code=digest("report.tables.table1_page"),
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
        [in_report(f"{figure}.png", "1 Retrieval") for figure in RETRIEVAL_FIGURES],
    log:
        "logs/{corpus}/retrieval_figures.log",
    params:
        code=digest("report.tables.recall_plots"),
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
        code=digest("report.tables.localisation"),
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
        curves=report(
            "results/{corpus}/{run}/curves.png",
            caption="../report/curves.rst",
            category="4 Training",
            labels={"what": "curves of {run}"},
        ),
    log:
        "logs/{corpus}/curves/{run}.log",
    params:
        code=digest("report.monitoring.curves"),
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
        png=in_report("figure1.png", "3 Seeing it"),
        pdf="results/{corpus}/figure1.pdf",
    log:
        "logs/{corpus}/figure1.log",
    benchmark:
        "logs/{corpus}/figure1.tsv"
    params:
        code=digest("report.clips.figure1"),
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
        folder=report(
            directory("results/{corpus}/heatmaps"),
            caption="../report/heatmaps.rst",
            htmlindex="index.html",
            category="3 Seeing it",
            labels={"what": "gallery: films, words, strips"},
        ),
    log:
        "logs/{corpus}/heatmaps.log",
    benchmark:
        "logs/{corpus}/heatmaps.tsv"
    priority: 1  # as localisation: it takes as long
    params:
        code=digest("report.clips.gallery"),
        clips=CONFIG.heatmaps.clips,
        runs=table_runs("results/{corpus}/{run}", CONFIG.seeds[:1]),
        pictures="data/{corpus}/images/",
        truth="data/{corpus}/truth",
    shell:
        "python -m ves heatmaps --runs {params.runs} --pictures {params.pictures} --truth {params.truth} "
        "--clips {params.clips} --out {output.folder} --log {log}"


rule explorer:
    input:
        truth,
        pictures,
        table_runs("results/{corpus}/{run}/embeddings/val.zarr.manifest.json"),
        manifest="data/{corpus}/manifest.parquet",
        audio="data/{corpus}/audio.zarr.manifest.json",
        configs=table_runs("results/{corpus}/{run}/config.json"),
    output:
        folder=report(
            directory("results/{corpus}/explorer"),
            caption="../report/explorer.rst",
            htmlindex="index.html",
            category="3 Seeing it",
            labels={"what": "explorer: play, point, search"},
        ),
    log:
        "logs/{corpus}/explorer.log",
    benchmark:
        "logs/{corpus}/explorer.tsv"
    params:
        code=digest("report.explorer.build", "report/explorer/page/*"),
        clips=CONFIG.explorer.clips,
        runs=table_runs("results/{corpus}/{run}"),
        pictures="data/{corpus}/images/",
        truth="data/{corpus}/truth",
    shell:
        "python -m ves explorer --runs {params.runs} --pictures {params.pictures} --truth {params.truth} "
        "--clips {params.clips} --out {output.folder} --log {log}"


rule refused_table:
    input:
        refused="data/{corpus}/refused.parquet",
        manifest="data/{corpus}/manifest.parquet",
        images="data/{corpus}/images.parquet",
    output:
        table="results/{corpus}/refused.csv",
    log:
        "logs/{corpus}/refused_table.log",
    params:
        code=digest("report.tables.refused"),
    shell:
        "python -m ves refused-table --refused {input.refused} --manifest {input.manifest} --images {input.images} "
        "--out {output.table} --log {log}"


# After all that is measured, so that it says what this state of the results has cost.
rule stage_times:
    input:
        results(),
    output:
        table="results/{corpus}/times.csv",
    log:
        "logs/{corpus}/stage_times.log",
    params:
        code=digest("report.tables.times"),
        logs="logs/{corpus}",
    shell:
        "python -m ves stage-times {params.logs} --out {output.table} --log {log}"


rule pages:
    input:
        expand("results/{{corpus}}/{page}", page=PAGES),
    output:
        [in_report(f"pages/{Path(page).stem}.html", category) for page, category in PAGES.items()],
    log:
        "logs/{corpus}/pages.log",
    params:
        code=digest("report.html"),
        out=subpath(output[0], parent=True),
    shell:
        "python -m ves html {input} --out {params.out} --log {log}"
