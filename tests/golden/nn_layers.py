# SPDX-License-Identifier: Apache-2.0
# Makes nn_layers.npz: layers by PyTorch in f64 (nn_cases.py).
import torch
import torch.nn.functional as F

import nn_cases

cases = nn_cases.Cases(7)
normal, case = cases.normal, cases.case


def first(x):  # channels first
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def kernel(k):  # [spatial..., in, out] -> [out, in, spatial...]
    return k.permute(-1, -2, *range(k.dim() - 2))


CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONVT = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def conv(x, k, b=None, **o):
    return last(CONV[x.dim() - 2](first(x), kernel(k), b, **o))


# ---- dense, embedding
case("dense", [normal(2, 3, 4)], {"kernel": normal(4, 5), "bias": normal(5)}, lambda x, p: x[0] @ p["kernel"] + p["bias"])
case("dense_weight_norm", [normal(3, 4)], {"kernel": normal(4, 5), "scale": normal(5), "bias": normal(5)},
     lambda x, p: x[0] @ (p["kernel"] * (p["scale"] / p["kernel"].norm(dim=0))) + p["bias"])
K_LORA = normal(4, 5)
case("dense_lora", [normal(3, 4)],
     {"kernel_lora_a": normal(4, 2), "kernel_lora_b": normal(2, 5), "bias": normal(5)},
     lambda x, p: x[0] @ (K_LORA + 3 / 2 * p["kernel_lora_a"] @ p["kernel_lora_b"]) + p["bias"],
     put={"kernel": K_LORA})
ids = torch.tensor([[0, 3, 6], [3, 1, 0]], dtype=torch.int32)
case("embedding", [ids], {"table": normal(7, 3)}, lambda x, p: F.embedding(ids.long(), p["table"]))
case("tied", [ids], {"e/table": normal(7, 3)},
     lambda x, p: torch.tanh(F.embedding(ids.long(), p["e/table"])) @ p["e/table"].T)

# ---- convolutions
case("conv1", [normal(2, 9, 3)], {"kernel": normal(3, 3, 4), "bias": normal(4)},
     lambda x, p: conv(x[0], p["kernel"], p["bias"], padding=1))
case("conv2", [normal(2, 7, 6, 4)], {"kernel": normal(3, 2, 2, 6), "bias": normal(6)},
     lambda x, p: conv(x[0], p["kernel"], p["bias"], stride=(2, 1), dilation=(1, 2), groups=2))
case("conv3", [normal(1, 4, 5, 4, 2)], {"kernel": normal(2, 2, 2, 2, 3)}, lambda x, p: conv(x[0], p["kernel"]))
case("conv_weight_norm", [normal(2, 5, 5, 2)], {"kernel": normal(3, 3, 2, 4), "scale": normal(4), "bias": normal(4)},
     lambda x, p: conv(x[0], p["kernel"] * p["scale"] / p["kernel"].square().sum((0, 1, 2)).sqrt(), p["bias"], padding=1))


def depthwise(x, k):  # [spatial..., in, multiplier] -> grouped [in multiplier, 1, spatial...]
    c, m = k.shape[-2:]
    weight = k.permute(-2, -1, *range(k.dim() - 2)).reshape(c * m, 1, *k.shape[:-2])
    return last(CONV[x.dim() - 2](first(x), weight, groups=c))


case("depthwise", [normal(2, 6, 5, 3)], {"kernel": normal(3, 3, 3, 2), "bias": normal(6)},
     lambda x, p: depthwise(x[0], p["kernel"]) + p["bias"])
case("separable", [normal(2, 6, 5, 3)], {"depthwise": normal(3, 2, 3, 2), "pointwise": normal(6, 4), "bias": normal(4)},
     lambda x, p: depthwise(x[0], p["depthwise"]) @ p["pointwise"] + p["bias"])


def conv_t(x, k, b, groups=1, **o):  # torch: [in, out / groups, spatial...]
    n = k.dim() - 2
    i, c = k.shape[-2:]  # in / groups, out
    weight = k.reshape(*k.shape[:-1], groups, c // groups).permute(n + 1, n, n + 2, *range(n))
    return last(CONVT[n](first(x), weight.reshape(i * groups, c // groups, *k.shape[:-2]), b, groups=groups, **o))


case("transpose_valid", [normal(2, 4, 3, 2)], {"kernel": normal(3, 3, 2, 5), "bias": normal(5)},
     lambda x, p: conv_t(x[0], p["kernel"], p["bias"], stride=2))
case("transpose_same", [normal(2, 4, 3, 2)], {"kernel": normal(4, 4, 2, 5), "bias": normal(5)},
     lambda x, p: conv_t(x[0], p["kernel"], p["bias"], stride=2, padding=1))
case("transpose_explicit", [normal(2, 5, 4)], {"kernel": normal(3, 2, 6), "bias": normal(6)},
     lambda x, p: conv_t(x[0], p["kernel"], p["bias"], stride=3, padding=1, output_padding=2, dilation=2, groups=2))

# ---- normalization
running = {"mean": normal(3), "variance": normal(3).abs() + 0.1}
after = {k: v.clone() for k, v in running.items()}


def batch_norm(x, p):
    y = F.batch_norm(first(x[0]), after["mean"], after["variance"], p["scale"], p["bias"], True, 0.2, 1e-3)
    return last(y)


case("batch_norm", [normal(4, 3, 2, 3)], {"scale": normal(3), "bias": normal(3)}, batch_norm,
     states=lambda: {**after, "count": torch.tensor(1.0)}, put={**running, "count": torch.tensor(0.0)})
case("batch_norm_eval", [normal(4, 3)], {"scale": normal(3), "bias": normal(3)},
     lambda x, p: F.batch_norm(x[0], running["mean"], running["variance"], p["scale"], p["bias"], False, 0, 1e-5),
     put={**running, "count": torch.tensor(0.0)})
case("layer_norm", [normal(2, 3, 5)], {"scale": normal(5), "bias": normal(5)},
     lambda x, p: F.layer_norm(x[0], (5,), p["scale"], p["bias"], 1e-5))
case("rms_norm", [normal(2, 3, 5)], {"scale": normal(5)}, lambda x, p: F.rms_norm(x[0], (5,), p["scale"], 1e-6))
case("rms_norm_centered", [normal(3, 5)], {"scale": normal(5)}, lambda x, p: F.rms_norm(x[0], (5,), 1 + p["scale"], 1e-2))
case("group_norm", [normal(2, 3, 4, 6)], {"scale": normal(6), "bias": normal(6)},
     lambda x, p: last(F.group_norm(first(x[0]), 3, p["scale"], p["bias"], 1e-5)))
case("instance_norm", [normal(2, 3, 4, 5)], {"scale": normal(5), "bias": normal(5)},
     lambda x, p: last(F.instance_norm(first(x[0]), None, None, p["scale"], p["bias"], True, 0, 1e-5)))
case("dynamic_tanh", [normal(2, 3, 4)], {"alpha": normal().reshape(()), "scale": normal(4), "bias": normal(4)},
     lambda x, p: p["scale"] * torch.tanh(p["alpha"] * x[0]) + p["bias"])

# ---- activations
z = torch.cat([normal(12) * 3, torch.tensor([0.5, -0.5, 4.0, -4.0])]).reshape(2, 8)
# (F.hardsigmoid has 1 / 6 in f32.)
ACTIVATIONS = {
    "none": lambda x: x, "relu": F.relu, "leaky_relu": lambda x: F.leaky_relu(x, 0.3), "sigmoid": torch.sigmoid,
    "hard_sigmoid": lambda x: F.relu6(x + 3) / 6, "tanh": torch.tanh, "silu": F.silu, "hard_silu": F.hardswish, "selu": F.selu,
    "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "mish": F.mish, "softplus": F.softplus,
    "elu": F.elu, "celu": F.celu, "glu": F.glu, "relu6": F.relu6,
    "swiglu": lambda x: x[..., :4] * F.silu(x[..., 4:]), "geglu": lambda x: x[..., :4] * F.gelu(x[..., 4:]),
    "reglu": lambda x: x[..., :4] * F.relu(x[..., 4:])}
for name, function in ACTIVATIONS.items():
    case("act_" + name, [z], {}, lambda x, p: function(x[0]))
case("celu2", [z], {}, lambda x, p: torch.where(x[0] > 0, x[0], 1.7 * torch.expm1(x[0] / 1.7)))  # F.celu takes alpha as f32
case("maxout", [z], {}, lambda x, p: x[0].reshape(2, 4, 2).amax(-1))
case("prelu", [z], {"slope": normal(8)}, lambda x, p: F.prelu(x[0], p["slope"]))

# ---- options
MASK = torch.tensor([[[1, 1], [1, 0], [0, 0]], [[1, 1], [1, 1], [1, 1]], [[0, 0], [0, 0], [0, 0]], [[1, 0], [0, 1], [1, 1]]]).bool()
running_m = {"mean": normal(3), "variance": normal(3).abs() + 0.1}
after_m = {}


def batch_norm_mask(x, p):
    kept = x[0][MASK]  # [places, 3]
    mean, variance = kept.mean(0), kept.var(0, unbiased=False)
    after_m["mean"] = (0.9 * running_m["mean"] + 0.1 * mean).detach()
    after_m["variance"] = (0.9 * running_m["variance"] + 0.1 * kept.var(0)).detach()
    return (x[0] - mean) / (variance + 1e-5).sqrt() * p["scale"] + p["bias"]


case("batch_norm_mask", [normal(4, 3, 2, 3), MASK], {"scale": normal(3), "bias": normal(3)}, batch_norm_mask,
     states=lambda: {**after_m, "count": torch.tensor(1.0)}, put={**running_m, "count": torch.tensor(0.0)})
case("batch_norm_frozen", [normal(4, 3)], {"bias": normal(3)},
     lambda x, p: F.batch_norm(x[0], running["mean"], running["variance"], None, p["bias"], False, 0, 1e-5),
     states=lambda: {**running, "count": torch.tensor(4.0)}, put={**running, "count": torch.tensor(4.0)})
case("layer_norm_plain", [normal(2, 3, 5)], {}, lambda x, p: F.layer_norm(x[0], (5,), None, None, 1e-3))
case("layer_norm_scale", [normal(2, 3, 5)], {"scale": normal(5)}, lambda x, p: F.layer_norm(x[0], (5,), p["scale"], None, 1e-5))
case("rms_norm_plain", [normal(2, 3, 5)], {}, lambda x, p: F.rms_norm(x[0], (5,), None, 1e-6))
case("group_norm_plain", [normal(2, 3, 4, 6)], {}, lambda x, p: last(F.group_norm(first(x[0]), 2, None, None, 1e-5)))
K_CONV = normal(3, 3, 2, 4)
case("conv_lora", [normal(2, 5, 5, 2)], {"kernel_lora_a": normal(18, 2), "kernel_lora_b": normal(2, 4), "bias": normal(4)},
     lambda x, p: conv(x[0], K_CONV + (p["kernel_lora_a"] @ p["kernel_lora_b"]).reshape(3, 3, 2, 4), p["bias"], padding=1),
     put={"kernel": K_CONV})


def penalty(k, a, b):
    return a * k.abs().sum() + b * k.square().sum()


# The losses that layers bring along, beside what they give.
case("regularized", [normal(2, 4), normal(1, 5, 5, 2)],
     {"d/kernel": normal(4, 3), "d/bias": normal(3), "c/kernel": normal(3, 3, 2, 2), "c/bias": normal(2)},
     lambda x, p: (x[0] @ p["d/kernel"] + p["d/bias"]).mean() + conv(x[1], p["c/kernel"], p["c/bias"], padding=1).mean()
     + penalty(p["d/kernel"], 0.3, 0.2) + penalty(p["c/kernel"], 0, 0.7))

cases.save("nn_layers.npz")
