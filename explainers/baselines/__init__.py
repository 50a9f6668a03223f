"""Networks that explain themselves (the ABN family), their losses, and one trainer for all.

`networks/` says what a network is, `losses/` what is minimised, `training/` how: plans, schedules, one loop that can be
killed. Stands on `core`, `network`, `passes`, `data` (training reads data) and `models` (a library's network is a
backbone). Begin with `networks/attention_network.py`, then `training/train.py`.
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
from explainers.baselines.networks.abn import ABN
from explainers.baselines.networks.ala import ALA
from explainers.baselines.networks.amb import AMB
from explainers.baselines.networks.attention_network import (
    AttentionBranch,
    AttentionNetwork,
    Branches,
    ExplainingNetwork,
    Gate,
)
from explainers.baselines.networks.fcam import FCAM
from explainers.baselines.networks.gain import GAIN
from explainers.baselines.networks.labn import LABN
from explainers.baselines.networks.lambda_layer import LambdaLayer
from explainers.baselines.networks.registry import available_networks, create_network
from explainers.baselines.networks.resnet import ResNet, resnet
from explainers.baselines.training.run_folder import Run, read_run
from explainers.baselines.training.settings.augment import Flip, Shift
from explainers.baselines.training.settings.optimizers import SGD, AdamW
from explainers.baselines.training.settings.plans import (
    Alternating,
    AlternativeEpochs,
    Phases,
    Stage,
    Throughout,
    Together,
)
from explainers.baselines.training.settings.recipes import alternation, amb_losses
from explainers.baselines.training.settings.schedules import Constant, Cosine, Milestones, Plateau, Polynomial
from explainers.baselines.training.settings.settings import Settings
from explainers.baselines.training.train import train

__all__ = [
    "ABN",
    "ALA",
    "AMB",
    "FCAM",
    "GAIN",
    "LABN",
    "SGD",
    "AdamW",
    "Alternating",
    "AlternativeEpochs",
    "AttentionBranch",
    "AttentionMining",
    "AttentionNetwork",
    "Beginning",
    "Branches",
    "ColourAffinity",
    "Companion",
    "ComplementObjective",
    "Constant",
    "Cosine",
    "CrossEntropy",
    "ExplainingNetwork",
    "Flip",
    "Gate",
    "Given",
    "GuidedAttention",
    "HumanKnowledge",
    "LambdaLayer",
    "Loss",
    "Milestones",
    "Pass",
    "Phases",
    "Plateau",
    "Polynomial",
    "PrototypeConformity",
    "ResNet",
    "Run",
    "SaliencyGuided",
    "SeededCrossEntropy",
    "Settings",
    "Shift",
    "SizeBarrier",
    "Stage",
    "Step",
    "Throughout",
    "Together",
    "alternation",
    "amb_losses",
    "available_losses",
    "available_networks",
    "colour_affinity",
    "complement_entropy",
    "create_loss",
    "create_network",
    "draw_seeds",
    "map_distance",
    "mined_probability",
    "mining_mask",
    "partial_cross_entropy",
    "prototype_conformity",
    "read_run",
    "resnet",
    "size_barrier",
    "train",
]
