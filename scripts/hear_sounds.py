"""Pretrain the audio stand-in further, on sounds as well as on speech: ves/standins/hubert-sounds.

    python scripts/hear_sounds.py [--steps 700] [--threads 2] [--out ves/standins/hubert-sounds]

It begins with ves/standins/hubert-scenes and goes on naming the phonemes of pseudo-words; in two thirds of the windows
things sound as well, or alone (standins.noises: sixteen kinds, none of Sounding Scenes), and a second head names them,
frame by frame. Windows with both have both labels. `made.json` has the recipe and, before and after, the share of
phonemes named rightly, and what a straight line reads from one frame about kinds that this training kept back.
"""

import argparse
import logging
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from standins import audio, noises
from standins.descent import descend
from standins.probe import ridge_accuracy
from standins.pseudowords import lexicon_words
from torch import Tensor, nn
from transformers import HubertModel, Wav2Vec2FeatureExtractor

from ves.base.files import atomic, write_json
from ves.base.progress import track

ROOT = Path(__file__).resolve().parent.parent
BEFORE = ROOT / "ves/standins/hubert-scenes"
KEPT_BACK = ("frog", "siren", "applause", "fly")  # kinds that are measured, and not trained on
HEARD = tuple(kind for kind in noises.KINDS if kind not in KEPT_BACK)
RECIPE = {"clips": 2000, "batch_size": 16, "rate": 8e-4, "seed": 2, "freeze_at": 250}
QUIET = 0  # the label of a frame in which nothing sounds


def windows(speech: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Windows [B, L] with speech, sounds or both, the phoneme of each frame [B, T], and the kind that sounds there."""
    mixed, phonemes = speech.clone(), labels.clone()
    kinds = torch.full(labels.shape, QUIET)
    centre = (np.arange(audio.FRAMES) * audio.HOP + audio.RECEPTIVE_FIELD // 2) / audio.SAMPLE_RATE
    for row in range(len(speech)):
        what = rng.integers(3)  # speech, sounds, both
        if what == 0:
            continue
        if what == 1:
            mixed[row] = 0
            phonemes[row] = audio.SILENCE
        loud = float(mixed[row].square().mean().sqrt()) or 0.1
        now = rng.uniform(0, 1)
        while now < 4.5:
            length, kind = min(rng.uniform(0.6, 2), 5 - now), int(rng.integers(len(HEARD)))
            wave = noises.take(HEARD[kind], rng, length) * loud * 10 ** (rng.uniform(-6, 6) / 20)
            begin = round(now * audio.SAMPLE_RATE)
            part = torch.from_numpy(wave[: audio.WINDOW - begin]).float()
            mixed[row, begin : begin + len(part)] += part
            kinds[row, torch.from_numpy((centre >= now) & (centre < now + length))] = 1 + kind
            now += length + rng.uniform(0, 1)
    return mixed / mixed.abs().amax(-1, keepdim=True).clamp_min(1e-6), phonemes, kinds


@torch.no_grad()
def probe_sounds(model: HubertModel, seed: int) -> float:
    """Accuracy of a linear read-out of the kind from single frames, of kinds kept back; a quarter is held out."""
    rng, tokens, labels = np.random.default_rng(seed), [], []
    for _ in range(4):
        kinds = rng.permutation(np.repeat(np.arange(len(KEPT_BACK)), 10))
        waves = np.stack([noises.take(KEPT_BACK[kind], rng, 5.0) for kind in kinds])
        waves = torch.from_numpy(waves / np.abs(waves).max(-1, keepdims=True)).float()
        hidden = model(waves).last_hidden_state[:, ::6]
        tokens.append(hidden.flatten(0, 1))
        labels.append(torch.from_numpy(kinds.repeat(hidden.shape[1])))
    return ridge_accuracy(torch.cat(tokens[:3]), torch.cat(labels[:3]), tokens[3], labels[3])


def train(corpus: audio.Corpus, steps: int, model: HubertModel) -> None:
    """Frame-wise cross-entropy of both heads, which are then thrown away; the convolutions learn at first only."""
    torch.manual_seed(RECIPE["seed"])
    rng, noise = np.random.default_rng(RECIPE["seed"]), audio.noise_bank(48, RECIPE["seed"])
    heads = nn.ModuleList(
        nn.Linear(model.config.hidden_size, count) for count in (len(corpus.phonemes), 1 + len(HEARD))
    )
    parameters = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RECIPE["rate"], weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RECIPE["rate"], total_steps=steps, pct_start=0.1)
    model.train()
    for step in track(range(steps), label="speech and sounds"):
        rows = rng.integers(0, len(corpus.windows), RECIPE["batch_size"])
        speech, mask, labels = audio.batch(corpus, rows, noise, rng)
        mixed, phonemes, kinds = windows(speech, labels, rng)
        if step == RECIPE["freeze_at"]:
            model.feature_extractor._freeze_parameters()  # they are more than half of a step
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model(mixed, attention_mask=torch.ones_like(mask)).last_hidden_state
            named = [head(hidden).float().flatten(0, 1) for head in heads]
        losses = [F.cross_entropy(named[0], phonemes.flatten(), ignore_index=audio.IGNORED)]
        losses.append(F.cross_entropy(named[1], kinds.flatten()))
        descend(torch.stack(losses).sum(), parameters, optimizer, schedule)
        if step % 100 == 0:
            logging.info("step %d phonemes %.3f kinds %.3f", step, *(loss.item() for loss in losses))
    model.eval()


def measured(model: HubertModel, held_out: audio.Corpus) -> dict[str, float]:
    noise = audio.noise_bank(48, 99)
    return {"phoneme_probe": audio.probe(model, held_out, noise), "sounds_kept_back_probe": probe_sounds(model, 7)}


def main() -> None:
    """Train, measure before and after, and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "ves/standins/hubert-sounds")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    forbidden = lexicon_words(ROOT / "ves/sources/scenes/lexicon")
    corpus = audio.synthesise(RECIPE["clips"], RECIPE["seed"], forbidden)
    held_out = audio.synthesise(200, 1, forbidden)
    model: Any = HubertModel.from_pretrained(BEFORE, dtype=torch.float32, attn_implementation="eager")
    made: dict[str, Any] = {"begins_with": BEFORE.name, "recipe": RECIPE | {"steps": arguments.steps}}
    made |= {"heard": HEARD, "kept_back": KEPT_BACK, "before": measured(model.eval(), held_out)}
    started = time.monotonic()
    train(corpus, arguments.steps, model)
    made |= {"train_seconds": round(time.monotonic() - started), "after": measured(model, held_out)}
    made["versions"] = {"torch": torch.__version__, "transformers": transformers.__version__}
    made["versions"]["machine"] = platform.machine()
    logging.info("%s", made)
    with atomic(arguments.out) as partial:
        model.half().save_pretrained(partial)
        Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True).save_pretrained(partial)
        write_json(partial / "made.json", made)


if __name__ == "__main__":
    main()
