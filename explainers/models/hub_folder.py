"""Models of the Hugging Face Hub: by name, or the folders that it leaves, of transformers or of timm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from explainers.errors import ModelFileError
from explainers.models.given_preprocessing import from_processor
from explainers.models.libraries import OFFLINE, downloaded, library, timm_parts
from explainers.models.source import Parts, Request, register_folder_source
from explainers.models.weight_files import fit_state, read_state
from explainers.storage.paths import shown

CONFIG, SNAPSHOTS, MAIN = "config.json", "snapshots", "refs/main"
CLASSIFIER = "AutoModelForImageClassification"
BUILDERS = {  # what the names of architectures end in, where they are no classifiers
    "ForObjectDetection": "AutoModelForObjectDetection",
    "ForSemanticSegmentation": "AutoModelForSemanticSegmentation",
    "ForUniversalSegmentation": "AutoModelForUniversalSegmentation",
    "ForInstanceSegmentation": "AutoModelForInstanceSegmentation",
}
SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def snapshot(folder: Path) -> Path:
    """The folder itself, or the snapshot that is meant where it is one of the hub's cache (`models--ORG--NAME`): that
    of `refs/main`, or the only one.

    Raises:
        ModelFileError: there are several, and nothing says which, or the one that is meant is not there.
    """
    if not (folder / SNAPSHOTS).is_dir() or (folder / CONFIG).is_file():
        return folder
    present = sorted(each for each in (folder / SNAPSHOTS).iterdir() if each.is_dir())
    if (folder / MAIN).is_file():
        wanted = folder / SNAPSHOTS / (folder / MAIN).read_text(encoding="utf-8", errors="replace").strip()
        if wanted not in present:
            raise ModelFileError(
                f"{shown(folder)} has no snapshot {shown(wanted.name)}, which its {MAIN} names; download it again"
            )
        return wanted
    if len(present) == 1:
        return present[0]
    named = ", ".join(shown(each.name) for each in present) or "none"
    raise ModelFileError(
        f"{shown(folder)} has no {MAIN} that says which snapshot is meant; name one of {SNAPSHOTS}/ ({named})"
    )


def from_hf(request: Request) -> Parts:
    """`hf:NAME`: a classifier, segmenter or detector of transformers, by hub name or local folder; no remote code."""
    library("transformers", "hf")
    if request.weights not in (None, "DEFAULT"):
        raise ModelFileError("hf: networks bring their weights; drop weights, or point hf: to a local folder")
    if not Path(request.name).is_dir():
        return _network(request.name)
    folder = snapshot(Path(request.name))
    return _network(str(folder), safe=_weights(folder, request.trust) in SAFE)


@register_folder_source("a model of the Hugging Face Hub", CONFIG)
def from_hub_folder(request: Request) -> Parts:
    """A network of transformers or timm as `huggingface_hub.snapshot_download` leaves it; no code of it is run.

    Raises:
        ModelFileError: other weights were asked for, its weights are a pickle and there is no trust, or it is damaged
            or of another library. DependencyError: the library is missing.
    """
    folder = Path(request.name)
    if request.weights is not None:
        raise ModelFileError(f"the model in {shown(folder)} brings its weights; drop weights")
    config = _config(folder)
    timm = "architecture" in config
    if not timm and "model_type" not in config:
        raise ModelFileError(
            f"{shown(folder / CONFIG)} names neither an architecture of timm nor a model_type of transformers"
        )
    weights = _weights(folder, request.trust)
    return _from_timm(folder, config, weights) if timm else _network(str(folder), safe=weights in SAFE)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{shown(folder / CONFIG)} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ModelFileError(f"{shown(folder / CONFIG)} holds no settings")
    return config


def _weights(folder: Path, trust: bool) -> str:
    """The name of the file with the weights."""
    safe = next(filter(lambda name: (folder / name).is_file(), SAFE), None)
    if safe is not None:
        return safe
    pickle = next(filter(lambda name: (folder / name).is_file(), PICKLES), None)
    if pickle is None:
        raise ModelFileError(f"{shown(folder)} has no weights ({SAFE[0]}); download it again, with its large files")
    if not trust:
        raise ModelFileError(
            f"the weights in {shown(folder)} are a pickle ({pickle}) and no {SAFE[0]}: pass trust_model_file "
            "(--trust-model-file) if you trust where it comes from"
        )
    return pickle


def _from_timm(folder: Path, config: dict[str, Any], weights: str) -> Parts:
    timm = library("timm", "timm")
    path = folder / weights
    if path.suffix == ".json":
        raise ModelFileError(
            f"the weights in {shown(folder)} lie in several files, which timm's do not; save them anew"
        )
    try:
        network = timm.create_model(f"local-dir:{folder}", pretrained=False)
    except Exception as error:  # the configuration's arguments go to any constructor
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelFileError(f"timm makes no network of {shown(folder / CONFIG)}: {first}") from error
    state, notes = read_state(path)
    notes += fit_state(network, state, path)
    return timm_parts(timm, network, shown(folder.name), notes, tuple(_labels(config)) or None)


def _labels(config: dict[str, Any]) -> Iterator[str]:
    settings = config.get("pretrained_cfg")
    both = {**(settings if isinstance(settings, dict) else {}), **config}
    names, told = both.get("label_names"), both.get("label_descriptions")
    if isinstance(names, list):
        for name in names:
            yield str(told.get(name, name)) if isinstance(told, dict) else str(name)


def _network(name: str, *, safe: bool = False) -> Parts:
    """A classifier, segmenter or detector of transformers, by hub name or local folder; safe: of safetensors alone.

    Raises:
        ModelFileError: it cannot be loaded, or lacks weights, which transformers would draw at random.
    """
    transformers = library("transformers", "hf")
    local = Path(name).is_dir()
    only: dict[str, Any] = {"trust_remote_code": False, "local_files_only": local}

    def load() -> Any:
        config = transformers.AutoConfig.from_pretrained(name, **only)
        safetensors = {"use_safetensors": True} if safe else {}
        builder = getattr(transformers, _builder(config))
        return builder.from_pretrained(name, output_loading_info=True, **only, **safetensors)

    network, loading = downloaded(
        load, f"hf:{name}", "; see that the whole folder was downloaded" if local else OFFLINE
    )
    if missing := sorted(loading.get("missing_keys", ())):
        raise ModelFileError(
            f"the weights of {name} lack {len(missing)} of {type(network).__name__} ({', '.join(missing[:3])}); "
            "they are those of another network, or of one without a classifier"
        )
    notes: list[str] = []
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(name, **only)
        preprocessing = from_processor(processor.to_dict(), name)
    except Exception as error:  # a damaged file raises whatever its reader does
        preprocessing = None
        notes.append(f"no usable image processor in {name} ({str(error).partition(chr(10))[0]})")
    labels = network.config.id2label
    names = tuple(str(labels[index]) for index in range(len(labels))) if labels else None
    return Parts(network, preprocessing, names, notes)


def _builder(config: Any) -> str:
    """Which class of transformers makes the network that the weights were saved of."""
    saved = next(iter(getattr(config, "architectures", None) or ()), "")
    return next((name for end, name in BUILDERS.items() if saved.endswith(end)), CLASSIFIER)
