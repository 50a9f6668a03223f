"""`digits:N`: test images that are made, as files of the command that looks at them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from explainers.data.generated.digits import write_digits
from explainers.errors import OptionError
from explainers.storage.atomic import write_bytes
from explainers.storage.owner import MADE
from explainers.storage.paths import shown

PREFIX = "digits:"
COUNT = re.compile("0*[1-9][0-9]{0,8}")


def digits_asked(spec: str) -> int | None:
    """How many digits are asked for; None where something else is.

    Raises:
        OptionError: it is no number of images.
    """
    if not spec.startswith(PREFIX) or Path(spec).exists():
        return None
    count = spec.removeprefix(PREFIX)
    if not COUNT.fullmatch(count):
        raise OptionError(f"{spec!r}; expected {PREFIX}N with N images of at least 1")
    return int(count)


def made_digits(folder: Path, count: int) -> dict[str, int]:
    """So many digits in a folder, and no others: `images/`, and their masks in `masks/`.

    Returns:
        The class of each image by its name.

    Raises:
        OptionError: the folder is none that was made here. DependencyError: scikit-learn is not installed.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MADE).exists():
        raise OptionError(
            f"{shown(folder)} is there already, and no command made it; choose another output folder (--out), or "
            "remove it"
        )
    shutil.rmtree(folder, ignore_errors=True)  # of another number, or with files that were damaged since
    write_bytes(folder / MADE, b"")
    return write_digits(folder, count)
