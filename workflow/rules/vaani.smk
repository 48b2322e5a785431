"""Project Vaani: surveyed and chosen without its sound, then downloaded from the hub and verified."""


localrules:
    list_shards,


# Not a check of the configuration, because a dry run needs no revision, and only now it is known whether this is one.
onstart:
    try:
        CONFIG.corpus.vaani.commit()
    except ValueError as error:
        raise WorkflowError(f"The configuration is not valid:\n{error}") from None


# Its tables stay in its folder, undeclared, so that a wider choice requests only new files from the hub.
rule survey:
    input:
        settings="data/{corpus}/survey_config.json",
    output:
        survey="data/{corpus}/survey.json",
    log:
        "logs/{corpus}/survey.log",
    params:
        version=1,
        folder=subpath(output.survey, strip_suffix=".json"),
    shell:
        "python -m ves survey --settings {input.settings} --folder {params.folder} --out {output.survey} --log {log}"


# The chosen rows of the shards are in an undeclared folder; the entry of each shard has their hash.
rule choose:
    input:
        corpus="data/{corpus}/corpus.json",
        survey="data/{corpus}/survey.json",
        labels=LABELS,
    output:
        choice="data/{corpus}/choice.json",
    log:
        "logs/{corpus}/choose.log",
    params:
        code=digest("choose"),
        folder=subpath(input.survey, strip_suffix=".json"),
        chosen="data/{corpus}/chosen",
    shell:
        "python -m ves choose --corpus {input.corpus} --survey {input.survey} --folder {params.folder} "
        "--chosen {params.chosen} --out {output.choice} --log {log}"


rule write_plan:
    input:
        settings="data/{corpus}/plan_settings.json",
        survey="data/{corpus}/survey.json",
        choice="data/{corpus}/choice.json",
        labels=LABELS,
    output:
        plan="data/{corpus}/plan.json",
        page="results/{corpus}/plan.md",
    log:
        "logs/{corpus}/write_plan.log",
    params:
        code=digest("plan"),
        data=subpath(output.plan, parent=True),
    shell:
        "python -m ves plan --settings {input.settings} --survey {input.survey} --listing {input.choice} "
        "--data {params.data} --page {output.page} --out {output.plan} --log {log}"


rule plan:
    input:
        f"results/{CORPUS}/plan.md",


rule check_disk_space:
    input:
        plan="data/{corpus}/plan.json",
    output:
        fits=touch("data/{corpus}/disk_space.ok"),
    log:
        "logs/{corpus}/check_disk_space.log",
    params:
        data=subpath(input.plan, parent=True),
    shell:
        "python -m ves check-disk-space --plan {input.plan} --data {params.data} --log {log}"


# A checkpoint: later jobs are known only once the shards are, and nothing is downloaded unless the disk has space. No
# later job has an input from before it, not even as `ancient`: as long as such a file has to be made again, Snakemake
# looks at nothing that depends on it, and would not notice another choice.
checkpoint list_shards:
    input:
        "data/{corpus}/disk_space.ok",
        choice="data/{corpus}/choice.json",
    output:
        listing="data/{corpus}/shards.json",
    log:
        "logs/{corpus}/list_shards.log",
    shell:
        "cp {input.choice} {output.listing} 2> {log}"


rule fetch:
    input:
        corpus=ancient("data/{corpus}/corpus.json"),
        listing=ancient("data/{corpus}/shards.json"),
    output:
        source=source("data/{corpus}/source/{shard}.parquet"),
    log:
        "logs/{corpus}/fetch/{shard}.log",
    benchmark:
        "logs/{corpus}/fetch/{shard}.tsv"
    retries: 2
    resources:
        download=1,
    params:
        version=1,
        origin=shard_origin,
    shell:
        "python -m ves fetch --corpus {input.corpus:q} --listing {input.listing:q} --shard {wildcards.shard:q} "
        "--out {output.source:q} --log {log:q}"
