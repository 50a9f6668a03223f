"""Whether a network allows a target at all, seen by noise before anything is written."""

from __future__ import annotations

from typing import Any

from explainers.core.preprocessing import AnyPreprocessing
from explainers.errors import OutputError, TargetError
from explainers.network.input import first_parameter
from explainers.network.output import Output
from explainers.network.unwrapping import as_network
from explainers.run.targets.class_names import noise_for
from explainers.targets import Target, answers_for, settle


def check_fits(model: Any, known: AnyPreprocessing | None, target: Target | None, output: Output | None) -> None:
    """See before anything is written that a target fits what a network returns; None fits.

    Raises:
        TargetError: it does not. OutputError: it is of positions, and the network has no scores at any. Whatever else
            goes wrong with noise may be well with the images.
    """
    image = noise_for(known)
    if image is None or target is None:
        return
    network, placeless = as_network(model), False
    parameter = first_parameter(network)
    try:
        image = image if parameter is None else image.to(parameter.device, parameter.dtype)
        answers = answers_for(network, image, output)
        placeless = target.reads_classes == "dense" and not answers[0].at_positions
        settled = settle(network, image, [target], output, answers)
        settled.rows[0][0].score(answers[0])
    except TargetError:
        raise
    except OutputError:
        if placeless:
            raise
    except Exception:  # of noise; the images themselves are told of one by one
        return
