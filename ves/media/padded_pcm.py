"""Samples of a WAV that use fewer bits than they take, such as 24 bits in 4 bytes; libsndfile does not read them right.

Microsoft puts the bits in use at the top, with zeros below; ALSA (S24_LE) puts them at the bottom, with the sign or
zeros above. The header is the same, so the samples must show which. libsndfile reads some of them as samples of 3
bytes, which gives noise.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Int32

from ves.media.audio import BadAudio
from ves.media.wav_header import Wav

BLOCK = 1 << 18  # samples at a time


def blocks(encoded: bytes, wav: Wav) -> Iterator[Float32[np.ndarray, "_ channels"]]:
    """Samples of a PCM file of 2, 3 or 4 bytes a sample, full scale 1. Raises BadAudio `unreadable` where the bits of
    the header leave bytes unused that the samples use."""
    values = _values(encoded, wav, wav.bits // 8)
    if _at_the_bottom(values, wav):
        values = values << (wav.bits - wav.valid)
    elif wav.widened and np.any(values & ((1 << (wav.bits - wav.valid)) - 1)):
        if not wav.packed:
            raise BadAudio(
                "unreadable",
                f"the WAV header counts {wav.bits // 8} bytes for a sample of {wav.valid} bits, but the samples use "
                "all of them; correct the header",
            )
        values = _values(encoded, wav, 3)
    for start in range(0, len(values), BLOCK):
        yield values[start : start + BLOCK].astype(np.float32) / np.float32(1 << 31)


def _values(encoded: bytes, wav: Wav, width: int) -> Int32[np.ndarray, "n channels"]:
    """Samples of `width` bytes, in the upper bytes of 32 bits."""
    count = wav.present // width // wav.channels * wav.channels
    raw = np.frombuffer(encoded, np.uint8, count * width, wav.start).reshape(-1, width)
    padded = np.zeros((len(raw), 4), np.uint8)
    padded[:, 4 - width :] = raw if wav.little_endian else raw[:, ::-1]
    return padded.view("<i4").reshape(-1, wav.channels)


def _at_the_bottom(values: Int32[np.ndarray, "n channels"], wav: Wav) -> bool:
    """Whether the lower bits are in use: above the value are its sign or zeros in every sample.

    Values at the top are like that too if they are so quiet. They have zeros below, but so has a recording of 16 bits
    at the bottom of 24. Where a whole byte is unused, values at the top would peak below 1/256 (-48 dBFS), so they are
    taken for values at the bottom.
    """
    unused = wav.bits - wav.valid
    bits = values.view(np.uint32) >> np.uint32(32 - wav.bits)
    above, below = bits >> np.uint32(wav.valid), bits & np.uint32((1 << unused) - 1)
    return bool(np.isin(above, (0, (1 << unused) - 1)).all() and (below.any() or (unused >= 8 and bits.any())))
