"""Embeddings made by hand, for tests of what reads them."""

import torch
from torch.nn.functional import normalize

from ves.store.embeddings import Embeddings

FRAMES = {"kernels": [800], "strides": [800], "pool": 2}  # tokens of 0.1 s, back to back: arithmetic by eye
ATTRS = {
    "run": "dense-s0",
    "split": "val",
    "objective": {"max_mean": 1.0},
    "model_sha256": "ab" * 32,
    "log_scale": 2.5,
    "seconds": 1.0,
    "hop_s": 0.1,
    "frames": FRAMES,
    "grid": [2, 2],
    "image_size": 28,
    "fit": "stretch",
}


def embeddings(audio, image, clip_image, *, audio_mask=None, image_mask=None, **attrs) -> Embeddings:
    """Embeddings of tokens [A, T, D] and [V, P, D] with made-up identifiers, all tokens valid unless a mask says so."""
    return Embeddings(
        audio_tokens=audio.half(),
        audio_mask=torch.ones(audio.shape[:2], dtype=torch.bool) if audio_mask is None else audio_mask,
        clip_image=torch.as_tensor(clip_image, dtype=torch.int32),
        image_tokens=image.half(),
        image_mask=torch.ones(image.shape[:2], dtype=torch.bool) if image_mask is None else image_mask,
        clip_id=[f"{i + 1:032x}" for i in range(len(audio))],
        image_id=[f"{i + 1:064x}" for i in range(len(image))],
        attrs=ATTRS | attrs,
    )


def random_embeddings(clips, images, *, seed=0, tokens=10, patches=4, dim=8, **attrs) -> Embeddings:
    """Unit tokens at random; clip i shows image i modulo `images`; each clip has its own number of valid tokens."""
    generator = torch.Generator().manual_seed(seed)
    audio = normalize(torch.randn(clips, tokens, dim, generator=generator), dim=-1)
    image = normalize(torch.randn(images, patches, dim, generator=generator), dim=-1)
    valid = torch.randint(1, tokens + 1, (clips, 1), generator=generator)
    mask = torch.arange(tokens) < valid
    return embeddings(audio, image, [i % images for i in range(clips)], audio_mask=mask, **attrs)
