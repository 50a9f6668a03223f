"""What a reader has to know first: the numbers at the top, reasons to doubt, how pictures are read."""

from __future__ import annotations

from collections.abc import Sequence

from explainers.errors import counted
from explainers.run.report.entry import Shown
from explainers.run.report.gallery import Gallery

ALIKE, APART = 0.95, 0.2  # mean correlations from which methods are the same, or have little to do with each other


def key_figures(shown: Shown, packed: Gallery) -> list[dict[str, str]]:
    """Numbers with what they count, and the filter that shows their images."""
    if not packed.images:
        return []
    judged = [image["right"] for image in packed.images if image["right"] is not None]
    kind = (shown.preprocessing or {}).get("kind", "")
    failed = sum(bool(image["problem"]) for image in packed.images)
    noun = (kind or "image") + "s" * (len(packed.images) != 1)
    found = [{"value": str(len(packed.images)), "label": noun, "filter": "all"}]
    if judged:
        found.append({"value": str(sum(judged)), "label": "read rightly", "filter": "right"})
        found.append({"value": str(len(judged) - sum(judged)), "label": "misread", "filter": "wrong"})
    if failed:
        found.append({"value": str(failed), "label": "failed", "filter": "failed"})
    if shown.methods:
        found.append({"value": str(len(shown.methods)), "label": "method" if len(shown.methods) == 1 else "methods"})
    mean = packed.agreement.mean()
    if mean is not None:
        found.append({"value": f"{mean:.2f}", "label": "agreement of methods", "part": "agreement"})
    return found


def cautions_of(shown: Shown, packed: Gallery) -> list[str]:
    """What the images themselves give reason to say."""
    found = []
    for title, count in packed.constant.items():
        found.append(
            f"{counted(count, 'map')} of {title} {'is' if count == 1 else 'are'} the same everywhere and "
            f"{'shows' if count == 1 else 'show'} nothing."
        )
    failed = [image for image in packed.images if image["problem"]]
    if failed:
        found.append(f"{counted(len(failed), 'image')} failed; {_each(len(failed))} says why.")
    kind = (shown.preprocessing or {}).get("kind", "photo")
    lacking = [image for image in packed.images if image["lacking"]]
    if lacking:
        found.append(
            f"{counted(len(lacking), kind)} cannot be shown; maps are drawn without; {_each(len(lacking))} says why."
        )
    return found + _apart(shown, packed)


def _each(count: int) -> str:
    return "its card" if count == 1 else "each card"


def _apart(shown: Shown, packed: Gallery) -> list[str]:
    """Methods that say the same, and a method that says something else than all others."""
    table, found = packed.agreement.table(), []
    for first, one in enumerate(shown.methods):
        for second, other in enumerate(shown.methods[:first]):
            value = table[first][second]
            if value is not None and value > ALIKE:
                found.append(
                    f"{other} and {one} make nearly the same maps (mean correlation {value:.2f}): together they are "
                    "one witness, not two."
                )
    if len(shown.methods) > 1:
        for index, name in enumerate(shown.methods):
            values = [each for place, each in enumerate(table[index]) if place != index and each is not None]
            if values and max(values) < APART:
                found.append(
                    f"{name} agrees with no other method (mean correlation at most {max(values):.2f}): they cannot all "
                    "be right about where the network looked."
                )
    return found


def how_to_read(shown: Shown, packed: Gallery) -> str:
    """What colours and dark margins of photos mean, as sentences; empty where no map is drawn on a photo."""
    images = packed.images
    maps = [map_ for image in images for map_ in image["maps"] if "signed" in map_]
    if not maps or (shown.preprocessing or {}).get("kind", "photo") != "photo":
        return ""
    found = ["Colour is strongest where a map’s values are largest."]
    if any(map_["signed"] for map_ in maps):
        found.append("In maps of two colours, one is for values below 0, and both are strongest farthest from 0.")
    found.append(
        "All maps of a method have one scale."
        if shown.common
        else "Each map has its own scale, so that colours do not compare between images or methods."
    )
    if any(_cropped(image.get("box")) for image in images):
        found.append("The network did not see the darkened margins.")
    return " ".join(found)


def _cropped(box: Sequence[float] | None) -> bool:
    """Whether a photo has parts that were not seen; box: (top, left, bottom, right) as shares of it."""
    return box is not None and (box[0] > 0 or box[1] > 0 or box[2] < 1 or box[3] < 1)
