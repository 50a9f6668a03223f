"""Backward rules at every rectifier of a network, on the autograd graph and not on its modules.

Functional ReLUs, clamps, shared modules and in-place spellings are all one node each in the graph, and a tensor that
feeds a ReLU and a skip connection has its two gradients apart there. What rectifies without being such a node (a mask,
a maximum, a product of x with a function of x) is found too, and refused. It imports torch and `explainers.errors`
alone. Begin with `rule.py` (the rules), then `find.py` (what is one), `nodes.py` (by a node's kind), `written_out.py`
(by what several nodes make together), `alone.py` (the same, by what each value depends on; `spread.py`), `cuts.py` (by
what the forward pass does without a gradient; `by_value.py`), `in_place.py` (behind a change of a view), `graph.py`.
"""

from explainers.network.rectifiers.cuts import Cuts, watched
from explainers.network.rectifiers.find import Rectifiers, find_rectifiers
from explainers.network.rectifiers.graph import graph_nodes
from explainers.network.rectifiers.rule import rectified

__all__ = ["Cuts", "Rectifiers", "find_rectifiers", "graph_nodes", "rectified", "watched"]
