"""What can go wrong, by name: every error a user can cause is one of these, and its text says what to do."""

from __future__ import annotations


class ExplainersError(Exception):
    """Base of every error raised on purpose; anything else that escapes is a bug."""


class DamageWarning(UserWarning):
    """What was kept of earlier work is damaged or gone, so that it is done again; the command says it under -q too."""


class UnsupportedError(ExplainersError):
    """The method cannot be right on this network; the text says why and what to use instead."""


class OutputError(ExplainersError):
    """What the network returned is not understood, or not finite; see `output=`."""


class TargetError(ExplainersError, ValueError):
    """A target class that does not fit the network's scores or the number of images."""


class LayerError(ExplainersError, ValueError):
    """A layer that does not exist, is not spatial, or has no influence on the score."""


class ImageError(ExplainersError, ValueError):
    """An image, or a batch of images, that cannot be read or explained."""


class MapError(ExplainersError, ValueError):
    """Heat maps or masks that do not fit the images that they are of, or cannot be scored."""


class DataError(ExplainersError, ValueError):
    """A data set that is not known, or not in the layout that its specification names."""


class TrainingError(ExplainersError):
    """A training that cannot start, go on, or end well; the text says what to change."""


class ModelFileError(ExplainersError):
    """A model specification or file that cannot be loaded."""


class WriteError(ExplainersError):
    """A file or folder that cannot be written; what was there before is whole."""


class OptionError(ExplainersError, ValueError):
    """An unknown method, or an option that a method does not have or with a value outside its range."""


class DependencyError(ExplainersError, ImportError):
    """An optional or broken installation; the text gives the command that mends it."""


class ReaderError(DependencyError, ImageError):
    """A file of a kind whose reader is not installed: it costs that file alone, and the text names the extra."""


class DeviceMemoryError(ExplainersError, MemoryError):
    """Not even one image fits into the device's memory."""


def counted(count: int, one: str, several: str = "") -> str:
    """A number with its noun: `1 image`, `2 images`; several: a plural that is not made with an s."""
    return f"{count} {one if count == 1 else several or one + 's'}"


def refuse(name: str, reason: str, instead: str) -> UnsupportedError:
    """The refusal of a method, in one form everywhere."""
    return UnsupportedError(f"{name} cannot be right on this network: {reason}. Use {instead} instead.")
