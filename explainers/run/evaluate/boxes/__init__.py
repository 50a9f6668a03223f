"""Detections as what an evaluation watches: one row of a batch for each box.

Begin with `source.py`, which makes the batches; `truth.py` finds the true box of a detection, and `controls.py` makes
the control by another box of each method.
"""
