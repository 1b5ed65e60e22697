# SPDX-License-Identifier: Apache-2.0
"""The workloads of bench/scaling_bench.c in numpy, SciPy, JAX and PyTorch, beside it.

  scaling.py build/release/bench/scaling_bench [--only TEXT] [--most N] [--threads N] [--seconds S]

prints for each workload and size the time of every framework, the growth exponent, and how many times the best
peer's time Mica takes. A workload is a row of PEERS: functions of numpy inputs, by framework."""
import argparse
import json
import math
import os
import subprocess
import time

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("--only", default="")
parser.add_argument("--most", type=int, default=1 << 20)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seconds", type=float, default=0.3)
arguments = parser.parse_args()
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=true"
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(arguments.threads)
os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: arguments.threads]))

import jax
import numpy as np
import torch

torch.set_num_threads(arguments.threads)
jax.config.update("jax_enable_x64", True)
jnp, lax = jax.numpy, jax.lax
random = np.random.default_rng(5)


def line(n, dtype=np.float32):
    return random.uniform(-1, 1, n).astype(dtype)


def rows(n):
    return line(n).reshape(-1, 1024)


def numbers(limit):
    return lambda n: random.integers(0, limit, n).astype(np.int32)


def joined(x, y):
    return x + y + x * y / 4


def maps(f, g):
    return f[0] * g[0], f[1] * g[0] + g[1]


def double(n):
    return line(n, np.float64)


def segment(kind):
    def jax_segment(x, i):
        return (jax.ops.segment_sum if kind == "sum" else jax.ops.segment_max)(x, i, 1024)

    def numpy_segment(x, i):
        if kind == "sum":
            return np.bincount(i, x, 1024)
        out = np.full(1024, -np.inf, np.float32)
        np.maximum.at(out, i, x)
        return out

    def torch_segment(x, i):
        return torch.zeros(1024).scatter_reduce(0, i.long(), x, "sum" if kind == "sum" else "amax")

    return {"numpy": numpy_segment, "jax": jax_segment, "torch": torch_segment}


# name: (inputs, {framework: function})
PEERS = {
    "sort": ([line], {"numpy": np.sort, "jax": jnp.sort, "torch": lambda x: torch.sort(x).values}),
    "sort.f64": ([double], {"numpy": np.sort, "jax": jnp.sort, "torch": lambda x: torch.sort(x).values}),
    "sort.rows": ([rows], {"numpy": np.sort, "jax": jnp.sort, "torch": lambda x: torch.sort(x).values}),
    "arg_sort": ([line], {"numpy": np.argsort, "jax": jnp.argsort, "torch": torch.argsort}),
    "top_k": ([line], {"numpy": lambda x: np.sort(np.partition(x, len(x) - 64)[-64:]), "jax": lambda x: lax.top_k(x, 64), "torch": lambda x: torch.topk(x, 64)}),
    "top_k.rows": ([rows], {"numpy": lambda x: np.sort(np.partition(x, 960, 1)[:, 960:], 1), "jax": lambda x: lax.top_k(x, 64), "torch": lambda x: torch.topk(x, 64)}),
    "search_sorted": ([lambda n: np.arange(n, dtype=np.float32), lambda n: abs(line(n)) * n],
                      {"numpy": np.searchsorted, "jax": jnp.searchsorted, "torch": torch.searchsorted}),
    "unique": ([numbers(1000)], {"numpy": lambda x: np.unique(x, return_counts=True), "jax": lambda x: jnp.unique(x, size=1024, return_counts=True), "torch": lambda x: torch.unique(x, return_counts=True)}),
    "median.rows": ([rows], {"numpy": lambda x: np.median(x, 1), "jax": lambda x: jnp.median(x, 1), "torch": lambda x: torch.quantile(x, 0.5, 1)}),
    "histogram": ([line], {"numpy": lambda x: np.histogram(x, np.arange(-1, 65 / 64, 1 / 64, np.float32)), "jax": lambda x: jnp.histogram(x, jnp.arange(-1, 65 / 64, 1 / 64, jnp.float32)), "torch": lambda x: torch.histc(x, 128, -1, 1)}),
    "segment_sum": ([line, numbers(1024)], segment("sum")),
    "segment_max": ([line, numbers(1024)], segment("max")),
    "cumulative_sum": ([line], {"numpy": np.cumsum, "jax": jnp.cumsum, "torch": lambda x: torch.cumsum(x, 0)}),
    "cumulative_sum.f64": ([double], {"numpy": np.cumsum, "jax": jnp.cumsum, "torch": lambda x: torch.cumsum(x, 0)}),
    "cumulative_sum.rows": ([rows], {"numpy": lambda x: np.cumsum(x, 1), "jax": lambda x: jnp.cumsum(x, 1), "torch": lambda x: torch.cumsum(x, 1)}),
    "cumulative_sum.columns": ([rows], {"numpy": lambda x: np.cumsum(x, 0), "jax": lambda x: jnp.cumsum(x, 0), "torch": lambda x: torch.cumsum(x, 0)}),
    "cumulative_max": ([line], {"numpy": np.maximum.accumulate, "jax": lax.cummax, "torch": lambda x: torch.cummax(x, 0)}),
    "cumulative_logsumexp": ([line], {"numpy": np.logaddexp.accumulate, "jax": lax.cumlogsumexp, "torch": lambda x: torch.logcumsumexp(x, 0)}),
    "linear_recurrence.rows": ([rows, rows], {"jax": lambda a, b: lax.associative_scan(maps, (a, b), axis=1)}),
    "reduce.block": ([line], {"jax": lambda x: lax.reduce(x, np.float32(0), joined, (0,))}),
    "associative_scan.block": ([line], {"jax": lambda x: lax.associative_scan(joined, x)}),
    # JAX sorts by a key: the comparator's.
    "sort.block": ([line], {"jax": lambda x: lax.sort((jnp.abs(x), x), num_keys=1)[1]}),
}


def timed(function, inputs, seconds):
    best, begin, run = math.inf, time.perf_counter(), 0
    while run < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        function(*inputs)
        if run:
            best = min(best, time.perf_counter() - start)
        run += 1
    return best * 1e3


def peers_of(name, size):
    makers, functions = PEERS.get(name, ([], {}))
    inputs, times = [make(size) for make in makers], {}
    for framework, function in functions.items():
        if framework == "jax":
            compiled = jax.jit(function)
            times[framework] = timed(lambda *x: jax.block_until_ready(compiled(*x)), [jax.device_put(x) for x in inputs], arguments.seconds)
        elif framework == "torch":
            times[framework] = timed(function, [torch.from_numpy(x) for x in inputs], arguments.seconds)
        else:
            times[framework] = timed(function, inputs, arguments.seconds)
    return times


flags = ["--threads", arguments.threads, "--only", arguments.only, "--most", arguments.most, "--seconds", arguments.seconds]
lines = subprocess.run([arguments.program, *map(str, flags)], check=True, capture_output=True, text=True).stdout
print(f"{'workload':26} {'size':>9} {'mica ms':>9} {'exponent':>8} {'ratio':>6}  peers, ms")
for row in map(json.loads, lines.splitlines()):
    times = peers_of(row["workload"], row["size"])
    ratio = f"{row['ms'] / min(times.values()):6.2f}" if times else "     -"
    peers = ", ".join(f"{name} {ms:.3f}" for name, ms in times.items())
    print(f"{row['workload']:26} {row['size']:9} {row['ms']:9.3f} {row.get('exponent', math.nan):8.2f} {ratio}  {peers}", flush=True)
