"""Maps that are nothing but rounding: of scores that no image moves (`flat.py`), told by another precision
(`precision.py`), and of probabilities too near their end to move (`saturation.py`).

Need torch and the rooms below. Begin with `without_rounding` of `precision.py`.
"""

from explainers.core.rounding.flat import NONE, SLACK, Flatness
from explainers.core.rounding.precision import without_rounding

__all__ = ["NONE", "SLACK", "Flatness", "without_rounding"]
