"""Reading a network: what is behind the object that a user passes, its layers, its outputs, its gradients.

Everything here looks at a network and leaves it as it was found (`guard.py`). It needs torch and `explainers.errors`
alone and knows nothing of heat maps. Begin with `unwrapped.py` (what is called), `survey.py` and `layers.py` (where its
positions are), `output.py` (what it returns as scores); `rectifiers.py` changes backward rules for the guided methods.
"""
