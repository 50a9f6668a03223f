"""The images that ship with the package: photographs, and test images of `data.generated.digits` with their masks."""

from __future__ import annotations

from pathlib import Path

from explainers.data.images import ImageFile

FOLDER = Path(__file__).parent / "samples"
MASKS = Path(__file__).parent / "masks"
PHOTOGRAPHS = Path(__file__).parent / "photographs"


def sample_photographs() -> list[ImageFile]:
    """Four square photographs in the public domain or under CC0, from scikit-image; sorted.

    ImageNet has no class of space rockets: the network for photographs takes rocket.jpg for a missile.
    """
    return [ImageFile(path, path.name) for path in sorted(PHOTOGRAPHS.glob("*.jpg"))]


def sample_images() -> list[ImageFile]:
    """The 24 sample images, whose names say their class, sorted.

    None was picked by its result: the embedded network takes 11-one.png, whose one touches an ellipse, for a seven.
    """
    return [ImageFile(path, path.name) for path in sorted(FOLDER.glob("*.png"))]


def sample_masks() -> dict[str, Path]:
    """For each sample's name the PNG of its digit's strokes, 255 inside and 0 outside."""
    return {path.name: path for path in sorted(MASKS.glob("*.png"))}
