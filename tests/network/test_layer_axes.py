"""Which dimensions of a layer are positions, told from what made it: maps against plain autograd on a kept activation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import explainers
from explainers.errors import LayerError


def convolved(before: int, after: int, kernel: int = 3, **options) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, kernel, **options), nn.ReLU())


class Plain(nn.Module):
    """Features, their mean, a linear layer."""

    def __init__(self, *features: nn.Module, width: int = 8) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.head = nn.Linear(width, 4)

    def before(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(self.before(x)).mean((2, 3)))


def by_hand(activation: Tensor, score: Tensor, size: torch.Size) -> Tensor:
    (gradient,) = torch.autograd.grad(score.sum(), activation)
    low = (gradient.mean((2, 3), keepdim=True) * activation.detach()).sum(1, keepdim=True).clamp(min=0)
    return F.interpolate(low, size=size[-2:], mode="bilinear", align_corners=False)[:, 0]


def of_plain(network: Plain, images: Tensor) -> Tensor:
    kept = network.features(network.before(images)).detach().requires_grad_()
    return by_hand(kept, network.head(kept.mean((2, 3)))[:, 1], images.shape)


def images(*shape: int) -> Tensor:
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(3))


PROPORTIONS = {
    "time-first log-mel spectrogram": (
        lambda: Plain(convolved(1, 32, stride=2), convolved(32, 64, stride=2), width=64), (1, 431, 128)),
    "strip": (lambda: Plain(convolved(3, 8, stride=2, padding=1), convolved(8, 64, stride=(2, 1), padding=1), width=64),
              (3, 320, 64)),
    "stride (1, 4)": (lambda: Plain(convolved(3, 64, stride=(1, 4)), width=64), (3, 224, 224)),
    "one column wider than the image": (lambda: Plain(convolved(3, 17, 2, padding=(0, 1)), width=17), (3, 16, 16)),
    "larger than the image": (lambda: Plain(nn.Upsample(scale_factor=3), convolved(3, 8, padding=1)), (3, 16, 16)),
    "as many channels as rows": (lambda: Plain(convolved(3, 10, stride=(2, 1), padding=1), width=10), (3, 20, 10)),
    "a single row": (lambda: Plain(convolved(20, 20, (1, 3), padding=(0, 1)), width=20), (20, 1, 20)),
}  # fmt: skip


@pytest.mark.parametrize("name", PROPORTIONS)
@pytest.mark.parametrize("layer", [None, "features"])
def test_a_convolution_is_channels_first_whatever_its_proportions(name, layer):
    make, shape = PROPORTIONS[name]
    network, batch = make().eval(), images(*shape)
    explainer = explainers.GradCAM(network, layer=layer)
    torch.testing.assert_close(explainer(batch, 1), of_plain(network, batch).detach())
    assert explainer.layers == ("features",)


def test_a_network_that_turns_its_image_has_its_map_turned_back():
    class Turned(Plain):
        def before(self, x):
            return x.transpose(2, 3)

    network, batch = Turned(convolved(3, 8, stride=2)).eval(), images(3, 20, 32)
    kept = network.features(batch.mT).detach().requires_grad_()
    expected = by_hand(kept, network.head(kept.mean((2, 3)))[:, 1], batch.mT.shape).mT
    torch.testing.assert_close(explainers.GradCAM(network)(batch, 1), expected)


def _put(x: Tensor, mask: Tensor, entries: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[mask] = entries * 2
    return y


MASKED = {
    "masked_scatter": lambda x: torch.zeros_like(x).masked_scatter(x > 0, x[x > 0]),
    "masked_select": lambda x: torch.zeros_like(x).masked_scatter(x > 0, x.masked_select(x > 0)),
    "y[mask] = x[mask]": lambda x: _put(x, x > 0, x[x > 0]),
}


class Remade(Plain):
    """Turned features, taken apart and put together again."""

    def __init__(self, remake) -> None:
        super().__init__(nn.Conv2d(3, 8, 3, stride=2), width=8)
        self.remake, self.last = remake, nn.Identity()

    def before(self, x):
        return x.mT

    def forward(self, x):
        return self.head(self.last(self.remake(self.features(self.before(x)))).mean((2, 3)))


@pytest.mark.parametrize("name", MASKED)
def test_what_a_mask_took_apart_and_put_together_lies_as_before(name):
    network, batch = Remade(MASKED[name]).eval(), images(3, 17, 33)
    kept = network.remake(network.features(batch.mT)).detach().requires_grad_()
    expected = by_hand(kept, network.head(kept.mean((2, 3)))[:, 1], batch.mT.shape).mT
    torch.testing.assert_close(explainers.GradCAM(network, layer="last")(batch, 1), expected)


def test_what_another_mask_put_elsewhere_has_no_positions():
    network = Remade(lambda x: torch.zeros_like(x).masked_scatter((x > 0).flip(3), x[x > 0])).eval()
    with pytest.raises(LayerError, match="spatial="):
        explainers.GradCAM(network, layer="last")(images(3, 17, 33), 1)


class Sequence(nn.Module):
    """Columns of a feature map as the steps of a sequence."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.features = nn.Sequential(convolved(1, 8, stride=2, padding=1), convolved(8, 12, stride=2, padding=1))
        self.kind = kind
        self.reader: nn.Module = {
            "lstm": lambda: nn.LSTM(48, 48, batch_first=True),
            "gru": lambda: nn.GRU(48, 48, batch_first=True),
            "transformer": lambda: nn.TransformerEncoderLayer(48, 2, 16, batch_first=True),
        }[kind]()
        self.head = nn.Linear(48, 4)

    def read(self, x: Tensor) -> Tensor:
        read = self.reader(x.permute(0, 3, 1, 2).flatten(2))
        return self.head((read if self.kind == "transformer" else read[0]).mean(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.features(x))


@pytest.mark.parametrize("kind", ["lstm", "gru", "transformer"])
def test_a_sequence_of_columns_is_not_folded_into_a_picture(kind):
    network, batch = Sequence(kind).eval(), images(1, 16, 64)  # 16 columns, which would fold into 4 × 4
    kept = network.features(batch).detach().requires_grad_()
    expected = by_hand(kept, network.read(kept)[:, 1], batch.shape)
    explainer = explainers.GradCAM(network)
    torch.testing.assert_close(explainer(batch, 1), expected)
    assert explainer.layers == ("features",)


def test_columns_that_keep_their_places_are_a_grid_of_one_row_when_named():
    network, batch = Sequence("transformer").eval(), images(1, 16, 64)
    columns = network.reader(network.features(batch).permute(0, 3, 1, 2).flatten(2)).detach().requires_grad_()
    strip = columns.transpose(1, 2)[:, :, None]
    (gradient,) = torch.autograd.grad(network.head(columns.mean(1))[:, 1].sum(), columns)
    low = (gradient.mean(1)[:, :, None, None] * strip).sum(1, keepdim=True).clamp(min=0).detach()
    expected = F.interpolate(low, size=(16, 64), mode="bilinear")[:, 0]
    torch.testing.assert_close(explainers.GradCAM(network, layer="reader")(batch, 1), expected)
    with pytest.raises(LayerError, match="reader.*no positions that can be tied to the image.*spatial="):
        explainers.GradCAM(Sequence("lstm").eval(), layer="reader")(batch)


class Signal(nn.Module):
    """A one-dimensional network behind a wrapper that makes its signals images."""

    def __init__(self, strip) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(16, 16, 3, padding=1), nn.Conv1d(16, 16, 3, padding=1)
        self.head, self.strip = nn.Linear(16, 4), strip

    def features(self, x: Tensor) -> Tensor:
        return self.second(F.relu(self.first(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.features(self.strip(x))).mean(-1))


STRIPS = {"squeeze": lambda x: x.squeeze(2), "index": lambda x: x[:, :, 0], "view": lambda x: x.flatten(2),
          "mean": lambda x: x.mean(2)}  # fmt: skip


@pytest.mark.parametrize("strip", STRIPS)
@pytest.mark.parametrize("layer", [None, "second"])
def test_a_signal_in_a_wrapper_has_its_channels_and_places_apart(strip, layer):
    network, batch = Signal(STRIPS[strip]).eval(), images(16, 1, 16)  # as many channels as places
    kept = network.features(batch[:, :, 0]).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(network.head(F.relu(kept).mean(-1))[:, 1].sum(), kept)
    expected = (gradient.mean(-1, keepdim=True) * kept).sum(1, keepdim=True).clamp(min=0).detach()
    torch.testing.assert_close(explainers.GradCAM(network, layer=layer)(batch, 1), expected)


class Beside(Plain):
    """Features of the image beside something that is the same for every image."""

    def __init__(self, kind: str) -> None:
        super().__init__(convolved(3, 8, stride=2, padding=1), width=16)
        self.kind = kind
        self.prior = nn.Parameter(torch.randn(1, 3, 16, 16))
        self.register_buffer("stored", torch.randn(1, 3, 16, 16))
        self.branch = convolved(3, 8, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        mine = self.features(x).mean((2, 3))
        if self.kind == "prior":
            other = self.branch(self.prior)
        elif self.kind == "stored image":
            other = self.features(self.stored)
        else:
            with torch.no_grad():
                other = self.features(self.stored)
        return self.head(torch.cat([mine, mine * other.mean((2, 3))], dim=1))


@pytest.mark.parametrize("kind", ["prior", "stored image", "stored image, no gradient"])
def test_a_layer_that_the_image_does_not_feed_is_neither_chosen_nor_taken(kind):
    network, batch = Beside(kind).eval(), images(3, 16, 24)
    label = "features" if kind == "prior" else "features#0"
    explainer = explainers.GradCAM(network)
    maps = explainer(batch[:1], 1)
    assert explainer.layers == (label,)
    hook: list[Tensor] = []
    handle = network.features.register_forward_hook(lambda _, __, returned: hook.append(returned))
    score = network(batch[:1])[:, 1]
    handle.remove()
    torch.testing.assert_close(maps, by_hand(hook[0], score, batch.shape))
    unfed = "branch" if kind == "prior" else "features#1"
    for method in ("grad-cam", "eigen-cam", "score-cam"):
        with pytest.raises(LayerError, match=f'"{unfed}": the image does not feed it.*try layer="{label}"'):
            explainers.create(method, network, layer=unfed)(batch[:1])


MOVED = {
    "cropped": lambda x: x[:, :, 6:18, 6:18],
    "one half": lambda x: x[:, :, :12],
    "mirrored": lambda x: x.flip(3),
    "rolled": lambda x: x.roll(5, 2),
    "turned by 90 degrees": lambda x: x.rot90(1, (2, 3)),
    "shuffled": lambda x: x[:, :, torch.randperm(24, generator=torch.Generator().manual_seed(0))],
    "read in another order": lambda x: x.reshape(len(x), 24, 24, 3).permute(0, 3, 1, 2),
}


@pytest.mark.parametrize("name", MOVED)
def test_positions_that_are_not_the_images_are_refused_until_spatial_says_how_they_lie(name):
    network, batch = Plain(convolved(3, 8, stride=2, padding=1)).eval(), images(3, 24, 24)
    network.before = MOVED[name]
    with pytest.raises(LayerError, match="cannot be tied to the image.*spatial="):
        explainers.GradCAM(network)(batch)
    with pytest.raises(LayerError, match="no positions that can be tied to the image.*pass spatial="):
        explainers.GradCAM(network, layer="features")(batch)
    given = explainers.GradCAM(network, layer="features", spatial=lambda value: value)(batch, 1)
    torch.testing.assert_close(given, of_plain(network, batch).detach())


def test_moving_there_and_back_changes_nothing():
    class There(Plain):
        def forward(self, x):
            x = self.features[0](x.flip(3).roll(3, 2)).roll(-3, 2).flip(3)
            return self.head(self.features[1](x).mean((2, 3)))

    network = There(convolved(3, 8, padding=1), convolved(8, 8, padding=1)).eval()
    explainer = explainers.GradCAM(network)
    explainer(images(3, 12, 12))
    assert explainer.layers == ("features.1",)


class Guessed(nn.Module):
    """A layer of which only the shape is known: its values come out of an array."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body, self.width = nn.Identity(), width
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        array = x.detach().mean(1, keepdim=True).expand(-1, self.width, -1, -1).numpy()
        x = torch.from_numpy(array.copy())
        return self.head(self.body(x).mean((2, 3)))


def test_a_tie_of_a_guess_is_refused_naming_spatial():
    batch = images(3, 8, 8)
    with pytest.raises(LayerError, match=r"\(N, 8, 8, 8\).*\(N, C, h, w\) as well as.*spatial="):
        explainers.GradCAM(Guessed(8))(batch)
    with pytest.raises(LayerError, match="body.*as well as.*spatial="):
        explainers.GradCAM(Guessed(8), layer="body")(batch)
    assert explainers.GradCAM(Guessed(8), layer="body", spatial=lambda value: value)(batch).shape == (2, 8, 8)
    assert explainers.GradCAM(Guessed(3))(batch).shape == (2, 8, 8)


def test_a_module_without_positions_is_called_by_its_name():
    network = nn.Sequential(convolved(3, 4, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(LayerError, match=r'layer "1" of Sequential gives \(1, 4, 1, 1\), which has no positions'):
        explainers.GradCAM(network, layer=network[1])(images(3, 16, 16))
    with pytest.raises(LayerError, match='no layer "Conv2d" in Sequential'):
        explainers.GradCAM(network, layer=nn.Conv2d(3, 4, 3))(images(3, 16, 16))


class Ungraded(Plain):
    """Features computed without gradients, of an image that is turned, mirrored, or as it is."""

    def __init__(self, move) -> None:
        super().__init__(convolved(3, 8, stride=2, padding=1))
        self.move = move

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.features(self.move(x))
        return self.head(x.mean((2, 3)))


def test_positions_are_followed_through_no_grad():
    batch = images(3, 24, 16)
    network = Ungraded(lambda x: x.transpose(2, 3)).eval()
    kept = network.features(batch.mT).detach().requires_grad_()
    expected = by_hand(kept, network.head(kept.mean((2, 3)))[:, 1], batch.mT.shape).mT
    torch.testing.assert_close(explainers.GradCAM(network)(batch, 1), expected)
    with pytest.raises(LayerError, match="cannot be tied to the image"):
        explainers.GradCAM(Ungraded(lambda x: x.flip(3)).eval())(batch)


def test_a_sequence_read_without_gradients_is_not_folded_into_a_picture():
    class Reader(Sequence):
        def forward(self, x):
            with torch.no_grad():
                read = self.reader(self.features(x).permute(0, 3, 1, 2).flatten(2))[0]
            return self.head(read.mean(1))

    with pytest.raises(LayerError, match="reader.*cannot be tied|no positions that can be tied"):
        explainers.GradCAM(Reader("lstm").eval(), layer="reader")(images(1, 16, 64))
