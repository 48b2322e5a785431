"""The words of each language for each kind of thing: where they point, and whether words for one thing lie together.

A word is a kind of thing in one language: all nouns of validation clips that name it, in whatever form. Its token is
the mean of the audio tokens over which these nouns are spoken. Whether languages share a space is asked as in the
retrieval of translations (Harwath et al. 2018, "Vision as an interlingua"): is the word of another language whose token
is nearest the one for the same thing?

Dimension key
    N nouns    M words    L languages    D embedding
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float

from ves.config.experiment import DataPaths
from ves.evaluation.localisation.measure import outcomes_of
from ves.evaluation.localisation.noun_heats import NounHeats, audible, spoken_nouns
from ves.evaluation.localisation.rows import percent
from ves.evaluation.truth import NoTruth
from ves.store.embeddings import Embeddings


@dataclass(frozen=True)
class Words:
    """A row of `table` and of `tokens` for each word, sorted by language and kind.

    Columns of the table: language, kind, text (the form said most often), n (nouns), pointing (percent of them).
    Tokens have length 1.
    """

    table: pl.DataFrame
    tokens: Float[np.ndarray, "M D"]

    @property
    def languages(self) -> list[str]:
        return self.table["language"].unique(maintain_order=True).to_list()

    def of(self, language: str) -> tuple[list[str], Float[np.ndarray, "K D"]]:
        """The kinds that one language has words for in these clips, and their tokens."""
        rows = (self.table["language"] == language).to_numpy()
        return self.table["kind"].filter(rows).to_list(), self.tokens[rows]


def collect(embeddings: Embeddings, data: DataPaths, truth: Path) -> Words:
    """The words of a split; clips of unknown language are left out.

    Raises NoTruth where the corpus does not say when nouns are spoken, what they name, or in which language.
    """
    nouns = spoken_nouns(embeddings, data, truth).filter(pl.col("language").is_not_null())
    heats, _ = audible(embeddings, nouns.to_dicts())
    if not heats.nouns:
        raise NoTruth("no noun of a known language that names a visible object is heard")
    hits = outcomes_of(heats)["pointing"]
    members: dict[tuple[str, str], list[int]] = {}
    for i, noun in enumerate(heats.nouns):
        members.setdefault((noun["language"], noun["kind"]), []).append(i)
    rows = [
        (language, kind, _commonest([heats.nouns[i]["text"] for i in nouns]), len(nouns), percent(hits[nouns].mean()))
        for (language, kind), nouns in sorted(members.items())
    ]
    of_nouns = _spoken_tokens(heats)
    tokens = np.stack([_unit(of_nouns[nouns].mean(0)) for _, nouns in sorted(members.items())])
    return Words(pl.DataFrame(rows, ["language", "kind", "text", "n", "pointing"], orient="row"), tokens)


def _commonest(texts: list[str]) -> str:
    """The text that is said most often; of several, the first in the order of their letters."""
    counts = Counter(texts)
    return min(counts, key=lambda text: (-counts[text], text))


def _unit(vectors: Float[np.ndarray, "*n D"]) -> Float[np.ndarray, "*n D"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _spoken_tokens(heats: NounHeats) -> Float[np.ndarray, "N D"]:
    """The mean audio token of each noun, of length 1."""
    audio = heats.embeddings.audio_tokens.float().numpy()
    spoken = zip(heats.nouns, heats.tokens, strict=True)
    return np.stack([_unit(audio[noun["clip_row"]][heard].mean(0)) for noun, heard in spoken])


def translations(words: Words) -> pl.DataFrame:
    """How often the nearest word of another language is the one for the same thing.

    A row for each ordered pair of languages that have words for two or more common kinds: language, other, kinds (so
    many common ones, all candidates), translated (percent of them), chance (percent).
    """
    rows = []
    for language in words.languages:
        kinds, tokens = words.of(language)
        for other in words.languages:
            there, others = words.of(other)
            common = sorted(set(kinds) & set(there))
            if other == language or len(common) < 2:
                continue
            asked = tokens[[kinds.index(kind) for kind in common]]
            candidates = others[[there.index(kind) for kind in common]]
            right = (asked @ candidates.T).argmax(1) == np.arange(len(common))
            rows.append((language, other, len(common), 100 * right.mean(), 100 / len(common)))
    columns = {"language": pl.String, "other": pl.String, "kinds": pl.Int64}
    return pl.DataFrame(rows, columns | {"translated": pl.Float64, "chance": pl.Float64}, orient="row")
