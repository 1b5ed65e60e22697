# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/sorting.npz: what numpy and JAX give for order, running folds, segments and quantiles, with
NaN, infinities, both zeros, ties and empty axes. Each case has arrays <case>.in0.. and <case>.out0..; the table
of tests/unit/backend/test_sorting_golden.c says what is built of the inputs."""
import os
import warnings

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
warnings.simplefilter("ignore")
jnp, lax = jax.numpy, jax.lax
arrays = {}


def case(name, inputs, outputs):
    for kind, values in (("in", inputs), ("out", outputs)):
        for i, value in enumerate(values):
            arrays[f"{name}.{kind}{i}"] = np.asarray(value, order="C")


rng = np.random.default_rng(7)
nan, inf = np.nan, np.inf
odd = np.array([3, nan, -0.0, 1, 0.0, -inf, 1, inf, -nan, -1, 0.0, -0.0, 3, -1e-40], np.float32)
rows = rng.integers(-4, 5, (3, 11)).astype(np.float32)
rows[1, 4] = nan
rows[2, :] = 1
ints = rng.integers(-9, 9, (2, 130)).astype(np.int32)

for label, x in (("odd", odd[None]), ("rows", rows), ("ints", ints)):
    up = np.argsort(x, axis=1, kind="stable").astype(np.int32)
    down = np.argsort(np.flip(x, 1), axis=1, kind="stable")
    down = np.flip(x.shape[1] - 1 - down, 1).astype(np.int32)
    case(f"sort_{label}", [x], [np.take_along_axis(x, up, 1), up])
    case(f"sort_down_{label}", [x], [np.take_along_axis(x, down, 1), down])
    case(f"sort_columns_{label}", [x.T], [np.take_along_axis(x, up, 1).T, up.T])
    x = np.where(x != x, nan, x).astype(x.dtype) if x.dtype == np.float32 else x  # XLA looks at the sign of NaN
    values, places = lax.top_k(jnp.array(x), 5)
    case(f"top_{label}", [x], [values, np.asarray(places, np.int32)])
    case(f"extreme_{label}", [x], [np.argmax(x, 1).astype(np.int32), np.argmin(x, 1).astype(np.int32)])
case("sort_empty", [np.zeros((3, 0), np.float32)], [np.zeros((3, 0), np.float32), np.zeros((3, 0), np.int32)])

a, b, c = rng.integers(0, 3, 40), rng.integers(0, 4, 40).astype(np.float32), rng.normal(size=40)
case("lexicographic", [a.astype(np.int64), b, c], lax.sort((jnp.array(a), jnp.array(b), jnp.array(c)), num_keys=2))

line = np.sort(np.array([1, 2, 2, 2, 5, 7, inf, nan, -inf, 0], np.float64))
asked = np.array([[2, 0, -inf, 6], [nan, inf, 8, -0.0]], np.float64)
case("search_left", [line, asked], [np.searchsorted(line, asked, "left").astype(np.int32)])
case("search_right", [line, asked], [np.searchsorted(line, asked, "right").astype(np.int32)])
case("search_empty", [line[:0], asked], [np.searchsorted(line[:0], asked).astype(np.int32)])

values, places, inverse, counts = np.unique(odd, return_index=True, return_inverse=True, return_counts=True)
room = 12 - len(values)
case("unique", [odd, np.float32(99)], [np.append(values, [np.float32(99)] * room), np.append(places, [0] * room).astype(np.int32),
                                       inverse.astype(np.int32), np.append(counts, [0] * room).astype(np.int32)])
few = [np.asarray(v) for v in jnp.unique(jnp.array(rows[0]), return_index=True, return_counts=True, size=3)]
case("unique_few", [rows[0]], [few[0], few[1].astype(np.int32), few[2].astype(np.int32)])

numbers = rng.integers(0, 9, (4, 7)).astype(np.int32)
weights = rng.normal(size=(4, 7)).astype(np.float32)
case("bincount", [numbers, weights], [np.bincount(numbers.ravel(), minlength=12).astype(np.int32),
                                      np.bincount(numbers.ravel(), weights.ravel(), 12).astype(np.float32)])
edges = np.array([-2, -1, 0, 0.5, 4], np.float32)
some = np.array([-2, -3, -1, 0, 0.25, 4, 4.5, 0.5, 3, -1.5, inf], np.float32)
some_weights = np.arange(11).astype(np.float32)
case("histogram", [some, edges, some_weights], [np.histogram(some, edges)[0].astype(np.int32),
                                                np.histogram(some, edges, weights=some_weights)[0].astype(np.float32)])

x = rng.normal(size=(4, 9)).astype(np.float64)
holes = x.copy()
holes[0, 3] = holes[2, :] = holes[3, 1] = holes[3, 2] = nan
holes[1, 5] = inf
q = np.array([0, 0.1, 0.5, 0.77, 1])
finite = np.where(holes == inf, 9, holes)  # between two infinities numpy finds NaN
for method in ("linear", "lower", "higher", "nearest", "midpoint"):
    of = finite if method in ("linear", "midpoint") else holes
    case(f"quantile_{method}", [of, q], [np.quantile(of, q, axis=1, method=method)])
    case(f"nan_quantile_{method}", [of, q], [np.nanquantile(of, q, axis=1, method=method)])
case("median", [x], [np.median(x, axis=0), np.median(x)])
case("quantile_float", [x.astype(np.float32), q.astype(np.float32)],
     [jnp.quantile(jnp.array(x, jnp.float32), jnp.array(q, jnp.float32), axis=(0, 1), keepdims=True)])

wide = rng.normal(size=(3, 2, 270)).astype(np.float32)
wide[1, 1, 40] = nan
big = rng.normal(scale=40, size=(2, 270))
big[0, :3] = -inf
for axis in (0, 1, 2):
    case(f"cumulative_sum_{axis}", [wide], [np.cumsum(wide, axis, dtype=np.float64).astype(np.float32)])
    case(f"cumulative_max_{axis}", [wide], [np.maximum.accumulate(wide, axis)])
    case(f"cumulative_min_{axis}", [wide], [np.minimum.accumulate(wide, axis)])
case("cumulative_prod", [1 + wide / 8], [np.cumprod(1 + wide / 8, 1)])
case("cumulative_ints", [ints], [np.cumsum(ints, 1, dtype=np.int32), np.cumprod(ints, 1, dtype=np.int32)])
case("cumulative_logsumexp", [big], [np.logaddexp.accumulate(big, 1), lax.cumlogsumexp(jnp.array(big), 1, reverse=True)])
case("cumulative_empty", [np.zeros((2, 0))], [np.zeros((2, 0))])

data, ids = rng.normal(size=(20, 3)).astype(np.float32), rng.integers(0, 6, 20).astype(np.int32)
data[4, 1] = nan
ids[ids == 4] = 9
segments = [f(jnp.array(data), jnp.array(ids), 7)
            for f in (jax.ops.segment_sum, jax.ops.segment_prod, jax.ops.segment_max, jax.ops.segment_min)]
case("segments", [data, ids], segments)

# Equal indices: the last update stays; those out of range are left out.
target, where = rng.normal(size=(5, 2)), np.array([3, 0, 3, 9, 0, 3, -1], np.int32)
rows_to_set, set_rows = rng.normal(size=(7, 2)), target.copy()
for i, row in zip(where, rows_to_set):
    if 0 <= i < 5:
        set_rows[i] = row
case("scatter_set", [target, where, rows_to_set], [set_rows])

# Gradients of sum(weight * f(x)), by JAX.
zeros = np.array([0.5, 0, -2, 3, 0, 1.5])
w = rng.normal(size=6)
ties = np.array([2.0, 1, 2, 0, 5, -1])


def gradient(f, *x):
    return jax.grad(lambda *v: jnp.sum(w[: f(*v).shape[0]] * f(*v)), tuple(range(len(x))))(*map(jnp.array, x))


case("gradient_sort", [ties, w], gradient(jnp.sort, ties))
case("gradient_top", [ties, w[:3]], gradient(lambda v: lax.top_k(v, 3)[0], ties))
case("gradient_prod", [zeros, w], gradient(jnp.cumprod, zeros))
case("gradient_logsumexp", [zeros, w], gradient(lambda v: lax.cumlogsumexp(v), zeros))
case("gradient_quantile", [zeros + np.arange(6) * 0.01, w[:2]],
     gradient(lambda v: jnp.quantile(v, jnp.array([0.3, 0.9])), zeros + np.arange(6) * 0.01))

np.savez_compressed(os.path.join(os.path.dirname(os.path.abspath(__file__)), "sorting.npz"), **arrays)
print(len(arrays), "arrays")
