#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the memory that the first ten steps of training take to what XLA states for the same step.

    python memory.py --program build/release/bench/memory_bench

For a convolutional network and a transformer under Adam: bytes by which the process grows (and the most in between), beside
the bytes of arguments, outputs and temporaries of the compiled step in JAX (memory_analysis). Exit status 1 when growth
is above that.
"""
import argparse
import json
import os
import subprocess
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import jax.numpy as jnp


def cross_entropy(logits, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1))


def pool(x):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def conv(x, p):
    return jax.lax.conv_general_dilated(x, p["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + p["bias"]


def dense(x, p):
    return x @ p["kernel"] + p["bias"]


def cnn(p, x):
    x = pool(jax.nn.relu(conv(x, p["one"])))
    x = pool(jax.nn.relu(conv(x, p["two"])))
    x = jax.nn.relu(dense(x.reshape(x.shape[0], -1), p["hidden"]))
    return dense(x, p["out"])


def layer_norm(x, p):
    m = x.mean(-1, keepdims=True)
    v = ((x - m) ** 2).mean(-1, keepdims=True)
    return (x - m) * jax.lax.rsqrt(v + 1e-5) * p["kernel"] + p["bias"]


def transformer(p, tokens):
    x = p["tokens"][tokens] + p["positions"]
    b, t, w = x.shape
    mask = jnp.tril(jnp.ones((t, t), bool))
    for q in p["blocks"]:
        y = layer_norm(x, q["n1"])
        heads = lambda a: a.reshape(b, t, 4, w // 4).transpose(0, 2, 1, 3)
        k, v, s = heads(dense(y, q["k"])), heads(dense(y, q["v"])), heads(dense(y, q["q"]))
        score = jnp.where(mask, s @ k.swapaxes(2, 3) * (w // 4) ** -0.5, -jnp.inf)
        y = (jax.nn.softmax(score) @ v).transpose(0, 2, 1, 3).reshape(b, t, w)
        x = x + dense(y, q["o"])
        x = x + dense(jax.nn.gelu(dense(layer_norm(x, q["n2"]), q["up"])), q["down"])
    return dense(layer_norm(x, p["n"]), p["out"])


def layer(*shape):
    return {"kernel": jnp.zeros(shape), "bias": jnp.zeros(shape[-1:])}


def models():
    yield "cnn", cnn, {"one": layer(3, 3, 1, 32), "two": layer(3, 3, 32, 64), "hidden": layer(3136, 128), "out": layer(128, 10)}, \
        jnp.zeros((64, 28, 28, 1)), jnp.zeros((64,), jnp.int32)
    block = lambda: {"n1": layer(128), "n2": layer(128), "q": layer(128, 128), "k": layer(128, 128), "v": layer(128, 128),
                     "o": layer(128, 128), "up": layer(128, 512), "down": layer(512, 128)}
    yield "transformer", transformer, {"tokens": jnp.zeros((96, 128)), "positions": jnp.zeros((128, 128)),
                                       "blocks": [block(), block()], "n": layer(128), "out": layer(128, 96)}, \
        jnp.zeros((16, 128), jnp.int32), jnp.zeros((16, 128), jnp.int32)


def step_of(model):
    def step(p, m, v, count, x, labels):
        loss, g = jax.value_and_grad(lambda q: cross_entropy(model(q, x), labels))(p)
        count = count + 1
        m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
        p = jax.tree.map(lambda a, b, c: a - 1e-3 * (b / (1 - 0.9**count)) / (jnp.sqrt(c / (1 - 0.999**count)) + 1e-8), p, m, v)
        return p, m, v, count, loss
    return step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--threads", default="1")
    args = parser.parse_args()
    worse = False
    for name, model, p, x, labels in models():
        zeros = jax.tree.map(jnp.zeros_like, p)
        compiled = jax.jit(step_of(model)).lower(p, zeros, zeros, jnp.zeros(()), x, labels).compile()
        m = compiled.memory_analysis()
        parts = (m.argument_size_in_bytes, m.output_size_in_bytes, m.temp_size_in_bytes)
        mine = json.loads(subprocess.run([args.program, "--threads", args.threads, name], check=True, capture_output=True).stdout)
        allowed = sum(parts)
        worse |= mine["growth"] > allowed
        print(json.dumps({"model": name, "mica_growth": mine["growth"], "mica_peak": mine["peak"], "xla": allowed, "xla_argument": parts[0],
                          "xla_output": parts[1], "xla_temporary": parts[2], "ratio": round(mine["growth"] / allowed, 3),
                          "peak_ratio": round(mine["peak"] / allowed, 3)}))
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
