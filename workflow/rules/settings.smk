"""The settings files, whose contents are defined in ves/config/slices.py. A file is written when its text changes."""


localrules:
    write_settings,


rule write_settings:
    output:
        "{file}",
    log:
        "logs/write_settings/{file}.log",
    wildcard_constraints:
        file="|".join(map(re.escape, SETTINGS)),
    params:
        content=settings_text,
    shell:
        "printf '%s\\n' {params.content:q} > {output:q} 2> {log:q}"
