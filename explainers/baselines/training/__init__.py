"""How a network is trained: one loop for all, that can be killed at any moment and goes on to the same weights.

`train.py` is the door, `loop.py` the epochs, `updates.py` the steps, `judging.py` the scores; settings/ holds the
records of plain values that `run_folder.py` keeps beside the weights. Begin with `train.py`.
"""
