"""Kinds of input: how each is found, read, prepared, drawn and written.

`kind.py` is the contract, `photographs.py` the first that keeps it, `recordings.py` has volumes, signals and clips.
`kind_of` tells a network's kind by its preprocessing; whoever runs over files asks the kind and knows none by name.
Begin with `kind.py`.
"""

from explainers.run.kinds.choice import kind_of, told_kind
from explainers.run.kinds.kind import Content, Kind

__all__ = ["Content", "Kind", "kind_of", "told_kind"]
