"""Preprocessing as users have it, of torchvision, timm, open_clip or transformers, as this package's own, and that of
networks which prepare photos themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from explainers.core.preprocessing import AnyPreprocessing, ArrayPreprocessing, Preprocessing
from explainers.errors import OptionError

TO_TENSOR = frozenset(("ToTensor", "MaybeToTensor"))
# From one form of 8-bit pixels to another; the network sees no difference.
FORMS = frozenset(
    ("PILToTensor", "MaybePILToTensor", "ToImage", "ToPILImage", "ToPureTensor", "Identity", "_convert_to_rgb", "RGB")
)
INSTEAD = (
    "say it as explainers.models.Preprocessing(resize, crop, mean, std, interpolation), or make the inputs yourself "
    "and pass tensors"
)


def as_preprocessing(given: Any) -> AnyPreprocessing | None:
    """A `Preprocessing` or `ArrayPreprocessing`, torchvision's `weights.transforms()`, a `Compose` of resize, centre
    crop, conversion and normalisation (torchvision v1 or v2, timm, open_clip), or an image processor of transformers.

    Raises:
        OptionError: anything else, or one that has a step which `Preprocessing` has not.
    """
    if given is None or isinstance(given, (Preprocessing, ArrayPreprocessing)):
        return given
    if hasattr(given, "crop_size") and hasattr(given, "resize_size"):
        return _preset(given)
    if hasattr(given, "transforms"):
        return _composed(given)
    if hasattr(given, "image_mean") and hasattr(given, "to_dict"):
        return from_processor(given.to_dict(), type(given).__name__)
    image_processor = getattr(given, "image_processor", None)
    if image_processor is not None:
        return as_preprocessing(image_processor)
    raise OptionError(
        f"preprocessing={type(given).__name__}; expected explainers.models.Preprocessing, a Compose or "
        f"weights.transforms() of torchvision, or an image processor of transformers; {INSTEAD}"
    )


def from_processor(config: Mapping[str, Any], name: str) -> Preprocessing:
    """Of the configuration of an image processor of transformers.

    Raises:
        OptionError: it has a step that `Preprocessing` has not.
    """
    size, resize = config.get("size") or {}, None
    rescale = config.get("rescale_factor", 1 / 255)
    # Those of detectors, which alone know formats of boxes, pad to the largest photo of a batch: one by one, nothing.
    pads = config.get("do_pad") and (config.get("pad_size") or "format" not in config)
    if not config.get("do_rescale", True) or abs(rescale * 255 - 1) > 1e-3 or pads:
        raise OptionError(f"preprocessing of {name} pads, or does not scale pixels to 0 … 1; {INSTEAD}")
    if config.get("do_split_image") or config.get("size_divisor") or config.get("ensure_multiple_of", 1) != 1:
        raise OptionError(f"preprocessing of {name} cuts images up, or makes their sides multiples; {INSTEAD}")
    if config.get("do_flip_channel_order"):
        raise OptionError(f"preprocessing of {name} gives blue first; let the network turn it, images.flip(1)")
    if config.get("keep_aspect_ratio"):
        raise OptionError(f"preprocessing of {name} fits images into {dict(size)}; {INSTEAD}")
    if config.get("do_resize", True):
        if "shortest_edge" not in size and not {"height", "width"} <= set(size):
            raise OptionError(f"preprocessing of {name} resizes to {dict(size)}; {INSTEAD}")
        resize = size["shortest_edge"] if "shortest_edge" in size else (size["height"], size["width"])
    crop = config.get("crop_size") if config.get("do_center_crop") else None
    crop = {"height": crop, "width": crop} if isinstance(crop, int) else crop
    if config.get("crop_pct") and isinstance(resize, int) and crop is None and resize < 384:
        crop, resize = {"height": resize, "width": resize}, int(resize / config["crop_pct"])  # ConvNeXt's rule
    normalised = bool(config.get("do_normalize"))
    one_side = isinstance(resize, int)
    yolos = str(config.get("image_processor_type", "")).startswith("Yolos")  # whose rule is in its code alone
    return Preprocessing(
        resize,
        (crop["height"], crop["width"]) if crop else None,
        tuple(config["image_mean"]) if normalised else (0.0, 0.0, 0.0),
        tuple(config["image_std"]) if normalised else (1.0, 1.0, 1.0),
        {0: "nearest", 2: "bilinear", 3: "bicubic"}.get(int(config.get("resample", 2)), "bilinear"),
        source=f"hf {name}",
        longest=size.get("longest_edge") if one_side else None,
        multiple=16 if one_side and yolos else 1,
    )


def _preset(preset: Any) -> Preprocessing:
    """Of `weights.transforms()` of a classifier."""
    _needs(preset.antialias is not False, "its resize has antialias=False")
    resize, crop = _side(preset.resize_size), _pair(preset.crop_size)
    interpolation = _mode(preset.interpolation)
    return Preprocessing(resize, crop, tuple(preset.mean), tuple(preset.std), interpolation, source="given transforms")


def _composed(compose: Any) -> Preprocessing:
    """Of steps in the order resize, crop, conversion, normalisation; each may be missing but the conversion."""
    made: dict[str, Any] = {}
    scaled = False
    for step in _steps(compose):
        name = getattr(step, "__name__", type(step).__name__)
        if name == "Resize":
            _needs(not {"resize", "crop", "mean"} & set(made), "it resizes twice, or late")
            _needs(getattr(step, "max_size", None) is None, "its resize has a max_size")
            _needs(step.antialias is not False, "its resize has antialias=False")
            _needs(not scaled, "it resizes floats")
            made |= {"resize": _side(step.size), "interpolation": _mode(step.interpolation)}
        elif name == "CenterCrop":
            _needs(not {"crop", "mean"} & set(made), "it crops twice, or late")
            made["crop"] = _pair(step.size)
        elif name == "Grayscale":
            _needs(step.num_output_channels == 1, "it makes gray pictures of three channels")
            made["channels"] = 1
        elif name in TO_TENSOR:
            scaled = True
        elif name in ("ToDtype", "ConvertImageDtype"):
            kind = getattr(step, "dtype", None)
            if str(kind) != "torch.uint8":
                _needs(str(kind) == "torch.float32", f"its numbers are {kind}")
                _needs(name == "ConvertImageDtype" or getattr(step, "scale", False), "it does not scale to 0 … 1")
                scaled = True
        elif name == "Normalize":
            _needs(scaled and "mean" not in made, "it normalises twice, or before pixels are scaled to 0 … 1")
            made |= {key: tuple(float(value) for value in getattr(step, key)) for key in ("mean", "std")}
        else:
            _needs(name in FORMS, f"of its step {name} nothing is known here")
    _needs(scaled, "nothing in it scales pixels to 0 … 1 (ToTensor, or ToDtype(torch.float32, scale=True))")
    channels = made.get("channels", 3)
    return Preprocessing(**{"mean": (0.0,) * channels, "std": (1.0,) * channels, "source": "given Compose", **made})


def _steps(compose: Any) -> Iterator[Any]:
    for step in compose.transforms:
        if type(step).__name__ == "Compose":
            yield from _steps(step)
        else:
            yield step


def _needs(held: bool, reason: str) -> None:
    if not held:
        raise OptionError(f"preprocessing cannot be read: {reason}; {INSTEAD}")


def _side(size: Any) -> int | tuple[int, int]:
    """The shorter side, or height and width."""
    if isinstance(size, int):
        return size
    return int(size[0]) if len(size) == 1 else (int(size[0]), int(size[1]))


def _pair(size: Any) -> tuple[int, int]:
    side = _side(size)
    return (side, side) if isinstance(side, int) else side


def _mode(interpolation: Any) -> str:
    """The name of an interpolation of torchvision, or of Pillow's number."""
    known = {0: "nearest", 2: "bilinear", 3: "bicubic"}
    mode = str(getattr(interpolation, "value", interpolation))
    return known.get(int(mode), mode) if mode.isdigit() else mode


def brought_by(network: Any) -> Preprocessing | None:
    """Photos as they are, values of 0 … 1, where a network is one of torchvision's detectors, which resize and
    normalise within; None where nothing is known. Of a detector inside another network nothing is: that may prepare
    photos, too.
    """
    made_by = getattr(getattr(type(network), "forward", None), "__module__", "") or ""
    transform = getattr(network, "transform", None)
    if not made_by.startswith("torchvision.models.detection.") or not hasattr(transform, "image_mean"):
        return None
    return Preprocessing(source=f"{type(network).__name__} of torchvision, which prepares photos itself")
