"""The method's maths once more, written out in NumPy loops at float64: nothing of `icm` is used."""

from __future__ import annotations

import math

import numpy as np

EPS = 1e-5  # of layer norm and batch norm


def axis_weights(have, want, mode, align_corners):
    """Matrix want x have that resizes one axis."""
    weights = np.zeros((want, have))
    for i in range(want):
        if mode == "nearest":
            weights[i, i * have // want] = 1
            continue
        if align_corners:
            place = i * (have - 1) / (want - 1) if want > 1 else 0.0
        else:
            place = (i + 0.5) * have / want - 0.5
        if mode == "bilinear":
            place = max(place, 0.0)
            first = min(int(place), have - 1)
            weights[i, first] += 1 - (place - first)
            weights[i, min(first + 1, have - 1)] += place - first
        else:
            first = math.floor(place)
            for tap in range(first - 1, first + 3):
                weights[i, min(max(tap, 0), have - 1)] += _cubic(abs(place - tap))
    return weights


def _cubic(x, a=-0.75):
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    if x < 2:
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return 0.0


def resize(x, size, mode="bilinear", align_corners=False):
    rows = axis_weights(x.shape[-2], size[0], mode, align_corners)
    columns = axis_weights(x.shape[-1], size[1], mode, align_corners)
    return rows @ x @ columns.T


def conv(x, weight, bias=None, stride=1):
    """Zero-padded convolution that keeps the size (rounded up, where strided)."""
    reach = weight.shape[-1] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    rows = (x.shape[2] - 1) // stride + 1
    columns = (x.shape[3] - 1) // stride + 1
    out = np.zeros((x.shape[0], weight.shape[0], rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            patch = padded[:, :, top : top + 2 * reach + 1, left : left + 2 * reach + 1]
            for b in range(x.shape[0]):
                out[b, :, i, j] = (weight * patch[b]).sum(axis=(1, 2, 3))
    return out if bias is None else out + bias[None, :, None, None]


def batch_norm(x, state, name):
    def of(key):
        return state[f"{name}.{key}"][None, :, None, None]

    return (x - of("running_mean")) / np.sqrt(of("running_var") + EPS) * of("weight") + of("bias")


def conv_norm_relu(x, state, name, stride=1):
    y = conv(x, state[f"{name}.conv.weight"], stride=stride)
    return np.maximum(batch_norm(y, state, f"{name}.bn"), 0)


def fusion_block(coarse, fine, state, name):
    joined = np.concatenate([fine, resize(coarse, fine.shape[-2:])], axis=1)
    return conv_norm_relu(joined, state, f"{name}.conv")


def layer_norm(x, weight=1.0, bias=0.0):
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + EPS) * weight + bias


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def cosine_matrix(source, reference):
    s, r = source.reshape(*source.shape[:2], -1), reference.reshape(*reference.shape[:2], -1)
    out = np.zeros((s.shape[0], s.shape[2], r.shape[2]))
    for b in range(s.shape[0]):
        for n in range(s.shape[2]):
            for m in range(r.shape[2]):
                lengths = np.linalg.norm(s[b, :, n]) * np.linalg.norm(r[b, :, m])
                out[b, n, m] = s[b, :, n] @ r[b, :, m] / lengths if lengths > 0 else 0
    return out


def pool(mask, size, kind):
    """Cells of equal size from the upper left corner; sizes must divide."""
    tall, wide = mask.shape[2] // size[0], mask.shape[3] // size[1]
    out = np.zeros((mask.shape[0], 1, *size))
    reduction = {"average": np.mean, "max": np.max, "min": np.min}[kind]
    for b in range(mask.shape[0]):
        for i in range(size[0]):
            for j in range(size[1]):
                cell = mask[b, 0, i * tall : (i + 1) * tall, j * wide : (j + 1) * wide]
                out[b, 0, i, j] = reduction(cell)
    return out


def window(mask, k, best):
    """Maximum or minimum within a window that an even size extends down and to the right."""
    before, after = (k - 1) // 2, k // 2
    out = np.zeros_like(mask)
    for b in range(mask.shape[0]):
        for i in range(mask.shape[2]):
            for j in range(mask.shape[3]):
                rows = slice(max(0, i - before), i + after + 1)
                columns = slice(max(0, j - before), j + after + 1)
                out[b, 0, i, j] = best(mask[b, 0, rows, columns])
    return out


def trimap(mask, erosion, dilation):
    out = np.zeros_like(mask)
    out[window(mask, dilation, np.max) == 1] = 0.5
    out[window(mask, erosion, np.min) == 1] = 1
    return out


def attention_score(attention, mask, kind="classification"):
    out = np.zeros_like(mask)
    for b in range(mask.shape[0]):
        inside = mask[b, 0].reshape(-1)
        for i in range(mask.shape[2]):
            for j in range(mask.shape[3]):
                p = (attention[b, i, j] * inside).sum() / inside.sum()
                n = (attention[b, i, j] * (1 - inside)).sum() / (1 - inside).sum()
                out[b, 0, i, j] = {
                    "classification": float(p > n),
                    "softmax": np.exp(p) / (np.exp(p) + np.exp(n)),
                    "ratio": p / n,
                }[kind]
    return out


def one_way_attention(query, context, state, name, heads):
    """One item: m x c query tokens, n x c context tokens."""

    def linear(x, key):
        return x @ state[f"{name}{key}.weight"].T + state[f"{name}{key}.bias"]

    def norm(x, key):
        return layer_norm(x, state[f"{name}{key}.weight"], state[f"{name}{key}.bias"])

    query, context = norm(query, "norm1"), norm(context, "norm1")
    q, k, v = (
        linear(x, f"attn.{key}_proj") for x, key in ((query, "q"), (context, "k"), (context, "v"))
    )
    width = q.shape[1] // heads
    mixed = np.zeros_like(q)
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for m in range(len(q)):
            mixed[m, part] = softmax(k[:, part] @ q[m, part] / math.sqrt(width)) @ v[:, part]
    query = norm(query + linear(mixed, "attn.out_proj"), "norm2")
    hidden = linear(query, "mlp.lin1")
    gelu = hidden * 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(hidden / math.sqrt(2)))
    return query + linear(gelu, "mlp.lin2")


def token_attention(target, reference, mask, args, state=None, name="", cross=None):
    """List over the batch of m x h x w attention maps."""
    state = state or {}
    if args.get("res_ratio"):
        size = (mask.shape[2] // args["res_ratio"], mask.shape[3] // args["res_ratio"])
        target = resize(target, size, args["upsample_mode"])
        reference = resize(reference, size, args["upsample_mode"])
    pooled = pool(mask, reference.shape[-2:], args["pool_type"])
    result = []
    for b in range(target.shape[0]):
        keys = target[b].reshape(target.shape[1], -1).T
        weighted = (reference[b] * pooled[b]).reshape(reference.shape[1], -1).T
        queries = weighted[pooled[b].reshape(-1) > 0]
        if cross:
            queries = one_way_attention(queries, keys, state, f"{name}attn_module.", cross)
        if f"{name}norm.weight" in state:
            affine = (state[f"{name}norm.weight"], state[f"{name}norm.bias"])
            keys, queries = layer_norm(keys, *affine), layer_norm(queries, *affine)
        scale = keys.shape[1] ** -0.5 if args.get("use_scale") else 1.0
        rows = [softmax(keys @ q * scale / args.get("temp_softmax", 1)) for q in queries]
        result.append(np.array(rows).reshape(len(queries), *target.shape[-2:]))
    return result


def guided_attention(guidance, attention):
    """Attention times the guidance of its key, at the attention's grid: b h w n."""
    on_grid = resize(guidance, attention.shape[1:3], align_corners=True)
    return attention * on_grid.reshape(len(on_grid), 1, 1, -1)


def semi_training(target, maps, attention, reference, mask, args, state, name="", cross=None):
    """Feature, guidance, attention map of the semi-training blocks."""
    attended = token_attention(
        target,
        reference,
        (mask > 0.5).astype(float),
        {**args, "use_scale": True},
        state,
        f"{name}attn_module.",
        cross,
    )
    guidance = np.stack([one.sum(axis=0) for one in attended])[:, None]
    fused, means = [], []
    for i, (level, maps_of_keys) in enumerate(zip(maps, attention, strict=True)):
        block = f"{name}attn_module_list.{i}"
        normed = layer_norm(
            guided_attention(guidance, maps_of_keys),
            state[f"{block}.ln.weight"],
            state[f"{block}.ln.bias"],
        )
        channels = np.maximum(normed, 0).transpose(0, 3, 1, 2)
        reduced = conv(channels, state[f"{block}.conv.weight"])
        feature = conv_norm_relu(level, state, f"{name}ft_module_list.{i}")
        joined = np.concatenate([feature, reduced], axis=1)
        fused.append(conv_norm_relu(joined, state, f"{name}ft_attn_module_list.{i}"))
        means.append(resize(reduced.mean(axis=1, keepdims=True), mask.shape[-2:]))
    merged = fused[0]
    for i, finer in enumerate(fused[1:]):
        merged = fusion_block(merged, finer, state, f"{name}fusion.module_list.{i}")
    return merged, guidance, np.mean(means, axis=0)


def detail_logits(feature, image, state, levels, name=""):
    pyramid = [image]
    for i in range(levels):
        pyramid.append(conv_norm_relu(pyramid[-1], state, f"{name}convstream.convs.{i}", stride=2))
    merged = feature
    for i, level in enumerate(reversed(pyramid)):
        merged = fusion_block(merged, level, state, f"{name}fusion_blks.{i}")
    head = f"{name}matting_head.matting_convs"
    hidden = conv(merged, state[f"{head}.0.weight"], state[f"{head}.0.bias"])
    hidden = np.maximum(batch_norm(hidden, state, f"{head}.1"), 0)
    return conv(hidden, state[f"{head}.3.weight"], state[f"{head}.3.bias"])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))
