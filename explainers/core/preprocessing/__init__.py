"""From what lies in a file to a network's input.

`photographs.py` for images, `arrays.py` for volumes, signals and clips. Both are frozen values with `__call__` (values
to the input), `fitted` (a mask or map likewise), `input_size()` (what the network gets) and `describe()` (for a
manifest). Need torch alone. Begin with `photographs.py`.
"""

from explainers.core.preprocessing.arrays import ArrayPreprocessing
from explainers.core.preprocessing.photographs import LUMA, MODES, Preprocessing, as_column
from explainers.errors import OptionError

AnyPreprocessing = Preprocessing | ArrayPreprocessing


def photographic(preprocessing: AnyPreprocessing) -> Preprocessing:
    """The preprocessing of a network that takes photos, for what is defined on photos alone.

    Raises:
        OptionError: the network takes volumes, signals or clips.
    """
    if isinstance(preprocessing, ArrayPreprocessing):
        raise OptionError(f"this is made for photos, and the network takes {preprocessing.kind}s")
    return preprocessing


__all__ = ["LUMA", "MODES", "AnyPreprocessing", "ArrayPreprocessing", "Preprocessing", "as_column", "photographic"]
