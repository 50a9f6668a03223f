"""What is minimised: each loss is a record with a name and a weight, called with what one training step knows.

Begin with `loss.py`, the contract and the cross entropy; every other loss has a file of its own, with its formula as a
function of tensors; `registry.py` knows them by name.
"""

from explainers.baselines.losses.attention_mining import AttentionMining, mined_probability
from explainers.baselines.losses.complement_entropy import ComplementObjective, complement_entropy
from explainers.baselines.losses.guided_attention import GuidedAttention
from explainers.baselines.losses.human_knowledge import HumanKnowledge, map_distance
from explainers.baselines.losses.loss import Beginning, Companion, CrossEntropy, Given, Loss, Pass, Step
from explainers.baselines.losses.mining_mask import mining_mask
from explainers.baselines.losses.prototype_conformity import PrototypeConformity, prototype_conformity
from explainers.baselines.losses.registry import available_losses, create_loss
from explainers.baselines.losses.saliency_guided import SaliencyGuided
from explainers.baselines.losses.segmentation.colour_affinity import ColourAffinity, colour_affinity
from explainers.baselines.losses.segmentation.seeded_cross_entropy import SeededCrossEntropy, partial_cross_entropy
from explainers.baselines.losses.segmentation.seeds import draw_seeds
from explainers.baselines.losses.segmentation.size_barrier import SizeBarrier, size_barrier

__all__ = [
    "AttentionMining",
    "Beginning",
    "ColourAffinity",
    "Companion",
    "ComplementObjective",
    "CrossEntropy",
    "Given",
    "GuidedAttention",
    "HumanKnowledge",
    "Loss",
    "Pass",
    "PrototypeConformity",
    "SaliencyGuided",
    "SeededCrossEntropy",
    "SizeBarrier",
    "Step",
    "available_losses",
    "colour_affinity",
    "complement_entropy",
    "create_loss",
    "draw_seeds",
    "map_distance",
    "mined_probability",
    "mining_mask",
    "partial_cross_entropy",
    "prototype_conformity",
    "size_barrier",
]
