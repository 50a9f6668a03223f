"""What has to be said of a table whose images have several detections, or nothing to explain."""

from __future__ import annotations

from collections.abc import Sequence

from explainers.evaluation.controls import OTHER_BOX, is_control
from explainers.evaluation.rows import NOTHING, UNMATCHED, Row


def about_detections(rows: Sequence[Row], names: Sequence[str]) -> tuple[str, ...]:
    """Lines on the detections that are scored, their controls, and images in which there is nothing to explain."""
    lines = []
    if count := len({row["image"] for row in rows if "detection" in row}):
        lines.append(
            f"{count} detection{'s' * (count != 1)}; an image's value is the mean of its detections, which are not "
            "independent of each other"
        )
    if controls := [name for name in names if is_control(name) and name.endswith(OTHER_BOX)]:
        lines.append(f"controls: {'; '.join(controls)} (the same method's map of another detection of the image)")
    if count := len({row["image"] for row in rows if row.get("reason") == UNMATCHED}):
        lines.append(f"{count} detection{'s' * (count != 1)} without a true box: no value by metrics that go by one")
    if count := len({row["image"] for row in rows if row["status"] == NOTHING}):
        lines.append(f"nothing to explain in {count} image{'s' * (count != 1)}, which no score is of")
    return tuple(lines)
