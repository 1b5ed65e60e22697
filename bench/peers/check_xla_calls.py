#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times calls on XLA beside JAX's, in turns: mica_bench on a plugin, and the same computation as jax.jit.

    python check_xla_calls.py --worker 'path/to/mica_bench --backend xla:cpu' [--plugin plugin.so] [--platform cuda]
        [--workloads call.ten_16,train.cnn,train.gpt2-2] [--full] [--rounds 9] [--seconds 0.3] [--most 0.75]
        [--most-step 1.05]

--plugin: JAX runs on that plugin's file too, the same XLA; else on its own for --platform (cpu). The figure is the
ratio of the medians of the rounds. --full: a step of GPT-2 of 124 M parameters (12 layers, 4 x 64 tokens) instead, which takes
6 GB; a round is one step of each. Exit status 1 when a ratio exceeds its limit (--most for calls, --most-step for
training steps) or the results differ.
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--plugin")
    parser.add_argument("--platform", default="cpu")
    parser.add_argument("--workloads", default="call.ten_16,train.cnn")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--most", type=float, default=0.75)
    parser.add_argument("--most-step", type=float, default=1.05)
    result = parser.parse_args()
    if result.full:
        result.workloads = "train.gpt2-12"
    return result


ARGS = arguments()
if ARGS.plugin:
    os.environ["PJRT_NAMES_AND_LIBRARY_PATHS"] = f"micapeer:{os.path.abspath(ARGS.plugin)}"
    os.environ["JAX_PLATFORMS"] = "micapeer"
else:
    os.environ["JAX_PLATFORMS"] = ARGS.platform

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402


# --- the inputs' formula, as in bench/mica_bench/data.c --------------------------------------------------------------
def mixed(seed, count):
    z = np.arange(count, dtype=np.uint64) + np.uint64(seed << 32)
    z += np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def normal(seed, *shape, scale=1.0):
    z = mixed(seed, int(np.prod(shape)))
    u = ((z >> np.uint64(40)).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-24)
    v = ((z >> np.uint64(8)) & np.uint64(0xFFFFFF)).astype(np.float32) * np.float32(2.0**-24)
    out = np.sqrt(np.float32(-2) * np.log(u)) * np.cos(np.float32(2 * np.pi) * v)
    return (out * np.float32(scale)).reshape(shape)


def integers(seed, limit, *shape):
    return ((mixed(seed, int(np.prod(shape))) >> np.uint64(33)) % np.uint64(limit)).astype(np.int32).reshape(shape)


# --- the models ------------------------------------------------------------------------------------------------------
def cross_entropy(logits, labels):
    return jnp.mean(jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, labels[..., None], -1)[..., 0])


def pooled(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def convolved(x, w):
    return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def cnn_loss(p, x, labels):
    x = pooled(jax.nn.relu(convolved(x, p["c1"]) + p["cb1"]))
    x = pooled(jax.nn.relu(convolved(x, p["c2"]) + p["cb2"]))
    x = jax.nn.relu(x.reshape(x.shape[0], -1) @ p["w1"] + p["b1"])
    return cross_entropy(x @ p["w2"] + p["b2"], labels)


def cnn(_):
    zeros = lambda n: np.zeros(n, np.float32)  # noqa: E731
    p = {"c1": normal(21, 3, 3, 1, 32, scale=1 / 3), "cb1": zeros(32), "c2": normal(22, 3, 3, 32, 64, scale=288**-0.5),
         "cb2": zeros(64), "w1": normal(23, 3136, 128, scale=1 / 56), "b1": zeros(128),
         "w2": normal(24, 128, 10, scale=128**-0.5), "b2": zeros(10)}
    return cnn_loss, p, (normal(25, 64, 28, 28, 1), integers(26, 10, 64)), 1e-3, 0.0


def layer_norm(x, scale, bias):
    mean = jnp.mean(x, -1, keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), -1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + bias


def gpt2_loss(p, tokens, targets):
    batch, length = tokens.shape
    x = p["tokens"][tokens] + p["positions"]
    mask = jnp.tril(jnp.ones((length, length), bool))
    for b in p["blocks"]:
        h = layer_norm(x, *b[0:2]) @ b[2] + b[3]
        q, k, v = [t.reshape(batch, length, 12, 64).transpose(0, 2, 1, 3) for t in jnp.split(h, 3, -1)]
        scores = jnp.where(mask, q @ k.swapaxes(-1, -2) * 0.125, -1e30)
        h = (jax.nn.softmax(scores, -1) @ v).transpose(0, 2, 1, 3).reshape(batch, length, 768)
        x = x + h @ b[4] + b[5]
        h = jax.nn.gelu(layer_norm(x, *b[6:8]) @ b[8] + b[9], approximate=True)
        x = x + h @ b[10] + b[11]
    return cross_entropy(layer_norm(x, p["scale"], p["bias"]) @ p["tokens"].T, targets)


def gpt2(layers):
    ones, zeros = (lambda n: np.ones(n, np.float32)), (lambda n: np.zeros(n, np.float32))
    p = {"tokens": normal(51, 50257, 768, scale=0.02), "positions": normal(52, 64, 768, scale=0.02),
         "scale": ones(768), "bias": zeros(768), "blocks": []}
    for layer in range(layers):
        s = 100 + 10 * layer
        p["blocks"].append([ones(768), zeros(768), normal(s, 768, 2304, scale=0.02), zeros(2304),
                            normal(s + 1, 768, 768, scale=0.02), zeros(768), ones(768), zeros(768),
                            normal(s + 2, 768, 3072, scale=0.02), zeros(3072),
                            normal(s + 3, 3072, 768, scale=0.02), zeros(768)])
    t = integers(53, 50257, 4, 65)
    return gpt2_loss, p, (np.ascontiguousarray(t[:, :-1]), np.ascontiguousarray(t[:, 1:])), 3e-4, 0.1


def adam_step(loss, rate, decay):
    def step(p, first, second, count, *batch):
        value, g = jax.value_and_grad(loss)(p, *batch)
        count = count + 1
        first = jax.tree.map(lambda m, d: 0.9 * m + 0.1 * d, first, g)
        second = jax.tree.map(lambda v, d: 0.999 * v + 0.001 * d * d, second, g)
        c1, c2 = 1 - 0.9**count, 1 - 0.999**count
        p = jax.tree.map(lambda w, m, v: w - rate * (m / c1 / (jnp.sqrt(v / c2) + 1e-8) + decay * w), p, first, second)
        return p, first, second, count, value
    return jax.jit(step, donate_argnums=(0, 1, 2, 3))


# --- measuring -------------------------------------------------------------------------------------------------------
def ten_operators(x):
    a = jnp.tanh(x * 0.5 + 0.25)
    b = jnp.sqrt(a * x + 4)
    return b / jnp.exp(-a) - x


def prepare_jax(name):
    """A function that makes one call and returns what to wait for, and the check value of the first call."""
    if name == "call.ten_16":
        call, x = jax.jit(ten_operators), jax.device_put(normal(1, 16))
        return (lambda: call(x)), float(np.mean(np.abs(call(x)), dtype=np.float64))
    model, _, layers = name.removeprefix("train.").partition("-")
    loss, p, batch, rate, decay = {"cnn": cnn, "gpt2": gpt2}[model](int(layers or 12))
    batch = [jax.device_put(b) for b in batch]
    # Each of them has memory of its own, since all are donated.
    state = [jax.tree.map(jax.device_put, p), *(jax.tree.map(lambda w: jax.device_put(np.zeros_like(w)), p) for _ in "mv"),
             jax.device_put(np.float32(0))]
    step = adam_step(loss, rate, decay)

    def call():
        *state[:], value = step(*state, *batch)
        return value

    return call, float(call())


def time_jax(call, seconds):
    begin = time.perf_counter()
    jax.block_until_ready(call())
    one = time.perf_counter() - begin
    if one > 5 * seconds:  # as the worker does
        return one * 1e3
    inner, samples, end = max(1, int(2e-4 / one)), [], time.perf_counter() + seconds
    while len(samples) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(inner):
            result = call()
        jax.block_until_ready(result)
        samples.append((time.perf_counter() - begin) / inner * 1e3)
    return statistics.median(samples)


def main():
    worker = subprocess.Popen(shlex.split(ARGS.worker) + ["--serve"], text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, bufsize=1)

    def ask(**request):
        worker.stdin.write(json.dumps(request) + "\n")
        answer = json.loads(worker.stdout.readline())
        if "skip" in answer:
            sys.exit(f"{request}: {answer['skip']}")
        return answer

    print(json.loads(worker.stdout.readline())["info"]["device"], "against jax", jax.__version__, jax.devices()[0])
    failed = False
    for name in ARGS.workloads.split(","):
        mine = ask(command="prepare", workload=name)["check"]
        call, theirs = prepare_jax(name)
        ours, jaxs = [], []
        for _ in range(ARGS.rounds):
            ours.append(ask(command="time", seconds=ARGS.seconds)["ms"])
            jaxs.append(time_jax(call, ARGS.seconds))
        ratio = statistics.median(ours) / statistics.median(jaxs)
        difference = abs(mine - theirs) / abs(theirs)
        most = ARGS.most if name.startswith("call.") else ARGS.most_step
        failed = failed or ratio > most or difference > 1e-4
        print(f"{name}: {statistics.median(ours) * 1e3:.4g} us against {statistics.median(jaxs) * 1e3:.4g}: {ratio:.3f} "
              f"(at most {most}); check {mine:.7g} against {theirs:.7g}", flush=True)
        ask(command="drop")
    worker.stdin.close()
    sys.exit(failed)


if __name__ == "__main__":
    main()
