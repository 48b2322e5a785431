"""Where pairs come from: for each kind, what there is and how it is fetched, as shards with the same columns.

`SOURCES` has the kinds, each with all that is its own; `source(kind)` is the module with its `list_shards` and `fetch`.
What every source gives stands in `columns`, `labels` and `references`.
"""

from ves.sources.kinds import SOURCES, source

__all__ = ["SOURCES", "source"]
