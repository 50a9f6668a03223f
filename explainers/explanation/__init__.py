"""The notebook door: one call from an image to a heat map that shows itself.

`doors.py` has `explain` and `compare`, `result.py` the `Explanation` that they give. Begin with `doors.py`.
"""

from explainers.explanation.doors import compare, explain
from explainers.explanation.result import Explanation

__all__ = ["Explanation", "compare", "explain"]
