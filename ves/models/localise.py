"""Your own picture and voice through a trained model: which patches each moment of the recording is like.

A recording of any length is heard in windows of the length that the model was trained on, each normalised and padded as
a clip is. Windows lie half a length apart, on the grid of tokens; a token is taken from the window whose middle is
nearest to it, where it has heard the most of what is before and after it.

A run is its folder: config.json and model.safetensors. Beside it this needs both backbones, and to know which vision
backbone it was: embeddings in the folder say so (their manifest is enough), and so does the manifest of the features.

Dimension key
    T audio tokens    L samples of a window    P image patches, rows x columns    H, W pixels of the picture
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int16
from PIL import Image
from torch import Tensor, nn

from ves.base.checksums import weight_hash
from ves.base.files import read_json
from ves.base.progress import track
from ves.config.experiment import RunConfig, VisionConfig
from ves.media.audio import RATE, BadAudio, FrameGrid, window
from ves.media.decoding import SHORTEST_S, decode
from ves.media.geometry import Geometry
from ves.media.images import BadImage, decode_any, pixels, upright
from ves.models import towers
from ves.models.vision import VISION, backbone_folder, load_backbone, patch_grid, patch_tokens
from ves.similarity.pairwise import mean_heat, token_similarity


@dataclass(frozen=True, eq=False)
class Localisation:
    """What a run sees in a picture while it hears a recording."""

    run: str
    picture: Image.Image  # upright
    samples: Int16[np.ndarray, " n"]  # at 16 kHz
    similarity: Float32[np.ndarray, "T rows columns"]  # cosine of each audio token to each patch
    valid: Bool[np.ndarray, " T"]  # tokens that count: not padding, and where a model leaves pauses out, none of these
    frames: FrameGrid
    image_size: int
    fit: str

    @property
    def spans_s(self) -> Float[np.ndarray, "T 2"]:
        """Seconds from which and to which each token stands for the recording."""
        return np.array([self.frames.span(token) for token in range(len(self.valid))])

    def heatmap(self, start_s: float, end_s: float) -> Float[np.ndarray, "H W"]:
        """The mean similarity over a stretch, laid over the picture at its own resolution; NaN where it is not seen."""
        chosen = self.frames.within(start_s, end_s, len(self.valid)) & self.valid
        geometry = Geometry(*self.picture.size, self.image_size, self.fit)
        return geometry.on_picture(mean_heat(self.similarity, chosen))


def starts(samples: int, length: int, hop: int) -> list[int]:
    """First samples of the windows of a recording, multiples of `hop`; the last one reaches its end."""
    last = max(0, -(-(samples - length) // hop) * hop)
    step = max(length // 2 // hop, 1) * hop
    return [*range(0, last, step), last]


def stitched(windows: list[Float32[Tensor, "N D"]], first: list[int]) -> Float32[Tensor, "T D"]:
    """Tokens of the whole from tokens of windows that begin at the tokens `first`: of each the most central one.

    Of two equally central ones, that of the earlier window.
    """
    count = len(windows[0])
    place = np.arange(first[-1] + count)
    middles = np.array(first) + (count - 1) / 2
    covers = (place[:, None] >= first) & (place[:, None] < np.array(first) + count)
    source = np.where(covers, np.abs(place[:, None] - middles), np.inf).argmin(1)
    return torch.stack([windows[w][t - first[w]] for t, w in zip(place, source, strict=True)])


def _vision(run: Path, config: RunConfig) -> dict[str, Any]:
    """Which vision backbone a run looks through: VISION of ves.models.vision. Raises FileNotFoundError that says
    what to do."""
    for file in sorted((run / "embeddings").glob("*.manifest.json")):
        if "vision" in (attrs := read_json(file)):
            return attrs["vision"]
    manifest = Path(f"{config.data.features}.manifest.json")
    if not manifest.is_file():
        raise FileNotFoundError(
            f"{run}: which vision backbone it looks through is not known: there are no embeddings of it in "
            f"{run / 'embeddings'}, and no {manifest}; bring one of them (their *.manifest.json is enough)"
        )
    return {key: read_json(manifest)["attrs"][key] for key in VISION}


class Localiser:
    """A trained model with both its backbones, on the GPU if there is one."""

    def __init__(self, ves: towers.VeS, config: RunConfig, backbone: nn.Module, vision: VisionConfig) -> None:
        self.config, self.vision = config, vision
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.ves, self.backbone = ves.to(self.device), backbone
        self.grid = patch_grid(backbone.config, vision.image_size)

    @torch.inference_mode()
    def localise(self, image: Path | str | Image.Image, audio: Path | str | np.ndarray) -> Localisation:
        """What the run sees in the picture at each moment of the recording.

        Files are of any format that Pillow, libsndfile or FFmpeg reads; or a picture of Pillow, or int16 samples [n] at
        16 kHz.
        Raises ValueError that names the file and says what is wrong with it, OSError where there is none.
        """
        picture = _upright(image) if isinstance(image, Image.Image) else _picture(Path(image))
        samples = _checked(audio) if isinstance(audio, np.ndarray) else _samples(Path(audio))
        tokens, valid = self._hear(samples)
        similarity = token_similarity(tokens[None], self._see(picture)[None])[0, 0]
        return Localisation(
            run=self.config.run,
            picture=picture,
            samples=samples,
            similarity=similarity.numpy().reshape(-1, *self.grid),
            valid=valid,
            frames=self.ves.grid,
            image_size=self.vision.image_size,
            fit=self.vision.fit,
        )

    def _hear(self, samples: Int16[np.ndarray, " n"]) -> tuple[Float32[Tensor, "T D"], Bool[np.ndarray, " T"]]:
        """Audio tokens of the whole recording, and which of them count."""
        seconds, hop = self.config.audio.seconds, self.ves.grid.hop
        length = len(window(samples[:0], seconds)[0])
        begins = starts(len(samples), length, hop)
        found, masks = [], []
        for begin in track(begins, label="hear", unit="window"):
            heard, count = window(samples[begin : begin + length], seconds)
            tokens, mask = self.ves.audio_tokens(
                torch.from_numpy(heard)[None].to(self.device), torch.tensor([count], device=self.device)
            )
            found.append(tokens[0].cpu())
            masks.append(mask[0, :, None].float().cpu())
        first = [begin // hop for begin in begins]
        return stitched(found, first), stitched(masks, first)[:, 0].bool().numpy()

    def _see(self, picture: Image.Image) -> Float32[Tensor, "P D"]:
        """Image tokens of the picture."""
        geometry = Geometry(*picture.size, self.vision.image_size, self.vision.fit)
        patches = patch_tokens(self.backbone, torch.from_numpy(pixels(geometry.square(picture)))[None])
        mask = torch.from_numpy(geometry.patch_mask(*self.grid))[None] if self.vision.fit == "pad" else None
        found = self.ves.image_tokens(patches.to(self.device), None if mask is None else mask.to(self.device))
        return found[0].cpu()


def load(run: Path | str) -> Localiser:
    """The trained model of a run directory, with its backbones.

    Raises OSError or ValueError that says what is missing, or that the vision backbone has other weights by now.
    """
    run = Path(run)
    speech = read_json(run / "config.json")["audio"]["backbone"]
    if speech.count("/") != 1 and not Path(speech).is_dir():
        raise ValueError(f"{run}: its speech backbone, {speech}, is not here; start from the folder it was trained in")
    ves, config = towers.load(run)
    attrs = _vision(run, config)
    chosen = {key: attrs[key] for key in VISION if key != "weight_hash"}
    vision = VisionConfig(**chosen, batch_size=1, compression=None, compile=False)
    if weight_hash(folder := backbone_folder(vision)) != attrs["weight_hash"]:
        raise ValueError(f"{folder}: other weights than those that {run} was trained on; bring these back")
    return Localiser(ves, config, load_backbone(vision), vision)


def _upright(picture: Image.Image) -> Image.Image:
    if not (picture.width and picture.height):
        raise ValueError(f"the picture is empty: {picture.width} x {picture.height} pixels")
    return upright(picture)


def _checked(samples: np.ndarray) -> Int16[np.ndarray, " n"]:
    """The samples, if they are what they must be: a waveform of other numbers would be heard as silence or as noise."""
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise ValueError(
            f"the samples are {samples.dtype} {list(samples.shape)}; they must be int16 [n], one channel at {RATE} Hz: "
            "of a waveform in [-1, 1] that is (waveform * 32767).astype(numpy.int16)"
        )
    if len(samples) < SHORTEST_S * RATE:
        raise ValueError(f"{len(samples)} samples are {len(samples) / RATE:.4f} s; the least is {SHORTEST_S} s")
    return samples


def _picture(path: Path) -> Image.Image:
    try:
        return decode_any(path.read_bytes())
    except BadImage as error:
        raise ValueError(f"{path}: {error}") from error


def _samples(path: Path) -> Int16[np.ndarray, " n"]:
    try:
        return decode(path.read_bytes())
    except BadAudio as error:
        raise ValueError(f"{path}: {error}") from error
