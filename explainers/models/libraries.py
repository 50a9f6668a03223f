"""Networks from torchvision, timm and open_clip, with the preprocessing each of them knows."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explainers.core.preprocessing import Preprocessing
from explainers.errors import DependencyError, ExplainersError, ModelFileError
from explainers.models.source import Parts, Request
from explainers.models.weight_files import fit_state, named_as, read_state

OFFLINE = ". Without a network connection pass weights (--weights) as a file, or for hf: a local folder"
RANDOM = "random weights: the maps are those of an untrained network (pass weights DEFAULT or a file)"


def torchvision_or_explain() -> Any:
    """The torchvision module.

    Raises:
        DependencyError: it is missing, or was built for another torch; with both versions and the remedy.
    """
    try:
        import torchvision
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        installed = f"torch {torch.__version__}, torchvision {_version('torchvision')}"
        raise DependencyError(
            f"torchvision cannot be imported beside this torch ({installed}): {str(error).partition(chr(10))[0]}. "
            "The two must be built for each other: pip install --upgrade --force-reinstall torch torchvision "
            "(both in one command, from one index)"
        ) from error
    return torchvision


def from_torchvision(request: Request) -> Parts:
    """`torchvision:NAME`, with weights None, DEFAULT, a member of its weights enum, or a file."""
    models, name, notes = torchvision_or_explain().models, request.name, []
    if name not in models.list_models():
        raise _unknown("torchvision", name, models.list_models())
    enum = models.get_model_weights(name)
    member = enum.DEFAULT if len(enum) else None
    if member is not None and type(member.transforms()).__name__ == "VideoClassification":
        raise ModelFileError(
            f"torchvision:{name} takes clips of frames (N, C, T, H, W); explained are networks that take images"
        )
    options: dict[str, Any] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    if "weights_backbone" in inspect.signature(models.get_model_builder(name)).parameters:
        options["weights_backbone"] = None  # or a backbone's weights would be fetched for a network that has none
    if request.weights is None:
        network = models.get_model(name, weights=None, **options)
        notes.append(RANDOM)
    elif (path := request.file()) is not None:
        state, notes = read_state(path)
        network = _fitting(lambda **more: models.get_model(name, weights=None, **options, **more), state, path)
        notes += fit_state(network, state, path)
    else:
        wanted = request.weights
        if wanted not in ("DEFAULT", *enum.__members__):
            raise ModelFileError(
                f"weights {wanted!r} of torchvision:{name} are neither a file nor one of DEFAULT, "
                f"{', '.join(enum.__members__) or 'none'}"
            )
        member = enum.DEFAULT if wanted == "DEFAULT" else enum[wanted]
        network = downloaded(lambda: models.get_model(name, weights=member), f"torchvision:{name}")
    names = tuple(member.meta.get("categories", ())) if member is not None else ()
    return Parts(network, _torchvision_preprocessing(member), names or None, notes)


def _torchvision_preprocessing(member: Any) -> Preprocessing | None:
    """How a photo is taken: weights of classifiers and segmenters say it, detectors prepare it themselves."""
    preset = member.transforms() if member is not None else None
    source = f"torchvision {member}"
    if type(preset).__name__ == "ObjectDetection":
        return Preprocessing(source=source)
    if preset is None or not hasattr(preset, "resize_size"):
        return None
    (resize,), (crop,) = preset.resize_size, getattr(preset, "crop_size", (None,))
    return Preprocessing(
        resize,
        None if crop is None else (crop, crop),
        tuple(preset.mean),
        tuple(preset.std),
        preset.interpolation.value,
        source=source,
    )


def _fitting(build: Any, state: dict[str, Tensor], path: Path) -> nn.Module:
    """The network with as many classes and the side outputs that the file has."""
    plain = build()
    wanted = plain.state_dict()
    named, _ = named_as(wanted, state, path)
    more: dict[str, Any] = {}
    if any(name.startswith(("aux1.", "AuxLogits.")) for name in wanted):
        more["aux_logits"] = any(name.startswith(("aux1.", "AuxLogits.")) for name in named)
    heads = [key for key, value in wanted.items() if value.ndim > 1 and value.shape[0] == 1000]
    if heads and heads[-1] in named and named[heads[-1]].ndim:
        more["num_classes"] = named[heads[-1]].shape[0]
    return build(**more) if more else plain


def from_timm(request: Request) -> Parts:
    """`timm:NAME`, with weights None, DEFAULT or a file."""
    timm = library("timm", "timm")
    if request.name.partition(".")[0] not in timm.list_models():
        raise _unknown("timm", request.name, timm.list_models())
    notes: list[str] = []
    path = request.file()
    if request.weights not in (None, "DEFAULT") and path is None:
        raise ModelFileError(f"weights {request.weights!r} of timm:{request.name} are neither DEFAULT nor a file")
    if path is None:
        pretrained = request.weights == "DEFAULT"
        network = downloaded(lambda: timm.create_model(request.name, pretrained=pretrained), f"timm:{request.name}")
        notes += [] if pretrained else [RANDOM]
    else:
        state, notes = read_state(path)
        network = timm.create_model(request.name)
        head = named_as(network.state_dict(), state, path)[0].get(f"{_head_name(network)}.weight")
        if head is not None and head.ndim and head.shape[0] != network.num_classes:
            network = timm.create_model(request.name, num_classes=head.shape[0])
        notes += fit_state(network, state, path)
    return timm_parts(timm, network, request.name, notes)


def timm_parts(
    timm: Any, network: Any, name: str, notes: list[str], class_names: tuple[str, ...] | None = None
) -> Parts:
    """A network of timm, with the preprocessing that it knows; class_names: ImageNet's where they are as many."""
    config = timm.data.resolve_model_data_config(network)
    if class_names is None and network.num_classes == 1000:
        class_names = tuple(timm.data.ImageNetInfo().label_descriptions())
    return Parts(network, _timm_preprocessing(config, name), class_names, notes)


def _head_name(network: Any) -> str:
    name = network.pretrained_cfg.get("classifier", "")
    return name if isinstance(name, str) else name[0]


def _timm_preprocessing(config: dict[str, Any], name: str) -> Preprocessing:
    channels, height, width = config["input_size"]
    share = config["crop_pct"]
    resize: int | tuple[int, int] = math.floor(min(height, width) / share)
    if config.get("crop_mode") == "squash" or height != width:
        resize = (math.floor(height / share), math.floor(width / share))
    mean, std = tuple(config["mean"])[:channels], tuple(config["std"])[:channels]
    mode = config["interpolation"] if config["interpolation"] in ("bilinear", "bicubic", "nearest") else "bicubic"
    return Preprocessing(resize, (height, width), mean, std, mode, channels, source=f"timm {name}")


def from_open_clip(request: Request) -> Parts:
    """`open_clip:NAME`: CLIP's image encoder; with labels a zero-shot classifier, without them its embedding."""
    open_clip = library("open_clip", "clip")
    if request.name not in open_clip.list_models():
        raise _unknown("open_clip", request.name, open_clip.list_models())
    path, notes = request.file(), [] if request.weights else [RANDOM]
    tag = None if path is not None or request.weights is None else request.weights
    model = downloaded(lambda: open_clip.create_model(request.name, pretrained=tag), f"open_clip:{request.name}")
    if path is not None:
        state, notes = read_state(path)
        notes += fit_state(model, state, path)
    config = open_clip.get_model_preprocess_cfg(model)
    size = config["size"] if isinstance(config["size"], (tuple, list)) else (config["size"],) * 2
    preprocessing = Preprocessing(
        min(size),
        tuple(size),
        tuple(config["mean"]),
        tuple(config["std"]),
        "bicubic",
        source=f"open_clip {request.name}",
    )
    if not request.labels:
        notes.append("no labels: the classes are the dimensions of the embedding (pass labels for zero-shot classes)")
        return Parts(model.visual, preprocessing, None, notes)
    with torch.no_grad():
        words = open_clip.get_tokenizer(request.name)([f"a photo of a {label}." for label in request.labels])
        text = model.encode_text(words, normalize=True)
    return Parts(ZeroShot(model.visual, text, model.logit_scale.exp().detach()), preprocessing, request.labels, notes)


class ZeroShot(nn.Module):
    """Scaled cosine of an image embedding with the text embedding of each class."""

    def __init__(self, visual: nn.Module, text: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.visual = visual
        self.register_buffer("text", text)
        self.register_buffer("scale", scale)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) → (N, classes)."""
        embedding = self.visual(images)
        return self.scale * nn.functional.normalize(embedding, dim=-1) @ self.text.T  # type: ignore[operator]


def library(module: str, extra: str) -> Any:
    """A library that not every installation has.

    Raises:
        DependencyError: it is missing; the line names the extra.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DependencyError(f"{module} cannot be imported ({error}): pip install 'explainers[{extra}]'") from error


def downloaded(build: Any, what: str, instead: str = OFFLINE) -> Any:
    """Run a constructor that may fetch weights.

    Raises:
        ModelFileError: it failed; with the way that needs no network.
    """
    try:
        return build()
    except ExplainersError:
        raise
    except Exception as error:  # a damaged folder or file raises whatever its reader does
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelFileError(f"{what} could not be loaded: {first}{instead}") from error


def _unknown(library: str, name: str, names: Iterable[str]) -> ModelFileError:
    close = difflib.get_close_matches(name, list(names), n=4, cutoff=0.5)
    hint = f"; close are {', '.join(f'{library}:{value}' for value in close)}" if close else ""
    return ModelFileError(f"{library} has no model {name!r}{hint}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
