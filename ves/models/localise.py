"""Your own picture and voice through a trained model: the similarity of each moment of the recording to each patch.

The model processes a recording of any length in windows of the length that it was trained on, each normalised and
padded like a clip. Windows begin half a length apart, on the grid of tokens. Each token comes from the window whose
middle is nearest to it, where it has the most context on both sides.

A run is its folder: config.json and model.safetensors. Besides, both backbones are needed, and, if vision was frozen, a
record of which backbone it was: embeddings in the folder have it (their manifest is enough), and so has the manifest of
the features.

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
from ves.config.experiment import RunConfig, VisionConfig, run_config
from ves.media.audio import RATE, BadAudio, FrameGrid, window
from ves.media.decoding import SHORTEST_S, decode
from ves.media.geometry import Geometry
from ves.media.images import BadImage, decode_any, pixels, upright
from ves.media.normalisation import Normalisation, from_attributes
from ves.models import towers
from ves.models.preprocessing import of_pictures
from ves.models.vision import VISION, load_backbone, patch_grid, patch_tokens, vision_folder
from ves.similarity.pairwise import mean_heat, token_similarity


@dataclass(frozen=True, eq=False)
class Localisation:
    """The similarity of a recording, moment by moment, to the patches of a picture, as a run measures it."""

    run: str
    picture: Image.Image  # upright
    samples: Int16[np.ndarray, " n"]  # at 16 kHz
    similarity: Float32[np.ndarray, "T rows columns"]  # inner product (by default a cosine) of each token and patch
    valid: Bool[np.ndarray, " T"]  # not padding; with `audio.mask: non_silent` not pauses either
    frames: FrameGrid
    image_size: int
    fit: str
    measure: str  # what the similarity is, in words

    @property
    def spans_s(self) -> Float[np.ndarray, "T 2"]:
        """The begin and end of each token in the recording (seconds)."""
        return np.array([self.frames.span(token) for token in range(len(self.valid))])

    def heatmap(self, start_s: float, end_s: float) -> Float[np.ndarray, "H W"]:
        """The mean similarity over a stretch of time, at the picture's resolution; NaN outside what the model sees."""
        inside = self.frames.within(start_s, end_s, len(self.valid)) & self.valid
        geometry = Geometry(*self.picture.size, self.image_size, self.fit)
        return geometry.on_picture(mean_heat(self.similarity, inside))


def starts(samples: int, length: int, hop: int) -> list[int]:
    """First samples of a recording's windows, multiples of `hop`; the last window reaches the end."""
    last = max(0, -(-(samples - length) // hop) * hop)
    step = max(length // 2 // hop, 1) * hop
    return [*range(0, last, step), last]


def stitch(windows: list[Float32[Tensor, "N D"]], first: list[int]) -> Float32[Tensor, "T D"]:
    """Tokens of the whole recording, each from the window where it is nearest to the middle.

    Windows begin at the tokens `first`. Of two windows that are equally good, the earlier one is taken.
    """
    count = len(windows[0])
    place = np.arange(first[-1] + count)
    middles = np.array(first) + (count - 1) / 2
    covers = (place[:, None] >= first) & (place[:, None] < np.array(first) + count)
    source = np.where(covers, np.abs(place[:, None] - middles), np.inf).argmin(1)
    return torch.stack([windows[w][t - first[w]] for t, w in zip(place, source, strict=True)])


def _vision(run: Path, config: RunConfig) -> dict[str, Any]:
    """The attributes VISION (ves.models.vision) of a run's vision backbone. Raises FileNotFoundError that says what to
    do where nothing records them."""
    for file in sorted((run / "embeddings").glob("*.manifest.json")):
        if "vision" in (attrs := read_json(file)):
            return attrs["vision"]
    manifest = Path(f"{config.data.features}.manifest.json")
    if not manifest.is_file():
        raise FileNotFoundError(
            f"{run}: its vision backbone is not known: there are no embeddings in {run / 'embeddings'}, and no "
            f"{manifest}; copy one of them here (their *.manifest.json is enough)"
        )
    attrs = read_json(manifest)["attrs"]
    return {key: attrs[key] for key in VISION if key in attrs}


class Localiser:
    """A trained model with both its backbones, on the GPU if there is one."""

    def __init__(
        self,
        ves: towers.VeS,
        config: RunConfig,
        backbone: nn.Module | None,
        vision: VisionConfig,
        normalisation: Normalisation,
    ) -> None:
        """`backbone` is None where it is a part of the model, because training has moved it."""
        self.config, self.vision, self.normalisation = config, vision, normalisation
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.ves, self.backbone = ves.to(self.device), backbone
        network: Any = ves.visual.backbone if backbone is None else backbone
        self.grid = patch_grid(network.config, vision.image_size)

    @torch.inference_mode()
    def localise(self, image: Path | str | Image.Image, audio: Path | str | np.ndarray) -> Localisation:
        """The similarity of each moment of the recording to each patch of the picture.

        Both may be files, of any format that Pillow, libsndfile or FFmpeg reads. The picture may also be one of Pillow,
        the recording int16 samples [n] at 16 kHz. Raises ValueError that names the file and what is wrong with it, and
        OSError where there is no such file.
        """
        picture = _upright(image) if isinstance(image, Image.Image) else _picture(Path(image))
        samples = _checked(audio) if isinstance(audio, np.ndarray) else _samples(Path(audio))
        tokens, valid = self._audio_tokens(samples)
        similarity = token_similarity(tokens[None], self._image_tokens(picture)[None])[0, 0]
        return Localisation(
            run=self.config.run,
            picture=picture,
            samples=samples,
            similarity=similarity.numpy().reshape(-1, *self.grid),
            valid=valid,
            frames=self.ves.grid,
            image_size=self.vision.image_size,
            fit=self.vision.fit,
            measure="cosine similarity" if self.config.train.normalise == "tokens" else "inner product",
        )

    def _audio_tokens(self, samples: Int16[np.ndarray, " n"]) -> tuple[Float32[Tensor, "T D"], Bool[np.ndarray, " T"]]:
        """Audio tokens of the whole recording, and which of them are valid."""
        seconds, hop = self.config.audio.seconds, self.ves.grid.hop
        length = len(window(samples[:0], seconds)[0])
        begins = starts(len(samples), length, hop)
        windows, masks = [], []
        for begin in track(begins, label="audio", unit="window"):
            waveform, count = window(samples[begin : begin + length], seconds)
            tokens, mask = self.ves.audio_tokens(
                torch.from_numpy(waveform)[None].to(self.device), torch.tensor([count], device=self.device)
            )
            windows.append(tokens[0].cpu())
            masks.append(mask[0, :, None].float().cpu())
        first = [begin // hop for begin in begins]
        return stitch(windows, first), stitch(masks, first)[:, 0].bool().numpy()

    def _image_tokens(self, picture: Image.Image) -> Float32[Tensor, "P D"]:
        """Image tokens of the picture."""
        geometry = Geometry(*picture.size, self.vision.image_size, self.vision.fit)
        square = torch.from_numpy(pixels(geometry.square(picture), self.normalisation))[None]
        patches = square if self.backbone is None else patch_tokens(self.backbone, square)
        mask = torch.from_numpy(geometry.patch_mask(*self.grid))[None] if self.vision.fit == "pad" else None
        tokens = self.ves.image_tokens(patches.to(self.device), None if mask is None else mask.to(self.device))
        return tokens[0].cpu()


def load(run: Path | str) -> Localiser:
    """The trained model of a run's folder, with its backbones.

    Raises OSError or ValueError that says what is missing, or that a backbone has other weights now.
    """
    run = Path(run)
    speech = run_config(run).audio.backbone
    if speech.count("/") != 1 and not Path(speech).is_dir():
        raise ValueError(f"{run}: its speech backbone, {speech}, is not here; run this in the folder it was trained in")
    ves, config = towers.load(run)
    if config.vision is not None:
        return Localiser(ves, config, None, config.vision, of_pictures(vision_folder(config.vision)))
    attrs = _vision(run, config)
    settings = {key: attrs[key] for key in VISION if key not in ("weight_hash", "normalisation")}
    vision = VisionConfig(**settings, batch_size=1, compression=None, compile=False)
    if weight_hash(folder := vision_folder(vision)) != attrs["weight_hash"]:
        raise ValueError(f"{folder}: its weights are not those that {run} was trained with; put these back")
    return Localiser(ves, config, load_backbone(vision), vision, from_attributes(attrs.get("normalisation")))


def _upright(picture: Image.Image) -> Image.Image:
    if not (picture.width and picture.height):
        raise ValueError(f"the picture is empty: {picture.width} x {picture.height} pixels")
    return upright(picture)


def _checked(samples: np.ndarray) -> Int16[np.ndarray, " n"]:
    """The samples, if type and shape are right: the model would take other numbers for silence or noise."""
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
