"""The fields of a data set of FiftyOne, described as its `metadata.json` has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

CORE = "fiftyone.core."
EMBEDDED, LIST, TEXT, NUMBER = "EmbeddedDocumentField", "ListField", "StringField", "FloatField"
# What labels hold, beside what FiftyOne knows them by; low, high, target and the rest of heat maps are ours.
HELD: dict[str, tuple[tuple[str, str], ...]] = {
    "Classification": (("label", TEXT), ("confidence", NUMBER)),
    "Detection": (("label", TEXT), ("bounding_box", LIST), ("confidence", NUMBER)),
    "Heatmap": (
        ("map_path", TEXT),
        ("low", NUMBER),
        ("high", NUMBER),
        ("target", TEXT),
        ("watched", NUMBER),
        ("layer", TEXT),
        ("status", TEXT),
    ),
    "Segmentation": (("mask_path", TEXT),),
}
TAKEN = ("id", "filepath", "tags", "metadata", "created_at", "last_modified_at", "media_type")


@dataclass(frozen=True)
class Label:
    """A label of FiftyOne: its class, and what it holds."""

    kind: str
    values: dict[str, Any]


def described(kind: str, **values: Any) -> Label:
    """A label without what is not known of it."""
    return Label(kind, {name: value for name, value in values.items() if value not in (None, "")})


@dataclass
class Fields:
    """The fields of samples, in the order in which they came."""

    names: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def name(self, title: str) -> str:
        """What a method or score is called as a field, whose name has no dot and no space."""
        if title not in self.names:
            wanted = re.sub(r"\W+", "_", title).strip("_") or "field"
            while wanted in self.names.values() or wanted in TAKEN:
                wanted += "_"
            self.names[title] = wanted
        return self.names[title]

    def add(self, title: str, value: bool | float | Label) -> str:
        """Note a value's field, and say its name."""
        name = self.name(title)
        kind = value.kind if isinstance(value, Label) else "BooleanField" if isinstance(value, bool) else NUMBER
        self.kinds.setdefault(name, kind)
        return name

    def described(self) -> list[dict[str, Any]]:
        """All fields, those first that every sample has."""
        found = [
            _field("id", "ObjectIdField", db_field="_id"),
            _field("filepath", TEXT),
            _field("tags", LIST, subfield=TEXT),
            _field("_media_type", TEXT),
            _field("_rand", NUMBER),
            _field("_dataset_id", "ObjectIdField"),
            _field("created_at", "DateTimeField", read_only=True),
            _field("last_modified_at", "DateTimeField", read_only=True),
        ]
        for name, kind in self.kinds.items():
            found.append(_label(name, kind) if kind in HELD or kind == "Detections" else _field(name, kind))
        return found


def _label(name: str, kind: str) -> dict[str, Any]:
    """A field of labels, with the fields that they have."""
    if kind == "Detections":
        boxes = _field("detections", LIST, subfield=EMBEDDED, document="Detection", fields=_held("Detection"))
        return _field(name, EMBEDDED, document=kind, fields=[boxes])
    return _field(name, EMBEDDED, document=kind, fields=_held(kind))


def _held(kind: str) -> list[dict[str, Any]]:
    known = [_field("id", "ObjectIdField", db_field="_id"), _field("tags", LIST, subfield=TEXT)]
    return known + [_field(name, type_, subfield=NUMBER if type_ == LIST else "") for name, type_ in HELD[kind]]


def _field(
    name: str,
    kind: str,
    *,
    subfield: str = "",
    document: str = "",
    fields: Sequence[dict[str, Any]] = (),
    db_field: str = "",
    read_only: bool = False,
) -> dict[str, Any]:
    return {
        "name": name,
        "ftype": f"{CORE}fields.{kind}",
        "subfield": f"{CORE}fields.{subfield}" if subfield else None,
        "embedded_doc_type": f"{CORE}labels.{document}" if document else None,
        "fields": list(fields),
        "db_field": db_field or name,
        "description": None,
        "info": None,
        "read_only": read_only,
    }
