"""Table, orderings and maps of the attention mining study, out of the files that its trainings left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from study import Line, cell, write_sheet

from explainers.core.maps import upsample
from explainers.data.data_set import DataSet
from explainers.evaluation.intervals import share_interval
from explainers.storage.atomic import write_bytes

TITLES = {
    "abn": "ABN",
    "longer": "ABN, trained on",
    "human": "human knowledge",
    "no-bypass": "ABN without bypass",
    "amb": "AMB",
    "pc": "AMB + PC",
    "cot": "AMB + COT",
    "pc-cot": "AMB + PC + COT",
    "gain": "GAIN",
}
SCORES = ("threshold-insertion", "threshold-deletion", "insertion", "deletion", "pid@1", "pid@{patch}", "miou")
BETTER_LOW = ("threshold-deletion", "deletion")
COLUMNS = {  # in the order of the table
    "top-1": "top-1 %",
    "top-5": "top-5 %",
    "threshold-insertion": "keep A > τ",
    "threshold-deletion": "keep A < τ",
    "score": "score",
    "insertion": "insertion",
    "deletion": "deletion",
    "pid@1": "ID",
    "pid@{patch}": "PID, patches of {patch}",
    "miou": "mIoU",
}
THEIRS = ("top-1", "top-5", "threshold-insertion", "threshold-deletion", "score")
OURS = ("insertion", "deletion", "pid@1", "pid@{patch}", "miou")
PAPER = {  # top-1, top-5, score on CUB-200-2010, then on Stanford Dogs
    "abn": ((31.68, 57.01, 0.12), (71.81, 93.02, 0.14)),
    "human": ((37.42, 62.08, 0.01), None),
    "amb": ((33.33, 58.56, 0.14), (71.99, 92.80, 0.13)),
    "pc": ((45.10, 71.68, 0.17), (73.95, 94.37, 0.14)),
    "cot": ((39.76, 66.57, 0.16), (73.59, 93.89, 0.17)),
    "pc-cot": ((46.09, 69.24, 0.21), (73.46, 94.46, 0.36)),
}
PRINTED = (  # where: column, better, worse; exceptions to "both helpers are best" among them
    ("CUB", "top-1", "pc-cot", "pc"),
    ("CUB", "top-1", "pc", "cot"),
    ("CUB", "top-1", "cot", "human"),
    ("CUB", "top-1", "human", "amb"),
    ("CUB", "top-1", "amb", "abn"),
    ("CUB", "top-5", "pc", "pc-cot"),
    ("Dogs", "top-1", "pc", "pc-cot"),
    ("Dogs", "top-1", "pc", "cot"),
    ("Dogs", "top-1", "amb", "abn"),
    ("Dogs", "top-5", "pc-cot", "pc"),
    ("Dogs", "top-5", "abn", "amb"),
    ("CUB", "score", "pc-cot", "pc"),
    ("CUB", "score", "pc", "cot"),
    ("CUB", "score", "cot", "amb"),
    ("CUB", "score", "amb", "abn"),
    ("CUB", "score", "abn", "human"),
    ("Dogs", "score", "pc-cot", "cot"),
    ("Dogs", "score", "cot", "pc"),
    ("Dogs", "score", "abn", "amb"),
)
BEGIN, END = "<!-- measured: written by examples/amb_study.py -->\n", "<!-- end of what was measured -->\n"
HEAD = "# Attention mining, its helpers, human knowledge and GAIN on generated birds\n\n"


@dataclass(frozen=True)
class Found:
    """The trainings of one row: by their seeds, in order, what each file holds."""

    files: Mapping[int, Mapping[str, Any]]

    @property
    def patch(self) -> int:
        """Side of the larger patches."""
        return int(next(iter(self.files.values()))["study"]["size"]) // 8

    def accuracies(self, column: str) -> dict[int, float]:
        """In percent, by seed; empty where there are five classes or fewer."""
        key = {"top-1": "accuracy", "top-5": "top5_accuracy"}[column]
        return {seed: 100 * each["test"][key] for seed, each in self.files.items() if key in each["test"]}

    def values(self, column: str) -> np.ndarray:
        """(seeds, images), of the images whose map has a score in every training."""
        if column == "score":
            kept, removed = (self._several(f"threshold-{way}") for way in ("insertion", "deletion"))
            made = kept - removed
        else:
            made = self._several(column.format(patch=self.patch))
        return made[:, np.isfinite(made).all(axis=0)]

    def _several(self, score: str) -> np.ndarray:
        return np.array([each["values"].get(score, []) for each in self.files.values()], dtype=float)

    def by_seed(self, column: str) -> dict[int, float]:
        """The mean over images, by seed."""
        if column in ("top-1", "top-5"):
            return self.accuracies(column)
        return dict(zip(self.files, self.values(column).mean(axis=1).tolist(), strict=True))

    def control(self, column: str, title: str) -> float:
        """The mean over trainings of what another map scores on the same networks."""

        def of(score: str) -> float:
            return float(np.mean([each["means_with_controls"][score][title] for each in self.files.values()]))

        if column == "score":
            return of("threshold-insertion") - of("threshold-deletion")
        return of(column.format(patch=self.patch))


def read(results: Path) -> dict[str, Found]:
    """What there is, by row."""
    found: dict[str, dict[int, Any]] = {}
    for path in sorted(results.glob("*.json")):
        held = json.loads(path.read_text())
        found.setdefault(held["row"], {})[held["seed"]] = held
    return {name: Found(dict(sorted(found[name].items()))) for name in TITLES if name in found}


def write_report(results: Path, report: Path, data: DataSet) -> None:
    """`amb-study.md`, in which what stands outside the marks stays as it is, and `amb-study-maps.webp`."""
    found = read(results)
    path = report / "amb-study.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else HEAD + BEGIN + END
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{path} has no marks {BEGIN.strip()} … {END.strip()} to write between; move it away")
    before, rest = text.split(BEGIN, 1)
    behind = rest.split(END, 1)[1]
    report.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (before + BEGIN + "\n".join(measured(found)) + "\n" + END + behind).encode())
    maps(report / "amb-study-maps.webp", found, data)
    print(f"report  {path}")


def measured(found: Mapping[str, Found]) -> list[str]:
    """The part of the page that follows from the files."""
    some = next(iter(found.values()))
    facts = next(iter(some.files.values()))["study"]
    trainings = sum(len(each.files) for each in found.values())
    edited = [str(each["edited"]) for each in found["human"].files.values()] if "human" in found else []
    lines = [
        "",
        f"Measured on generated birds of {facts['size']} px: {facts['classes']} classes, {facts['train']} training "
        f"images, top-1 and top-5 on {facts['test']} test images, maps on {facts['images']} of them. ABN and GAIN were "
        f"trained for {facts['epochs'] + facts['epochs'] // 2} epochs, the others from ABN without bypass after "
        f"{facts['epochs']} epochs for {facts['epochs'] // 2} more; human knowledge goes on from ABN for as many with "
        "the extractor frozen, and so does *ABN, trained on*, without edited maps. "
        f"{trainings} trainings; seeds by row: "
        + "; ".join(f"{TITLES[name]} {', '.join(map(str, each.files))}" for name, each in found.items())
        + ".",
        "",
        "A cell is the mean over trainings and images with a [95 % interval over images], and (the least … the "
        "greatest) of the trainings. By thresholds: accuracy while only A > τ, or only A < τ, is kept, area over τ, "
        "and as score their difference. ID and PID: insertion less deletion of single pixels and of patches. Removed "
        "pixels have the mean colour; the map is scaled to 0 … 1 for each image.",
        "",
    ]
    if edited:
        lines += [f"Edited maps, of the misread training images, by seed: {', '.join(edited)}.", ""]
    titles = {column: title.format(patch=some.patch) for column, title in COLUMNS.items()}
    for columns in (THEIRS, OURS):
        lines += [*table(found, {column: titles[column] for column in columns}), ""]
    lines += [*controls(found), "", *printed_orderings(found), "", *shared_orderings(found)]
    return lines


def table(found: Mapping[str, Found], columns: Mapping[str, str]) -> list[str]:
    """A line for each row, and below it the source's where it has numbers for these columns."""
    lines = ["| row | " + " | ".join(columns.values()) + " |", "|---|" + "---|" * len(columns)]
    for name, each in found.items():
        lines.append(f"| {TITLES[name]} | " + " | ".join(shown(each, column) for column in columns) + " |")
        for where, numbers in zip(("CUB-200-2010", "Stanford Dogs"), PAPER.get(name, (None, None)), strict=True):
            told = dict(zip(("top-1", "top-5", "score"), numbers or (), strict=False))
            if told.keys() & columns.keys():
                cells = [f"*{told[column]:.2f}*" if column in told else "" for column in columns]
                lines.append(f"| *the paper, {where}* | " + " | ".join(cells) + " |")
    return lines


def shown(row: Found, column: str) -> str:
    """A cell of the table."""
    by_seed = [*row.by_seed(column).values()]
    if not by_seed or not np.isfinite(by_seed).all():
        return "–"
    if column in ("top-1", "top-5"):
        count = next(iter(row.files.values()))["study"]["test"]
        low, high = share_interval(round(float(np.mean(by_seed)) / 100 * count), count)
        return f"{np.mean(by_seed):.1f} [{100 * low:.1f}, {100 * high:.1f}] ({min(by_seed):.1f} … {max(by_seed):.1f})"
    return f"{cell(row.values(column))} ({min(by_seed):.3f} … {max(by_seed):.3f})"


def controls(found: Mapping[str, Found]) -> list[str]:
    """What maps that know nothing score on the same networks."""
    columns = ("score", "pid@1", "pid@{patch}", "miou")
    heads = [COLUMNS[column].format(patch=next(iter(found.values())).patch) for column in columns]
    lines = [
        "The same networks with maps that know nothing of them, own map / edges of the image / centre / random, means "
        "over trainings:",
        "",
    ]
    lines += ["| row | " + " | ".join(heads) + " |", "|---|" + "---|" * len(columns)]
    for name, each in found.items():
        cells = [
            " / ".join(f"{each.control(column, title):.3f}" for title in ("attention", "edges", "center", "random"))
            for column in columns
        ]
        lines.append(f"| {TITLES[name]} | " + " | ".join(cells) + " |")
    return lines


def printed_orderings(found: Mapping[str, Found]) -> list[str]:
    """How often our trainings share each ordering that the paper prints."""
    lines = ["Orderings of the paper, the first above the second, and ours, seed by seed:", ""]
    for where, column, better, worse in PRINTED:
        if better in found and worse in found:
            gaps = differences(found[better], found[worse], column)
            held = sum(gap > 0 for gap in gaps)
            told = ", ".join(f"{gap:+.3f}" for gap in gaps)
            pair = f"{TITLES[better]} > {TITLES[worse]}"
            lines.append(f"- {where}, {COLUMNS[column]}: {pair}: in {held} of {len(gaps)} trainings ({told})")
    return lines


def shared_orderings(found: Mapping[str, Found]) -> list[str]:
    """Which row is better than which in every training, column by column."""
    count = max(len(each.files) for each in found.values())
    lines = [
        "Orderings that every seed shares, of rows with the same seeds, more than one of them. Two rows that do not "
        f"differ are ordered alike by {count} trainings in {100 * 2 * 0.5**count:.0f} % of cases.",
        "",
    ]
    for column, title in COLUMNS.items():
        above: dict[str, list[str]] = {}
        for better, worse in permutations(found, 2):
            gaps = differences(found[better], found[worse], column)
            sign = -1 if column in BETTER_LOW else 1
            same = found[better].files.keys() == found[worse].files.keys()
            if same and len(gaps) > 1 and all(sign * gap > 0 for gap in gaps):
                above.setdefault(better, []).append(TITLES[worse])
        told = "; ".join(f"{TITLES[name]} better than {', '.join(others)}" for name, others in above.items())
        lines.append(f"- {title.format(patch=next(iter(found.values())).patch)}: {told or 'none'}")
    return lines


def differences(first: Found, second: Found, column: str) -> list[float]:
    """Of means over images, for each seed that both have."""
    one, two = first.by_seed(column), second.by_seed(column)
    return [one[seed] - two[seed] for seed in one if seed in two]


def maps(path: Path, found: Mapping[str, Found], data: DataSet) -> None:
    """The maps of each row's first training on the same test images, below the birds and their deciding parts."""
    assert data.test is not None
    files = {name: next(iter(each.files.values())) for name, each in found.items()}
    count = len(next(iter(files.values()))["maps"])
    photos = [data.test.pixels(index) for index in range(count)]
    lines: list[Line] = [
        (title, [np.asarray(data.test.named_mask(index, mask), dtype=np.float32) for index in range(count)])
        for mask, title in (("bird", "the bird"), ("parts", "beak and tail"))
    ]
    lines += [(TITLES[name], enlarged(held["maps"], photos[0].shape[:2])) for name, held in files.items()]
    write_sheet(path, photos, lines)


def enlarged(native: Sequence[Any], size: Sequence[int]) -> list[np.ndarray]:
    """Maps (h, w) as numbers to maps of the images' size."""
    return [upsample(torch.tensor(one)[None, None], size)[0, 0].numpy() for one in native]
