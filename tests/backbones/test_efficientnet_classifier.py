"""The encoder's classifier: class activations whose mean is the picture's logit."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from icm.backbones.efficientnet_classifier import LAST_BLOCK, Classifier, converted_classifier
from icm.backbones.efficientnet_lite import BATCH_NORM_EPS, EfficientNetLite2, converted
from icm.weights.encoder import read_encoder
from tests.backbones.test_efficientnet_lite import painted


@torch.no_grad()
def test_the_mean_of_the_class_maps_is_the_classifier_s_logit() -> None:
    state = read_encoder()
    encoder = EfficientNetLite2((LAST_BLOCK,))
    encoder.load_state_dict(converted(state, (LAST_BLOCK,)))
    classifier = Classifier()
    classifier.load_state_dict(converted_classifier(state))
    (map_bchw,) = encoder(painted(64, 96))
    maps_bkhw = classifier(map_bchw)
    assert maps_bkhw.shape == (1, 1000, 2, 3)
    head = F.conv2d(map_bchw, state["_conv_head.weight"])
    names = ("running_mean", "running_var", "weight", "bias")
    head = F.batch_norm(head, *(state[f"_bn1.{name}"] for name in names), eps=BATCH_NORM_EPS)
    pooled = F.relu6(head).mean(dim=(2, 3))
    expected = F.linear(pooled, state["_fc.weight"], state["_fc.bias"])
    assert torch.allclose(maps_bkhw.mean(dim=(2, 3)), expected, atol=1e-3, rtol=1e-3)
