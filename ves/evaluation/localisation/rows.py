"""Results of localisation as rows: value in percent, 95 % interval by bootstrap over images, number of nouns.

A row has protocol, metric, heat, value, low, high and n; what is undefined is None. Means over nouns have an interval,
and so do the class means of DenseAV's protocol per image; the pooled protocol has none, since it pools pixels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ves.evaluation import bootstrap
from ves.evaluation.localisation.protocols import Key

BY = ("model", "wrong_clip", "centre")  # heats that are also reported by group
IN_FILES = {"shuffled": "chance"}  # heats that the files call otherwise: people and programs read these names
OF_NOUNS = dict[Key, np.ndarray]  # float [N] of each protocol, metric and heat
OF_CLASSES = dict[Key, dict[str, float]]
Row = dict[str, Any]


def percent(value: float) -> float | None:
    """None for NaN."""
    return None if np.isnan(value) else 100 * float(value)


def mean(values: Sequence[float] | Float[np.ndarray, " N"]) -> float:
    """Mean of the values that are not NaN; NaN where there are none."""
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")


def _row(key: Key, value: float, n: int, low: float = np.nan, high: float = np.nan) -> Row:
    protocol, metric, heat = key
    ends = {"value": percent(value), "low": percent(low), "high": percent(high)}
    return {"protocol": protocol, "metric": metric, "heat": IN_FILES.get(heat, heat)} | ends | {"n": n}


def of_nouns(values: OF_NOUNS, images: Int[np.ndarray, " N"], classes: Sequence[str] | None = None) -> list[Row]:
    """Means over nouns, or, with their classes, means over classes of the mean within each."""
    weights = bootstrap.noun_weights(images)
    stacked = np.stack(list(values.values()), axis=1)
    if classes is None:
        each, means = bootstrap.means(stacked, weights), [mean(one) for one in stacked.T]
    else:
        each = bootstrap.class_means(stacked, classes, weights)
        within = [stacked[np.array(classes) == one] for one in sorted(set(classes))]
        means = [mean([mean(part[:, k]) for part in within]) for k in range(stacked.shape[1])]
    ends = bootstrap.interval(each, len(np.unique(images)))
    known = (~np.isnan(stacked)).sum(0)
    return [
        _row(key, value, int(n), low, high)
        for key, value, n, low, high in zip(values, means, known, *ends, strict=True)
    ]


def of_pools(pools: OF_CLASSES, counts: dict[str, int]) -> list[Row]:
    """Means over classes whose pixels were pooled; n counts the nouns of the classes that have a value."""
    rows = []
    for key, classes in pools.items():
        known = {name: value for name, value in classes.items() if not np.isnan(value)}
        rows.append(_row(key, mean(list(classes.values())), sum(counts[name] for name in known)))
    return rows


def overall(values: OF_NOUNS, pools: OF_CLASSES, images: Int[np.ndarray, " N"], kinds: Sequence[str]) -> list[Row]:
    """Every protocol, metric and heat; for DenseAV's also how much more each picture alone gives than the pool."""
    alone = {key: one for key, one in values.items() if key[0] == "denseav_per_image"}
    rows = of_nouns({key: one for key, one in values.items() if key not in alone}, images)
    if alone:
        rows += of_nouns(alone, images, kinds)
    rows += of_pools(pools, {kind: kinds.count(kind) for kind in set(kinds)})
    by_name = {(row["protocol"], row["metric"], row["heat"]): row for row in rows}
    for protocol, metric, heat in alone:
        single, pool = (by_name[name, metric, IN_FILES.get(heat, heat)] for name in (protocol, "denseav"))
        both = [row["value"] for row in (single, pool)]
        more = np.nan if None in both else (both[0] - both[1]) / 100
        rows.append(_row(("denseav_difference", metric, heat), more, single["n"]))
    return sorted(rows, key=lambda row: (row["protocol"], row["metric"], row["heat"]))


def by_group(
    values: OF_NOUNS, pools: OF_CLASSES, images: Int[np.ndarray, " N"], names: dict[str, Sequence[str | None]]
) -> list[Row]:
    """The same by the groups of each column (`by`, `group`): means over the nouns of a group, resampling its images.

    Pooled values are those of the classes, so only the column `kind` has them.
    """
    rows = []
    for by, column in names.items():
        for group in sorted({one for one in column if one is not None}):
            members = np.array([one == group for one in column])
            chosen = {key: one[members] for key, one in values.items() if key[2] in BY}
            of_group = of_nouns(chosen, images[members])
            if by == "kind":
                own = {
                    key: {group: classes[group]} for key, classes in pools.items() if key[2] in BY and group in classes
                }
                of_group += of_pools(own, {group: int(members.sum())})
            of_group.sort(key=lambda row: (row["protocol"], row["metric"], BY.index(row["heat"])))
            rows += [{"by": by, "group": group} | row for row in of_group]
    return rows
