"""The contract of every method, and the registry of methods.

An `Explainer` takes images and targets and returns heat maps. Here are it, the three bases that spare a method most of
the work, and what all of them share: targets, maps, preprocessing, names. Stands on `network` (reading a network) and
`passes` (many passes through one) and knows no method. Begin with `explainer.py`, then `layer_explainer.py` and
`registry.py`.
"""
