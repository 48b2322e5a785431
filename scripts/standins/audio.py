"""The audio stand-in: a small HuBERT that learned to name espeak's phonemes in pseudo-words.

It stands for a speech model pretrained elsewhere: phoneme labels are allowed, words and pictures are not seen. Windows
are 5 s as in VeS, peak-normalised, with coloured noise at 5-30 dB, some shorter and zero-padded.

Dimension key
    B batch     L samples     T encoder frames
"""

import logging
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel

from standins.descent import descend
from standins.probe import ridge_accuracy
from standins.pseudowords import VOICES, sentence
from ves.base.progress import track
from ves.sources.scenes.espeak import SAMPLE_RATE, Speech, speak

log = logging.getLogger(__name__)

WINDOW = 5 * SAMPLE_RATE
HOP, RECEPTIVE_FIELD, FRAMES = 640, 820, 124  # what the three convolutions below amount to, in samples
VARIANTS = ("", *(f"+f{i}" for i in range(1, 6)), *(f"+m{i}" for i in range(1, 9)), "+Alex", "+Annie", "+Lee", "+Mike")
SILENCE, IGNORED = 0, -100
RAREST = 5e-4  # phonemes with a smaller share of the frames are not asked for


def config() -> HubertConfig:
    """Three convolutions (40 ms frames) instead of HuBERT's seven, LayerNorm instead of a norm over all of time."""
    return HubertConfig(
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=512,
        conv_dim=(32, 128, 128),
        conv_kernel=(40, 16, 4),
        conv_stride=(20, 8, 4),
        conv_bias=True,
        feat_extract_norm="layer",
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=8,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
        mask_time_prob=0.0,
        mask_feature_prob=0.0,
    )


@dataclass(frozen=True)
class Corpus:
    """Clean windows int16 [N, L], samples of speech in each [N], phoneme of each frame [N, T] (0 silence)."""

    windows: np.ndarray
    valid: np.ndarray
    labels: np.ndarray
    phonemes: list[str]


def _place(speech: Speech, names: dict[str, int], rng: np.random.Generator) -> tuple[np.ndarray, int, np.ndarray]:
    """One window: silence, speech, silence; a quarter of the windows end early and are padding from there on."""
    window, labels = np.zeros(WINDOW, np.int16), np.full(FRAMES, SILENCE, np.int64)
    lead = int(rng.integers(0, SAMPLE_RATE // 2))
    heard = speech.samples[: WINDOW - lead]
    window[lead : lead + len(heard)] = np.round(heard * 32767)
    centre = (np.arange(FRAMES) * HOP + RECEPTIVE_FIELD // 2 - lead) / SAMPLE_RATE
    for phoneme in speech.phonemes:
        inside = (centre >= phoneme.start_s) & (centre < phoneme.end_s)
        labels[inside] = names.setdefault(phoneme.text, len(names))
    valid = WINDOW
    if rng.random() < 0.25:
        valid = int(rng.integers(SAMPLE_RATE, WINDOW))
        window[valid:] = 0
        labels[np.arange(FRAMES) * HOP + RECEPTIVE_FIELD > valid] = IGNORED
    return window, valid, labels


def synthesise(clips: int, seed: int, forbidden: Collection[str]) -> Corpus:
    """`clips` windows of pseudo-words by random voices. Phonemes too rare to learn are IGNORED."""
    rng = np.random.default_rng(seed)
    names = {"silence": SILENCE}
    placed = []
    for index in track(range(clips), label="pseudo-words"):
        voice = VOICES[index % len(VOICES)]
        text = sentence(voice, int(rng.integers(4, 11)), forbidden, rng)
        rate, pitch = int(rng.integers(115, 205)), int(rng.integers(15, 85))
        speech = speak(text, voice + str(rng.choice(VARIANTS)), rate, pitch, phonemes=True)
        placed.append(_place(speech, names, rng))
    labels = np.stack([label for _, _, label in placed])
    count = Counter(labels[labels >= 0].tolist())
    rare = [number for number in names.values() if count[number] < RAREST * count.total()]
    labels[np.isin(labels, rare)] = IGNORED
    return Corpus(
        np.stack([window for window, _, _ in placed]), np.array([valid for _, valid, _ in placed]), labels, list(names)
    )


def noise_bank(count: int, seed: int) -> Tensor:
    """Noise [count, L] of unit power whose spectrum falls as 1/f^a, a from 0 (white) to 2 (brown)."""
    rng = np.random.default_rng(seed)
    frequency = np.maximum(np.fft.rfftfreq(WINDOW), 20 / SAMPLE_RATE)
    spectra = [np.fft.rfft(rng.standard_normal(WINDOW)) / frequency ** (a / 2) for a in np.linspace(0, 2, count)]
    noise = np.stack([np.fft.irfft(spectrum, WINDOW) for spectrum in spectra])
    return torch.from_numpy((noise / noise.std(-1, keepdims=True)).astype(np.float32))


def batch(corpus: Corpus, rows: np.ndarray, noise: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy peak-normalised windows [B, L], their attention mask [B, L] and labels [B, T]."""
    clean = torch.from_numpy(corpus.windows[rows]).float() / 32768
    inside = torch.arange(WINDOW) < torch.from_numpy(corpus.valid[rows])[:, None]
    power = clean.square().sum(-1, keepdim=True) / inside.sum(-1, keepdim=True)
    snr = torch.from_numpy(rng.uniform(5, 30, (len(rows), 1))).float()
    chosen = noise[torch.from_numpy(rng.integers(0, len(noise), len(rows)))].roll(int(rng.integers(0, WINDOW)), -1)
    noisy = (clean + chosen * (power * 10 ** (-snr / 10)).sqrt()) * inside
    noisy = noisy / noisy.abs().amax(-1, keepdim=True).clamp_min(1e-6)
    return noisy, inside.long(), torch.from_numpy(corpus.labels[rows])


@torch.no_grad()
def accuracy(model: HubertModel, head: nn.Module, corpus: Corpus, names: list[str], noise: Tensor) -> dict[str, float]:
    """Share of frames named rightly, over all frames and over those with a phoneme; labels unknown to `names` miss."""
    rng = np.random.default_rng(1)
    number = {name: index for index, name in enumerate(names)}
    renumber = np.array([number.get(name, len(names)) for name in corpus.phonemes])
    right, asked, sounding_right, sounding = 0, 0, 0, 0
    for rows in np.array_split(np.arange(len(corpus.windows)), max(1, len(corpus.windows) // 32)):
        noisy, mask, labels = batch(corpus, rows, noise, rng)
        labels = torch.where(labels == IGNORED, IGNORED, torch.from_numpy(renumber)[labels.clamp_min(0)])
        guess = head(model(noisy, attention_mask=mask).last_hidden_state).argmax(-1)
        hit, known, loud = guess == labels, labels != IGNORED, labels > SILENCE
        right, asked = right + int((hit & known).sum()), asked + int(known.sum())
        sounding_right, sounding = sounding_right + int((hit & loud).sum()), sounding + int(loud.sum())
    return {"all_frames": right / asked, "phoneme_frames": sounding_right / sounding}


@torch.no_grad()
def probe(model: HubertModel, corpus: Corpus, noise: Tensor) -> float:
    """Accuracy of a linear (ridge) read-out of the phoneme from single frames; a quarter of `corpus` is held out."""
    tokens, labels = [], []
    rng = np.random.default_rng(2)
    for rows in np.arange(len(corpus.windows)).reshape(4, -1):
        noisy, mask, wanted = batch(corpus, rows, noise, rng)
        hidden = model(noisy, attention_mask=mask).last_hidden_state
        tokens.append(hidden[wanted > SILENCE])
        labels.append(wanted[wanted > SILENCE])
    return ridge_accuracy(torch.cat(tokens[:3]), torch.cat(labels[:3]), tokens[3], labels[3])


def train(
    corpus: Corpus, steps: int, freeze_at: int, batch_size: int, rate: float, seed: int
) -> tuple[HubertModel, nn.Linear]:
    """Frame-wise cross-entropy on phonemes, AdamW, one-cycle rate. The head is for measuring only.

    From step `freeze_at` the convolutions stay as they are: they are more than half of a step.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = HubertModel._from_config(config(), attn_implementation="eager").train()  # a third faster than sdpa here
    head = nn.Linear(model.config.hidden_size, len(corpus.phonemes))
    noise = noise_bank(48, seed)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    started = time.monotonic()
    for step in track(range(steps), label="phonemes"):
        if step == freeze_at:
            model.feature_extractor._freeze_parameters()
        rows = rng.integers(0, len(corpus.windows), batch_size)
        noisy, mask, labels = batch(corpus, rows, noise, rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits = head(model(noisy, attention_mask=mask).last_hidden_state)
        loss = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        descend(loss, parameters, optimizer, schedule)
        if step % 100 == 0:
            log.info("step %d loss %.3f, %.0f s", step, loss.item(), time.monotonic() - started)
    return model.eval(), head.eval()
