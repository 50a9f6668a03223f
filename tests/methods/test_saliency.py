"""Plain gradients against finite differences, SmoothGrad against a loop, and what warnings say."""

from __future__ import annotations

import pytest
import torch
from small import Chain, Residual, lively
from torch import nn

import explainers
from explainers.errors import OptionError


def test_saliency_and_input_x_gradient_equal_finite_differences():
    model = lively(Residual()).double()
    images = torch.randn(1, 3, 5, 7, dtype=torch.float64)
    numeric, step = torch.zeros_like(images), 1e-6
    for index in range(images.numel()):
        moved = torch.zeros_like(images).flatten()
        moved[index] = step
        moved = moved.view_as(images)
        numeric.view(-1)[index] = ((model(images + moved) - model(images - moved)) / (2 * step))[0, 2].item()
    kept = explainers.create("saliency", model, channels=None)(images, 2)
    torch.testing.assert_close(kept.double(), numeric, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(explainers.create("saliency", model)(images, 2), kept.abs().amax(1))
    torch.testing.assert_close(explainers.create("saliency", model, channels="sum")(images, 2), kept.sum(1))
    product = explainers.create("input-x-gradient", model)(images, 2)
    torch.testing.assert_close(product.double(), (images * numeric).sum(1), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_smooth_grad_is_the_mean_over_its_noise_at_every_batch_size(batch_size):
    model, images = lively(Residual()).double(), torch.randn(2, 3, 8, 10, dtype=torch.float64)
    images[1] *= 3
    generator = torch.Generator().manual_seed(5)
    noise = [torch.randn(3, 8, 10, generator=generator, dtype=torch.float64) for _ in range(7)]
    expected = torch.zeros_like(images)
    for row, image in enumerate(images):
        for sample in noise:
            noisy = (image + 0.2 * (image.max() - image.min()) * sample)[None].requires_grad_()
            expected[row] += torch.autograd.grad(model(noisy)[0, 1], noisy)[0][0] / 7
    options = {"samples": 7, "sigma": 0.2, "seed": 5, "batch_size": batch_size, "channels": None}
    maps = explainers.create("smooth-grad", model, **options)(images, 1)
    torch.testing.assert_close(maps, expected.float(), rtol=1e-5, atol=1e-7)


def test_smooth_grad_explains_the_class_of_the_image_without_noise():
    model, images = lively(Residual()), torch.randn(3, 3, 8, 10)
    predicted = model(images).argmax(1)
    options = {"samples": 3, "sigma": 2.0}
    torch.testing.assert_close(
        explainers.create("smooth-grad", model, **options)(images),
        explainers.create("smooth-grad", model, **options)(images, predicted),
    )


def test_a_softmax_at_the_end_is_said():
    model = nn.Sequential(Chain(), nn.Softmax(dim=1))
    with pytest.warns(UserWarning, match="come out of a softmax"):
        explainers.create("saliency", model)(torch.randn(1, 3, 8, 8))


@pytest.mark.parametrize("options", [{"samples": 0}, {"sigma": -1}, {"batch_size": 0}, {"channels": "mean"}])
def test_wrong_options_are_refused(options):
    with pytest.raises(OptionError, match="expected"):
        explainers.create("smooth-grad", Chain(), **options)


def test_unknown_names_and_options_are_refused_with_those_that_exist():
    with pytest.raises(OptionError, match="did you mean grad-cam"):
        explainers.create("gradcam", Chain())
    with pytest.raises(OptionError, match="grad-cam has no option depth; its options are output, layer, spatial"):
        explainers.create("grad-cam", Chain(), depth=3)
