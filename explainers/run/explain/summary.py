"""What a run did."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHANGED = "changed since"  # why the rows of an earlier start are gone, of an image that is still there


@dataclass
class RunSummary:
    """What a run did.

    failed: (file, reason); nothing: (file, reason), images in which there is nothing to explain; constant: (file,
    method) whose map is the same everywhere; because: method → why the first of these is; refused: method → reason,
    where skip_unsupported was set; dropped: (file, why), images of earlier starts whose rows are no longer in the
    table.
    """

    out: Path
    images: int
    explained: int = 0
    resumed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    nothing: list[tuple[str, str]] = field(default_factory=list)
    constant: list[tuple[str, str]] = field(default_factory=list)
    because: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    sheets: list[Path] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**vars(self), "out": str(self.out), "sheets": [str(path) for path in self.sheets]}
