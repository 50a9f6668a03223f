"""Does a heat map lie on the object? Maps against masks and boxes: formulas, and the metrics that use them.

`maps` are finite values (N, *axes). `masks` are bool (N, *axes), True on the object, and checked by the caller: on the
maps' device, of their shape, none empty. Results are float64. A ranking puts the earlier pixel in reading order first
among equals. May import what `metrics` may, and nothing of its other files. Begin with `pointing.py`.
"""

from explainers.evaluation.metrics.localisation import boxes, pixel_precision, pointing, regions

__all__ = ["boxes", "pixel_precision", "pointing", "regions"]
