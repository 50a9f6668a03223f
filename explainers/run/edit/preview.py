"""Contact sheets of edited images: the photo, its map before, the edited one, and the map after."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from explainers.data.images import write_image
from explainers.render import Style, contact_sheet, overlay, scale_of
from explainers.render.sheet import AnyCell
from explainers.run.edit.pictures import photo_picture
from explainers.run.edit.trained import Trained
from explainers.run.edit.trial import Answer, Change

ROWS = 12  # of a page
CELL = 224  # pixels of a picture's side
SCALE = Style(limits=(0.0, 1.0), signed=False)  # the same colours for the same values, in every picture


def write_preview(folder: Path, trained: Trained, found: Iterable[Change], *, after: str = "after") -> list[Path]:
    """Pages preview-001.png … of a row an image: photo, present map, edited map, and what came of it.

    Args:
        trained: whose images they are; found: as `trial` or `changes` give them; after: how the last column is called.

    Returns:
        The pages, in their order.
    """
    for path in folder.glob("preview-[0-9][0-9][0-9]*.png"):  # of more images than there are now
        path.unlink()
    pages: list[Path] = []
    rows: list[list[AnyCell]] = []
    for change in found:
        rows.append(_row(trained, change, after))
        if len(rows) == ROWS:
            pages.append(_page(folder, len(pages) + 1, rows))
            rows = []
    if rows:
        pages.append(_page(folder, len(pages) + 1, rows))
    return pages


def _row(trained: Trained, change: Change, after: str) -> list[AnyCell]:
    image = trained.inputs([change.index])[0]
    photo = photo_picture(image, trained.data.preprocessing, _fitted(image.shape[1], image.shape[2]))
    before, edited, now = ((overlay(photo, map_, style=SCALE), scale_of(map_, SCALE)) for map_ in change.maps)
    return [
        (f"{change.image}\ntrue: {change.true_class}", photo),
        (f"before: {_told(change.before)}\ndistance {change.distances[0]:.2f}", *before),
        ("edited\n", *edited),
        (f"{after}: {_told(change.after)}\ndistance {change.distances[1]:.2f}", *now),
    ]


def _told(answer: Answer) -> str:
    return f"{answer.predicted} {answer.probability:.2f}"


def _fitted(height: int, width: int) -> tuple[int, int]:
    """The size in which a picture of this shape fills its cell."""
    scale = CELL / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _page(folder: Path, number: int, rows: list[list[AnyCell]]) -> Path:
    path = folder / f"preview-{number:03d}.png"
    write_image(path, contact_sheet(rows, cell=CELL))
    return path
