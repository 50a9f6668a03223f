"""How a network is trained: one loop for all, that can be killed at any moment and goes on to the same weights.

`train.py` is the door, `loop.py` the epochs and steps; settings, plans, schedules, optimisers and augmentations are
records of plain values, which `run_folder.py` keeps beside the weights. Begin with `train.py`.
"""
