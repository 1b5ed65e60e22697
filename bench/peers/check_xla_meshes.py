#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows which collective operations XLA makes of a transformer block's training step on four devices of a CPU plugin:
of Mica's program and of JAX's with the same shardings.

    python check_xla_meshes.py --test build/release/tests/unit.backend.xla.mesh [--plugin plugin.so]

--plugin: JAX compiles by that plugin's file, else by its own CPU backend. Exit status 1 where JAX's program has a
reduce-scatter or an all-to-all that Mica's automatic one has not.
"""
import argparse
import os
import re
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--test", required=True)
parser.add_argument("--plugin")
ARGS = parser.parse_args()
if ARGS.plugin:  # four devices are what such a plugin makes unless it is told otherwise
    os.environ["PJRT_NAMES_AND_LIBRARY_PATHS"] = f"micapeer:{os.path.abspath(ARGS.plugin)}"
    os.environ["JAX_PLATFORMS"] = "micapeer"
else:
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P  # noqa: E402

BATCH, TIME, WIDTH, HEADS, HIDDEN, CLASSES = 8, 6, 16, 4, 32, 12
KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all")
# Shapes, and the sharding of each over "model" and over "data": as in tests/mesh_transformer.h.
SHAPES = [((WIDTH, WIDTH), (None, "model"), ("data", None))] * 3 + [
    ((WIDTH, WIDTH), ("model", None), ("data", None)), ((WIDTH, HIDDEN), (None, "model"), ("data", None)),
    ((HIDDEN,), ("model",), ("data",)), ((HIDDEN, WIDTH), ("model", None), ("data", None)),
    *[((WIDTH,), (), ("data",))] * 4, ((WIDTH, CLASSES), (), ("data", None))]
WAYS = {"data-parallel": ({"data": 4}, None, True), "tensor-parallel": ({"model": 4}, 1, False),
        "cut parameters": ({"data": 4}, 2, True), "data- and tensor-parallel": ({"data": 2, "model": 2}, 1, True)}


def layer_norm(x, scale, bias):
    mean = jnp.mean(x, -1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(jnp.mean(jnp.square(x - mean), -1, keepdims=True) + 1e-5) * scale + bias


def heads(x, w):
    return (x @ w).reshape(BATCH, TIME, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)


def loss(p, x, labels):
    h = layer_norm(x, p[7], p[8])
    q, k, v = (heads(h, w) for w in p[:3])
    scores = jnp.where(jnp.tril(jnp.ones((TIME, TIME), bool)), q @ k.swapaxes(-1, -2) / 2, -1e30)
    x = x + (jax.nn.softmax(scores, -1) @ v).transpose(0, 2, 1, 3).reshape(BATCH, TIME, WIDTH) @ p[3]
    h = layer_norm(x, p[9], p[10])
    x = x + jax.nn.gelu(h @ p[4] + p[5]) @ p[6]
    logits = x @ p[11]
    return jnp.mean(jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, labels[..., None], -1)[..., 0])


def step(p, x, labels):
    value, slopes = jax.value_and_grad(loss)(p, x, labels)
    return value, [w - 0.5 * g for w, g in zip(p, slopes)]


def collectives_of_jax(axes, column, cut_batch):
    mesh = Mesh(np.array(jax.devices()[:4]).reshape(tuple(axes.values())), tuple(axes))
    lie = lambda *spec: NamedSharding(mesh, P(*spec))  # noqa: E731
    weights = [lie(*(() if column is None else row[column])) for row in SHAPES]
    batch = lie(*(("data",) if cut_batch else ()))
    p = [jax.ShapeDtypeStruct(row[0], jnp.float32) for row in SHAPES]
    x, labels = jax.ShapeDtypeStruct((BATCH, TIME, WIDTH), jnp.float32), jax.ShapeDtypeStruct((BATCH, TIME), jnp.int32)
    made = jax.jit(step, in_shardings=(weights, batch, batch), out_shardings=(lie(), weights)).lower(p, x, labels).compile()
    text = made.as_text()
    return {kind: len(re.findall(rf" {kind}\(", text)) for kind in KINDS}


def main():
    run = subprocess.run([ARGS.test], text=True, stdout=subprocess.PIPE, check=True)
    mine = {m[1]: dict((k, int(n)) for k, n in re.findall(r"([a-z-]+) (\d+)", m[2]))
            for m in re.finditer(r"^(.*, (?:automatic|manual)):(.*)$", run.stdout, re.MULTILINE)}
    print(f"JAX {jax.__version__}, {jax.devices()[0].platform}; number of", ", ".join(KINDS))
    failed = not mine
    for name, way in WAYS.items():
        theirs, rows = collectives_of_jax(*way), [mine.get(f"{name}, {kind}", {}) for kind in ("automatic", "manual")]
        failed = failed or any(theirs[k] > 0 and rows[0].get(k, 0) == 0 for k in KINDS[2:])
        shown = [" ".join(f"{row.get(kind, 0):3d}" for kind in KINDS) for row in (theirs, *rows)]
        print(f"{name:26} JAX {shown[0]}   Mica automatic {shown[1]}   manual {shown[2]}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
