"""Is a map that a network is perceived through better than one found afterwards? Trains, scores and compares ALA.

    python examples/ala_study.py                        # three seeds, about three quarters of an hour on two cores
    python examples/ala_study.py --seeds 1 --images 12 --train 160 --epochs 4 --pretraining 320     # a first look
    python examples/ala_study.py --data cub200-2011:PATH --encoder open_clip:ViT-B-16 --weights openai --size 0

Everything is measured on generated birds, whose class is decided by beak and tail, with an encoder that was pre-trained
on other birds and sentences about them (`pretrain_clip.py`); with --data, --encoder and --weights on real photographs
and a real encoder. Start the same command again after an interruption and it goes on: trainings from their last epoch,
and each row and seed that is scored stays as a small file in --docs/ala-study. It writes `ala-study.md`, in which what
stands outside the two marks is left alone (`ala_report.py`), and `ala-study-maps.webp`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace as changed
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ala_report import mean_of, page, written
from pretrain_clip import Pretraining, pretrained, zero_shot
from study import Line, Remembered, batches, write_sheet

import explainers
from explainers.baselines import (
    SGD,
    AdamW,
    ColourAffinity,
    Cosine,
    Flip,
    Polynomial,
    SeededCrossEntropy,
    Settings,
    SizeBarrier,
    Throughout,
    train,
)
from explainers.data.data_set import DataSet
from explainers.data.sets import data_set
from explainers.evaluation.metrics.localisation.regions import iou_curve
from explainers.storage.atomic import write_json

THRESHOLDS = torch.linspace(0, 0.99, 100)
TRAINED = ("ala", "no-aea", "no-sbn", "f-cam")  # what is trained for each seed; the encoder is one for all


@dataclass(frozen=True)
class Row:
    """A line of the table. of: the network; method: with its options; paper: mIoU, insertion, deletion, ID on CUB."""

    of: str
    method: str
    options: dict[str, Any]
    paper: tuple[float, ...] = ()


def rows(options: argparse.Namespace) -> dict[str, Row]:
    """The lines of the table by their titles, in their order."""
    return {
        "RISE": Row("ala", "rise", {"masks": options.masks}, (0.390, 0.604, 0.086, 0.522)),
        "F-CAM": Row("f-cam", "attention", {}, (0.550, 0.681, 0.034, 0.647)),
        "ALA": Row("ala", "attention", {}, (0.693, 0.704, 0.007, 0.697)),
        "ALA without AEA": Row("no-aea", "attention", {}, (0.495, 0.717, 0.014, 0.702)),
        "ALA without SBN": Row("no-sbn", "attention", {}, (0.477, 0.595, 0.020, 0.575)),
        "attention rollout of the encoder": Row("encoder", "attention-rollout", {}),
        "Grad-CAM of the encoder": Row("encoder", "grad-cam", {}),
    }


@dataclass(frozen=True)
class Encoder:
    """The transformer that is perceived. network: of an image classifier made of it; start: a file of its weights, or
    None where the library has them."""

    network: Any
    start: Path | None


def encoder(options: argparse.Namespace, data: DataSet) -> Encoder:
    """A library's with its weights, or one that learns from generated birds and sentences, now or before."""
    if ":" in options.encoder:
        loaded = explainers.load_model(options.encoder, weights=options.weights, labels=data.class_names, device="cpu")
        return Encoder(loaded.network, None)
    how = Pretraining(options.encoder, size=options.size, train=options.pretraining, epochs=options.pretraining_epochs)
    file, classes = pretrained(how, data, options.out / "encoder.safetensors")
    return Encoder(zero_shot(file, classes, options.encoder), file)


def settings_of(options: argparse.Namespace, name: str, seed: int) -> Settings:
    """How each network learns: the published losses and plans, with rates for small networks and few images."""
    shared = Settings(epochs=options.epochs, augment=(Flip(),), seed=seed)
    if name == "plain":
        return changed(shared, optimizer=AdamW(lr=1e-3, weight_decay=0.05), schedule=Cosine())
    if name == "f-cam":
        size = options.size or 224
        losses = (SeededCrossEntropy(erosion=max(1, round(11 * size / 224)) // 2 * 2 + 1), ColourAffinity(exact=1024))
        optimizer = SGD(lr=0.01, momentum=0.9, weight_decay=1e-4, nesterov=True)
        return changed(shared, losses=(*losses, SizeBarrier()), optimizer=optimizer)
    plan = Throughout() if name == "no-aea" else None
    optimizer = AdamW(lr=options.lr, weight_decay=1e-4)
    return changed(shared, optimizer=optimizer, schedule=Polynomial(), clip=options.clip, plan=plan)


def trained(options: argparse.Namespace, name: str, seed: int, data: DataSet, start: Encoder) -> Path:
    """The folder of a network's training, trained now or before."""
    network, own, begins = name, {}, None
    if name in ("ala", "no-aea", "no-sbn"):
        network, begins = "ala", start.start
        own = {"backbone": options.encoder, "sbn": name != "no-sbn"}
        own |= {"side_depth": options.side_depth, "queries": options.queries}
    if name == "plain":
        own = {"backbone": options.classifier}
    if name == "f-cam":
        begins, own = trained(options, "plain", seed, data, start), {"width": options.decoder}
    run = train(
        network,
        data,
        options.out / "runs" / f"{name}-{seed}",
        settings_of(options, name, seed),
        options=own,
        start=begins,
        weights=options.weights if network == "ala" and begins is None else None,
        device=options.device,
    )
    result = run.result
    print(f"{name:<8} seed {seed}: accuracy {result['test']['accuracy']:.3f}, {result['seconds']:.0f} s", flush=True)
    return run.folder


def best_threshold(explain: Remembered, data: DataSet, count: int) -> float:
    """The one with the largest mean intersection over union on validation images."""
    held_out = changed(data, test=data.val)
    curves = [
        iou_curve(explain(batch["images"]), batch["masks"], THRESHOLDS)
        for batch in batches(held_out, range(min(count, len(data.val))))
    ]
    return float(THRESHOLDS[int(torch.cat(curves).mean(dim=0).argmax())])


def measured(options: argparse.Namespace, row: Row, network: Any, data: DataSet) -> dict[str, Any]:
    """Every value of a row and seed by score and image, with what was chosen on the way."""
    explain = Remembered(explainers.create(row.method, network, **row.options))
    threshold = best_threshold(explain, data, options.validation)
    create = explainers.create_metric
    overlap = {
        "mIoU, 0.5": create("miou", threshold=0.5),
        "mIoU, mean + std": create("miou", threshold="mean+std"),
        "mIoU, best of validation": create("miou", threshold=threshold),
    }
    shared = {"baseline": "black", "tolerance": options.tolerance}
    curves = {"insertion": create("insertion", **shared), "deletion": create("deletion", **shared)}
    chosen = range(min(options.images, len(data.test or ())))
    known = {"preprocessing": data.preprocessing}
    places = explainers.evaluate(network, batches(data, chosen), {"map": explain}, overlap, **known)
    some = explainers.evaluate(
        network,
        batches(data, chosen[: options.scored]),
        {"map": explain, "levels": explain.three_levels},
        curves,
        **known,
    )
    values = {score: places.values(score).get("map", {}) for score in overlap}
    values |= {score: some.values(score).get("map", {}) for score in curves}
    values["ID"] = _less(values["insertion"], values["deletion"])
    levels = [some.values(score).get("levels", {}) for score in curves]
    values["ID, three levels"] = _less(*levels)
    errors = {entry["image"]: entry.get("attention", "") for entry in places.rows if entry["score"] == "mIoU, 0.5"}
    return {
        "threshold": round(threshold, 2),
        "errors": errors,
        "values": {score: {image: round(value, 5) for image, value in each.items()} for score, each in values.items()},
    }


def _less(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    return {image: value - second[image] for image, value in first.items() if image in second}


def kept(options: argparse.Namespace, title: str, seed: int, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was measured of a row and seed, now or in an earlier sitting.

    Raises:
        SystemExit: the earlier one had other settings.
    """
    path = options.docs / "ala-study" / f"{title.lower().replace(' ', '-')}-{seed}.json"
    told = {name: value for name, value in vars(options).items() if name not in ("out", "docs", "seeds", "device")}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        earlier = {"val": 200, **found["settings"]}  # before it could be chosen
        if earlier != told:
            differing = sorted(name for name in told if earlier.get(name) != told[name])
            raise SystemExit(
                f"{path} was measured with another {', '.join(differing)}; give the same, another --docs, or remove it"
            )
        return found
    made = {"row": title, "seed": seed, "settings": told, **make()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, made)
    return made


def every_row(options: argparse.Namespace, data: DataSet, start: Encoder) -> Iterator[tuple[str, dict[str, Any]]]:
    """Title and what was measured, seed by seed; the encoder's rows, which no training changes, once."""
    for seed in range(options.seeds):
        for title, row in rows(options).items():
            if row.of != "encoder" or not seed:
                yield title, kept(options, title, seed, partial(_row, options, title, seed, data, start))


def _row(options: argparse.Namespace, title: str, seed: int, data: DataSet, start: Encoder) -> dict[str, Any]:
    """Trained and scored."""
    row = rows(options)[title]
    model: Any = start.network
    if row.of != "encoder":
        model = explainers.load_model(trained(options, row.of, seed, data, start), device=options.device)
    made = measured(options, row, model, data)
    print(f"{title}, seed {seed}: mIoU {mean_of(made, 'mIoU, 0.5'):.3f}, ID {mean_of(made, 'ID'):.3f}", flush=True)
    return {"accuracy": round(_accuracy(model, data, options.images), 4), **made}


@torch.no_grad()
def _accuracy(model: Any, data: DataSet, count: int) -> float:
    """Share of the scored test images that are classified right."""
    network = getattr(model, "network", model)
    right = [
        (network(batch["images"]).argmax(1) == batch["labels"]).float()
        for batch in batches(data, range(min(count, len(data.test or ()))))
    ]
    return float(torch.cat(right).mean())


def write_maps(options: argparse.Namespace, data: DataSet, start: Encoder, path: Path, count: int = 6) -> None:
    """The first seed's maps of every row, of the same six images."""
    assert data.test is not None
    chosen = [index * len(data.test) // count for index in range(count)]
    every = list(batches(data, chosen))
    photos = [data.test.pixels(index) for index in chosen]
    lines: list[Line] = [("the bird", [mask.float().numpy() for batch in every for mask in batch["masks"]])]
    for title, row in rows(options).items():
        run = options.out / "runs" / f"{row.of}-0"
        model = start.network if row.of == "encoder" else explainers.load_model(run, device=options.device)
        explain = explainers.create(row.method, model, **row.options)
        lines.append((title, [each.numpy() for batch in every for each in explain(batch["images"])]))
    write_sheet(path, photos, lines)


def arguments() -> argparse.Namespace:
    """What is asked for; the sizes take three quarters of an hour on two cores."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--out", type=Path, default=Path("ala-study"), help="trainings and the encoder (default %(default)s)")
    add("--docs", type=Path, default=Path("docs"), help="tables, pictures and what each row measured")
    add("--data", help="another data set with masks than the birds, such as cub200-2011:PATH")
    add("--encoder", default="small-vit", help="or open_clip:ViT-B-16 and the like, with --weights")
    add("--weights", help="of a library's encoder: a name that it knows, or a file")
    add("--classifier", default="small-resnet", help="that F-CAM explains (default %(default)s)")
    add("--size", type=int, default=64, help="side of the birds' images; 0: the data set's own (default %(default)s)")
    add("--classes", type=int, default=4, help="of the birds (default %(default)s)")
    add("--train", type=int, default=1000, help="training images (default %(default)s)")
    add("--val", type=int, default=200, help="of the birds' images for validation (default %(default)s)")
    add("--epochs", type=int, default=12, help="of every training, an even number (default %(default)s)")
    add("--pretraining", type=int, default=3000, help="images that the encoder learns from (default %(default)s)")
    add("--pretraining-epochs", type=int, default=12, help="default %(default)s")
    add("--images", type=int, default=100, help="test images for the overlap (default %(default)s)")
    add("--scored", type=int, default=40, help="of these for insertion and deletion (default %(default)s)")
    add("--validation", type=int, default=40, help="images that choose the best threshold (default %(default)s)")
    add("--worst", type=int, default=50, help="maps whose errors are counted (default %(default)s)")
    add("--masks", type=int, default=200, help="of RISE (default %(default)s)")
    add("--tolerance", type=float, default=0.005, help="of insertion and deletion (default %(default)s)")
    add("--side-depth", type=int, default=4, help="blocks of the side network (default %(default)s; paper 8)")
    add("--queries", type=int, default=32, help="default %(default)s; paper 100")
    add("--decoder", type=int, default=64, help="width of F-CAM's decoder (default %(default)s; paper 256)")
    add("--lr", type=float, default=1e-3, help="of ALA (default %(default)s; paper 5e-5)")
    add("--clip", type=float, default=1.0, help="of ALA's gradient (default %(default)s; paper 0.01)")
    add("--seeds", type=int, default=3, help="trainings of each network (default %(default)s)")
    add("--device", default="cpu")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    birds = f"birds:size={options.size},classes={options.classes},train={options.train}"
    data = data_set(options.data or f"{birds},val={options.val},test={options.images}")
    start = encoder(options, data)
    found: dict[str, list[dict[str, Any]]] = {title: [] for title in rows(options)}
    for title, made in every_row(options, data, start):
        found[title].append(made)
    papers = {title: row.paper for title, row in rows(options).items()}
    written(options.docs / "ala-study.md", page(options, found, papers))
    write_maps(options, data, start, options.docs / "ala-study-maps.webp")
    print(f"table  {options.docs / 'ala-study.md'}")


if __name__ == "__main__":
    main()
