"""Reading a network: what is behind the object that a user passes, its layers, its outputs, its gradients.

Everything here looks at a network and leaves it as it was found (`guard.py`). It needs torch and `explainers.errors`
alone and knows nothing of heat maps. Begin with `unwrapping.py` (what is called), `input.py` and `output.py` (what goes
in, and what comes out as scores), then `layers.py`, `survey.py` (finding them) and `layer_choice.py` (which one is
meant); where branches meet in no module, `branches/` finds the operation that joins them. `capture.py` keeps what a
layer puts out, `tail.py` runs what lies behind one, `gradients.py` goes back to it; `rectifiers/` changes backward
rules for the guided methods.
"""
