"""Bytes to waveforms and pixels, and back; where a patch or a frame lies."""
