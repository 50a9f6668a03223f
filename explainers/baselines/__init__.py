"""Networks that explain themselves (the ABN family), their losses, and one trainer for all."""

from explainers.baselines.abn import ABN
from explainers.baselines.augment import Flip, Shift
from explainers.baselines.labn import LABN
from explainers.baselines.lambda_layer import LambdaLayer
from explainers.baselines.losses import CrossEntropy, Loss, Pass, Step
from explainers.baselines.network import AttentionBranch, AttentionNetwork, Branches, Gate
from explainers.baselines.networks import available_networks, create_network
from explainers.baselines.optimizers import SGD, AdamW
from explainers.baselines.plans import Alternating, Phases, Stage, Throughout
from explainers.baselines.resnet import ResNet, resnet
from explainers.baselines.runs import Run, read_run
from explainers.baselines.saliency_guided import SaliencyGuided
from explainers.baselines.schedules import Constant, Cosine, Milestones, Plateau
from explainers.baselines.settings import Settings
from explainers.baselines.train import train

__all__ = [
    "ABN",
    "LABN",
    "SGD",
    "AdamW",
    "Alternating",
    "AttentionBranch",
    "AttentionNetwork",
    "Branches",
    "Constant",
    "Cosine",
    "CrossEntropy",
    "Flip",
    "Gate",
    "LambdaLayer",
    "Loss",
    "Milestones",
    "Pass",
    "Phases",
    "Plateau",
    "ResNet",
    "Run",
    "SaliencyGuided",
    "Settings",
    "Shift",
    "Stage",
    "Step",
    "Throughout",
    "available_networks",
    "create_network",
    "read_run",
    "resnet",
    "train",
]
