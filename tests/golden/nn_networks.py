# SPDX-License-Identifier: Apache-2.0
# Makes nn_networks.npz: feed-forward networks, mixtures of experts, rational functions, calibration, KAN and vector neurons by
# PyTorch (splines checked against scipy) in f64 (nn_cases.py).
import math

import numpy as np
import scipy.interpolate
import torch
import torch.nn.functional as F

import nn_cases

cases = nn_cases.Cases(31)
normal, case = cases.normal, cases.case

x = normal(4, 3)
net = {"hidden0/kernel": normal(3, 5), "hidden0/bias": normal(5), "hidden1/kernel": normal(5, 5), "hidden1/bias": normal(5),
       "out/kernel": normal(5, 2), "out/bias": normal(2)}


def fnn(x, p):
    x = torch.tanh(x @ p["hidden0/kernel"] + p["hidden0/bias"])
    x = x + torch.tanh(x @ p["hidden1/kernel"] + p["hidden1/bias"])
    return x @ p["out/kernel"] + p["out/bias"]


case("fnn", [x], net, lambda i, p: fnn(i[0], p))
many = {"hidden0/kernel": normal(6, 3, 5), "hidden0/bias": normal(6, 1, 5), "out/kernel": normal(6, 5, 2), "out/bias": normal(6, 1, 2)}
case("ensemble", [x], many, lambda i, p: ((F.relu(i[0] @ p["hidden0/kernel"] + p["hidden0/bias"])) @ p["out/kernel"]
                                         + p["out/bias"]).transpose(0, 1))


# ---- experts, row by row
def experts(x, p, chosen, capacity):
    rows, n = x.shape[0], p["up"].shape[0]
    room = min(rows, math.ceil(capacity * rows * chosen / n))
    probability = F.softmax(x @ p["router"], -1)
    best, expert = probability.topk(chosen, -1)
    best = best / best.sum(-1, keepdim=True)
    used, out = [0] * n, [torch.zeros(x.shape[1]) for _ in range(rows)]
    for c in range(chosen):
        for r in range(rows):
            e = int(expert[r, c])
            used[e] += 1
            if used[e] <= room:
                y = F.gelu(x[r] @ p["up"][e] + p["up_bias"][e, 0]) @ p["down"][e] + p["down_bias"][e, 0]
                out[r] = out[r] + best[r, c] * y
    return torch.stack(out)


moe = {"router": normal(4, 3), "up": normal(3, 4, 6), "up_bias": normal(3, 1, 6), "down": normal(3, 6, 4), "down_bias": normal(3, 1, 4)}
rows = normal(9, 4)
case("experts", [rows], moe, lambda i, p: experts(i[0], p, 2, 100.0))
case("experts_full", [rows], moe, lambda i, p: experts(i[0], p, 2, 0.8))
case("experts_switch", [rows], moe, lambda i, p: experts(i[0], p, 1, 1.0))


# ---- rational functions
def rational(x, p, version, groups, prefix=""):
    n = x.shape[-1] // groups
    a = p[prefix + "numerator"].repeat_interleave(n, 0)
    b = p[prefix + "denominator"].repeat_interleave(n, 0)
    top = sum(a[:, i] * x ** i for i in range(6))
    terms = [b[:, i] * x ** (i + 1) for i in range(4)]
    bottom = 1 + (sum(t.abs() for t in terms) if version == "a" else sum(terms).abs())
    return top / bottom


case("rational_a", [normal(3, 6)], {"numerator": normal(2, 6), "denominator": normal(2, 4)}, lambda i, p: rational(i[0], p, "a", 2))
case("rational_b", [normal(3, 6)], {"numerator": normal(3, 6), "denominator": normal(3, 4)}, lambda i, p: rational(i[0], p, "b", 3))


# ---- calibration: straight lines by numpy.interp, gradients by the same in torch
points = torch.tensor(np.sort(cases.rng.normal(size=(3, 5)), 1))
def lines(x, y):
    out = []
    for f in range(3):
        k, v = points[f], x[:, f]
        at = torch.searchsorted(k, v.detach()).clamp(1, 4)
        share = ((v - k[at - 1]) / (k[at] - k[at - 1])).clamp(0, 1)
        out.append(y[f, at - 1] + share * (y[f, at] - y[f, at - 1]))
    return torch.stack(out, 1)


z, heights = 1.5 * normal(7, 3), normal(3, 5)
assert np.allclose(lines(z, heights).numpy(), np.stack([np.interp(z[:, f], points[f], heights[f]) for f in range(3)], 1))
case("calibration", [z, points], {"outputs": heights}, lambda i, p: lines(i[0], p["outputs"]))
case("calibration_monotonic", [z, points], {"outputs": heights},
     lambda i, p: lines(i[0], torch.cat([p["outputs"][:, :1], p["outputs"][:, :1]
                                         + F.relu(p["outputs"].diff(dim=1)).cumsum(1)], 1)))


# ---- splines
def splines(x, degree, intervals, low, high):
    h = (high - low) / intervals
    knots = low + h * (torch.arange(intervals + 2 * degree + 1).double() - degree)
    x = x.clamp(low, high)[..., None]
    last = low + h * (intervals - 1)
    basis = ((x >= knots[:-1]) & (x < knots[1:])).double()
    at_end = (x >= high).double() * (torch.isclose(knots[:-1], torch.tensor(last))).double()
    basis = torch.where(x >= high, at_end, basis)
    for p in range(1, degree + 1):
        left = (x - knots[:-p - 1]) / (knots[p:-1] - knots[:-p - 1])
        right = (knots[p + 1:] - x) / (knots[p + 1:] - knots[1:-p])
        basis = left * basis[..., :-1] + right * basis[..., 1:]
    return basis


x = 0.8 * normal(6, 4)
for degree in [1, 2, 3]:  # against scipy
    h = 2 / 5
    knots = -1 + h * (np.arange(5 + 2 * degree + 1) - degree)
    t = np.linspace(-0.99, 0.99, 37)
    wanted = scipy.interpolate.BSpline.design_matrix(t, knots, degree).toarray()
    assert np.allclose(splines(torch.tensor(t), degree, 5, -1.0, 1.0).numpy(), wanted)
case("bsplines", [x], {}, lambda i, p: splines(i[0], 3, 5, -1.0, 1.0))


def kan(x, p, degree, intervals, low, high, base=True):
    y = torch.einsum("bic,ico->bo", splines(x, degree, intervals, low, high), p["coefficients"])
    return y + F.silu(x) @ p["base"] if base else y


case("kan", [x], {"coefficients": normal(4, 11, 3), "base": normal(4, 3)}, lambda i, p: kan(i[0], p, 3, 8, -1.0, 1.0))
case("kan_linear", [x], {"coefficients": normal(4, 6, 3)}, lambda i, p: kan(i[0], p, 1, 5, -2.0, 2.0, False))
case("kan_discrete", [x], {"coefficients": normal(4, 5, 3), "base": normal(4, 3)}, lambda i, p: kan(i[0], p, 0, 5, -2.0, 2.0))


def soft(x, p):  # the triangle's distribution, in intervals
    u = ((x + 2) * 5 / 4).clamp(0, 5)[..., None]
    v = ((u - torch.arange(1, 5)) / 0.3).clamp(-1, 1)
    passed = torch.where(v < 0, (v + 1) ** 2 / 2, 1 - (1 - v) ** 2 / 2)
    one = torch.ones_like(u)
    basis = torch.cat([one, passed], -1) - torch.cat([passed, 0 * one], -1)
    return torch.einsum("bic,ico->bo", basis, p["coefficients"])


case("kan_soft", [x], {"coefficients": normal(4, 5, 3)}, lambda i, p: soft(i[0], p))
case("kan_rational", [x], {"rational/numerator": normal(2, 6), "rational/denominator": normal(2, 4), "kernel": normal(4, 3),
                           "bias": normal(3)},
     lambda i, p: rational(i[0], p, "b", 2, "rational/") @ p["kernel"] + p["bias"])

# ---- vector neurons
v = normal(2, 4, 3)
case("vector_dense", [v], {"kernel": normal(4, 5)}, lambda i, p: torch.einsum("bcx,cd->bdx", i[0], p["kernel"]))


def vector_relu(x, p):
    k = torch.einsum("bcx,cd->bdx", x, p["kernel"])
    along = (x * k).sum(-1, keepdim=True)
    return torch.where(along >= 0, x, 0.2 * x + 0.8 * (x - along * k / ((k * k).sum(-1, keepdim=True) + 1e-6)))


case("vector_relu", [v], {"kernel": normal(4, 4)}, lambda i, p: vector_relu(i[0], p))


def vector_norm(x, p):
    size = (x.square().sum(-1) + 1e-12).sqrt()
    return x * (F.layer_norm(size, (4,), p["scale"], p["bias"], 1e-5) / size)[..., None]


case("vector_layer_norm", [v], {"scale": normal(4), "bias": normal(4)}, lambda i, p: vector_norm(i[0], p))
case("vector_products", [v, normal(2, 2, 3)], {}, lambda i, p: i[0] @ i[1].transpose(1, 2))


# ---- options
def fnn_norm(x, p):
    for n in ["hidden0", "hidden1"]:
        x = x @ p[n + "/kernel"] + p[n + "/bias"]
        x = F.gelu(F.layer_norm(x, (5,), p[n + "/norm/scale"], p[n + "/norm/bias"], 1e-5))
    kernels = [p[n + "/kernel"] for n in ["hidden0", "hidden1", "out"]]
    loss = sum(0.1 * k.abs().sum() + 0.05 * k.square().sum() for k in kernels)
    return x @ p["out/kernel"] + p["out/bias"] + loss


case("fnn_norm", [normal(4, 3)], {**net, **{f"hidden{i}/norm/{n}": normal(5) for i in range(2) for n in ["scale", "bias"]}},
     lambda i, p: fnn_norm(i[0], p))


def balance(x, p):
    probability = F.softmax(x @ p["router"], -1)
    share = F.one_hot(probability.argmax(-1), 3).double().mean(0)
    return (0.5 * 3 * (share * probability.mean(0)).sum()).reshape(1)


case("experts_balance", [rows], moe, lambda i, p: balance(i[0], p))

cases.save("nn_networks.npz")
