"""The sample images that ship with the package: generated test images of `data.generated.digits`, and their masks."""

from __future__ import annotations

from pathlib import Path

from explainers.data.images import ImageFile

FOLDER = Path(__file__).parent / "samples"
MASKS = Path(__file__).parent / "masks"


def sample_images() -> list[ImageFile]:
    """The 24 sample images, whose names say their class, sorted.

    None was picked by its result: the embedded network takes 11-one.png, whose one touches an ellipse, for a seven.
    """
    return [ImageFile(path, path.name) for path in sorted(FOLDER.glob("*.png"))]


def sample_masks() -> dict[str, Path]:
    """For each sample's name the PNG of its digit's strokes, 255 inside and 0 outside."""
    return {path.name: path for path in sorted(MASKS.glob("*.png"))}
