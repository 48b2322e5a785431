"""Completion of stages, options and choices for bash and zsh, as a script that the shell reads once.

Pressing the tab key starts no program. Any other word is completed as the name of a file.
"""

from collections.abc import Sequence

from ves.commands.arguments import ALIASES, Stage, arguments, name_of, two_words

BASH = """\
# Completion of ves for bash. In ~/.bashrc: source <(ves completion bash)
_ves() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words="" options="--help"
    case "${{COMP_WORDS[*]:1:COMP_CWORD-1}} " in
{cases}
    esac
    if [[ $current == -* ]]; then words=$options; fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _ves ves
"""

ZSH = """\
# Completion of ves for zsh. In ~/.zshrc: source <(ves completion zsh)
_ves() {{
    local current=${{words[CURRENT]}} choices="" options="--help"
    case "${{(j: :)words[2,CURRENT-1]}} " in
{cases}
    esac
    if [[ $current == -* ]]; then choices=$options; fi
    if [[ -n $choices ]]; then compadd -- ${{=choices}}; else _files; fi
}}
whence compdef > /dev/null || {{ autoload -Uz compinit && compinit }}
compdef _ves ves
"""

SHELLS = {
    "bash": (BASH, "words"),
    "zsh": (ZSH, "choices"),
}  # the script, and its variable for the words that may come next


def script(shell: str, stages: Sequence[Stage], groups: Sequence[str]) -> str:
    """The script for a shell. It offers a stage of a group as two words, and completes its options in both
    spellings."""
    text, variable = SHELLS[shell]
    single = [name for name in map(name_of, stages) if name.partition("-")[0] not in groups]
    cases = [_case('" "', variable, [*single, *groups], ["--help", "--version"])]
    for group in groups:
        members = [name.removeprefix(f"{group}-") for name in map(name_of, stages) if name.startswith(f"{group}-")]
        cases.append(_case(f'"{group} "', variable, members, ["--help"]))
    for stage in stages:
        name = name_of(stage)
        spellings = sorted({name, two_words(stage, groups), *ALIASES.get(name, ())})
        parameters = arguments(stage)
        choices = [choice for argument in parameters if argument.positional for choice in argument.choices]
        options = [f"--{argument.key}" for argument in parameters if not argument.positional]
        pattern = "|".join(f'"{spelling} "*' for spelling in spellings)
        cases.append(_case(pattern, variable, choices, [*options, "--log", "--help"]))
    return text.format(cases="\n".join(cases))


def _case(pattern: str, variable: str, words: list[str], options: list[str]) -> str:
    return f'        {pattern}) {variable}="{" ".join(words)}" options="{" ".join(options)}" ;;'
