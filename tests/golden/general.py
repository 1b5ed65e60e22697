# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/general.npz: reductions, windows, scatters, scans and sorts by blocks, written as plain loops,
and the associative scan of JAX. tests/unit/backend/test_general_golden.c builds the same of the inputs."""
import os

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
arrays = {}


def case(name, inputs, outputs):
    for kind, values in (("in", inputs), ("out", outputs)):
        for i, value in enumerate(values):
            arrays[f"{name}.{kind}{i}"] = np.asarray(value, order="C")


rng = np.random.default_rng(3)
w = np.float64(0.4)


def circle(x, y):
    return x + y + w * x * y


def compose(f, g):  # first f
    return f[0] * g[0], f[1] * g[0] + g[1]


x, init = rng.uniform(-0.9, 0.9, (3, 13, 2)), np.float64(0.7)
out = np.full((3, 2), init)
for k in range(13):
    out = circle(out, x[:, k])
case("reduce", [x, init, w], [out])

a, b = rng.normal(size=(2, 11)) / 2 + 0.5, rng.normal(size=(2, 11))
maps = (np.full(2, 0.5), np.full(2, 0.25))
for k in range(11):
    maps = compose(maps, (a[:, k], b[:, k]))
case("reduce_maps", [a, b], maps)
lax_a, lax_b = jax.lax.associative_scan(lambda f, g: compose(f, g), (a, b), axis=1)
case("scan", [a, b], [lax_a, lax_b])
case("scan_back", [a, b], jax.lax.associative_scan(lambda f, g: compose(f, g), (a, b), axis=1, reverse=True))

x = np.round(rng.normal(size=(4, 9)) * 3)
case("place", [x], [x.max(1), x.argmax(1).astype(np.int32)])

# window 2 x 3, stride 1 x 2, base dilation 2 x 1, window dilation 1 x 2, low 1, 0, high 0, 2
x = rng.uniform(-0.9, 0.9, (4, 5))
spread = np.full((1 + 7, 5 + 2), init)
spread[1::2, :5] = x
out = np.full((7, 2), init)
for i in range(7):
    for j in range(2):
        for p in range(2):
            for q in range(3):
                out[i, j] = circle(out[i, j], spread[i + p, 2 * j + 2 * q])
case("window", [x, init, w], [out])
one, two = rng.normal(size=6), rng.normal(size=6)
outs = []
for i in range(5):
    f = (1.0, 0.0)
    for k in range(i - 1, i + 2):
        f = compose(f, (one[k], two[k]) if 0 <= k < 6 else (1.0, 0.0))
    outs.append(f)
case("window_maps", [one, two], np.array(outs).T)

# window 2 x 3, stride 1 x 2, low 1, 0, high 0, 1
x = np.round(rng.normal(size=(3, 5)) * 2)
source = rng.uniform(-0.9, 0.9, (3, 2))
out = np.full((3, 5), init)
for i in range(3):
    for j in range(2):
        best = None
        for p in range(i - 1, i + 1):
            for q in range(2 * j, 2 * j + 3):
                if not (0 <= p < 3 and 0 <= q < 5):
                    continue
                if best is None or not abs(x[best]) >= abs(x[p, q]):
                    best = p, q
        out[best] = circle(out[best], source[i, j])
case("select", [x, source, init, w], [out])

x, ids, u = rng.uniform(-0.9, 0.9, (5, 2)), rng.integers(-1, 7, 23).astype(np.int32), rng.uniform(-0.9, 0.9, (23, 2))
out = x.copy()
for i, row in zip(ids, u):
    if 0 <= i < 5:
        out[i] = circle(out[i], row)
case("scatter", [x, ids, u, w], [out])
one, two, to = rng.normal(size=4), rng.normal(size=4), rng.integers(0, 4, 17).astype(np.int32)
more, rest = rng.normal(size=17) / 2 + 0.5, rng.normal(size=17)
outs = [one.copy(), two.copy()]
for k, i in enumerate(to):
    outs[0][i], outs[1][i] = compose((outs[0][i], outs[1][i]), (more[k], rest[k]))
case("scatter_maps", [one, two, to, more, rest], outs)

for n in (1, 2, 37, 300):
    x, y = np.round(rng.normal(size=(3, n)) * 4), rng.normal(size=(3, n))
    order = np.argsort(abs(x - 0.25), axis=1, kind="stable")
    case(f"sort_{n}", [x, y], [np.take_along_axis(x, order, 1), np.take_along_axis(y, order, 1)])
    order = np.lexsort((-np.round(y), x), axis=1)
    case(f"sort_two_{n}", [x, np.round(y)], [np.take_along_axis(x, order, 1), np.take_along_axis(np.round(y), order, 1)])

np.savez_compressed(os.path.join(os.path.dirname(os.path.abspath(__file__)), "general.npz"), **arrays)
print(len(arrays), "arrays")
