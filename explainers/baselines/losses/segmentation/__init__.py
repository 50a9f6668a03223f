"""Losses of maps that part each pixel of an image into object and background, learnt without masks (F-CAM).

Begin with `seeds.py`, where a class activation map says which few pixels are known; `seeded_cross_entropy.py` learns
these, `colour_affinity.py` carries them to pixels alike, and `size_barrier.py` keeps both sides from vanishing.
"""
