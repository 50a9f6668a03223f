"""Many forward passes through one network: the only place that decides on batch size, precision and copies.

`Predictor` runs perturbed images of RISE, occlusion, Score-CAM and all metrics; the masks and what takes the place of
removed pixels are here too. Stands on `network`. Begin with `predictor.py`; `replica.py` makes the faster copy that it
runs, `batch_size.py` finds how much fits.
"""
