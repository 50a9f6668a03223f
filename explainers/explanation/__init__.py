"""The notebook door: one call from a photo, volume, signal or clip to a heat map that shows itself.

`doors.py` has `explain` and `compare`, `prepared.py` makes what they are given into a network's input, `result.py` has
the `Explanation` that they give, `arrays.py` that of what is no photo. Begin with `doors.py`.
"""

from explainers.explanation.arrays import ArrayExplanation
from explainers.explanation.doors import compare, explain
from explainers.explanation.result import Explanation

__all__ = ["ArrayExplanation", "Explanation", "compare", "explain"]
