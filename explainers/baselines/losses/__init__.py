"""What is minimised: each loss is a record with a name and a weight, called with what one training step knows.

Begin with `loss.py`, the contract and the cross entropy; every other loss has a file of its own, with its formula as a
function of tensors.
"""

from explainers.baselines.losses.colour_affinity import colour_affinity
from explainers.baselines.losses.complement_entropy import complement_entropy
from explainers.baselines.losses.loss import Beginning, Companion, CrossEntropy, Given, Loss, Pass, Step
from explainers.baselines.losses.mining_mask import mining_mask
from explainers.baselines.losses.prototype_conformity import prototype_conformity
from explainers.baselines.losses.saliency_guided import SaliencyGuided
from explainers.baselines.losses.seeded_cross_entropy import partial_cross_entropy
from explainers.baselines.losses.seeds import draw_seeds
from explainers.baselines.losses.size_barrier import size_barrier

__all__ = [
    "Beginning",
    "Companion",
    "CrossEntropy",
    "Given",
    "Loss",
    "Pass",
    "SaliencyGuided",
    "Step",
    "colour_affinity",
    "complement_entropy",
    "draw_seeds",
    "mining_mask",
    "partial_cross_entropy",
    "prototype_conformity",
    "size_barrier",
]
