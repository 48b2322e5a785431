"""Which decoder takes which recording, and how its length is known: the one place that decides it.

A row for each container, by the bytes that it begins with. libsndfile reads what it knows best: uncompressed sound, and
FLAC, where it notices missing samples. FFmpeg reads everything else, and what libsndfile cannot read. docs/media.md
shows this table.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ves.media import mpeg_audio, ogg, stated_size, structure, trailer, wav_header
from ves.media.audio import BadAudio
from ves.media.wav_header import Wav

SNDFILE, FFMPEG = "libsndfile, else FFmpeg", "FFmpeg"
_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # the marker, and the header of the first block, which has 34 bytes


def _alone(encoded: bytes) -> list[bytes]:
    return [encoded]


def _joined_wav(encoded: bytes) -> list[bytes]:
    """WAV files one after another: the next begins where RIFF ends."""
    parts, order = [], "little" if encoded[:4] == b"RIFF" else "big"
    while True:
        end = 8 + int.from_bytes(encoded[4:8], order)
        end += end % 2
        if encoded[end : end + 4] != encoded[:4] or encoded[end + 8 : end + 12] != b"WAVE":
            return [*parts, encoded]
        parts.append(encoded[:end])
        encoded = encoded[end:]


def _joined_flac(encoded: bytes) -> list[bytes]:
    """FLAC files one after another."""
    starts = [0]
    while (start := encoded.find(b"fLaC", starts[-1] + 4)) > 0:
        if not _FLAC.match(encoded, start):
            break
        starts.append(start)
    return [encoded[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def _no_size(encoded: bytes) -> None:
    return None


@dataclass(frozen=True)
class Container:
    """A kind of file. `size` gives the number of bytes that a whole file has, None if the file does not say (a WAV does
    in its header, which `Recording` has), `parts` the recordings in a file, `chunks` what may follow the samples, which
    end at `size` (None: `size` goes through the whole file, or nothing tells where they end). A kind without a
    `decoder` is refused: a file of it that was cut off cannot be told from a whole one."""

    name: str
    begins: re.Pattern[bytes]
    codecs: str
    decoder: str | None
    length: str
    size: Callable[[bytes], int | None] = _no_size
    parts: Callable[[bytes], list[bytes]] = _alone
    chunks: trailer.Chunks | None = None


def _row(name: str, begins: bytes, codecs: str, decoder: str | None, length: str, *functions) -> Container:
    return Container(name, re.compile(begins, re.DOTALL), codecs, decoder, length, *functions)


_PCM = "PCM, float, mu-law, A-law"
_NOT_STATED = "not stated, so refused"
_ANY = "any that FFmpeg knows"
CONTAINERS = (
    _row("WAV", rb"RIF[FX]....WAVE", f"{_PCM}, ADPCM; MP3, AC-3, AAC, WMA, G.726 by FFmpeg", SNDFILE, "size of `data`",
         _no_size, _joined_wav, trailer.riff),
    _row("FLAC", rb"fLaC", "FLAC", SNDFILE, "samples in STREAMINFO, counted", _no_size, _joined_flac),
    _row("RF64, BW64", rb"(RF64|BW64)....WAVE", _PCM, SNDFILE, "size of `data` in `ds64`", _no_size, _alone,
         trailer.riff),
    _row("W64", rb"riff\x2e\x91\xcf\x11", _PCM, SNDFILE, "size of `data`", stated_size.w64, _alone,
         trailer.w64),
    _row("AIFF, AIFF-C", rb"FORM....AIF[FC]", _PCM, SNDFILE, "size of `SSND`", stated_size.iff, _alone,
         trailer.riff),
    _row("8SVX", rb"FORM....(8SVX|16SV)", "PCM", SNDFILE, "size of `BODY`", stated_size.iff, _alone,
         trailer.riff),
    _row("AU", rb"(\.snd|dns\.)", f"{_PCM}, G.72x", SNDFILE, "size in its header", stated_size.au, _alone,
         trailer.no_chunks),
    _row("CAF", rb"caff", f"{_PCM}, ALAC; others by FFmpeg", SNDFILE, "sizes of its chunks", stated_size.caf),
    _row("NIST SPHERE", rb"NIST_1A", f"{_PCM}, Shorten by FFmpeg", SNDFILE, "`sample_count`", stated_size.nist, _alone,
         trailer.no_chunks),
    _row("VOC", rb"Creative Voice File\x1a", _PCM, SNDFILE, "sizes of its blocks", stated_size.voc, _alone,
         trailer.no_chunks),
    _row("Ogg", rb"OggS", "Opus, Vorbis, FLAC, Speex", FFMPEG, "each page by number and checksum, and the last page",
         _no_size, ogg.recordings),
    _row("MP4, MOV, M4A, 3GP", rb"....(ftyp|moov|mdat|wide|free|skip|pnot)", _ANY, FFMPEG,
         "sizes of its boxes; its index", structure.mp4),
    _row("Matroska, WebM", rb"\x1a\x45\xdf\xa3", _ANY, FFMPEG, "sizes of its elements; end of the last packet",
         structure.matroska),
    _row("FLV", rb"FLV\x01", _ANY, FFMPEG, "sizes of its tags; end of the last packet", structure.flv),
    _row("ASF, WMA", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _ANY, FFMPEG,
         "sizes of its objects; end of the last packet", structure.asf),
    _row("AVI", rb"RIFF....AVI ", _ANY, FFMPEG, "size of RIFF, its chunks; end of the last packet", structure.avi),
    _row("PAF", rb"( paf|fap )", "PCM", None, _NOT_STATED),
    _row("IRCAM", rb"(\x64\xa3[\x01-\x04]\x00|\x00[\x01-\x04]\xa3\x64)", "PCM", None, _NOT_STATED),
    _row("PVF", rb"PVF[12]\n", "PCM", None, _NOT_STATED),
    _row("MPEG-TS", rb"(\x47.{187}\x47|.{4}\x47.{191}\x47)", _ANY, FFMPEG, "whole packets", structure.mpegts),
    _row("MPEG-PS", rb"\x00\x00\x01\xba", _ANY, FFMPEG, "sizes of its packets", structure.mpegps),
    _row("AAC (ADTS)", rb"\xff[\xf0\xf1\xf8\xf9]", "AAC", FFMPEG, "sizes of its frames", structure.adts),
    _row("MP3", rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]", "MPEG audio, layers I to III", FFMPEG,
         "frames counted; Xing, Info or VBRI frame", _no_size, mpeg_audio.recordings),
    _row("APE, TTA, WavPack, TAK, Musepack", rb"", "their own", FFMPEG, "samples in their headers, counted"),
    _row("AC-3, DTS, AMR", rb"", "their own", FFMPEG, "not stated; a cut within a packet shows"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Recording:
    """One recording of a file, mostly the only one: its bytes, its container's row and, if it is a WAV, its header."""

    encoded: bytes
    row: Container
    wav: Wav | None


def recordings(encoded: bytes) -> list[Recording]:
    """The recordings in a file, one after another. Raises BadAudio: `unreadable` if its kind is refused, `truncated` if
    its headers promise more bytes than there are; `unreadable` if they leave out bytes that may be sound; and what a
    container's `parts` raises."""
    row = container(encoded)
    return [_recording(part, row) for part in row.parts(encoded)]


def _recording(encoded: bytes, row: Container) -> Recording:
    wav = wav_header.parse(encoded)
    size = wav.end if wav else row.size(encoded)
    if size is not None and len(encoded) < size:
        raise BadAudio("truncated", f"the headers of {row.name} promise {size} bytes, {len(encoded)} are there")
    if size is not None and row.chunks is not None:
        trailer.check(encoded, size, row.name, row.chunks)
        encoded = encoded[:size] if row.chunks is not trailer.riff else encoded  # libsndfile takes the rest for sound
    return Recording(encoded, row, wav)


def container(encoded: bytes) -> Container:
    """The row of a recording; if no other row fits, the first of those that only FFmpeg can tell apart. Raises BadAudio
    `unreadable` if this kind is refused."""
    row = next(row for row in CONTAINERS if row.begins.match(encoded))
    if row.decoder is None:
        raise BadAudio(
            "unreadable",
            f"{row.name} does not state its length, so a cut would go unnoticed; convert it to WAV or FLAC",
        )
    return row


def without_tag(encoded: bytes) -> bytes:
    """The file without the ID3v2 tags in front: before WAV and AIFF, libsndfile counts their size twice."""
    start = 0
    while size := mpeg_audio.id3_size(encoded, start):
        start += size
    return encoded[start:] if start else encoded
