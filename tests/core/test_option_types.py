"""Values of options that do not fit: refused in one place, for every method and metric, by every way in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch
from small import Residual

import explainers
from explainers import SmoothGrad
from explainers.core.option_types import check_seed, fits, whole_number
from explainers.core.registry import options
from explainers.errors import OptionError
from explainers.evaluation.metric import metric_class, metric_options
from explainers.methods import create as create_method

UNFIT = {int: ("many", 2.5, True, None, [3]), float: ("many", float("nan"), True, [3]), bool: ("many", 2.5, 3)}
KINDS = {bool: "true or false", int: "a whole number", float: "a finite number"}
OF_METHODS = [
    (name, key, kind)
    for name in explainers.available()
    for key, default in options(explainers.method(name)).items()
    for kind in [type(default)]
    if kind in (int, bool)
]
OF_METRICS = [
    (name, key, kind)
    for name in explainers.available_metrics()
    for key, default in metric_options(metric_class(name)).items()
    for kind in [type(default)]
    if kind is bool or (kind is int and key in ("samples", "bins"))
]


@pytest.mark.parametrize(
    ("name", "key", "kind"), [each for each in OF_METHODS if each[1] not in ("percentile", "grid", "segments")]
)
def test_a_method_refuses_a_value_that_is_not_of_the_kind_of_its_default(name, key, kind):
    for value in UNFIT[kind]:
        with pytest.raises(OptionError, match=f"{key}=.*; expected {KINDS[kind]}"):
            create_method(name, Residual(), **{key: value})


@pytest.mark.parametrize(("name", "key", "kind"), OF_METRICS)
def test_a_metric_refuses_a_value_that_is_not_of_the_kind_of_its_default(name, key, kind):
    for value in UNFIT[kind]:
        with pytest.raises(OptionError, match=f"{key}=.*; expected {KINDS[kind]}"):
            explainers.create_metric(name, **{key: value})


@pytest.mark.parametrize("value", ["many", ("a", 1), {"a": 1}])
def test_no_option_of_any_method_or_metric_ends_in_another_error(value):
    tried = [
        (partial(create_method, name, Residual()), name, key)
        for name in explainers.available()
        for key in options(explainers.method(name))
    ]
    tried += [
        (partial(explainers.create_metric, name), name, key)
        for name in explainers.available_metrics()
        for key in metric_options(metric_class(name))
    ]
    others = {(name, key): error for create, name, key in tried if (error := other_error(create, {key: value}))}
    assert others == {}
    assert len(tried) > 100


def other_error(create, option):
    """What creating ends in where it is no error of the project's, None where it is one or nothing goes wrong."""
    try:
        create(**option)
    except explainers.errors.ExplainersError:
        return None
    except Exception as error:
        return error
    return None


def test_a_class_refuses_what_create_refuses():
    with pytest.raises(OptionError, match=r"^smooth-grad: samples='many'; expected a whole number$"):
        SmoothGrad(Residual(), samples="many")
    with pytest.raises(OptionError, match=r"^full-grad: output='scores'; expected a function or None$"):
        create_method("full-grad", Residual(), output="scores")


def test_options_of_captum_are_held_to_its_declarations():
    pytest.importorskip("captum")
    with pytest.raises(OptionError, match=r"^captum:IntegratedGradients: n_steps=2.5; expected a whole number$"):
        create_method("captum:IntegratedGradients", Residual(), n_steps=2.5)


def test_values_of_numpy_and_torch_fit_where_plain_ones_do():
    made = create_method("smooth-grad", Residual(), samples=np.int64(3), sigma=np.float32(0.5))
    assert (made.samples, made.sigma) == (3, 0.5)
    for percent in (np.array([10, 20]), torch.tensor([10, 20])):
        assert [int(each) for each in explainers.create_metric("road", percent=percent).percent] == [10, 20]


@pytest.mark.parametrize(
    ("value", "hint", "fit"),
    [
        (3, float, True),
        ((3, 4), tuple[int, int], True),
        ((3, 4, 5), tuple[int, int], False),
        ("34", Sequence[int], False),
        ((3, "4"), Sequence[int], False),
        ((3, 4, 5), tuple[int, ...], True),
        (None, int | None, True),
        ("x", int | None, False),
    ],
)
def test_what_fits(value, hint, fit):
    assert fits(value, hint) is fit


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30, 1.5, None])
def test_a_seed_that_no_generator_takes_is_refused(seed):
    check_seed(0)
    check_seed(2**32 - 1)
    with pytest.raises(OptionError, match=r"seed=.*; expected a whole number from 0 to 4294967295"):
        check_seed(seed)


@pytest.mark.parametrize("name", ["rise", "smooth-grad", "lime"])
def test_every_method_refuses_such_a_seed(name):
    with pytest.raises(OptionError, match="expected a whole number"):
        create_method(name, Residual(), seed=2**40)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("-3", -3),
        ("٣", 3),
        ("²", None),
        ("--5", None),
        ("1e3", None),
        ("", None),
        ("-", None),
        ("9" * 5000, None),
    ],
)
def test_which_words_are_whole_numbers(text, number):
    assert whole_number(text) == number
