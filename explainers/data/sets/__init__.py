"""Labelled images for training, in the layouts that people and publications have; importing this registers them.

One file a layout, each with a reader that `register_data_set` makes known; what a data set is stands in
`data/data_set.py`, and `by_name.py` finds the reader. `splits.py` has what layouts share, `export.py` writes a split as
files; `photographs/` has birds, dogs and ImageNet. May import `data/images`, `data/generated` and `core`. Begin with
`class_folders.py`, which is what most people have.
"""

from explainers.data.data_set import DataSet, Split, register_data_set, settings_of
from explainers.data.sets import photographs
from explainers.data.sets.by_name import data_set, data_set_spellings

__all__ = [
    "DataSet",
    "Split",
    "data_set",
    "data_set_spellings",
    "photographs",
    "register_data_set",
    "settings_of",
]
