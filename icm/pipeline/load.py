"""Loading a model by name."""

from __future__ import annotations

from collections.abc import Sequence

from icm.build import build, read_model_config
from icm.pipeline.matting import Matting


def load(
    model: str = "small",
    *,
    device: str = "auto",
    checkpoint: str | None = None,
    backbone: str | None = None,
    seed: int | None = None,
    overrides: Sequence[str] = (),
) -> Matting:
    """Loads a model.

    Args:
        model: a bundled name ('small', 'sd21', 'training_free') or the path of a YAML file.
        device: 'auto' (CUDA where there is one), 'cpu', 'cuda' or 'cuda:N'.
        checkpoint: weights of the network to use instead of the configured ones.
        backbone: Stable Diffusion weights to use: a local folder or single file.
        seed: of the noise.
        overrides: `key=value` strings that replace values of the configuration.

    Raises:
        ConfigError: the model or a key is unknown, a value is impossible, or the model takes no
            `backbone`.
        WeightsError: weights are missing or damaged; the message says how to get them.
        DeviceError: the device is not there.
    """
    config = read_model_config(
        model, overrides, checkpoint=checkpoint, backbone=backbone, seed=seed
    )
    return Matting(build(config, device=device))
