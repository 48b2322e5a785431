"""The score of every clip and image, in blocks that outlive the process.

Thousands of clips against thousands of images take minutes to hours on a CPU. A block is written whole or not at all,
into a folder that no rule of the workflow declares, so a job that was killed resumes at the first missing block. A hash
of the embeddings' manifests, of the similarity's name and of its code names the folder, so that a block is never read
for other embeddings. Blocks are removed once everything made of them is written (`forget`).

Clips of similar length are scored together and cut to the longest of them, so that padding, a third of all tokens where
clips are short, is not multiplied. Memory holds the embeddings, the scores, a block and IMAGES images in fp32.

Dimension key
    A clips    V images
"""

import hashlib
import logging
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ves.base.files import atomic, remove
from ves.base.progress import track
from ves.similarity import pairwise
from ves.store.embeddings import Embeddings

log = logging.getLogger(__name__)

CLIPS = 32  # scored at once: of about one length
BLOCK = 8 * CLIPS  # clips in a file
IMAGES = 512  # in fp32 at once


def _identity(name: str, manifests: list[bytes]) -> str:
    """A hash of all that decides the scores."""
    code = [file.read_bytes() for file in (Path(__file__), *sorted(Path(pairwise.__file__).parent.glob("*.py")))]
    digest = hashlib.sha256()
    for part in (name.encode(), torch.__version__.encode(), *code, *manifests):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def _block(name: str, embeddings: Embeddings, rows: Tensor, lengths: Tensor, device: torch.device) -> Tensor:
    """Scores of some clips, in order of their lengths, and all images; on the CPU."""
    scores = torch.empty(len(rows), len(embeddings.image_tokens))
    # a mask that keeps all costs a third more
    image_mask = None if embeddings.image_mask.all() else embeddings.image_mask
    for columns in torch.arange(scores.shape[1]).split(IMAGES):
        image = embeddings.image_tokens[columns].to(device).float()
        shown = None if image_mask is None else image_mask[columns].to(device)
        for some in torch.arange(len(rows)).split(CLIPS):
            longest = slice(int(lengths[rows[some]].max()))
            audio = embeddings.audio_tokens[rows[some], longest].to(device).float()
            mask = embeddings.audio_mask[rows[some], longest].to(device)
            part = pairwise.score({name: 1.0}, audio, mask, image, shown)
            scores[some[0] : some[-1] + 1, columns[0] : columns[-1] + 1] = part.cpu()
    return scores


def _read(file: Path, shape: tuple[int, int]) -> Tensor | None:
    """A block that was written before; None where there is none, or it is damaged."""
    if not file.is_file():
        return None
    try:
        block = np.load(file)
    except (ValueError, EOFError) as error:
        log.warning("%s cannot be read (%s): made again", file, error)
        return None
    return torch.from_numpy(block) if block.shape == shape else None


def all_pairs(name: str, embeddings: Embeddings, folder: Path, manifests: list[bytes]) -> Float[Tensor, "A V"]:
    """One plain similarity of every clip and image, block by block; blocks that are in `folder` already are read.

    `manifests` are the manifests of the stores that the embeddings were read from. On the GPU where there is one.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    own = folder / f"{name}-{_identity(name, manifests)}"
    for other in folder.glob(f"{name}-*") if folder.is_dir() else ():
        if other != own:
            remove(other)  # of other embeddings, or of other code
    lengths = (embeddings.audio_mask * torch.arange(1, embeddings.audio_mask.shape[1] + 1)).amax(1).clamp(min=1)
    scores = torch.empty(len(embeddings.audio_tokens), len(embeddings.image_tokens))
    blocks = lengths.argsort(stable=True).split(BLOCK) if len(lengths) else ()
    for number, rows in enumerate(track(blocks, label=f"score {name}", unit="block")):
        file = own / f"{number:05}.npy"
        block = _read(file, (len(rows), scores.shape[1]))
        if block is None:
            block = _block(name, embeddings, rows, lengths, device)
            with atomic(file) as temporary, open(temporary, "wb") as handle:
                np.save(handle, block.numpy())
        scores[rows] = block
    return scores


def forget(folder: Path) -> None:
    """Remove all blocks, once the metrics are written."""
    remove(folder)
