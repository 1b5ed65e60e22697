# SPDX-License-Identifier: Apache-2.0
# Writes arrays.npz: what numpy gives for the functions of mica/ops/arrange.h, statistics.h and the
# products of vectors. name.0, name.1, ... are the operands, name.out the result; the table of names is in
# tests/unit/graph/test_array_values.c.
#
#   python3 tests/golden/make_arrays.py     (numpy 2)
import os

import numpy as np

random = np.random.default_rng(11)
entries = {}


def array(*shape):
    return np.asarray(np.round(random.uniform(-2, 2, shape), 3))


def add(name, function, *operands):
    for i, operand in enumerate(operands):
        entries[f"{name}.{i}"] = np.asarray(operand)
    with np.errstate(all="ignore"):
        entries[name + ".out"] = np.array(function(*operands), dtype=np.float64, order="C")


def with_nan(*shape):
    x = array(*shape)
    x[random.uniform(size=shape) < 0.3] = np.nan
    x[..., 0] = np.nan
    return x


add("eye", lambda: np.eye(3, 5, 1))
add("eye_below", lambda: np.eye(3, 5, -2))
add("arange", lambda: np.arange(0.5, 3, 0.25))
add("arange_down", lambda: np.arange(7, -5, -3))
add("linspace", lambda: np.linspace(-1, 2, 11))
add("linspace_one", lambda: np.linspace(3, 9, 1))
add("meshgrid", lambda x, y: np.meshgrid(x, y, indexing="ij")[1], array(2), array(3))
add("meshgrid_xy", lambda x, y, z: np.meshgrid(x, y, z)[0], array(2), array(3), array(2))
add("move_axis", lambda x: np.moveaxis(x, -1, 0), array(2, 3, 4))
add("roll", lambda x: np.roll(x, 2, 0), array(5, 3))
add("roll_back", lambda x: np.roll(x, -11, 1), array(2, 4))
add("tile", lambda x: np.tile(x, (2, 1, 3)), array(2, 3))
add("tile_short", lambda x: np.tile(x, (2,)), array(2, 3))
add("tile_many", lambda x: np.tile(x, (2, 3, 1, 2, 2)), array(2, 1, 2, 1, 3))
add("repeat", lambda x: np.repeat(x, 3, 1), array(2, 3, 2))
add("diagonal", lambda x: np.diagonal(x, -1, 0, 2), array(4, 2, 3))
add("diagonal_beside", lambda x: np.diagonal(x, 2, 2, 1), array(2, 4, 5))
add("diag", lambda x: np.diag(x, -2), array(3))
add("diag_back", lambda x: np.diag(x, 1), array(3, 5))
add("tril", lambda x: np.tril(x, 1), array(2, 3, 4))
add("triu", lambda x: np.triu(x, -1), array(4, 3))
add("any", lambda x: np.any(x, 1), [[0.0, 0], [0, np.nan], [1, 0]])
add("all", lambda x: np.all(x, 1), [[1.0, 0], [2, np.nan], [1, 1]])
add("count_nonzero", lambda x: np.count_nonzero(x, 0), [[0.0, 0], [0, np.nan], [1, -0.0]])
add("nonzero", lambda x: np.argwhere(x).T, [[0.0, 2, 0], [1, 0, -1]])
add("variance", lambda x: np.var(x, (0, 2)), array(3, 4, 5))
add("variance_large_mean", lambda x: np.var(x, 1, ddof=1), 1e9 + array(2, 6))
add("variance_none", lambda x: np.var(x, 1, ddof=1), array(3, 1))
add("std", lambda x: np.std(x, 0, ddof=1, keepdims=True), array(5, 3))
add("average", lambda x, w: np.average(x, 1, w), array(3, 4), [1.0, 2, 3, 0.5])
add("covariance", lambda x: np.cov(x), array(3, 6))
add("corrcoef", lambda x: np.corrcoef(x), array(3, 6))
add("ptp", lambda x: np.ptp(x, 1), array(3, 6))
for name in ["sum", "prod", "mean", "max", "min", "var", "std"]:
    function = getattr(np, "nan" + name)
    kept = with_nan(4, 6)
    kept[2] = np.nan
    add("nan" + name, lambda x: function(x, 1), kept)
add("nanvar_ddof", lambda x: np.nanvar(x, 0, ddof=1), with_nan(4, 6))
add("norm", lambda x: np.linalg.norm(x, 2, 1), array(3, 4))
add("norm_frobenius", lambda x: np.linalg.norm(x, "fro", (0, 2)), array(3, 2, 4))
add("norm_one", lambda x: np.linalg.norm(x, 1, 0), array(3, 4))
add("norm_most", lambda x: np.linalg.norm(x, np.inf, 0), array(3, 4))
add("norm_least", lambda x: np.linalg.norm(x, -np.inf, 0), array(3, 4))
add("norm_count", lambda x: np.linalg.norm(x, 0, 0), [[0.0, 1], [2, 0]])
add("norm_p", lambda x: np.linalg.norm(x, 2.5, 1), array(3, 4))
add("norm_negative", lambda x: np.linalg.norm(x, -1, 1), array(3, 4))
add("outer", lambda x, y: np.outer(x, y), array(3), array(2, 2))
add("kron", lambda x, y: np.kron(x, y), array(2, 3), array(3, 2))
add("kron_ranks", lambda x, y: np.kron(x, y), array(3), array(2, 1, 2))
add("cross", lambda x, y: np.cross(x, y), array(4, 3), array(3))
add("cross_first", lambda x, y: np.cross(x, y, axis=0), array(3, 2), array(3, 2))
for mode in ["full", "same", "valid"]:
    add("convolve_" + mode, lambda x, y: np.convolve(x, y, mode), array(7), array(4))
    add("convolve_swapped_" + mode, lambda x, y: np.convolve(x, y, mode), array(3), array(8))
    add("convolve_odd_" + mode, lambda x, y: np.convolve(x, y, mode), array(5), array(5))
add("masked_sum", lambda x, m: np.sum(x, 1, where=m), *(lambda x: (x, x > 0))(array(3, 6)))
add("masked_prod", lambda x, m: np.prod(x, 0, where=m), *(lambda x: (x, x > 0))(array(5, 2)))
add("masked_mean", lambda x, m: np.mean(x, 1, where=m), *(lambda x: (x, np.abs(x) > 0.4))(array(3, 6)))
add("masked_max", lambda x, m: np.max(x, 1, where=m, initial=-np.inf), array(3, 4), np.array([True, False, True, True]))
add("masked_min", lambda x, m: np.min(x, 1, where=m, initial=np.inf), array(2, 4), np.array([[True, False, True, True], [False] * 4]))


def masked_softmax(x, m):
    e = np.where(m, np.exp(x), 0)
    s = e.sum(1, keepdims=True)
    return e / np.where(s == 0, 1, s)


add("masked_softmax", masked_softmax, array(3, 5), np.array([[1, 0, 1, 1, 0], [0] * 5, [1] * 5], bool))
add("masked_log_softmax", lambda x, m: np.log(masked_softmax(x, m)), array(3, 5), np.array([[1, 0, 1, 1, 0], [0] * 5, [1] * 5], bool))
add("segment_softmax", lambda x, i: np.stack([np.exp(x[k]) / np.exp(x[i == i[k]]).sum(0) * (0 <= i[k] < 3) for k in range(7)]),
    array(7, 2), np.array([2, 0, 0, 5, 2, -1, 0], np.int32))
add("l2_normalize", lambda x: x / np.linalg.norm(x, axis=1, keepdims=True), array(4, 3))
add("l2_normalize_least", lambda x: x / np.maximum(np.linalg.norm(x, axis=0), 2.5), array(4, 3))
add("cosine", lambda x, y: (x * y).sum(0) / np.linalg.norm(x, axis=0) / np.linalg.norm(y, axis=0), array(4, 3), array(4, 1))
add("cross_cosine", lambda x, y: (x / np.linalg.norm(x, axis=-1, keepdims=True)) @ (y / np.linalg.norm(y, axis=-1, keepdims=True)).T, array(4, 3), array(2, 3))
add("skewness", lambda x: ((x - x.mean(1, keepdims=True)) ** 3).mean(1) / x.var(1) ** 1.5, array(3, 8))
add("kurtosis", lambda x: ((x - x.mean(0)) ** 4).mean(0) / x.var(0) ** 2 - 3, array(8, 3))
add("diff", lambda x: np.diff(x, 1, 0), array(5, 3))
add("diff_twice", lambda x: np.diff(x, 2, 1), array(2, 6))
add("tri", lambda: np.tri(3, 5, 1))
add("tri_below", lambda: np.tri(4, 3, -2))
add("indices", lambda: np.moveaxis(np.indices((2, 3)), 0, -1))
add("shift", lambda x: np.concatenate([np.full((2, 3), 0.0), x[:-2]]), array(5, 3))
add("shift_back", lambda x: np.concatenate([x[:, 1:], np.full((2, 1), 7.0)], 1), array(2, 4))
add("shift_out", lambda x: np.zeros_like(x), array(2, 3))
add("top_k_mask", lambda x: x >= np.sort(x, 1)[:, -2:-1], array(3, 6))
add("bottom_k_mask", lambda x: x <= np.sort(x, 0)[1], array(5, 3))
add("reduce_xor", lambda x: np.bitwise_xor.reduce(x, 1), np.array([[3, 5, -7], [1, 1, 8]], np.int32))
add("total_order", lambda x: np.argsort(np.argsort([-5, -4, -3, -2, -1, 0, 1, 2, 3])), [-np.nan, -np.inf, -1.0, -1e-300, -0.0, 0.0, 2.0, np.inf, np.nan])
add("batch_norm", lambda x, s, b: (x - x.mean((0, 2), keepdims=True)) / np.sqrt(x.var((0, 2), keepdims=True) + 0.1) * s[:, None] + b[:, None], array(3, 2, 4), array(2), array(2))
add("batch_norm_variance", lambda x: x.var(0), array(5, 3))
add("batch_norm_inference", lambda x, s, m, v: (x - m) / np.sqrt(v + 0.01) * s, array(3, 4), array(4), array(4), array(4) ** 2)
add("trapezoid", lambda y, x: np.trapezoid(y, x, axis=1), array(3, 6), array(6))
add("trapezoid_even", lambda y: np.trapezoid(y, dx=0.5, axis=0), array(6, 2))
add("interp", lambda x, xs, ys: np.interp(x, xs, ys), [-1.0, 0, 0.3, 1, 1.7, 2, 4.999, 5, 7, np.nan], [0.0, 1, 2, 5],
    [3.0, -1, 4, 0.5])
add("interp_one", lambda x, xs, ys: np.interp(x, xs, ys), [-1.0, 0, 1], [0.0], [3.0])

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "arrays.npz")
np.savez_compressed(path, **entries)
print(len([n for n in entries if n.endswith(".out")]), "cases,", os.path.getsize(path), "bytes")
