"""Regions of networks that predict a set of masks, against the image processors of transformers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import explainers
from explainers.errors import OptionError, OutputError
from explainers.models.given_preprocessing import from_processor
from explainers.network.queries import class_map
from explainers.targets import Region


class Outputs(dict):
    __getattr__ = dict.__getitem__


class Queries(nn.Module):
    """Five queries, three classes and "no object", masks of a quarter of the image's sides."""

    names = "class_queries_logits", "masks_queries_logits"

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone, self.masks = nn.Conv2d(3, 8, 4, stride=4), nn.Conv2d(8, 5, 3, padding=1)
        self.classes = nn.Linear(8, 5 * 4)

    def forward(self, images):
        features = self.backbone(images).relu()
        classes = self.classes(features.mean((2, 3))).view(-1, 5, 4) * 4
        return Outputs(zip(self.names, (classes, self.masks(features) * 4), strict=True))


class WithBoxes(Queries):
    names = "logits", "pred_masks"


PROCESSORS = {Queries: "MaskFormerImageProcessor", WithBoxes: "DetrImageProcessor"}


@pytest.mark.parametrize("kind", PROCESSORS)
def test_the_class_at_each_position_is_that_of_the_image_processor(kind):
    transformers = pytest.importorskip("transformers")
    with torch.no_grad():
        returned = kind()(torch.randn(2, 3, 32, 32))
    found = getattr(transformers, PROCESSORS[kind])().post_process_semantic_segmentation(returned)
    assert len(torch.stack(found).unique()) > 1
    assert torch.equal(class_map(returned).argmax(dim=1), torch.stack(found))


def test_a_region_is_the_mean_of_the_sums_and_f_the_same():
    network, images = Queries().eval(), torch.randn(1, 3, 32, 32, requires_grad=True)
    classes, masks = network(images).values()
    by_hand = sum(classes[0, q].softmax(0)[2] * masks[0, q].sigmoid() for q in range(5))[:, :4].mean()
    (gradient,) = torch.autograd.grad(by_hand, images)
    region = Region(2, (0, 0, 16, 32))
    found = explainers.create("saliency", network)(images.detach(), region)
    torch.testing.assert_close(found, gradient.abs().amax(dim=1))
    explained = explainers.explain(network, images.detach(), "occlusion", region)
    assert float(explained.values) == pytest.approx(float(by_hand), abs=1e-6)
    assert explained.reading is not None
    assert not explained.reading.probability
    assert "sums over the masks" in str(explained.reading)


def test_a_layer_of_it_is_weighed_by_the_regions_gradient():
    network, images = Queries().eval(), torch.randn(1, 3, 32, 32)
    values = network.backbone(images).detach().requires_grad_()
    features = values.relu()
    classes = (network.classes(features.mean((2, 3))).view(-1, 5, 4) * 4).softmax(-1)[..., 1]
    score = (classes[..., None, None] * (network.masks(features) * 4).sigmoid()).sum(1).mean()
    (gradient,) = torch.autograd.grad(score, values)
    by_hand = (gradient.mean((2, 3), keepdim=True) * values.detach()).sum(1, keepdim=True).relu()
    found = explainers.create("grad-cam", network, layer="backbone")(images, Region(1))
    torch.testing.assert_close(found, F.interpolate(by_hand, size=(32, 32), mode="bilinear")[:, 0])


def test_asked_for_a_class_alone_it_points_to_regions():
    with pytest.raises(OutputError, match=r"masks and their classes: pass targets=explainers.targets.Region"):
        explainers.create("saliency", Queries().eval())(torch.randn(1, 3, 32, 32), 1)


def test_a_saved_segmenter_is_loaded_as_what_it_is(tmp_path):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_sizes": [8, 8, 8, 8], "depths": [1] * 4, "num_attention_heads": [1] * 4, "decoder_hidden_size": 8}
    config = transformers.SegformerConfig(id2label={0: "wall", 1: "cat"}, **sizes)
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(tmp_path)
    transformers.SegformerImageProcessor(size={"height": 32, "width": 48}).save_pretrained(tmp_path)
    loaded = explainers.load_model(tmp_path, device="cpu")
    assert type(loaded.network).__name__ == "SegformerForSemanticSegmentation"
    assert loaded.class_names == ("wall", "cat")
    assert loaded.preprocessing.resize == (32, 48)


@pytest.mark.parametrize(
    "step",
    [{"do_flip_channel_order": True}, {"size_divisor": 32}, {"keep_aspect_ratio": True}, {"do_split_image": True}],
)
def test_an_image_processor_with_a_step_of_its_own_is_refused(step):
    size = {"height": 32, "width": 48}
    known = {"size": size, "do_normalize": True, "image_mean": (0.5,) * 3, "image_std": (0.5,) * 3}
    assert from_processor(known, "net").mean == (0.5,) * 3
    assert from_processor({**known, "do_normalize": None}, "net").mean == (0.0,) * 3
    with pytest.raises(OptionError, match="preprocessing of net"):
        from_processor({**known, **step}, "net")
