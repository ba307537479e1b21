"""Writes `own/`: small inputs, weights and what the loops of `loops.py` make of them.

Run from the checkout's root: `python -m tests.parity.generate_own`. The layout is that of the
published code's fixtures, so the same checks read both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from icm.models.published import (
    CrossAttentionOptions,
    DetailCapture,
    MultiScaleFeatureFusion,
    OneWayAttentionBlock,
    SemiTrainingAttentionBlocks,
)
from tests.parity import loops
from tests.parity.checks import network_of
from tests.parity.files import OWN, save

BATCH, CHANNELS = 2, 6
CROSS = {"dim": CHANNELS, "n_heads": 2, "d_head": 4, "mlp_dim_rate": 0.5}
SEMI = {
    "res_ratio": None,
    "pool_type": "min",
    "upsample_mode": "bicubic",
    "use_norm": CHANNELS,
    "in_ft_dim": [CHANNELS, 5],
    "in_attn_dim": [6, 24],
    "attn_out_dim": 3,
    "ft_out_dim": [4, 4],
}
STREAM, FUSED = [3, 4, 5], [6, 5, 4, 3]


class Draw:
    """Random arrays, exact in float32 so that files and loops start from the same numbers."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def normal(self, *shape: int) -> np.ndarray:
        return self.generator.normal(size=shape).astype(np.float32).astype(float)

    def uniform(self, *shape: int) -> np.ndarray:
        return self.generator.uniform(size=shape).astype(np.float32).astype(float)

    def attention(self, height: int, width: int) -> np.ndarray:
        logits = 2 * self.normal(BATCH, height, width, height * width)
        rows = np.exp(logits)
        return (rows / rows.sum(axis=-1, keepdims=True)).astype(np.float32).astype(float)

    def state(self, module: nn.Module) -> dict[str, np.ndarray]:
        """Weights under the module's own names, batch statistics that are not the identity."""
        result = {}
        for name, value in module.state_dict().items():
            shape = tuple(value.shape)
            if name.endswith("num_batches_tracked"):
                result[name] = np.array(0)
            elif name.endswith("running_var"):
                result[name] = 0.5 + self.uniform(*shape)
            elif len(shape) > 1:
                result[name] = self.normal(*shape) * np.sqrt(2 / np.prod(shape[1:]))
            else:
                result[name] = 0.2 * self.normal(*shape) + (name.endswith("weight"))
            result[name] = result[name].astype(np.float32).astype(float)
        for name in result:
            if name.endswith("num_batches_tracked"):
                result[name] = np.array(0, dtype=np.int64)
        return result


def box(height: int, width: int, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    """One binary mask an item, from top, bottom, left, right."""
    mask = np.zeros((len(boxes), 1, height, width))
    for item, (top, bottom, left, right) in enumerate(boxes):
        mask[item, 0, top:bottom, left:right] = 1
    return mask


def prefixed(prefix: str, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{prefix}{name}": value for name, value in state.items()}


def functions(draw: Draw) -> None:
    source, reference = draw.normal(BATCH, 5, 3, 4), draw.normal(BATCH, 5, 2, 5)
    source[0, :, 1, 1] = 0
    out = loops.cosine_matrix(source, reference)
    save(OWN, "compute_correspondence_matrix", {"source": source, "ref": reference, "out": out}, {})

    tensors: dict[str, Any] = {}
    for index, (size, grid) in enumerate((((12, 12), (4, 4)), ((12, 20), (3, 4)))):
        mask = np.where(draw.uniform(BATCH, 1, *size) > 0.05, draw.uniform(BATCH, 1, *size), 0)
        inside = (mask > 0).astype(float)
        tensors |= {f"{index}.mask": mask, f"{index}.out": loops.pool(inside, grid, "min")}
    save(OWN, "maskpooling", tensors, {"cases": [{"i": 0}, {"i": 1}]})

    tensors = {
        "binary": (draw.uniform(BATCH, 1, 13, 10) > 0.25).astype(float),
        "soft": np.minimum(draw.uniform(BATCH, 1, 13, 10) * 1.3, 1),
    }
    for kind in ("binary", "soft"):
        mask = tensors[kind]
        for size in (1, 2, 3, 4, 7):
            tensors[f"dilate.{kind}.{size}"] = loops.window(mask, size, np.max)
            tensors[f"erode.{kind}.{size}"] = loops.window(mask, size, np.min)
        tensors[f"trimap.{kind}.3"] = loops.trimap(mask, 3, 3)
        tensors[f"trimap.{kind}.e2d4"] = loops.trimap(mask, 2, 4)
    save(OWN, "morphology", tensors, {"even": True})


def masks_by_attention(draw: Draw) -> None:
    def stored(attention: np.ndarray) -> np.ndarray:
        items, height, width, _ = attention.shape
        return attention.reshape(items, height * width, height, width)

    attention = draw.attention(4, 5)[:1]
    mask = box(4, 5, (1, 3, 1, 4))
    tensors = {
        "attn": stored(attention),
        "mask": mask[:, 0],
        "score": loops.attention_score(attention, mask)[:, 0],
        "score_empty_mask": np.zeros_like(mask[:, 0]),
    }
    save(OWN, "calculate_attention_score", tensors, {})

    # Attention that sees its own half only converges to the half; that which sees the other half
    # only swaps the two for ever.
    left = box(4, 4, (0, 4, 0, 2))[0, 0].reshape(-1)
    same = np.stack([left if inside else 1 - left for inside in left]).reshape(1, 4, 4, 16) / 8
    start = box(4, 4, (0, 2, 0, 2))
    tensors = {"ok.attn": stored(same), "ok.mask": start[:, 0], "ok.out": left.reshape(1, 4, 4)}
    other = 1 / 8 - same
    for case in ("fail", "osc"):
        tensors |= {f"{case}.attn": stored(other), f"{case}.mask": left.reshape(1, 4, 4)}
    save(OWN, "refine_mask_by_attention", tensors, {"ok_case_smallest_iterations": 3})


def correspondence(draw: Draw) -> None:
    tensors: dict[str, Any] = {}
    for case, items in (("B1", 1), ("B2", 2)):
        source, reference = draw.normal(items, 4, 3, 4), draw.normal(items, 4, 3, 4)
        mask = box(12, 16, (0, 8, 0, 12), (4, 12, 4, 16))[:items]
        matrix = loops.cosine_matrix(source, reference)
        pooled = loops.pool(mask, (3, 4), "min").reshape(items, -1)
        nearest = np.stack([pooled[b][matrix[b].argmax(axis=1)] for b in range(items)])
        full = loops.resize(nearest.reshape(items, 1, 3, 4), (12, 16))
        tensors |= {f"{case}.src": source, f"{case}.ref": reference, f"{case}.guidance": mask}
        tensors |= {f"{case}.mask": full, f"{case}.trimap": loops.trimap(full, 5, 5)}
    save(OWN, "in_context_correspondence", tensors, {})


def attention_modules(draw: Draw) -> None:
    shape = (BATCH, CHANNELS, 4, 4)
    mask = box(16, 16, (2, 12, 3, 16), (4, 9, 0, 8))
    tensors: dict[str, Any] = {"features": draw.normal(*shape), "features_ref": draw.normal(*shape)}
    tensors |= {"roi": mask, "roi_empty": mask * np.array([1, 0]).reshape(2, 1, 1, 1)}
    tensors |= {"norm.weight": 1 + draw.normal(CHANNELS) * 0.2, "norm.bias": draw.normal(CHANNELS)}
    norm = {
        name: tensors[name].astype(np.float32).astype(float)
        for name in ("norm.weight", "norm.bias")
    }
    pair = (tensors["features"], tensors["features_ref"])

    def put(case: str, maps: list[np.ndarray]) -> None:
        for item, one in enumerate(maps):
            tensors[f"{case}.out{item}"] = one

    cases = []
    for pool, scale, normed, ratio in (
        ("min", 1, 1, None),
        ("average", 0, 0, 8),
        ("max", 1, 0, 2),
        ("average", 1, 1, 4),
    ):
        case = f"{pool}.scale{scale}.norm{normed}.rr{ratio}"
        options = {"pool_type": pool, "use_scale": scale, "res_ratio": ratio}
        options["upsample_mode"] = "bicubic"
        put(case, loops.token_attention(*pair, mask, options, norm if normed else None))
        cases.append(case)
    for mode, temperature, ratio in (("bilinear", 1, 2), ("nearest", 1, 4), ("bicubic", 1000, 2)):
        options = {"pool_type": "min", "use_scale": True, "res_ratio": ratio}
        options |= {"upsample_mode": mode, "temp_softmax": temperature}
        put(f"mode_{mode}.temp{temperature}.rr{ratio}", loops.token_attention(*pair, mask, options))
    options = {"pool_type": "min", "use_scale": True}
    put("empty", loops.token_attention(*pair, tensors["roi_empty"], options, norm))
    wide = (draw.normal(1, CHANNELS, 2, 4), draw.normal(1, CHANNELS, 2, 4))
    wide_mask = box(8, 16, (0, 8, 4, 14))
    tensors |= {"nonsquare.features": wide[0], "nonsquare.features_ref": wide[1]}
    tensors["nonsquare.roi"] = wide_mask
    put("nonsquare", loops.token_attention(*wide, wide_mask, options, norm))
    save(OWN, "training_free_attention", tensors, {"cases": cases})

    tensors = {"ft_cor": pair[0], "ref": pair[1], "guidance": np.where(mask > 0, 0.75, 0.25)}
    tensors["attn"] = draw.attention(6, 6)
    cases = []
    for index, (ratio, pool, temperature, scale) in enumerate(
        ((2, "min", 1000, False), (None, "average", 1, True))
    ):
        options = {"pool_type": pool, "use_scale": scale, "res_ratio": ratio}
        options |= {"temp_softmax": temperature, "upsample_mode": "bicubic"}
        maps = loops.token_attention(*pair, mask, options)
        guidance = np.stack([one.sum(axis=0) for one in maps])[:, None]
        spread = loops.guided_attention(guidance, tensors["attn"]).sum(axis=-1)[:, None]
        tensors |= {f"{index}.mask": guidance, f"{index}.trimap": loops.resize(spread, (16, 16))}
        cases.append({"res_ratio": ratio, "pool": pool, "temp": temperature, "scale": scale})
    save(OWN, "training_free_attention_blocks", tensors, {"cases": cases})

    state = draw.state(OneWayAttentionBlock(**CROSS))
    context = draw.normal(3, 5, CHANNELS)
    tensors = prefixed("sd.", state) | {"context": context}
    for item, length in enumerate((4, 2, 0)):
        query = draw.normal(length, CHANNELS)
        tensors[f"q{item}"] = query
        tensors[f"out{item}"] = loops.one_way_attention(query, context[item], state, "", 2)
    save(OWN, "one_way_attention_block", tensors, {"args": CROSS})

    tensors = {"features": pair[0], "features_ref": pair[1], "roi": mask}
    cases = []
    for pool, normed, ratio in (("min", 1, None), ("average", 0, 8)):
        case = f"{pool}.rr{ratio}.scale1.norm{normed}"
        state = prefixed("attn_module.", draw.state(OneWayAttentionBlock(**CROSS)))
        state |= norm if normed else {}
        options = {"pool_type": pool, "use_scale": True, "res_ratio": ratio}
        options["upsample_mode"] = "bicubic"
        put(case, loops.token_attention(*pair, mask, options, state, cross=2))
        tensors |= prefixed(f"{case}.sd.", state)
        cases.append(case)
    save(OWN, "training_cross_attention", tensors, {"cases": cases, "args": CROSS})


def network_inputs(draw: Draw, size: int) -> dict[str, np.ndarray]:
    """Levels of 2 x 3 and 4 x 6 positions: nothing is square."""
    height, width = 4 * size, 6 * size
    soft = np.where(
        box(height, width, (0, height - size, size, width), (0, 2 * size, 0, 3 * size)), 0.9, 0.3
    )
    return {
        "ft_cor": draw.normal(BATCH, CHANNELS, 4, 6),
        "ref": draw.normal(BATCH, CHANNELS, 4, 6),
        "ft_matting.2": draw.normal(BATCH, CHANNELS, 2, 3),
        "ft_matting.4": draw.normal(BATCH, 5, 4, 6),
        "attn.2": draw.attention(2, 3),
        "attn.4": draw.attention(4, 6),
        "guidance": soft.astype(np.float32).astype(float),
    }


def semi_outputs(
    x: dict[str, np.ndarray], state: dict[str, np.ndarray], name: str = "", cross=None
):
    levels = [x["ft_matting.2"], x["ft_matting.4"]]
    attention = [x["attn.2"], x["attn.4"]]
    return loops.semi_training(
        x["ft_cor"], levels, attention, x["ref"], x["guidance"], SEMI, state, name, cross
    )


def whole_blocks(draw: Draw) -> None:
    for variant, cross in (("", None), ("_cross", 2)):
        options = CrossAttentionOptions(**CROSS)
        module = SemiTrainingAttentionBlocks(
            **SEMI, training_cross_attn=cross is not None, cross_attention=options
        )
        state = draw.state(module)
        tensors = network_inputs(draw, 4)
        feature, guidance, attention = semi_outputs(tensors, state, cross=cross)
        outputs = {"out.feature": feature, "out.mask": guidance, "out.trimap": attention}
        facts = {"args": SEMI, "training_cross_attn": cross is not None, "cross_args": CROSS}
        name = f"semi_training_attention_blocks{variant}"
        save(OWN, name, tensors | outputs | prefixed("sd.", state), facts)

    tensors = {}
    meta = {}
    for case, keys in (("two", ("24", "48")), ("three", ("a", "b", "c"))):
        widths = ([8] * len(keys), [4] * len(keys))
        state = draw.state(MultiScaleFeatureFusion(*widths))
        maps = [0.5 * draw.normal(BATCH, 4, 2 << i, 3 << i) for i in range(len(keys))]
        merged = maps[0]
        for i, finer in enumerate(maps[1:]):
            merged = loops.fusion_block(merged, finer, state, f"module_list.{i}")
        tensors |= {f"{case}.{key}": level for key, level in zip(keys, maps, strict=True)}
        tensors |= {f"{case}.out": merged} | prefixed(f"{case}.sd.", state)
        meta[case] = {"in_dim": widths[0], "out_dim": widths[1]}
    save(OWN, "multi_scale_feature_fusion", tensors, meta)

    for channels in (3, 4):
        args = {"in_chans": 4, "img_chans": channels, "convstream_out": STREAM, "fusion_out": FUSED}
        state = draw.state(DetailCapture(**args))
        image, extra = draw.normal(BATCH, 3, 18, 22), draw.uniform(BATCH, 1, 18, 22)
        feature = draw.normal(BATCH, 4, 2, 2)
        stacked = np.concatenate([image, extra], axis=1)[:, :channels]
        logits = loops.detail_logits(feature, stacked, state, 3)
        tensors = {"image": image, "trimap": extra, "feature": feature, "stream.D0": stacked}
        for i in range(3):
            tensors[f"stream.D{i + 1}"] = loops.conv_norm_relu(
                tensors[f"stream.D{i}"], state, f"convstream.convs.{i}", stride=2
            )
        tensors |= {"logits": logits, "out": loops.sigmoid(logits)} | prefixed("sd.", state)
        save(OWN, f"detail_capture_img{channels}", tensors, {"args": args})

        facts = {"args": SEMI, "img_chans": channels}
        facts |= {"convstream_out": STREAM, "fusion_out": FUSED}
        state = draw.state(network_of(facts))
        tensors = network_inputs(draw, 8)
        tensors["image"] = 2 * draw.uniform(BATCH, 3, 32, 48) - 1
        feature, guidance, attention = semi_outputs(tensors, state, "in_context_fusion.")
        stacked = np.concatenate([tensors["image"], attention], axis=1)[:, :channels]
        logits = loops.detail_logits(feature, stacked, state, 3, "detail_decoder.")
        outputs = {
            "out.alpha": loops.sigmoid(logits),
            "out.mask": guidance,
            "out.trimap": attention,
        }
        save(
            OWN,
            f"in_context_decoder_img{channels}",
            tensors | outputs | prefixed("sd.", state),
            facts,
        )


def main() -> None:
    OWN.mkdir(exist_ok=True)
    for seed, part in enumerate(
        (functions, masks_by_attention, correspondence, attention_modules, whole_blocks)
    ):
        part(Draw(seed))


if __name__ == "__main__":
    main()
