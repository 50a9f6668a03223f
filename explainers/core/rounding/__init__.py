"""Maps that are nothing but rounding: of scores that no image moves (`flat.py`), told by another precision
(`precision.py`), and of probabilities that are at their end (`saturation.py`).

Need torch and the rooms below. Begin with `without_rounding` of `precision.py`.
"""

from explainers.core.rounding.flat import NONE, SLACK, Flatness
from explainers.core.rounding.precision import without_rounding
from explainers.core.rounding.saturation import at_end

__all__ = ["NONE", "SLACK", "Flatness", "at_end", "without_rounding"]
