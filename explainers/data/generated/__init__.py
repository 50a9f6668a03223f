"""Images, volumes and signals that are made here, so that it is known what a map should show.

Digits on photographs (`digits.py`) for classifiers and masks, magnetograms (`magnetogram/`) and birds (`birds/`) for
training; scenes of shapes (`scenes/`) for segmentation, detection, regression and similarity; volumes (`blobs.py`) and
signals (`bumps.py`). Each sample is a function of its index and a seed; the newer ones draw theirs from
`random_numbers.py`. May import `data/images`, `data/data_set.py` and `core`.
Begin with `digits.py`.
"""
