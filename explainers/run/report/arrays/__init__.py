"""Volumes, signals and clips on the page of a report: chosen slices with their maps, or curves over a map's colours.

Begin with `packer.py`, which does for them what `Packer` of `gallery.py` does for photos; `cuts.py` has the arithmetic.
"""

from explainers.run.report.arrays.packer import RecordingPacker

__all__ = ["RecordingPacker"]
