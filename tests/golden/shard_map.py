# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/shard_map.npz: programs for one device of four by JAX's shard_map, with gradients taken outside of
them. tests/unit/backend/test_shard_map_golden.c builds the same as manual regions."""
import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec as P

jax.config.update("jax_enable_x64", True)
mesh = jax.make_mesh((2, 2), ("a", "b"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
arrays = {}
rng = np.random.default_rng(5)


def case(name, inputs, outputs):
    for kind, values in (("in", inputs), ("out", outputs)):
        for i, value in enumerate(values):
            arrays[f"{name}.{kind}{i}"] = np.asarray(value, order="C")


def regional(f, given, made):
    return jax.jit(jax.shard_map(f, mesh=mesh, in_specs=given, out_specs=made))


def exchanges(x):
    """x [4, 2]: the part of an [8, 4]."""
    return (lax.psum(x, "b"), lax.pmean(x, "a"), lax.pmax(x, ("a", "b")), lax.all_gather(x, "b", axis=1, tiled=True)[None],
            lax.psum_scatter(x, "a", scatter_dimension=0, tiled=True),
            lax.all_to_all(x, "b", split_axis=0, concat_axis=1, tiled=True))


x = rng.normal(size=(8, 4))
case("exchanges", [x], regional(exchanges, P("a", "b"),
                                (P("a", None), P(None, "b"), P(), P("b", "a", None), P("a", "b"), P(("a", "b"), None)))(x))


def moves(x):
    number = (lax.axis_index("a") * 2 + lax.axis_index("b")).astype(jnp.float64)
    return (lax.ppermute(x, "b", [(0, 1)]), lax.ppermute(x, "a", [(0, 1), (1, 0)]) * (number + 1),
            lax.ppermute(x, ("a", "b"), [(0, 3), (3, 1), (1, 0)]))


case("moves", [x], regional(moves, P("a", "b"), (P("a", "b"),) * 3)(x))


# Two layers cut along b, the batch along a.
def tensor_parallel(x, v, w):
    y = lax.psum(jnp.tanh(x @ v) @ w, "b")
    return lax.pmean(jnp.mean(jnp.square(y)), "a")


v, w = rng.normal(size=(4, 6)) / 2, rng.normal(size=(6, 2)) / 2
loss = regional(tensor_parallel, (P("a", None), P(None, "b"), P("b", None)), P())
case("tensor_parallel", [x, v, w], (loss(x, v, w), *jax.grad(loss, (0, 1, 2))(x, v, w)))


# Weights cut along both axes, gathered where they are used (FSDP), the batch cut along both.
def gathered(x, v, w):
    v, w = (lax.all_gather(t, ("a", "b"), axis=0, tiled=True) for t in (v, w))
    return lax.pmean(jnp.mean(jnp.square(jax.nn.relu(x @ v) @ w)), ("a", "b"))


v, w = rng.normal(size=(4, 8)) / 2, rng.normal(size=(8, 2)) / 2
loss = regional(gathered, (P(("a", "b"), None),) * 3, P())
case("gathered", [x, v, w], (loss(x, v, w), *jax.grad(loss, (0, 1, 2))(x, v, w)))


# A product in rings: each device multiplies the columns that pass by with its rows.
def ring(x, w):
    def turn(carry, step):
        sums, held = carry
        at = (lax.axis_index("b") + step) % 2
        mine = lax.dynamic_slice_in_dim(x, at * w.shape[0], w.shape[0], 1)
        return (sums + jnp.sin(mine @ held), lax.ppermute(held, "b", [(0, 1), (1, 0)])), None

    start = lax.pcast(jnp.zeros((x.shape[0], w.shape[1])), ("a", "b"), to="varying")
    (sums, _), _ = lax.scan(turn, (start, w), jnp.arange(2))
    return lax.psum(sums, "b")


w = rng.normal(size=(4, 3))
product = regional(ring, (P("a", None), P("b", None)), P("a", None))
slopes = jax.grad(lambda x, w: jnp.sum(jnp.cos(product(x, w))), (0, 1))
case("ring", [x, w], (product(x, w), *slopes(x, w)))

np.savez(os.path.join(os.path.dirname(__file__), "shard_map.npz"), **arrays)
