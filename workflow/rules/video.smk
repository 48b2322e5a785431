"""Films: each group of them is cut by one job into a shard of sound and one of pictures, and on request into files."""


include: "listing.smk"


wildcard_constraints:
    films=r"films-\d+",


# One job for both shards: decoding is the work, and a film is decoded once.
rule cut_films:
    input:
        corpus=ancient("data/{corpus}/corpus.json"),
    output:
        audio=source("data/{corpus}/source/audio/{films}.parquet"),
        images=source("data/{corpus}/source/images/{films}.parquet"),
        truth="data/{corpus}/truth/audio/{films}.parquet",
    log:
        "logs/{corpus}/cut_films/{films}.log",
    benchmark:
        "logs/{corpus}/cut_films/{films}.tsv"
    params:
        version=1,
        origin=films_origin,
    shell:
        "python -m ves cut-films --corpus {input.corpus:q} --films {wildcards.films} --audio {output.audio:q} "
        "--images {output.images:q} --truth {output.truth:q} --log {log:q}"


rule write_plan:
    input:
        corpus="data/{corpus}/corpus.json",
    output:
        page="results/{corpus}/plan.md",
    log:
        "logs/{corpus}/write_plan.log",
    params:
        code=digest("plan-films"),
        origin=listing_origin,
    shell:
        "python -m ves plan-films --corpus {input.corpus:q} --page {output.page:q} --log {log:q}"


# The segments themselves are undeclared, so that an interruption loses none: those that are whole are kept.
rule write_segments:
    input:
        corpus="data/{corpus}/corpus.json",
    output:
        table="data/{corpus}/segment_parts/{films}.csv",
    log:
        "logs/{corpus}/write_segments/{films}.log",
    params:
        version=1,
        origin=films_origin,
        folder="data/{corpus}/segments",
    shell:
        "python -m ves write-segments --corpus {input.corpus:q} --films {wildcards.films} --folder {params.folder:q} "
        "--out {output.table:q} --log {log:q}"


rule gather_segments:
    input:
        tables=segment_tables,
    output:
        table="data/{corpus}/segments/segments.csv",
    log:
        "logs/{corpus}/gather_segments.log",
    params:
        code=digest("gather-segments"),
    shell:
        "python -m ves gather-segments --tables {input.tables:q} --out {output.table:q} --log {log:q}"


rule segments:
    input:
        f"data/{CORPUS}/segments/segments.csv",
