"""Networks of the ABN family among the others: every post-hoc method must be right on them, or refuse."""

from __future__ import annotations

import numpy as np
from network_case import Case
from network_families import stages
from torch import Tensor, nn

from explainers.baselines import ABN, ALA, AMB, FCAM, GAIN, LABN, resnet
from explainers.baselines.networks.ala import vision_transformer
from explainers.baselines.networks.ala.side_network import SideBlocks


def attention(network: nn.Module, image: Tensor) -> dict[str, np.ndarray]:
    """The map behind the sigmoid, seen by a hook on the module that makes it."""
    seen: list[Tensor] = []
    handle = network.attention.to_map.register_forward_hook(lambda *call: seen.append(call[2]))
    network(image)
    handle.remove()
    return {"attention": seen[0][0, 0].numpy()}


def lambda_attention(network: nn.Module, image: Tensor) -> dict[str, np.ndarray]:
    """λ_contentᵀ q of the second lambda layer, or the only one, in plain matrices; mean over heads and channels."""
    layers = [module for module in network.modules() if hasattr(module, "lambda_content")]
    layer, seen = layers[min(1, len(layers) - 1)], []
    handle = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(image)
    handle.remove()
    x, size = seen[0], seen[0].shape[2:]
    queries = layer.norm_queries(layer.queries(x))[0].flatten(1).numpy()  # (heads · key, n)
    logits, values = layer.keys(x)[0].flatten(1).numpy(), layer.norm_values(layer.values(x))[0].flatten(1).numpy()
    keys = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = np.zeros(queries.shape[1])
    for head in np.split(queries, layer.heads):
        found += ((keys @ values.T).T @ head).mean(axis=0) / layer.heads
    return {"lambda-attention": found.reshape(size)}


def softmax_of_two(network: nn.Module, image: Tensor) -> dict[str, np.ndarray]:
    """The foreground of the two channels, seen by a hook on the convolution that makes them."""
    seen: list[Tensor] = []
    handle = network.to_map.register_forward_hook(lambda *call: seen.append(call[2]))
    network(image)
    handle.remove()
    background, foreground = seen[0][0].numpy()
    return {"attention": np.exp(foreground) / (np.exp(background) + np.exp(foreground))}


def scaled_to_span(network: nn.Module, image: Tensor) -> dict[str, np.ndarray]:
    """The channel that the masks are joined to, between its own minimum and maximum."""
    seen: list[Tensor] = []
    handle = network.attention.to_map.register_forward_hook(lambda *call: seen.append(call[2]))
    network(image)
    handle.remove()
    raw = seen[0][0, 0].numpy()
    return {"attention": (raw - raw.min()) / (raw.max() - raw.min() + 1e-7)}


def predicted_grad_cam(network: nn.Module, image: Tensor) -> dict[str, np.ndarray]:
    """GAIN's own map: Grad-CAM of the predicted class. A linear layer behind pooling weighs the channels."""
    seen: list[Tensor] = []
    handle = network.classifier.layer4.register_forward_hook(lambda *call: seen.append(call[2]))
    predicted = int(network(image).argmax())
    handle.remove()
    weights = network.classifier.fc.weight[predicted].numpy()
    found = np.maximum(np.tensordot(weights, seen[0][0].numpy(), 1), 0)
    return {"attention": (found - found.min()) / (found.max() - found.min())}


def both(network: nn.Module, image: Tensor) -> dict[str, np.ndarray]:
    return attention(network, image) | lambda_attention(network, image)


HEAD = {"layer": "perception", "linear": "head.fc", "copies": 2}
WALK = stages("features.layer1 3/2/1, features.layer2 3/2/1, gate 3/2/1, perception 3/2/1")
SHORT = stages("features.relu 7/2/3, perception 3/2/1")
OWN = (
    Case("ABN", "own", lambda: ABN(resnet("small-resnet", classes=4)), own=attention, walk=WALK, **HEAD),
    Case(
        "ABN without bypass",
        "own",
        lambda: ABN(resnet("small-resnet", classes=4), bypass=False),
        own=attention,
        walk=WALK,
        **HEAD,
    ),
    Case("AMB", "own", lambda: AMB(resnet("small-resnet", classes=4)), own=attention, walk=WALK, **HEAD),
    Case(
        "GAIN",
        "own",
        lambda: GAIN(resnet("small-resnet", classes=4)),
        own=predicted_grad_cam,
        layer="classifier.layer4",
        linear="classifier.fc",
        walk=stages(
            "classifier.layer1 3/2/1, classifier.layer2 3/2/1, classifier.layer3 3/2/1, classifier.layer4 3/2/1"
        ),
        copies=2,
    ),
    Case("LABN", "own", lambda: LABN(channels=3, classes=4, scope=3), own=both, walk=SHORT, **HEAD),
    Case(
        "LABN with a threshold",
        "own",
        lambda: LABN(channels=3, classes=4, scope=3, threshold=0.5),
        own=both,
        walk=SHORT,
        **HEAD,
    ),
    Case(
        "F-CAM",
        "own",
        lambda: FCAM(resnet("small-resnet", classes=4), width=8),
        own=softmax_of_two,
        layer="encoder.layer4",
        linear="encoder.fc",
        walk=stages(", ".join(f"encoder.layer{stage} 3/2/1" for stage in range(1, 5))),
        copies=2,
    ),
    Case(
        "ALA",
        "own",
        lambda: ALA(vision_transformer("tiny-vit"), 4, side=SideBlocks(16, 3, 2, 6)),
        own=scaled_to_span,
        layer="perception.6",
        rectifiers="mixed",
        walk=stages("gate 8/8/0, perception.6 2/2/0"),
        copies=2,
    ),
    Case(
        "Lambda ResNet",
        "own",
        lambda: resnet("small-lambda-resnet", classes=4, scope=3),
        own=lambda_attention,
        layer="layer4",
        linear="fc",
        walk=stages("layer1 3/2/1, layer2 3/2/1, layer3 3/2/1, layer4 3/2/1"),
        copies=2,
    ),
)
