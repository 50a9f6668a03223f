"""Arguments that several commands share, group by group."""

from __future__ import annotations

import argparse
from typing import Any


def model_arguments(command: argparse.ArgumentParser, *, several: bool = False) -> Any:
    """Which network (or networks), and how it takes a photo."""
    group = command.add_argument_group("network")
    group.add_argument(
        "--model",
        action="append" if several else "store",
        metavar="SPEC",
        help="photographs (the default: EfficientNet-Lite0, ImageNet's 1,000 classes), torchvision:NAME, timm:NAME, "
        "hf:NAME, open_clip:NAME, FILE.py:factory, pkg.mod:factory, FILE.onnx, the folder of a training or of a model "
        "of the Hugging Face Hub, or embedded (a digit classifier)",
    )
    group.add_argument("--weights", metavar="WEIGHTS", help="DEFAULT, a name the library knows, or a file")
    group.add_argument("--trust-model-file", action="store_true", help="allow model files that run code when loaded")
    preprocessing_arguments(group)
    band_arguments(group)
    array_arguments(group)
    return group


def preprocessing_arguments(group: Any) -> None:
    """From a photo to the network's input."""
    group.add_argument(
        "--size",
        metavar="N|HxW|A,B,C",
        help="resize: the shorter side, or height x width; without --crop, a crop that is known becomes as large; of "
        "volumes, signals and clips the length of each axis, such as 64,64,32",
    )
    group.add_argument("--crop", metavar="N|HxW", help="crop from the centre")
    group.add_argument("--mean", metavar="R,G,B", help="of pixel values in 0…1")
    group.add_argument("--std", metavar="R,G,B", help="of pixel values in 0…1")
    group.add_argument("--gray", action="store_true", help="the network takes one channel")


def band_arguments(group: Any) -> None:
    """From the bands of a TIFF file to the network's input, and to the picture under the map."""
    group.add_argument(
        "--bands",
        metavar="R,G,B|N",
        help="bands of a TIFF file that make its picture, counted from 1, such as 4,3,2, or one as gray; a network of "
        "3 channels, or 1, sees this picture",
    )
    group.add_argument(
        "--channels",
        type=int,
        metavar="N",
        help="the network takes N channels; where they are neither 3 nor 1 (gray), they are the bands of a TIFF file",
    )
    group.add_argument(
        "--input-bands", metavar="N,N,…", help="bands that are the network's channels, in this order (default all)"
    )
    group.add_argument(
        "--white",
        type=float,
        metavar="VALUE",
        help="value of bands that is 1 to the network and white in the picture, such as 10000 of reflectances (default "
        "the highest of the file's integers, 1 of its floats; in the picture the 98th percentile)",
    )


def array_arguments(group: Any) -> None:
    """From a volume, a signal or a clip to the network's input."""
    group.add_argument(
        "--data-kind",
        choices=("photos", "volumes", "signals", "frames"),
        help="what the files are (default: by their suffixes); frames: each folder of numbered images is one clip",
    )
    group.add_argument("--window", metavar="LOW,HIGH", help="values of volumes and signals that become 0 and 1")
    group.add_argument(
        "--normalize",
        choices=("z-score", "min-max"),
        help="each volume or signal by its own mean and standard deviation, or by its own range",
    )


def device_argument(group: Any) -> None:
    """Where the network runs."""
    group.add_argument("--device", metavar="NAME", help="auto (default), cpu, cuda, cuda:N or mps")


def inspection_arguments(command: argparse.ArgumentParser) -> None:
    """A network that is looked at with one image."""
    device_argument(model_arguments(command))
    command.add_argument("--image", metavar="FILE", help="look with this image instead of noise")
    output_argument(command)
    common_arguments(command)


def method_arguments(command: argparse.ArgumentParser) -> None:
    """Which methods, with their layers and options."""
    command.add_argument(
        "--method",
        "-m",
        action="append",
        metavar="NAME[@LAYER]",
        help="a method (explain methods lists them), again for more (default grad-cam); "
        "grad-cam@layer3, grad-cam@-2 choose its layer; all for "
        "every method that the network allows",
    )
    command.add_argument(
        "--layer", metavar="LAYER", help="layer of all methods that read one (default: the last stage)"
    )
    command.add_argument(
        "--option",
        action="append",
        metavar="METHOD.KEY=VALUE",
        help="option of a method (an unknown KEY lists them), such as smooth-grad.samples=25; several "
        "values: occlusion.window=16+8",
    )


def pass_arguments(command: argparse.ArgumentParser) -> Any:
    """How the many passes of perturbation methods are made."""
    passes = command.add_argument_group("perturbation passes")
    passes.add_argument(
        "--tolerance",
        type=float,
        metavar="T",
        help="rise stops when its map agrees with its limit to a correlation of 1 - T",
    )
    passes.add_argument("--seed", type=int, metavar="N", help="of everything that is drawn at random (default 0)")
    passes.add_argument(
        "--precision",
        choices=("float32", "auto", "bfloat16", "float16"),
        help="of the passes (default float32, exact); auto is what the hardware is made for",
    )
    passes.add_argument(
        "--roi",
        metavar="A:B,…",
        help="rise and occlusion perturb this part of the network's input alone: a range of each axis, such as "
        "10:50,0:64,0:64",
    )
    passes.add_argument("--compile", action="store_true", help="compile the network; pays from some thousand passes on")
    return passes


def reading_arguments(command: argparse.ArgumentParser) -> None:
    """What the network's answer means."""
    group = command.add_argument_group("scores")
    group.add_argument(
        "--activation",
        choices=("auto", "softmax", "sigmoid", "none"),
        help="from scores to probabilities (default auto: probabilities as they are, one score by sigmoid, several by "
        "softmax; sigmoid for labels that do not exclude each other, none for values)",
    )
    output_argument(group)


def output_argument(group: Any) -> None:
    """Where the scores are in what the network returns."""
    group.add_argument(
        "--output",
        metavar="KEY|INDEX|FILE.py:function",
        help="which part of what the network returns has the scores, or a function that takes it to (images, classes)",
    )


def ground_truth_argument(group: Any, what: str) -> None:
    """The true classes of the images."""
    group.add_argument(
        "--ground-truth",
        metavar="TABLE.csv|folders",
        help="true classes: a CSV file with the columns file,class, or folders that are called like the classes; "
        f"{what}",
    )


def labels_argument(group: Any) -> None:
    """Names of the network's classes."""
    group.add_argument("--labels", metavar="FILE", help="class names, one a line, or a JSON list")


def explaining_arguments(command: argparse.ArgumentParser, out: str) -> tuple[Any, Any]:
    """What every command has that explains a folder of images: methods, scores, passes, output, limits.

    Args:
        out: where it writes by default.

    Returns:
        The groups of passes and of output, for what a command has beside.
    """
    method_arguments(command)
    reading_arguments(command)
    passes, output = pass_arguments(command), output_arguments(command, out)
    limit_arguments(command)
    common_arguments(command)
    return passes, output


def output_arguments(command: argparse.ArgumentParser, out: str) -> Any:
    """Where results go, and what makes them."""
    group = command.add_argument_group("output")
    group.add_argument("--out", "-o", metavar="FOLDER", help=f"where to write (default {out})")
    group.add_argument("--batch-size", type=int, metavar="N", help="images explained at once (default 8)")
    device_argument(group)
    return group


def figure_arguments(group: Any) -> None:
    """Whether figures are drawn, and as what."""
    either = group.add_mutually_exclusive_group()
    figure_format(either)
    either.add_argument("--no-figures", action="store_true", help="tables alone")


def figure_format(group: Any) -> None:
    """What figures and sheets are written as."""
    group.add_argument(
        "--figures",
        choices=("png", "svg", "pdf"),
        help="what figures and sheets are written as (default png); of SVG and PDF the text stays text",
    )


def picture_arguments(group: Any) -> None:
    """What is drawn, and how."""
    group.add_argument(
        "--cmap", metavar="NAME", help="a matplotlib colour map (default inferno; RdBu_r for signed maps)"
    )
    group.add_argument("--opacity", type=float, metavar="0…1", help="of the strongest values (default 0.7)")
    group.add_argument(
        "--outline",
        type=float,
        metavar="0…1",
        help="a line around what lies above this share of the colour scale, such as 0.5 (for smooth maps)",
    )
    group.add_argument(
        "--scale", choices=("image", "common"), help="colour scale: each map's own (default), or the run's"
    )
    group.add_argument(
        "--contact-sheet",
        type=int,
        nargs="?",
        const=12,
        metavar="ROWS",
        help="pages of photos beside their maps (12 rows)",
    )
    group.add_argument(
        "--compare",
        action="store_true",
        help="a sheet for each image: the photo, each method, the mean of the methods, where they disagree",
    )
    figure_format(group)
    group.add_argument("--no-maps", action="store_true", help="no raw maps (.npz)")
    group.add_argument("--no-overlays", action="store_true", help="no pictures")


def limit_arguments(command: argparse.ArgumentParser) -> None:
    """What is taken, left out and removed."""
    command.add_argument("--config", metavar="FILE", help="options from a TOML file; what is typed wins")
    command.add_argument(
        "--max-pixels",
        type=int,
        metavar="N",
        help="refuse larger images (default 100000000; of volumes, signals and clips 500000000 values)",
    )
    command.add_argument(
        "--skip-unsupported", action="store_true", help="leave out methods that the network does not allow"
    )
    command.add_argument(
        "--overwrite", action="store_true", help="remove an earlier run in --out; default: go on from it"
    )


def common_arguments(command: argparse.ArgumentParser) -> None:
    """What every command has."""
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_argument("--quiet", "-q", action="store_true", help="no progress, no notes but of damage")
    command.add_argument("--debug", action="store_true", help="show where an error comes from")
