"""Maps made by changing the image many times and watching the score: a black box will do.

Random masks (`rise.py`, which draws them by `rise_masks.py`), a window (`occlusion.py`), segments and a linear model of
them (`surrogate.py`). They derive from `PerturbationExplainer` and hand their images to its predictor. May import
`core`, `network` and `passes`. Begin with `occlusion.py`.
"""

from explainers.methods.perturbation.occlusion import Occlusion
from explainers.methods.perturbation.rise import RISE, RiseEstimate
from explainers.methods.perturbation.surrogate import LIME, KernelSHAP

__all__ = ["LIME", "RISE", "KernelSHAP", "Occlusion", "RiseEstimate"]
