"""The contract of every method, and the registry of methods.

An `Explainer` takes images and targets and returns heat maps; here is what all of them share: targets, preprocessing,
names, and the base of those that change the image many times. Stands on `network` (reading a network) and `passes`
(many passes through one) and knows no method. Begin with `explainer.py`, then `registry.py`.
"""
