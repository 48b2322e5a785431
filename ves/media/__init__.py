"""Bytes to waveforms and pixels, and back; where a patch or a frame lies.

`decode` makes 16 kHz samples from any recording, `window` cuts out the part that a model hears. `FrameGrid` says which
moment each audio token stands for, `Geometry` which pixels each patch stands for. Pictures are in `images`, films and
sounds for browsers in `encoding`.
"""

from typing import TYPE_CHECKING

from ves.base.lazy import face

if TYPE_CHECKING:
    from ves.media.audio import BadAudio as BadAudio
    from ves.media.audio import FrameGrid as FrameGrid
    from ves.media.audio import window as window
    from ves.media.decoding import decode as decode
    from ves.media.geometry import Geometry as Geometry

__getattr__, __dir__ = face(
    __name__,
    {
        "BadAudio": "ves.media.audio",
        "FrameGrid": "ves.media.audio",
        "window": "ves.media.audio",
        "decode": "ves.media.decoding",
        "Geometry": "ves.media.geometry",
    },
)
