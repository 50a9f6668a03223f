"""Many forward passes through one network: the only place that decides on batch size, precision and copies.

`Predictor` runs the perturbed images of RISE, occlusion, Score-CAM and all metrics; what takes the place of removed
pixels is here too (`substrate.py`). Stands on `network`. Begin with `predictor.py`; `replica.py` makes the faster copy
that it runs (`fold_batch_norm.py` is a part of that), `batch_size.py` finds how much fits, `freed_memory.py` keeps
memory from being got anew for every pass. `activation.py` decides what turns scores into f(x).
"""
