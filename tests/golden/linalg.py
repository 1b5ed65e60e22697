#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes linalg.npz: matrices that are hard on factorizations, and how well LAPACK factors them (through
scipy: numpy computes f32 in f64).

For each case: <operator>/<matrix>/<dtype>/x, and .../figures [2]: the residual and the lack of
orthogonality, both as multiples of n epsilon (the residual relative to the norm of x), computed in long
double. And for matrices that the test makes anew, of several sizes and gradings, the figures alone:
sizes/<operator>/<n>/<decades>/<dtype>/figures. tests/unit/backend/test_linalg.c holds Mica to at most
twice these figures.
"""
import os
import numpy as np
from scipy.linalg import cholesky, eigh, qr, solve, svd

N = 32
random = np.random.default_rng(7)
L = np.longdouble


def orthogonal(n):
    return np.linalg.qr(random.standard_normal((n, n)))[0]


def symmetric(values):
    q = orthogonal(len(values))
    x = (q * values) @ q.T
    return (x + x.T) / 2


def general(values, m, n):
    k = len(values)
    return (orthogonal(m)[:, :k] * values) @ orthogonal(n)[:, :k].T


graded = 10.0 ** (-12 * np.arange(N) / N)
clustered = np.where(np.arange(N) < N // 2, 1.0, 2.0) + 1e-13 * np.arange(N)
deficient = np.where(np.arange(N) < N // 3, 1.0 + np.arange(N), 0.0)
g = random.standard_normal((N, N))
rows = graded[:, None] * random.standard_normal((N, N))
wilkinson = np.diag(np.abs(np.arange(N) - N / 2.0)) + np.eye(N, k=1) + np.eye(N, k=-1)

SYMMETRIC = {
    "random": (g + g.T) / 2,
    "graded": symmetric(graded),
    "scaled": (graded[:, None] * (g + g.T) / 2) * graded,
    "clustered": symmetric(clustered),
    "deficient": symmetric(deficient),
    "wilkinson": wilkinson,
    "ones": np.ones((N, N)),
    "tiny": (g + g.T) * 1e-30,
    "huge": (g + g.T) * 1e30,
}
GENERAL = {
    "random": g,
    "graded": general(graded, N, N),
    "rows": rows,
    "clustered": general(clustered, N, N),
    "deficient": general(deficient[: N // 3], N, N),
    "tall": random.standard_normal((N + 20, N - 10)),
    "wide": random.standard_normal((N - 10, N + 20)),
    "ones": np.ones((N, N - 5)),
    "tiny": g * 1e-30,
    "huge": g * 1e30,
}
EXTREME = {"tiny": 1e-270, "huge": 1e270}  # and times this in f64


def norm(x):
    return np.sqrt((x * x).sum())


def figures(x, product, bases):
    n = max(x.shape)
    epsilon = L(np.finfo(x.dtype).eps)
    x, product = x.astype(L), product.astype(L)
    scale = np.abs(x).max()
    residual = norm((x - product) / scale) / norm(x / scale) / (n * epsilon)
    lack = max(norm(b.T @ b - np.eye(b.shape[1], dtype=L)) for b in bases) / (n * epsilon)
    return np.array([residual, lack], dtype=np.float64)


SIZES = (5, 33, 100, 190)
DECADES = (0, 3, 6)  # of grading, f64: twice as many
COLUMNS = 3  # right-hand sides of a system


def numbers(count, seed):  # splitmix64 (Steele et al. 2014), in [-1, 1), exact in f32
    with np.errstate(over="ignore"):
        z = np.arange(count, dtype=np.uint64) + (np.uint64(seed) << np.uint64(32)) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def graded_matrix(operator, n, decades):
    """Of numbers in [-1, 1), symmetric for eigh and cholesky, there with n more on the diagonal; row i and, where it is
    symmetric, column i by 10^(-decades i / n)."""
    x = numbers(n * n, n).reshape(n, n)
    scale = 10.0 ** (-decades * np.arange(n) / n)
    if operator in ("eigh", "cholesky"):
        x = np.tril(x) + np.tril(x, -1).T + (n if operator == "cholesky" else 0) * np.eye(n)
        scale = np.sqrt(scale)
        return scale[:, None] * x * scale
    return scale[:, None] * x


def graded_figures(operator, x):
    n = len(x)
    exact = [a.astype(L) for a in (x, numbers(n * COLUMNS, 1).reshape(n, COLUMNS).astype(x.dtype))]
    if operator == "eigh":  # divide and conquer, as in numpy and JAX; SciPy's own choice, evr, has ten times its errors
        w, v = (a.astype(L) for a in eigh(x, driver="evd"))
        return figures(x, (v * w) @ v.T, [v])
    if operator == "svd":  # divide and conquer, too
        u, s, vt = (a.astype(L) for a in svd(x, full_matrices=False, lapack_driver="gesdd"))
        return figures(x, (u * s) @ vt, [u, vt.T])
    if operator == "qr":
        q, r = (a.astype(L) for a in qr(x, mode="economic"))
        return figures(x, q @ r, [q])
    if operator == "cholesky":
        c = cholesky(x, lower=True).astype(L)
        return figures(x, c @ c.T, [np.eye(n, dtype=L)])
    y = solve(x, exact[1].astype(x.dtype), assume_a="general").astype(L)
    unit = n * L(np.finfo(x.dtype).eps)
    return np.array([norm(exact[0] @ y - exact[1]) / norm(exact[0]) / norm(y) / unit, 0], np.float64)


def add_sizes(out):
    for dtype, name in ((np.float64, "f64"), (np.float32, "f32")):
        for operator in ("eigh", "svd", "qr", "cholesky", "system"):
            for n in SIZES:
                for decades in DECADES:
                    x = graded_matrix(operator, n, decades * (2 if name == "f64" else 1)).astype(dtype)
                    out[f"sizes/{operator}/{n}/{decades}/{name}/figures"] = graded_figures(operator, x)


def main():
    out = {}
    for dtype, name in ((np.float64, "f64"), (np.float32, "f32")):
        for table, operator in ((SYMMETRIC, "eigh"), (GENERAL, "svd"), (GENERAL, "qr")):
            for matrix, x in table.items():
                x = (x * (EXTREME.get(matrix, 1) if name == "f64" else 1)).astype(dtype)
                if operator == "eigh":
                    w, v = (a.astype(L) for a in eigh(x, driver="evd"))
                    found = figures(x, (v * w) @ v.T, [v])
                elif operator == "svd":
                    u, s, vt = (a.astype(L) for a in svd(x, full_matrices=False))
                    found = figures(x, (u * s) @ vt, [u, vt.T])
                else:
                    q, r = (a.astype(L) for a in qr(x, mode="economic"))
                    found = figures(x, q @ r, [q])
                key = f"{operator}/{matrix}/{name}"
                if operator != "qr":
                    out[key + "/x"] = x
                out[key + "/figures"] = found
    add_sizes(out)
    np.savez_compressed(os.path.join(os.path.dirname(os.path.abspath(__file__)), "linalg.npz"), **out)
    for key, value in out.items():
        if key.endswith("figures"):
            print(key, *np.round(value, 4))


main()
