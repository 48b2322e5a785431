"""Where pairs come from: for each kind, what there is and how it is fetched, as shards with the same columns.

`source(kind)` is a module with `list_shards` and `fetch`; `SOURCES` names the kinds. What every source gives stands in
`columns`, `labels` and `references`.
"""

from ves.sources.kinds import SOURCES, source

__all__ = ["SOURCES", "source"]
