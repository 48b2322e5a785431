"""Make the stand-in backbones of the embedded corpus, or their untrained twins.

    python scripts/make_standins.py                     # both, into ves/standins (about 25 minutes on 2 idle cores)
    python scripts/make_standins.py --only vision
    python scripts/make_standins.py --random build/untrained  # same architectures, random weights: for the ablation

Beside the weights, `made.json` says how they were made and what was measured. `ves/standins/README.md` explains.
"""

import argparse
import logging
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import choose_kinds
import numpy as np
import torch
import transformers
from standins import audio, teacher, vision
from standins.emoji import other_emoji
from standins.pseudowords import lexicon_words
from torch import nn
from transformers import Wav2Vec2FeatureExtractor

from ves.base.files import atomic, write_json

ROOT = Path(__file__).resolve().parent.parent
NAMES = {"audio": "hubert-scenes", "vision": "dinov2-scenes"}
AUDIO = {"clips": 4000, "steps": 2400, "freeze_at": 900, "batch_size": 16, "rate": 2e-3, "seed": 0}
VISION = {"pictures": 12000, "batch_size": 32, "steps": 12000, "rate": 1e-3, "seed": 0}
HELD_OUT = {"clips": 200, "seed": 1, "noise_seed": 99, "vision_seed": 500, "emoji": 60}


def save(model: Any, folder: Path, made: dict[str, Any]) -> None:
    """fp16 weights, configurations and `made.json`; `from_pretrained(folder, dtype=torch.float32)` reads them."""
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "machine": platform.machine()}
    with atomic(folder) as partial:
        model.half().save_pretrained(partial)
        if isinstance(model, audio.HubertModel):  # it learns from clips with a peak of 1 (standins.audio.batch)
            Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True).save_pretrained(partial)
        write_json(partial / "made.json", made | {"versions": versions})


def untrained(kind: str, seed: int) -> nn.Module:
    """The architecture with the weights that training starts from."""
    torch.manual_seed(seed)
    return audio.HubertModel(audio.config()).eval() if kind == "audio" else vision.untrained(seed).eval()


def make_audio() -> tuple[nn.Module, dict[str, Any]]:
    """Train on pseudo-words; measure on others, in other noise."""
    forbidden = lexicon_words(ROOT / "ves/sources/scenes/lexicon")
    corpus = audio.synthesise(AUDIO["clips"], AUDIO["seed"], forbidden)
    held_out = audio.synthesise(HELD_OUT["clips"], HELD_OUT["seed"], forbidden)
    noise = audio.noise_bank(48, HELD_OUT["noise_seed"])
    started = time.monotonic()
    model, head = audio.train(
        corpus, AUDIO["steps"], AUDIO["freeze_at"], AUDIO["batch_size"], AUDIO["rate"], AUDIO["seed"]
    )
    measured = {
        "train_seconds": round(time.monotonic() - started),
        "phonemes": len(set(corpus.labels[corpus.labels > audio.SILENCE])),
        "frame_accuracy": audio.accuracy(model, head, held_out, corpus.phonemes, noise),
        "linear_probe_trained": audio.probe(model, held_out, noise),
        "linear_probe_untrained": audio.probe(untrained("audio", AUDIO["seed"]), held_out, noise),
    }
    return model, {"recipe": AUDIO, "held_out": HELD_OUT, "measured": measured}


def make_vision() -> tuple[nn.Module, dict[str, Any]]:
    """Train the stand-in on the teacher's features of collages; measure on collages of emoji that it never saw."""
    seed = VISION["seed"]
    with tempfile.TemporaryDirectory() as folder:
        cut_outs = other_emoji(*choose_kinds.packages(Path(folder)))
        order = np.random.default_rng(seed).permutation(len(cut_outs))
        kept, pool = ([cut_outs[i] for i in part] for part in np.split(order, [HELD_OUT["emoji"]]))
        pictures, features = teacher.taught(teacher.Teacher(), VISION["pictures"], seed, pool)
    started = time.monotonic()
    model = vision.train(pictures, features, VISION["steps"], VISION["batch_size"], VISION["rate"], seed)
    measured = {
        "emoji": len(pool),
        "train_seconds": round(time.monotonic() - started),
        "linear_probe_trained": vision.probe(model, HELD_OUT["vision_seed"], kept),
        "linear_probe_untrained": vision.probe(vision.untrained(seed).eval(), HELD_OUT["vision_seed"], kept),
    }
    return model, {"recipe": VISION | {"teacher": teacher.NETWORK.name}, "held_out": HELD_OUT, "measured": measured}


def main() -> None:
    """Make one or both; see the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "ves/standins", help="folder of the trained ones")
    parser.add_argument("--only", choices=sorted(NAMES), help="make this one only")
    parser.add_argument("--random", type=Path, metavar="FOLDER", help="write untrained twins there and train nothing")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the untrained twins")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    for kind in [arguments.only] if arguments.only else sorted(NAMES):
        if arguments.random:
            save(untrained(kind, arguments.seed), arguments.random / NAMES[kind], {"untrained": arguments.seed})
            continue
        model, made = make_audio() if kind == "audio" else make_vision()
        logging.info("%s: %s", kind, made["measured"])
        save(model, arguments.out / NAMES[kind], made)


if __name__ == "__main__":
    main()
