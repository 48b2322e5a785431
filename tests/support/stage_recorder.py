"""Which files of ves each stage of a workflow really runs and reads, written down by the stages themselves.

Python runs a module called `sitecustomize` before anything else; that of `environment` waits for the end of a stage.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

RECORDER = """
import atexit, json, os, sys
from pathlib import Path

if sys.orig_argv[1:3] == ["-m", "ves"]:
    ves, read = Path("ves").resolve(), set()
    record = Path(__file__).with_name(f"{sys.orig_argv[3]}.{os.getpid()}.json")

    def opened(event, arguments):
        if event == "open" and isinstance(arguments[0], str):
            read.add(arguments[0])

    def write():
        files = {module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
        files |= {path for path in read if not path.endswith(".py") and "__pycache__" not in path}
        paths = [Path(os.path.abspath(file)) for file in files]
        record.write_text(json.dumps([str(path.relative_to(ves)) for path in paths if path.is_relative_to(ves)]))

    sys.addaudithook(opened)
    atexit.register(write)
"""
COMMAND_LINE = "--help"  # what it runs, every stage does


def environment(copy: Path) -> dict[str, str]:
    """What a workflow in a copy of the repository needs in its environment to have its stages written down."""
    (folder := copy / "recorded").mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(RECORDER)
    return {"PYTHONPATH": str(folder)}


def files_of_stages(copy: Path) -> dict[str, set[str]]:
    """The files, as paths below ves, of every stage that ended in a copy, and of COMMAND_LINE."""
    command = [sys.executable, "-m", "ves", COMMAND_LINE]
    subprocess.run(command, cwd=copy, env=environment(copy), check=True, capture_output=True)
    found: dict[str, set[str]] = defaultdict(set)
    for file in (copy / "recorded").glob("*.json"):
        found[file.name.split(".")[0]] |= set(json.loads(file.read_text()))
    return found


def cheap_stages() -> set[str]:
    """The stages whose rules carry a digest of their code."""
    rules = [file.read_text() for file in Path("workflow/rules").glob("*.smk")]
    return {stage for rule in rules for stage in re.findall(r'digest\("([\w-]+)"\)', rule)}
