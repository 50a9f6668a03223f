"""Networks of several inputs: what each image of a batch comes with, and the network with all but one of them bound.

`inputs.py` holds a batch of inputs and how a network is called with it, `given.py` makes it of what a user passes, and
`bound.py` is the network of the one input that is explained, as everything else in this project takes it; `fed.py`
tells which runs of a module depend on it, and `made_up.py` finds inputs for who has an image alone. Begin with
`bound.py`.
"""

from explainers.network.inputs.bound import Binding, Bound, BoundFunction, bound, is_bound
from explainers.network.inputs.fed import fed_runs
from explainers.network.inputs.given import ALL, are_several, chosen, inputs_of, places
from explainers.network.inputs.inputs import Inputs, Key
from explainers.network.inputs.made_up import made_up, needed

__all__ = [
    "ALL",
    "Binding",
    "Bound",
    "BoundFunction",
    "Inputs",
    "Key",
    "are_several",
    "bound",
    "chosen",
    "fed_runs",
    "inputs_of",
    "is_bound",
    "made_up",
    "needed",
    "places",
]
