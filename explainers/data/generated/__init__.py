"""Images that are made here, so that it is known what a map should show.

Digits on photographs (`digits.py`) for classifiers and masks, magnetograms (`magnetogram/`) and birds (`birds/`) for
training; each image is a function of its index and a seed. May import `data/images`, `data/data_set.py` and `core`.
Begin with `digits.py`.
"""
