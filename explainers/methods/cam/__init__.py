"""Class activation maps: the channels of a layer, weighed for a class.

They differ in where the weights come from: the classifier (`cam.py`), gradients (`gradcam.py`), the activations' first
component (`eigencam.py`), or what the network says when channels are shown or taken away (`scorecam.py`,
`ablationcam.py`, `groupcam.py`). May import `core`, `network`, `passes`. Begin with `gradcam.py`.
"""

from explainers.methods.cam.ablationcam import AblationCAM
from explainers.methods.cam.cam import CAM
from explainers.methods.cam.eigencam import EigenCAM
from explainers.methods.cam.gradcam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from explainers.methods.cam.groupcam import GroupCAM
from explainers.methods.cam.scorecam import ScoreCAM

__all__ = [
    "CAM",
    "AblationCAM",
    "EigenCAM",
    "GradCAM",
    "GradCAMPlusPlus",
    "GroupCAM",
    "HiResCAM",
    "LayerCAM",
    "ScoreCAM",
    "XGradCAM",
]
