"""The command line: `ves <stage> ...` or `python -m ves <stage> ...`.

The stages are functions in ves.commands. One whose name begins with one of GROUPS may also be typed as two words, such
as `vaani check`.
"""

import sys
from typing import Annotated, Any, Literal

from ves.commands import arguments, corpus, evaluation, features, figures, process, report, sources, stores, training
from ves.commands.parser import parser


def completion(shell: Annotated[Literal["bash", "zsh"], "the shell"]) -> None:
    """Print a script that lets a shell complete stages and options.

    In ~/.bashrc: source <(ves completion bash); in ~/.zshrc: source <(ves completion zsh).
    """
    from ves.commands.completion import script

    print(script(shell, STAGES, GROUPS), end="")


FILES = (sources, corpus, features, training, evaluation, report, figures, stores)
STAGES = (*(stage for file in FILES for stage in file.STAGES), completion)
GROUPS = ("vaani", "store")  # the first words of two-word stages
TYPED = (  # by people, in the order of the overview; all others are for the workflow
    *("train", "evaluate", "localise", "results", "curves", "heatmaps", "explorer"),
    *("store-info", "store-verify", "store-show", "vaani-check", "completion"),
)


def main(command_line: list[str] | None = None) -> int:
    """Run one stage and return its exit code: 0 if it succeeded, 1 after an error, 75 if a signal stopped it."""
    process.wait_asleep()
    values = vars(parser(STAGES, GROUPS, TYPED).parse_args(command_line))
    name, second, function, log_file = (values.pop(key, "") for key in ("stage", "second", "function", "log"))

    def checked(**settings: Any) -> None:
        arguments.check(function, settings)
        function(**settings)

    return process.run(f"{name} {second}".rstrip(), checked, values, log_file)


if __name__ == "__main__":
    sys.exit(main())
