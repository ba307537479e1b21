"""Values that no network can have are refused with the key, what was found and what is possible."""

from __future__ import annotations

import pytest

from icm.build import build, read_model_config
from icm.config.locate import model_names
from icm.errors import ConfigError

NO_LEVEL = "backbone.attention_blocks=[[up_blocks.0],[down_blocks.1]]"

REFUSED = (
    ("small_diffusion", "backbone.channels=[8,160,320]", "channels.*multiple of 16"),
    ("small_diffusion", "backbone.channels=[16,160,1000000]", "channels.*4096"),
    (
        "small_diffusion",
        "backbone.head_width=320",
        "head_width 320 does not divide the 160 channels",
    ),
    ("small_diffusion", "backbone.head_width=7", "head_width 7 does not divide"),
    ("small_diffusion", "backbone.ensemble=1000", "less than or equal to 64"),
    ("small_diffusion", "network.width=6", "multiple of 4"),
    ("small_diffusion", "network.decoder_width=2", "16 or a multiple of 32"),
    ("small_diffusion", "network.decoder_width=112", "16 or a multiple of 32"),
    ("small_diffusion", "input.size=100000", "less than or equal to 4096"),
    ("small_diffusion", "input.most_elongated=.inf", "less than or equal to 16"),
    ("small_diffusion", "finish.present_threshold=.nan", "present_threshold"),
    ("small", "network={kind: published}", "needs backbone kind 'diffusion'"),
    ("sd21", "network={kind: small}", "needs backbone kind 'small'"),
    ("sd21", "engine=openvino", "engine 'openvino' runs backbones of kind 'small' and 'joint'"),
    ("small", "engine=onnx", "engine.*'torch' or 'openvino'"),
    ("sd21", "backbone.source=''", "source"),
    ("tiny", "backbone.map_blocks=[0]", "map_blocks has 1 levels.* fuses 2"),
    ("tiny", "backbone.attention_blocks=[[up_blocks.1]]", "attention_blocks has 1 levels"),
    ("tiny", "backbone.attention_blocks=[[],[up_blocks.2]]", "each level needs a block"),
    ("tiny", "backbone.attention_blocks=[[up_blocks.1],[up_blocks.1]]", "stands at one level"),
    ("tiny", "backbone.attention_blocks=[[up_blocks.9],[up_blocks.2]]", "up_blocks.9.* no block"),
    ("tiny", NO_LEVEL, "up_blocks.0 at level 0, whose features are 4 x 4"),
    ("tiny", "network.feature_channels=[32]", "feature_channels has 1 values: expected 2"),
    ("tiny", "network.attention_tokens=[16,65]", "65 at level 1, but .* gives 64"),
    ("tiny", "network.stream_channels=[]", "stream_channels"),
    ("tiny", "network.decoder_channels=[16]", "decoder_channels has 1 .* expected one more"),
    ("tiny", "input.size=256", "16 at level 0, but an input of 256 x 256 gives 64"),
    ("tiny", "input.shape=aspect", "needs input.shape square"),
)


@pytest.mark.parametrize(("model", "override", "message"), REFUSED)
def test_impossible_values_are_refused(model: str, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_model_config(model, (override,))


@pytest.mark.parametrize("model", model_names())
def test_bundled_models_are_possible(model: str) -> None:
    assert read_model_config(model).name == model


def test_another_possible_input_is_accepted() -> None:
    config = read_model_config("tiny", ("input.size=256", "network.attention_tokens=[64,256]"))
    assert config.input.size == 256


@pytest.mark.parametrize(("decoder", "width"), [(16, 4), (32, 12), (64, 16), (96, 20), (160, 192)])
def test_widths_that_are_accepted_can_be_built(decoder: int, width: int) -> None:
    values = (
        "weights=null",
        "backbone={kind: small, channels: [16, 16, 32], head_width: 8}",
        f"network={{kind: small, width: {width}, readers: 1, decoder_width: {decoder}}}",
        "finish={method: bicubic}",
    )
    assert (
        build(read_model_config("small_diffusion", values), device="cpu").config.network.width
        == width
    )


def test_a_head_for_another_backbone_is_refused() -> None:
    config = read_model_config("tiny", ("network.feature_channels=[16,32]",))
    with pytest.raises(
        ConfigError, match=r"is \[16, 32\], but the backbone's maps have \[32, 32\]"
    ):
        build(config, device="cpu")


@pytest.mark.parametrize(
    ("name", "overrides", "random"),
    [
        *((name, (), name == "tiny") for name in model_names()),
        ("small", ("weights=null",), True),
        ("small", ("network.encoder_weights=null",), True),
        ("sd21", ("backbone.source=random",), True),
        ("tiny", ("weights=head.safetensors",), True),
    ],
)
def test_which_models_have_random_weights(
    name: str, overrides: tuple[str, ...], random: bool
) -> None:
    assert read_model_config(name, overrides).is_random == random
