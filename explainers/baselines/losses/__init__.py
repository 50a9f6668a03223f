"""What is minimised: each loss is a record with a name and a weight, called with what one training step knows.

Begin with `loss.py`, the contract and the cross entropy; every other loss has a file of its own.
"""

from explainers.baselines.losses.loss import Beginning, Companion, CrossEntropy, Given, Loss, Pass, Step
from explainers.baselines.losses.saliency_guided import SaliencyGuided

__all__ = ["Beginning", "Companion", "CrossEntropy", "Given", "Loss", "Pass", "SaliencyGuided", "Step"]
