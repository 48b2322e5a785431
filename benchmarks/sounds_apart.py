"""Whether the twelve sounds can be told apart, and makers too: what any model of sounds could learn of the corpus.

    OMP_NUM_THREADS=1 python benchmarks/sounds_apart.py [--makers 32] [--takes 4] [--sheet sounds.png]

A sound is 40 mel bands of its log spectrogram: mean, deviation and mean step of each over time. A logistic regression
learns the kinds from three quarters of the makers and is asked about the others; each sound lasts 1.2 to 2.4 s, first
as it is, then with noise of the room 10 dB below. Makers: of the takes of one kind, how often the nearest other take
(by the same numbers) is of the same maker. `--sheet` draws spectrograms: two takes of one maker, one of another.
"""

from pathlib import Path

import numpy as np
import torch
import torchaudio
from harness import arguments, machine
from PIL import Image, ImageDraw
from torch import Tensor

from ves.sources.scenes.recording import SAMPLE_RATE, room_noise
from ves.sources.scenes.streams import generator
from ves.sources.sounding.sounds import SOUNDING, maker, sound

SEED, BANDS, HOP = 18, 40, 160
CELL, ROWS = (240, 100), 6  # a spectrogram in pixels, kinds under one another
WINDOW = torch.hann_window(400)
MEL = torchaudio.functional.melscale_fbanks(201, 40.0, SAMPLE_RATE / 2, BANDS, SAMPLE_RATE, norm="slaney")


def heard(kind: str, person: int, take: int, snr_db: float | None = None) -> np.ndarray:
    """A take of a kind, with or without noise of a room: float32 [n]."""
    rng = generator(SEED, "take", SOUNDING.index(kind), person, take)
    samples = sound(kind, maker(SEED, person), rng, float(rng.uniform(1.2, 2.4)))
    if snr_db is None:
        return samples
    return samples + (room_noise(rng, len(samples), 0.8) * 10 ** (-snr_db / 20)).astype(np.float32)


def log_mel(samples: np.ndarray) -> Tensor:
    """In decibels, [BANDS, frames of 10 ms]; nothing is lower than 70 dB below the loudest."""
    power = torch.stft(torch.from_numpy(samples), 400, HOP, window=WINDOW, return_complex=True).abs() ** 2
    decibels = 10 * torch.log10(MEL.T @ power + 1e-10)
    return decibels.clamp_min(float(decibels.max()) - 70)


def statistics(samples: np.ndarray) -> Tensor:
    bands = log_mel(samples)
    return torch.cat([bands.mean(1), bands.std(1), bands.diff(dim=1).abs().mean(1)])


def learned(x: Tensor, y: Tensor, train: Tensor) -> Tensor:
    """What a logistic regression that learns from `train` says of all others: classes [m]."""
    x = (x - x[train].mean(0)) / x[train].std(0)
    weights = torch.zeros(x.shape[1] + 1, len(SOUNDING), requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(x[train] @ weights[1:] + weights[0], y[train])
        loss = loss + 1e-3 * (weights**2).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return (x[~train] @ weights[1:] + weights[0]).argmax(1).detach()


def same_maker(x: Tensor, kinds: Tensor, makers: Tensor) -> dict[str, float]:
    """By kind, how often the nearest other take is of the same maker."""
    shares = {}
    for number, kind in enumerate(SOUNDING):
        mine = (x[kinds == number] - x[kinds == number].mean(0)) / (x[kinds == number].std(0) + 1e-3)
        distance = torch.cdist(mine, mine).fill_diagonal_(torch.inf)
        who = makers[kinds == number]
        shares[kind] = float((who[distance.argmin(1)] == who).float().mean())
    return shares


def report(makers: int, takes: int, snr_db: float | None) -> None:
    takes_of = [(k, m, t) for k in range(len(SOUNDING)) for m in range(makers) for t in range(takes)]
    x = torch.stack([statistics(heard(SOUNDING[k], m, t, snr_db)) for k, m, t in takes_of])
    kinds, who = torch.tensor([k for k, _, _ in takes_of]), torch.tensor([m for _, m, _ in takes_of])
    train = who < makers * 3 // 4
    said, asked = learned(x, kinds, train), kinds[~train]
    right = float((said == asked).float().mean())
    print(
        f"\n{'As it is' if snr_db is None else f'Noise {snr_db:g} dB below'}: of {len(asked)} sounds of "
        f"{makers - makers * 3 // 4} makers never heard, {right:.1%} are told (chance {1 / len(SOUNDING):.1%}).\n"
    )
    maker_found = same_maker(x, kinds, who)
    chance = (takes - 1) / (makers * takes - 1)
    print(f"| kind | told | taken for | nearest take is of the same maker (chance {chance:.0%}) |")
    print("|---|---|---|---|")
    for number, kind in enumerate(SOUNDING):
        answers = said[asked == number]
        wrong = [f"{SOUNDING[k]} {int((answers == k).sum())}" for k in answers.unique().tolist() if k != number]
        told = f"{int((answers == number).sum())} of {len(answers)}"
        print(f"| {kind} | {told} | {', '.join(wrong) or '-'} | {maker_found[kind]:.0%} |")


def spectrogram(samples: np.ndarray) -> Image.Image:
    """Two seconds, bright where loud, low below, in the mel scale."""
    width, height = CELL
    bands = log_mel(samples)
    level = ((bands - bands.max()) / 60 + 1).clamp(0, 1).flip(0)
    grey = Image.fromarray((level * 255).byte().numpy())
    whole = Image.new("L", CELL, 0)
    whole.paste(grey.resize((min(grey.width, width), height), Image.Resampling.NEAREST))
    return whole


def sheet(file: Path) -> None:
    """All kinds, each as two takes of one maker and one take of another."""
    (width, height), label = CELL, 14
    columns = -(-len(SOUNDING) // ROWS)
    page = Image.new("L", (columns * 3 * (width + 6), ROWS * (height + label)), 90)
    draw = ImageDraw.Draw(page)
    for number, kind in enumerate(SOUNDING):
        left, top = number // ROWS * 3 * (width + 6), number % ROWS * (height + label)
        for place, (person, take) in enumerate([(0, 0), (0, 1), (1, 0)]):
            x = left + place * (width + 6)
            draw.text((x + 2, top + 1), f"{kind}, maker {person}, take {take}", fill=255)
            page.paste(spectrogram(heard(kind, person, take)), (x, top + label))
    page.save(file)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--makers", type=int, default=32)
    parser.add_argument("--takes", type=int, default=4, help="of each kind by each maker")
    parser.add_argument("--sheet", type=Path, help="a picture of spectrograms to write")
    options = parser.parse_args()
    print(f"{machine()}; {options.makers} makers, {options.takes} takes of each kind by each")
    for snr_db in (None, 10.0):
        report(options.makers, options.takes, snr_db)
    if options.sheet:
        sheet(options.sheet)


if __name__ == "__main__":
    main()
