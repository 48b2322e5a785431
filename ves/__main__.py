"""The command line: `ves <stage> ...` or `python -m ves <stage> ...`.

The stages are the functions of ves.commands. One whose name begins with one of GROUPS may be written as two words:
`vaani check`.
"""

import sys

from ves.commands import arguments, corpus, features, process, stores

STAGES = (*corpus.STAGES, *features.STAGES, *stores.STAGES)
GROUPS = ("vaani", "store")  # first words of stages of two words


def main(given_arguments: list[str] | None = None) -> int:
    """Run one stage; 0 when it is done, 1 after an error."""
    process.wait_asleep()
    given = vars(arguments.parser(STAGES, GROUPS).parse_args(given_arguments))
    name, second, function, log_file = (given.pop(key, "") for key in ("stage", "second", "function", "log"))
    return process.run(f"{name} {second}".rstrip(), function, given, log_file)


if __name__ == "__main__":
    sys.exit(main())
