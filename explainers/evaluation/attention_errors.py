"""How regions miss their masks, counted over the images on which an explainer does worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from explainers.evaluation.rows import Row

OVER, INSUFFICIENT, OTHER = "over-attended", "insufficiently attended", "other"
WORST = 100  # images, as the adapter of attention lattices is reported with (Hirano 2024)


def kind_of_error(beyond: int, missed: int) -> str:
    """How a region misses its mask.

    The one definition, of pixels that are in one of the two alone: more beyond the mask than missed of it is
    over-attended, fewer is insufficiently attended, as many is another error, and none on either side no error. Pixels
    in both do not enter, so it comes to whether the region is larger than the mask.

    Args:
        beyond: pixels of the region outside the mask, |P∖G|; missed: pixels of the mask outside the region, |G∖P|.

    Returns:
        "over-attended", "insufficiently attended", "other", or "".

    Source: Hirano 2024 gives the counts of the worst 100 images and the names, but no formula. This one has no
    threshold that would have to be chosen, and gives every region that is not the mask a kind.
    """
    if beyond == missed:
        return OTHER if beyond else ""
    return OVER if beyond > missed else INSUFFICIENT


@dataclass(frozen=True)
class AttentionErrors:
    """Kinds of error of an explainer over its worst images by a score: images is how many those are, of `judged`."""

    images: int
    judged: int
    over: int
    insufficient: int
    other: int

    def columns(self) -> dict[str, int]:
        """For the summary as CSV and JSON."""
        kinds = {"over_attended": self.over, "insufficiently_attended": self.insufficient, "other_errors": self.other}
        return {"worst_images": self.images, **kinds}

    def __str__(self) -> str:
        right = self.images - self.over - self.insufficient - self.other
        return (
            f"{self.over} {OVER}, {self.insufficient} {INSUFFICIENT}, {self.other} {OTHER}"
            + f", {right} without error" * bool(right)
        )


def attention_errors_of(rows: Sequence[Row]) -> dict[tuple[str, str], AttentionErrors]:
    """By (explainer, score), of scores whose rows tell the kind of error; the worst have the lowest values."""
    told: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["status"] == "ok" and row["value"] is not None and row.get("attention") is not None:
            told.setdefault((row["explainer"], row["score"]), []).append(row)
    found = {}
    for key, judged in told.items():
        worst = sorted(judged, key=lambda row: (row["value"], row["image"]))[:WORST]
        kinds = [row["attention"] for row in worst]
        counts = (kinds.count(kind) for kind in (OVER, INSUFFICIENT, OTHER))
        found[key] = AttentionErrors(len(worst), len(judged), *counts)
    return found


def attention_notes(found: dict[tuple[str, str], AttentionErrors], names: Sequence[str]) -> list[str]:
    """Lines for the foot of the table: one for each score and number of images."""
    lines: dict[tuple[str, int, int], list[str]] = {}
    for score in dict.fromkeys(score for _, score in found):
        for name in names:
            if (name, score) in found:
                each = found[name, score]
                lines.setdefault((score, each.images, each.judged), []).append(f"{name} {each}")
    return [
        f"{score}, errors of "
        + (f"the {images} images with the lowest values" if judged > images else f"all {images} images")
        + (f" (fewer than {WORST})" if images < WORST else "")
        + f": {'; '.join(told)}"
        for (score, images, judged), told in lines.items()
    ]
