"""VeS: which pixels does a spoken word mean?"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ves.localise import Localiser


def load(run: Path | str) -> "Localiser":
    """A trained run, for pictures and voices of your own: ves.load(run).localise(picture, audio). See ves.localise."""
    from ves.localise import load  # only now: most parts of ves are used without torch

    return load(run)
