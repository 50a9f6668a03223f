"""Networks that explain themselves (the ABN family), their losses, and one trainer for all.

`networks/` says what a network is, `losses/` what is minimised, `training/` how: plans, schedules, one loop that can be
killed. Stands on `core`, `network`, `passes`, `data` (training reads data) and `models` (a library's network is a
backbone). Begin with `networks/attention_network.py`, then `training/train.py`.
"""

from explainers.baselines.losses.loss import Beginning, Companion, CrossEntropy, Given, Loss, Pass, Step
from explainers.baselines.losses.saliency_guided import SaliencyGuided
from explainers.baselines.networks.abn import ABN
from explainers.baselines.networks.ala import ALA
from explainers.baselines.networks.attention_network import (
    AttentionBranch,
    AttentionNetwork,
    Branches,
    ExplainingNetwork,
    Gate,
)
from explainers.baselines.networks.fcam import FCAM
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
from explainers.baselines.training.settings.schedules import Constant, Cosine, Milestones, Plateau, Polynomial
from explainers.baselines.training.settings.settings import Settings
from explainers.baselines.training.train import train

__all__ = [
    "ABN",
    "ALA",
    "FCAM",
    "LABN",
    "SGD",
    "AdamW",
    "Alternating",
    "AlternativeEpochs",
    "AttentionBranch",
    "AttentionNetwork",
    "Beginning",
    "Branches",
    "Companion",
    "Constant",
    "Cosine",
    "CrossEntropy",
    "ExplainingNetwork",
    "Flip",
    "Gate",
    "Given",
    "LambdaLayer",
    "Loss",
    "Milestones",
    "Pass",
    "Phases",
    "Plateau",
    "Polynomial",
    "ResNet",
    "Run",
    "SaliencyGuided",
    "Settings",
    "Shift",
    "Stage",
    "Step",
    "Throughout",
    "Together",
    "available_networks",
    "create_network",
    "read_run",
    "resnet",
    "train",
]
