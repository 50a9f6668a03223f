"""What a network looks like to the methods: its layers, output and rectifiers, and which methods will work."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from explainers import methods as registry
from explainers.core.layer_explainer import surveyed
from explainers.errors import ExplainersError
from explainers.network.ends import gradient_notes
from explainers.network.guard import exact, preserved
from explainers.network.input import checked_images, first_parameter, run
from explainers.network.inputs import bound, made_up
from explainers.network.output import Output, describe, scores_of
from explainers.network.rectifiers import Rectifiers, find_rectifiers, watched
from explainers.network.task_layers.bottleneck import bottleneck
from explainers.network.unwrapping import as_network, class_name
from explainers.passes.activation import reading_of
from explainers.passes.one_score import assumptions, in_force
from explainers.passes.steady import told_steadiness
from explainers.targets import Answer, Box, Region, Target, settle
from explainers.targets.target_scores import TargetScores
from explainers.targets.task import Task, how_to_bind, several_inputs, task_of


@dataclass(frozen=True)
class Diagnosis:
    """Facts about one network on one image; `print` it, or take `to_dict()`.

    stages: (label, (C, h, w)) of the layers that -1, -2, … mean, the last first; candidates: all spatial layers;
    activation: what turns scores into f(x); methods: name → "" where it works, else the reason why not; task: what it
    does, as far as that can be told; targets: (what can be explained, the options of `explain run` for it); default:
    the layer that `layer=None` means where it is not the last stage; untried: why no method was tried, else "".
    """

    network: str
    output: str
    classes: int | None
    activation: str
    parameters: int
    frozen: int
    training: int
    device: str
    dtype: str
    stages: tuple[tuple[str, tuple[int, ...]], ...] = ()
    candidates: tuple[tuple[str, tuple[int, ...]], ...] = ()
    strict: str = ""
    smooth: str = ""
    opaque: str = ""
    notes: tuple[str, ...] = ()
    methods: dict[str, str] = field(default_factory=dict)
    task: str = ""
    targets: tuple[tuple[str, str], ...] = ()
    default: str | None = None
    untried: str = ""

    @property
    def layer(self) -> str | None:
        """The layer that `layer=None` means."""
        if self.default is not None:
            return self.default
        return self.stages[0][0] if self.stages else None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {**asdict(self), "layer": self.layer}

    def __str__(self) -> str:
        return self.text()

    def text(self, command: str = "explain run FOLDER --model …") -> str:
        """All of it; command: what explains with this network, before the options of each target."""
        stages = [f"  {-index - 1}  {_sized(stage)}" for index, stage in enumerate(self.stages)]
        works = [name for name, reason in self.methods.items() if not reason]
        fails = [f"  {names}: {reason}" for reason, names in _by_reason(self.methods).items()]
        lines = [
            f"network      {self.network}, {self.parameters:,} parameters ({self.frozen:,} frozen), "
            f"{self.dtype}, {self.device}",
            f"output       {self.output}" + ("" if self.classes is None else f" → {self.classes} classes"),
            *([f"task         {self.task}"] if self.task else []),
            *([f"f(x)         {self.activation}"] if self.activation else []),
            *([] if self.untried else [f"layer=None   {self.layer or 'no spatial layer found'}"]),
            *(["stages", *stages] if stages else []),
            *([] if self.untried else [f"candidates   {len(self.candidates)} spatial layers"]),
            f"rectifiers   {self.strict or 'no ReLU'}"
            + (f"; smooth: {self.smooth}" if self.smooth else "")
            + (f"; closed to view: {self.opaque}" if self.opaque else ""),
            *[f"note         {note}" for note in self.notes],
            *(
                [f"methods      none was tried: {self.untried}"]
                if self.untried
                else [f"works        {', '.join(works) or 'nothing'}", *(["does not", *fails] if fails else [])]
            ),
            *(["what can be explained", *_commands(command, self.targets)] if self.targets else []),
        ]
        return "\n".join(lines)


def diagnose(model: Any, images: Tensor, *, output: Output | None = None) -> Diagnosis:
    """Look at a network with the first image of a batch, and try every method on it.

    Args:
        model: as for every explainer.
        images: (N, C, H, W), as the network takes them; of volumes or signals likewise.
        output: as for every explainer.

    Raises:
        ImageError: the images are not what a network can take.

    Cost: about forty forward and backward passes of one image.
    """
    network = as_network(model, several=True)
    if found := made_up(network, images):
        inputs, said = found
        one = bound(network, 0)
        with one.given(inputs):
            made = _diagnosed(one, images, output)
        task = "; ".join(filter(None, (several_inputs(network), made.task)))
        notes = (f"made up to look at it: {said}", *how_to_bind(network), *made.notes)
        return replace(made, network=class_name(network), task=task, targets=(), notes=notes)
    return _diagnosed(network, images, output)


def _diagnosed(network: Any, images: Tensor, output: Output | None) -> Diagnosis:
    images = checked_images(images, network)[:1]
    look = _looked(network, images, output)
    notes = list(dict.fromkeys(look.notes))
    modules = list(network.modules()) if isinstance(network, nn.Module) else []
    parameters = list(network.parameters()) if isinstance(network, nn.Module) else []
    if training := sum(module.training for module in modules):
        notes.append(f"{training} of {len(modules)} modules are in train mode; maps are made in evaluation mode")
    return Diagnosis(
        network=class_name(network),
        output=look.output,
        classes=look.classes,
        activation=look.activation,
        parameters=sum(value.numel() for value in parameters),
        frozen=sum(value.numel() for value in parameters if not value.requires_grad),
        training=training,
        device=str(images.device),
        dtype=str(getattr(first_parameter(network), "dtype", images.dtype)).removeprefix("torch."),
        stages=look.stages,
        candidates=look.candidates,
        strict=Rectifiers.counts(look.rectifiers.strict),
        smooth=Rectifiers.counts(look.rectifiers.smooth),
        opaque=Rectifiers.counts(look.rectifiers.opaque + look.rectifiers.shifted),
        notes=tuple(notes),
        methods=dict.fromkeys(registry.available(), look.failure)
        if look.failure
        else try_methods(network, images, output=output if look.tried is None else look.tried),
        task=look.task.name,
        targets=look.task.targets,
        default=look.default,
        untried=look.failure,
    )


def try_methods(model: Any, images: Tensor, *, output: Output | None = None) -> dict[str, str]:
    """Every registered method on the first image: "" where it works, else the error's text."""
    reasons = {}
    for name in registry.available():
        try:
            registry.method(name).trial(model, images[:1], output=output)
            reasons[name] = ""
        except Exception as error:  # whatever the network raises in one method's passes, others may work
            reasons[name] = _told(error)
    return reasons


def _commands(command: str, targets: tuple[tuple[str, str], ...]) -> list[str]:
    """A line for each target: the command that explains it, and what it is."""
    commands = [f"{command} {options}".rstrip() for _, options in targets]
    width = max(map(len, commands))
    return [f"  {command:<{width}}  {what}" for command, (what, _) in zip(commands, targets, strict=True)]


def _told(error: Exception) -> str:
    """An error of ours as it is, any other with its kind, in one line."""
    first = str(error).strip().partition("\n")[0]
    return str(error) if isinstance(error, ExplainersError) else f"{type(error).__name__}: {first}"


def _by_reason(methods: dict[str, str]) -> dict[str, str]:
    """reason → the methods that it keeps from working, separated by commas."""
    names: dict[str, list[str]] = {}
    for name, reason in methods.items():
        if reason:
            names.setdefault(reason, []).append(name)
    return {reason: ", ".join(each) for reason, each in names.items()}


NOTHING_FOUND = "the network finds no box in the image looked at, so that no method can be tried; give one (--image)"
Sized = tuple[str, tuple[int, ...]]


@dataclass
class _Look:
    """What one pass shows.

    failure: why there was none, or nothing to try a method on, in words; "" where there was; tried: what methods are
    tried on where that is no class of an image, in the place of `output=`.
    """

    output: str = "none"
    failure: str = ""
    activation: str = ""
    classes: int | None = None
    rectifiers: Rectifiers = field(default_factory=Rectifiers)
    stages: tuple[Sized, ...] = ()
    candidates: tuple[Sized, ...] = ()
    notes: tuple[str, ...] = ()
    task: Task = field(default_factory=lambda: Task(""))
    tried: Output | None = None
    default: str | None = None


def _looked(network: Any, images: Tensor, output: Output | None) -> _Look:
    look = _Look()
    with preserved(network), exact(images, gradients=True):
        leaf = images.detach().requires_grad_()
        try:
            returned, cuts = watched(leaf, lambda image: run(network, image))
        except Exception as error:  # a diagnosis is wanted most where the network itself fails
            look.task = Task(several_inputs(network))
            look.failure = f"the network fails on images of shape {tuple(images.shape)}: {_told(error)}"
            look.notes = (look.failure, *how_to_bind(network))
            return look
        look.output = describe(returned)
        try:
            look.task = task_of(returned, 1, output, tuple(images.shape[2:]))
        except Exception as error:  # of a function of the user's
            look.failure = f"output= fails on what the network returned, {look.output}: {_told(error)}"
            look.notes = (look.failure,)
            return look
        picked = output
        try:
            if target := _tried(look.task):
                settled = settle(network, images, target, output)
                picked = look.tried = settled.scores(network, images, watch=True)
                if look.task.dense:
                    look.default = _encoder(network, images, settled.scores(network, images, watch=False))
            elif look.task.found is not None:
                look.failure, look.notes = NOTHING_FOUND, (NOTHING_FOUND,)
                return look
            scores = scores_of(returned, 1, picked)
            look.classes = _classes(look.task, scores, Answer(returned, 1, output))
            look.rectifiers = find_rectifiers(scores, leaf, cuts)
            look.notes += (*gradient_notes(scores), *told_steadiness(network, images))
            reading = reading_of(network, images, scores, "auto", picked, check=False)
            look.activation = str(in_force(reading, scores))
            look.notes += tuple(assumptions(reading, scores))
        except ExplainersError as error:
            look.notes += (str(error),)
        look.stages, look.candidates, note = _layers(network, images, picked)
        look.notes += note
    return look


def _tried(task: Task) -> Target | None:
    """What methods are tried on: the class predicted most, where it is predicted; the best box; None: as ever."""
    if task.dense:
        return Region(None, "predicted")
    return Box() if task.found and len(task.found[0]) else None


def _classes(task: Task, scores: Tensor, answer: Answer) -> int | None:
    if task.dense:
        return answer.dense_scores.shape[1]
    return None if task.found is not None else scores.shape[1]  # labels do not say how many there are


def _layers(
    network: Any, images: Tensor, output: Output | None
) -> tuple[tuple[Sized, ...], tuple[Sized, ...], tuple[str, ...]]:
    try:
        every, seen = surveyed(network, images, output)
    except ExplainersError as error:
        return (), (), (str(error),)
    stages, layers = (
        tuple((each.label, (each.layout.channels, *each.layout.grid)) for each in found)
        for found in (reversed(seen.stages), every.layers)
    )
    return stages, layers, seen.remarks


def _encoder(network: Any, images: Tensor, scores: TargetScores) -> str | None:
    """The layer that segmentation is explained at where none is named."""
    try:
        seen, _ = surveyed(network, images, scores)
        found = bottleneck(network, images, seen, scores.dense)
    except ExplainersError:
        return None
    return None if found is None else found.label


def _sized(stage: Sized) -> str:
    return f"{stage[0]}  {' × '.join(map(str, stage[1]))}"
