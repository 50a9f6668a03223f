"""What can be typed behind `explain`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

import tomllib

from .training_arguments import train_arguments
from .values import given

EXAMPLES = """examples:
  explain demo
  explain photos/ --model torchvision:resnet50 --weights DEFAULT --method grad-cam --method guided-grad-cam
  explain run photos/ --model net.py:make --weights net.safetensors --size 256 --crop 224 --target cat
  explain evaluate photos/ --model torchvision:resnet50 --weights DEFAULT -m grad-cam -m rise --metric insertion
  explain train abn --data folder:photos --backbone torchvision:resnet18 --out RUN
  explain evaluate RUN -m attention -m grad-cam
  explain doctor --model timm:convnext_tiny
"""
COMMANDS = ("run", "evaluate", "train", "demo", "methods", "metrics", "networks", "layers", "doctor")
LISTS = ("method", "option", "metric", "maps", "augment", "freeze")  # options that may be given again


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the examples' lines, and room for long options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def parser() -> argparse.ArgumentParser:
    """The whole command line. Importing and printing it needs no torch."""
    top = argparse.ArgumentParser(
        "explain",
        description="Heat maps for any trained CNN: where did it look?",
        epilog=EXAMPLES,
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="store_true", help="print versions and leave")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    _run(_command(commands, "run", "explain the images of a folder; `explain FOLDER` is the same"))
    _demo(_command(commands, "demo", "explain the sample images with the embedded classifier"))
    _evaluate(_command(commands, "evaluate", "score methods on the images of a folder: which map can be believed?"))
    train_arguments(_command(commands, "train", "train a network that explains itself, or any classifier"))
    for name in ("methods", "metrics", "networks"):
        common(_command(commands, name, f"list the {name}{' that can be trained' if name == 'networks' else ''}"))
    for name, text in (("layers", "list a network's layers"), ("doctor", "check installation, network and methods")):
        command = _command(commands, name, text)
        _model(command, required=name == "layers")
        command.add_argument("--image", metavar="FILE", help="look with this image instead of noise")
        common(command)
    return top


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", formatter_class=Formatter, allow_abbrev=False
    )


def _run(command: argparse.ArgumentParser) -> None:
    command.add_argument("images", metavar="FOLDER", help="a folder (searched with all below it) or one image file")
    _model(command, required=False)
    _methods(command)
    passes = _passes(command)
    passes.add_argument("--masks", type=int, metavar="N", help="masks of rise per image (default 4000)")
    target = _target(command)
    target.add_argument("--top-k", type=int, metavar="K", help="explain the K best classes of each image")
    _pictures(_output(command, "explained"))
    _limits(command)
    common(command)


def _evaluate(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "images",
        metavar="FOLDER",
        help="a folder, an image file, digits:N (generated test images with their masks), or the folder of a training, "
        "whose network is scored on its test images",
    )
    command.add_argument(
        "--images", dest="count", type=int, metavar="N", help="test images of a training (default 200)"
    )
    command.add_argument("--only", metavar="CLASS", help="test images of a training with this true class")
    _model(command, required=False)
    _methods(command, "; all for every method that the network allows")
    scoring = command.add_argument_group("scoring")
    scoring.add_argument(
        "--metric",
        action="append",
        metavar="NAME[:KEY=VALUE,…]",
        help="a metric, again for more (default insertion and deletion), such as pid:patch=16+32,baseline=black",
    )
    scoring.add_argument(
        "--masks", metavar="FOLDER", help="what maps should show: files named like the images, white inside"
    )
    scoring.add_argument(
        "--ground-truth",
        metavar="TABLE.csv|folders",
        help="true classes: a CSV file with the columns file,class, or folders that are called like the classes; "
        "metrics of accuracy go by them, and --target label watches them",
    )
    scoring.add_argument(
        "--maps",
        action="append",
        metavar="[TITLE=]FOLDER",
        help="score maps made elsewhere: .npy, .npz or gray pictures named like the images, or maps of explain run",
    )
    scoring.add_argument(
        "--activation", choices=("softmax", "sigmoid", "none"), help="from scores to probabilities (default softmax)"
    )
    scoring.add_argument("--no-figures", action="store_true", help="tables alone")
    _passes(command)
    _target(command)
    _output(command, "evaluated")
    _limits(command)
    common(command)


def _methods(command: argparse.ArgumentParser, more: str = "") -> None:
    command.add_argument(
        "--method",
        "-m",
        action="append",
        metavar="NAME[@LAYER]",
        help=f"a method, again for more (default grad-cam); grad-cam@layer3, grad-cam@-2 choose its layer{more}",
    )
    command.add_argument(
        "--layer", metavar="LAYER", help="layer of all methods that read one (default: the last stage)"
    )
    command.add_argument(
        "--option",
        action="append",
        metavar="METHOD.KEY=VALUE",
        help="option of a method, such as smooth-grad.samples=25",
    )


def _passes(command: argparse.ArgumentParser) -> Any:
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
    passes.add_argument("--compile", action="store_true", help="compile the network; pays from some thousand passes on")
    return passes


def _target(command: argparse.ArgumentParser) -> Any:
    target = command.add_argument_group("classes")
    target.add_argument(
        "--target", metavar="CLASS", help="index, name or label (the true one); default: the predicted one"
    )
    target.add_argument("--labels", metavar="FILE", help="class names, one a line, or a JSON list")
    return target


def _limits(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", help="options from a TOML file; what is typed wins")
    command.add_argument("--max-pixels", type=int, metavar="N", help="refuse larger images (default 100000000)")
    command.add_argument(
        "--skip-unsupported", action="store_true", help="leave out methods that the network does not allow"
    )
    command.add_argument(
        "--overwrite", action="store_true", help="remove an earlier run in --out; default: go on from it"
    )


def _demo(command: argparse.ArgumentParser) -> None:
    _pictures(_output(command, "explain-demo"))
    command.add_argument(
        "--method", "-m", action="append", metavar="NAME", help="instead of a selection, again for more"
    )
    command.set_defaults(overwrite=True)
    common(command)


def _output(command: argparse.ArgumentParser, out: str) -> Any:
    group = command.add_argument_group("output")
    group.add_argument("--out", "-o", metavar="FOLDER", help=f"where to write (default {out})")
    group.add_argument("--batch-size", type=int, metavar="N", help="images explained at once (default 8)")
    group.add_argument("--device", metavar="NAME", help="auto (default), cpu, cuda, cuda:N or mps")
    return group


def _pictures(group: Any) -> None:
    group.add_argument("--cmap", metavar="NAME", help="a matplotlib colour map (default turbo; RdBu_r for signed maps)")
    group.add_argument("--opacity", type=float, metavar="0…1", help="of the strongest values (default 0.6)")
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
    group.add_argument("--no-maps", action="store_true", help="no raw maps (.npz)")
    group.add_argument("--no-overlays", action="store_true", help="no pictures")


def _model(command: argparse.ArgumentParser, *, required: bool) -> None:
    group = command.add_argument_group("network")
    group.add_argument(
        "--model",
        metavar="SPEC",
        required=required,
        help="torchvision:NAME, timm:NAME, hf:NAME, open_clip:NAME, FILE.py:factory, pkg.mod:factory, FILE.onnx, the "
        "folder of a training or embedded (the default: a digit classifier)",
    )
    group.add_argument("--weights", metavar="WEIGHTS", help="DEFAULT, a name the library knows, or a file")
    group.add_argument("--trust-model-file", action="store_true", help="allow model files that run code when loaded")
    preprocessing_arguments(group)
    if command.prog.split()[-1] not in ("run", "evaluate"):
        group.add_argument("--device", metavar="NAME", help="auto (default), cpu, cuda, cuda:N or mps")


def preprocessing_arguments(group: Any) -> None:
    """From a photo to the network's input."""
    group.add_argument("--size", metavar="N|HxW", help="resize: the shorter side, or height x width")
    group.add_argument("--crop", metavar="N|HxW", help="crop from the centre")
    group.add_argument("--mean", metavar="R,G,B", help="of pixel values in 0…1")
    group.add_argument("--std", metavar="R,G,B", help="of pixel values in 0…1")
    group.add_argument("--gray", action="store_true", help="the network takes one channel")


def common(command: argparse.ArgumentParser) -> None:
    """What every command has."""
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_argument("--quiet", "-q", action="store_true", help="no progress, no notes")
    command.add_argument("--debug", action="store_true", help="show where an error comes from")


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments, with `explain FOLDER` read as `explain run FOLDER` and --config filled in."""
    if argv and argv[0] not in COMMANDS and not argv[0].startswith("-"):
        argv = ["run", *argv]
    whole = parser()
    arguments = whole.parse_args(argv)
    if arguments.command is None and not arguments.version:
        whole.print_help()
        raise SystemExit(2)
    if getattr(arguments, "config", None):
        _fill(arguments, Path(arguments.config), whole)
    return arguments


def _fill(arguments: argparse.Namespace, path: Path, whole: argparse.ArgumentParser) -> None:
    """Values of a TOML file for what was not typed."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        whole.error(f"--config {path}: {error}")
    actions = _actions(whole, arguments.command)
    known = vars(arguments).keys() - {"command", "config", "version", "images", "network", "debug"}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            whole.error(f"--config {path}: no option {key!r}; options are {', '.join(sorted(known))}")
        if not given(getattr(arguments, name)):
            setattr(arguments, name, _typed(actions[name], key, value, path, whole))


def _actions(whole: argparse.ArgumentParser, command: str) -> dict[str, argparse.Action]:
    """What a command takes, by the names of its arguments."""
    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    return {action.dest: action for action in commands.choices[command]._actions}


def _typed(action: argparse.Action, key: str, value: Any, path: Path, whole: argparse.ArgumentParser) -> Any:
    """A value of the file as it would be had it been typed."""

    def refuse(expected: str) -> NoReturn:
        whole.error(f"--config {path}: {key} = {value!r}; expected {expected}")

    if isinstance(action.const, bool):
        return value if isinstance(value, bool) else refuse("true or false")
    if action.choices is not None:
        return value if value in action.choices else refuse(f"one of {', '.join(map(str, action.choices))}")
    if action.dest in LISTS:
        texts = value if isinstance(value, list) else [value]
        return texts if all(isinstance(each, str) for each in texts) else refuse("text, or a list of texts")
    if action.type is not None:
        name = getattr(action.type, "__name__", "a number")
        try:
            return refuse(name) if isinstance(value, (bool, list)) else action.type(str(value))  # type: ignore[operator]
        except (ValueError, argparse.ArgumentTypeError):
            refuse(name)
    several = value if isinstance(value, list) else [value]
    if not all(isinstance(each, (str, int, float)) and not isinstance(each, bool) for each in several):
        refuse("text or numbers")
    return ",".join(map(str, several))
