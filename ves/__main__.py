"""The command line: `ves <stage> ...` or `python -m ves <stage> ...`.

The stages are the functions of ves.commands. One whose name begins with one of GROUPS may be written as two words:
`vaani check`.
"""

import sys
from typing import Annotated, Any, Literal

from ves.commands import arguments, corpus, evaluation, features, process, report, sources, stores, training
from ves.commands.parser import parser


def completion(shell: Annotated[Literal["bash", "zsh"], "the shell to complete in"]) -> None:
    """Print a script by which a shell completes stages and options.

    In ~/.bashrc: source <(ves completion bash); in ~/.zshrc: source <(ves completion zsh).
    """
    from ves.commands.completion import script

    print(script(shell, STAGES, GROUPS), end="")


FILES = (sources, corpus, features, training, evaluation, report, stores)
STAGES = (*(stage for file in FILES for stage in file.STAGES), completion)
GROUPS = ("vaani", "store")  # first words of stages of two words
TYPED = (  # what people type, as the overview shows it; all others are for the workflow
    *("train", "evaluate", "localise", "results", "curves", "heatmaps", "explorer"),
    *("store-info", "store-verify", "store-show", "vaani-check", "completion"),
)


def main(given_arguments: list[str] | None = None) -> int:
    """Run one stage; 0 when it is done, 1 after an error."""
    process.wait_asleep()
    given = vars(parser(STAGES, GROUPS, TYPED).parse_args(given_arguments))
    name, second, function, log_file = (given.pop(key, "") for key in ("stage", "second", "function", "log"))

    def checked(**settings: Any) -> None:
        arguments.check(function, settings)
        function(**settings)

    return process.run(f"{name} {second}".rstrip(), checked, given, log_file)


if __name__ == "__main__":
    sys.exit(main())
