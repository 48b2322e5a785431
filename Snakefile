"""VeS, from the corpus to the table and the heatmaps. ves/ says what each step means; this says what runs, and when."""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/shards.smk"


rule all:
    input:
        final_outputs(),


rule heatmaps:
    input:
        f"results/{CORPUS}/heatmaps",


for name in CONFIG.runs:

    rule:
        name:
            f"train_{name}"
        input:
            models(name),


include: "workflow/rules/settings.smk"
include: f"workflow/rules/{KIND}.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/figures.smk"
