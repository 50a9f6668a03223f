"""A run's overlays as images, or an evaluation's scores as scalars, in the event files that TensorBoard shows."""

from __future__ import annotations

import io
from contextlib import ExitStack, closing
from os import PathLike
from pathlib import Path
from typing import Any

from PIL import Image

from explainers.errors import DataError
from explainers.run.export.exported import Exported, check_new, facts_of, finished, library, new_folder, plain, title_of
from explainers.run.report.folder import ReadFolder, number
from explainers.storage.journal import Row
from explainers.storage.paths import shown

KIND = "tensorboard"
# What makes two rows of an evaluation the same unit of an image, besides its name.
UNIT = ("image", "target", "rank", "box")
PICTURE = ".png"
STEPS = "a step is an image; the text `images` names them"


def write_tensorboard(
    folder: str | PathLike[str], out: str | PathLike[str] | None = None, *, overwrite: bool = False
) -> Exported:
    """Write what a finished run or evaluation left as TensorBoard's events: a run of TensorBoard for each method.

    Of `explain run` the overlays, byte by byte, under the name of the photo. Of `explain evaluate` each score of an
    image as the scalar `image/SCORE` at the step of that image (the text `images` names them), and the mean of the
    images as `mean/SCORE`. TensorBoard's scalars are 32-bit floats.

    Args:
        folder: of the run or evaluation; out: the log folder (default `tensorboard` in the folder); overwrite: whether
            one that an export made is replaced.

    Raises:
        DataError: the folder holds neither, it has not come to its end, or there is nothing to show. DependencyError:
            tensorboard is missing. OptionError: there is something already. WriteError: it cannot be written.
    """
    read = finished(folder, ("run", "evaluate"), "a log for TensorBoard")
    target = read.path / "tensorboard" if out is None else Path(out)
    check_new(target, KIND, overwrite=overwrite)
    library("tensorboard", "tensorboard", "a log for TensorBoard")
    with new_folder(target, KIND, overwrite=overwrite) as temporary, ExitStack() as stack:
        board = _Board(temporary, stack)
        noun, left_out = (
            ("overlay", _overlays(read, board)) if read.command == "run" else ("score", _scores(read, board))
        )
    return Exported(target, {noun: board.count, "method": len(board.names)}, tuple(left_out), noun=noun)


class _Board:
    """Writers of event files, one for each method."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        from torch.utils.tensorboard import FileWriter

        self.path, self.stack, self.writer = path, stack, FileWriter
        self.names: dict[str, str] = {}
        self.writers: dict[str, Any] = {}
        self.count = 0

    def number(self, method: str, tag: str, step: int, value: float, told: str) -> None:
        """A scalar of a method, with a description."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._of(self._name(method)).add_summary(scalar_pb(plain(tag), value, told), step)
        self.count += 1

    def picture(self, method: str, tag: str, data: bytes, told: str) -> None:
        """The bytes of a PNG file, with a description; torch's own writer has neither."""
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.image.metadata import create_summary_metadata
        from tensorboard.util.tensor_util import make_tensor_proto

        with Image.open(io.BytesIO(data)) as opened:
            sides = [str(side).encode() for side in opened.size]
        metadata = create_summary_metadata(plain(tag), told)
        value = Summary.Value(tag=plain(tag), metadata=metadata, tensor=make_tensor_proto([*sides, data]))
        self._of(self._name(method)).add_summary(Summary(value=[value]), 0)
        self.count += 1

    def text(self, tag: str, markdown: str) -> None:
        """A text of all methods."""
        from torch.utils.tensorboard.summary import text

        self._of(".").add_summary(text(tag, markdown), 0)

    def _of(self, name: str) -> Any:
        if name not in self.writers:
            self.writers[name] = self.stack.enter_context(closing(self.writer(str(self.path / name))))
        return self.writers[name]

    def _name(self, method: str) -> str:
        if method not in self.names:
            name = "".join(letter if letter.isalnum() or letter in "-_.=,@ " else "_" for letter in plain(method))
            name = f"_{name}" if not name.strip(". ") else name
            while name.casefold() in map(str.casefold, self.names.values()):
                name += "_"
            self.names[method] = name
        return self.names[method]


def _overlays(read: ReadFolder, board: _Board) -> list[tuple[str, str]]:
    left_out, taken = [], set()
    for _, rows in read.units():
        for row in rows:
            name = str(row.get("overlay", ""))
            path = read.inside(name) if name.endswith(PICTURE) else None
            if path is None or not path.is_file():
                lost = f"{shown(name)} is no longer there" if name else "it has no overlay"
                left_out.append((title_of(row), str(row.get("reason") or lost)))
                continue
            method, tag = str(row["method"]), str(row["file"])
            if (method, tag) in taken:
                tag += f", {row.get('target_name') or row.get('target') or name}"
            while (method, tag) in taken:
                tag += "'"
            taken.add((method, tag))
            told = ", ".join(f"{key} {value}" for key, value in facts_of(row).items() if key not in ("file", "method"))
            board.picture(method, tag, path.read_bytes(), told)
    if not board.count:
        raise DataError(f"{shown(read.path)} holds no overlays (was it made with --no-overlays?)")
    return left_out


def _scores(read: ReadFolder, board: _Board) -> list[tuple[str, str]]:
    left_out: list[tuple[str, str]] = []
    steps: dict[tuple[str, ...], int] = {}
    for row in read.rows("scores.csv"):
        unit = tuple(row.get(key, "") for key in UNIT)
        step, value = steps.setdefault(unit, len(steps)), number(row.get("value"))
        method, score = row.get("explainer", ""), _score(row)
        if value is None:
            reason = row.get("reason") or row.get("status") or "it has no value"
            left_out.append((", ".join(filter(None, (unit[0], method, score))), reason))
        else:
            board.number(method, f"image/{score}", step, value, STEPS)
    for row in read.rows("summary.csv"):
        if (value := number(row.get("value"))) is not None:
            told = f"{row.get('better', '')} is better; 95 % of {row.get('low', '')} to {row.get('high', '')}, "
            told += f"{row.get('images', '')} images"
            board.number(row.get("explainer", ""), f"mean/{_score(row)}", 0, value, told)
    if not board.count:
        raise DataError(f"{shown(read.path)} holds no scores")
    named = [f"| {step} | {shown(' '.join(filter(None, unit[:1])))} |" for unit, step in steps.items()]
    board.text("images", "\n".join(["| step | image |", "|---|---|", *named]))
    return left_out


def _score(row: Row | dict[str, str]) -> str:
    metric, score = str(row.get("metric", "")), str(row.get("score", ""))
    return score if metric in ("", score) or score.startswith(metric) else f"{metric}, {score}"
