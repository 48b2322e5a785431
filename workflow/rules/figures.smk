"""What people look at: tables, curves, Figure 1, the gallery and the explorer; and which of these are in the report,
with the captions in ../report."""


report: "../report/workflow.rst"


localrules:
    publish,


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
        code=digest("table1"),
        results=subpath(output.table, parent=True),
    shell:
        "python -m ves table1 --table {input.table} --results {params.results} --out {output.table} --log {log}"


# results/table1.csv is the table of the corpus in the configuration.
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
        code=digest("comparisons"),
        results=subpath(output.table, parent=True),
    shell:
        "python -m ves comparisons --table {input.table} --results {params.results} --out {output.table} --log {log}"


rule comparisons_page:
    input:
        table="results/{corpus}/comparisons.csv",
    output:
        page="results/{corpus}/comparisons.md",
        plot=in_report("comparisons.png", "1 Retrieval"),
    log:
        "logs/{corpus}/comparisons_page.log",
    params:
        code=digest("comparisons-page"),
    shell:
        "python -m ves comparisons-page {input.table} --out {output.page} --plot {output.plot} --log {log}"


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
        code=digest("retrieval-page"),
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
        code=digest("retrieval-figures"),
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
        code=digest("localisation-table"),
        results=subpath(output.table, parent=True),
    shell:
        "python -m ves localisation-table --table {input.table} --results {params.results} --out {output.table} "
        "--protocols {output.protocols} --by {output.by} --log {log}"


rule words:
    input:
        truth,
        splits="data/{corpus}/splits.parquet",
        config=f"results/{{corpus}}/{FIRST_RUN}/config.json",
        embeddings=f"results/{{corpus}}/{FIRST_RUN}/embeddings/val.zarr.manifest.json",
    output:
        table="results/{corpus}/words.csv",
        plot=in_report("words.png", "2 Localisation"),
        pointing=in_report("pointing_by_word.png", "2 Localisation"),
    log:
        "logs/{corpus}/words.log",
    params:
        code=digest("words"),
        run=subpath(input.config, parent=True),
    shell:
        "python -m ves words {params.run} --truth data/{wildcards.corpus}/truth --out {output.table} "
        "--plot {output.plot} --pointing {output.pointing} --log {log}"


# Drawn from log.jsonl, which training writes beside the model.
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
        code=digest("curves"),
        run=subpath(input.config, parent=True),
    shell:
        "python -m ves curves {params.run} --out {output.curves} --log {log}"


rule draw_figure1:
    input:
        pictures,
        embedded_clips(CONFIG.seeds[:1]),
        truth=truth,  # by its name, because the caption asks whether there is any
    output:
        png=in_report("figure1.png", "3 Seeing it"),
        pdf="results/{corpus}/figure1.pdf",
    log:
        "logs/{corpus}/figure1.log",
    benchmark:
        "logs/{corpus}/figure1.tsv"
    params:
        code=digest("figure1"),
        clips=CONFIG.figure1.clips,
        runs=table_runs("results/{corpus}/{run}", CONFIG.seeds[:1]),
        truth="data/{corpus}/truth",
    shell:
        "python -m ves figure1 --runs {params.runs} --pictures data/{wildcards.corpus}/images/ --truth {params.truth} "
        "--clips {params.clips} --out {output.png} --log {log}"


rule draw_heatmaps:
    input:
        pictures,
        embedded_clips(CONFIG.seeds[:1]),
        truth=truth,  # by its name, because the caption asks whether there is any
    output:
        folder=in_report("heatmaps", "3 Seeing it", "gallery: films, words, strips"),
    log:
        "logs/{corpus}/heatmaps.log",
    benchmark:
        "logs/{corpus}/heatmaps.tsv"
    priority: 1  # like localisation, which takes as long
    params:
        code=digest("heatmaps"),
        clips=CONFIG.heatmaps.clips,
        runs=table_runs("results/{corpus}/{run}", CONFIG.seeds[:1]),
        truth="data/{corpus}/truth",
    shell:
        "python -m ves heatmaps --runs {params.runs} --pictures data/{wildcards.corpus}/images/ --truth {params.truth} "
        "--clips {params.clips} --out {output.folder} --back ../index.html --log {log}"


rule explorer:
    input:
        truth,
        pictures,
        embedded_clips(),
        manifest="data/{corpus}/manifest.parquet",
    output:
        folder=in_report("explorer", "3 Seeing it", "explorer: play, point, search"),
    log:
        "logs/{corpus}/explorer.log",
    benchmark:
        "logs/{corpus}/explorer.tsv"
    params:
        code=digest("explorer"),
        clips=CONFIG.explorer.clips,
        runs=table_runs("results/{corpus}/{run}"),
        truth="data/{corpus}/truth",
    shell:
        "python -m ves explorer --runs {params.runs} --pictures data/{wildcards.corpus}/images/ --truth {params.truth} "
        "--clips {params.clips} --out {output.folder} --back ../index.html --log {log}"


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
        code=digest("refused-table"),
    shell:
        "python -m ves refused-table --refused {input.refused} --manifest {input.manifest} --images {input.images} "
        "--out {output.table} --log {log}"


# After everything that is measured, so that it says what the present results have cost.
rule stage_times:
    input:
        results(),
    output:
        table="results/{corpus}/times.csv",
    log:
        "logs/{corpus}/stage_times.log",
    params:
        code=digest("stage-times"),
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
        code=digest("html"),
        out=subpath(output[0], parent=True),
    shell:
        "python -m ves html {input} --out {params.out} --back ../index.html --log {log}"


# The first page of the report includes these. It cannot read the CSV files: it would take R@10 for an address of mail.
rule report_tables:
    input:
        tables=expand("results/{{corpus}}/{table}.csv", table=REPORT_TABLES),
        table="results/{corpus}/table.json",
    output:
        expand("results/{{corpus}}/pages/parts/{table}.html", table=REPORT_TABLES),
    log:
        "logs/{corpus}/report_tables.log",
    params:
        code=digest("html-tables"),
        out=subpath(output[0], parent=True),
    shell:
        "python -m ves html-tables {input.tables} --table {input.table} --out {params.out} --log {log}"


rule index:
    input:
        results(),
        pages(),
        table="results/{corpus}/table.json",
    output:
        page="results/{corpus}/index.html",
    log:
        "logs/{corpus}/index.log",
    params:
        code=digest("index"),
        results=subpath(output.page, parent=True),
    shell:
        "python -m ves index {params.results} --table {input.table} --out {output.page} --log {log}"
