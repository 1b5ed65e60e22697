#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times a call of a compiled function of ten operators on sixteen floats: mica_bench's call.ten_16 beside JAX's jit.

    python check_calls.py --worker 'path/to/mica_bench' [--rounds 7] [--seconds 0.25] [--most 0.2]

The two take turns; the figure is the ratio of the medians. Exit status 1 when it exceeds --most or the results differ.
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.25)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--most", type=float, default=0.2)
    args = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import jax.numpy as jnp
    import numpy as np

    def normal(seed, count):  # the inputs' formula: the peers' README, "Data"
        mask = (1 << 64) - 1
        values = []
        for i in range(count):
            z = ((seed << 32) + i + 0x9E3779B97F4A7C15) & mask
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
            z ^= z >> 31
            u, v = ((z >> 40) + 0.5) / 2**24, ((z >> 8) & 0xFFFFFF) / 2**24
            values.append(np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v))
        return np.array(values, np.float32)

    @jax.jit
    def ten_operators(x):
        a = jnp.tanh(x * 0.5 + 0.25)
        b = jnp.sqrt(a * x + 4)
        return b / jnp.exp(-a) - x

    x = jax.device_put(normal(1, 16))
    theirs = float(np.mean(np.abs(ten_operators(x)), dtype=np.float64))

    def time_jax(seconds):
        samples, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            begin = time.perf_counter()
            for _ in range(50):
                result = ten_operators(x)
            result.block_until_ready()
            samples.append((time.perf_counter() - begin) / 50 * 1e3)
        return statistics.median(samples)

    worker = subprocess.Popen(shlex.split(args.worker) + ["--serve", "--threads", str(args.threads)], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)

    def ask(**request):
        worker.stdin.write(json.dumps(request) + "\n")
        return json.loads(worker.stdout.readline())

    worker.stdout.readline()
    mine = ask(command="prepare", workload="call.ten_16")["check"]
    ours, jaxs = [], []
    for _ in range(args.rounds):
        ours.append(ask(command="time", seconds=args.seconds)["ms"])
        jaxs.append(time_jax(args.seconds))
    worker.stdin.close()
    ratio = statistics.median(ours) / statistics.median(jaxs)
    difference = abs(mine - theirs) / theirs
    print(f"check {mine:.7g} against {theirs:.7g}; {statistics.median(ours) * 1e3:.3g} us against "
          f"{statistics.median(jaxs) * 1e3:.3g} us of jax {jax.__version__}: {ratio:.3f}")
    sys.exit(ratio > args.most or difference > 1e-5)


if __name__ == "__main__":
    main()
