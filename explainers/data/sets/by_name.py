"""Which data set a specification such as `folder:PATH` names: those of this room and the generated ones."""

from __future__ import annotations

from explainers.data.data_set import READERS, DataSet
from explainers.data.generated import birds, magnetogram
from explainers.data.sets import cifar10, class_folders, defn, idrid

KINDS = (birds, cifar10, class_folders, defn, idrid, magnetogram)  # importing them has made them known


def data_set_spellings() -> tuple[str, ...]:
    """How each known data set is named, sorted."""
    return tuple(READERS.find(kind)[0] for kind in READERS)


def data_set(spec: str) -> DataSet:
    """The data set that a specification names.

    Args:
        spec: such as "folder:photos" or "magnetogram:size=64,train=2000".

    Raises:
        DataError: an unknown kind, or files that are not in the layout that it has.
    """
    kind, _, rest = str(spec).partition(":")
    return READERS.find(kind, lambda each: READERS.find(each)[0])[1](rest)
