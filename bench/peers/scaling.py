# SPDX-License-Identifier: Apache-2.0
"""The workloads of bench/scaling_bench in numpy, SciPy and JAX, timed in turns with it.

  scaling.py build/release/bench/scaling_bench [--only TEXT] [--most N] [--threads N] [--seconds S] [--rounds N]
             [--torch] [--wait] [--write docs/scaling.md]

prints for each workload and size the median time of every library, the growth exponent from the size before, and how
many times the best peer's time Mica takes. In each of N rounds every library runs for S seconds, one after the other,
so that what else the machine does meets all of them; all programs are compiled before the first is timed, and --wait
waits for a line of input there, until the machine is quiet. PyTorch is shown with --torch and does not count as a peer.
--write puts the table into a page. A workload is a row of PEERS: makers of inputs, and functions by library."""
import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import time

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("--only", default="")
parser.add_argument("--most", type=int, default=1 << 20)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seconds", type=float, default=0.1)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--torch", action="store_true")
parser.add_argument("--wait", action="store_true")
parser.add_argument("--write")
arguments = parser.parse_args()
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=true"
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(arguments.threads)
os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: arguments.threads]))

import jax
import numpy as np
import scipy
import scipy.fft
import scipy.linalg
import scipy.special

if arguments.torch:
    import torch

    torch.set_num_threads(arguments.threads)
jax.config.update("jax_enable_x64", True)
jnp, lax = jax.numpy, jax.lax
random = np.random.default_rng(5)
WITHIN, NEVER, EXCEPTIONS = 3, 10, 3  # what is aimed at: a ratio, one that nothing exceeds, and how many may exceed the first


# ---- inputs for a size: elements, or rows of a matrix ----


def line(n, dtype=np.float32):
    return random.uniform(-1, 1, n).astype(dtype)


def double(n):
    return line(n, np.float64)


def rows(n):
    return line(n).reshape(-1, 1024)


def rows_of_64(n):
    return line(n).reshape(-1, 64)


def numbers(limit, part=1):
    return lambda n: random.integers(0, limit or n, n // part).astype(np.int32)


def complex_line(n, dtype=np.complex64):
    return (line(n, np.float64) + 1j * line(n, np.float64)).astype(dtype)


def prime(n):
    n -= 1
    while any(n % k == 0 for k in range(2, math.isqrt(n) + 1)):
        n -= 1
    return n


def matrix(dtype):
    return lambda n: random.uniform(-1, 1, (n, n)).astype(dtype)


def dominant(dtype):
    def make(n):
        half = np.tril(random.uniform(-1, 1, (n, n)))
        return (half + np.tril(half, -1).T + n * np.eye(n)).astype(dtype)

    return make


# ---- workloads ----


def joined(x, y):
    return x + y + x * y / 4


def maps(f, g):
    return f[0] * g[0], f[1] * g[0] + g[1]


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


def numpy_add_at(x, i, y):
    out = x.copy()
    np.add.at(out, i, y)
    return out


def numpy_set_at(x, i, y):
    out = x.copy()
    out[i] = y
    return out


SORT = {"numpy": np.sort, "jax": jnp.sort, "torch": lambda x: torch.sort(x).values}
FFT = {"numpy": np.fft.fft, "scipy": lambda x: scipy.fft.fft(x, workers=arguments.threads), "jax": jnp.fft.fft, "torch": lambda x: torch.fft.fft(x)}
CHOLESKY = {"numpy": np.linalg.cholesky, "scipy": lambda x: scipy.linalg.cholesky(x, lower=True, check_finite=False), "jax": jnp.linalg.cholesky, "torch": lambda x: torch.linalg.cholesky(x)}
QR = {"numpy": np.linalg.qr, "scipy": lambda x: scipy.linalg.qr(x, mode="economic", check_finite=False), "jax": jnp.linalg.qr, "torch": lambda x: torch.linalg.qr(x)}
SVD = {"numpy": lambda x: np.linalg.svd(x, full_matrices=False), "scipy": lambda x: scipy.linalg.svd(x, full_matrices=False, check_finite=False), "jax": lambda x: jnp.linalg.svd(x, full_matrices=False), "torch": lambda x: torch.linalg.svd(x, full_matrices=False)}
EIGH = {"numpy": np.linalg.eigh, "scipy": lambda x: scipy.linalg.eigh(x, check_finite=False), "jax": jnp.linalg.eigh, "torch": lambda x: torch.linalg.eigh(x)}
DRAW = np.random.default_rng(7)
KEY = jax.random.key(5, impl="threefry2x32")  # jax.random.poisson takes no other


def cumulative(axis):
    return {"numpy": lambda x: np.cumsum(x, axis), "jax": lambda x: jnp.cumsum(x, axis), "torch": lambda x: torch.cumsum(x, axis)}


# name: (inputs, {library: function})
PEERS = {
    "sort": ([line], SORT),
    "sort.f64": ([double], SORT),
    "sort.rows": ([rows], SORT),
    # JAX sorts by a key: the comparator's.
    "sort.block": ([line], {"jax": lambda x: lax.sort((jnp.abs(x), x), num_keys=1)[1]}),
    "arg_sort": ([line], {"numpy": np.argsort, "jax": jnp.argsort, "torch": lambda x: torch.argsort(x)}),
    "top_k": ([line], {"numpy": lambda x: np.sort(np.partition(x, len(x) - 64)[-64:]), "jax": lambda x: lax.top_k(x, 64), "torch": lambda x: torch.topk(x, 64)}),
    "top_k.rows": ([rows], {"numpy": lambda x: np.sort(np.partition(x, 960, 1)[:, 960:], 1), "jax": lambda x: lax.top_k(x, 64), "torch": lambda x: torch.topk(x, 64)}),
    "search_sorted": ([lambda n: np.arange(n, dtype=np.float32), lambda n: abs(line(n)) * n],
                      {"numpy": np.searchsorted, "jax": jnp.searchsorted, "torch": lambda x, y: torch.searchsorted(x, y)}),
    "unique": ([numbers(1000)], {"numpy": lambda x: np.unique(x, return_counts=True), "jax": lambda x: jnp.unique(x, size=1024, return_counts=True), "torch": lambda x: torch.unique(x, return_counts=True)}),
    "median.rows": ([rows], {"numpy": lambda x: np.median(x, 1), "jax": lambda x: jnp.median(x, 1), "torch": lambda x: torch.quantile(x, 0.5, 1)}),
    "histogram": ([line], {"numpy": lambda x: np.histogram(x, np.arange(-1, 65 / 64, 1 / 64, np.float32)), "jax": lambda x: jnp.histogram(x, jnp.arange(-1, 65 / 64, 1 / 64, jnp.float32)), "torch": lambda x: torch.histc(x, 128, -1, 1)}),
    "segment_sum": ([line, numbers(1024)], segment("sum")),
    "segment_max": ([line, numbers(1024)], segment("max")),
    "cumulative_sum": ([line], cumulative(0)),
    "cumulative_sum.f64": ([double], cumulative(0)),
    "cumulative_sum.rows": ([rows], cumulative(1)),
    "cumulative_sum.columns": ([rows], cumulative(0)),
    "cumulative_max": ([line], {"numpy": np.maximum.accumulate, "jax": lax.cummax, "torch": lambda x: torch.cummax(x, 0)}),
    "cumulative_logsumexp": ([line], {"numpy": np.logaddexp.accumulate, "jax": lax.cumlogsumexp, "torch": lambda x: torch.logcumsumexp(x, 0)}),
    "linear_recurrence.rows": ([rows, rows], {"jax": lambda a, b: lax.associative_scan(maps, (a, b), axis=1)}),
    "reduce.block": ([line], {"jax": lambda x: lax.reduce(x, np.float32(0), joined, (0,))}),
    "associative_scan.block": ([line], {"jax": lambda x: lax.associative_scan(joined, x)}),
    "fft": ([complex_line], FFT),
    "fft.prime": ([lambda n: complex_line(prime(n))], FFT),
    "fft.prime.c128": ([lambda n: complex_line(prime(n), np.complex128)], FFT),
    "fft.rows": ([lambda n: complex_line(n).reshape(-1, 1024)], FFT),
    "fft.prime.rows": ([lambda n: complex_line(n // 1024 * 1021).reshape(-1, 1021)], FFT),
    "rfft": ([line], {"numpy": np.fft.rfft, "scipy": lambda x: scipy.fft.rfft(x, workers=arguments.threads), "jax": jnp.fft.rfft, "torch": lambda x: torch.fft.rfft(x)}),
    "take": ([line, numbers(0)], {"numpy": np.take, "jax": lambda x, i: jnp.take(x, i, mode="clip"), "torch": lambda x, i: x[i]}),
    "take.rows": ([rows_of_64, numbers(256, 64)], {"numpy": lambda x, i: np.take(x, i, 0), "jax": lambda x, i: jnp.take(x, i, 0, mode="clip"), "torch": lambda x, i: x[i]}),
    "scatter_add": ([line, numbers(0), line], {"numpy": numpy_add_at, "jax": lambda x, i, y: x.at[i].add(y), "torch": lambda x, i, y: x.index_add(0, i, y)}),
    "scatter_add.rows": ([rows_of_64, numbers(256, 64), rows_of_64], {"numpy": numpy_add_at, "jax": lambda x, i, y: x.at[i].add(y), "torch": lambda x, i, y: x.index_add(0, i, y)}),
    "scatter_set": ([line, numbers(0), line], {"numpy": numpy_set_at, "jax": lambda x, i, y: x.at[i].set(y)}),
    "cholesky": ([dominant(np.float32)], CHOLESKY),
    "cholesky.f64": ([dominant(np.float64)], CHOLESKY),
    "solve": ([dominant(np.float32), lambda n: line(8 * n).reshape(n, 8)], {"numpy": np.linalg.solve, "scipy": lambda a, b: scipy.linalg.solve(a, b, check_finite=False, assume_a="general"), "jax": jnp.linalg.solve, "torch": lambda a, b: torch.linalg.solve(a, b)}),
    "qr": ([matrix(np.float32)], QR),
    "qr.f64": ([matrix(np.float64)], QR),
    "svd": ([matrix(np.float32)], SVD),
    "svd.f64": ([matrix(np.float64)], SVD),
    "eigh": ([dominant(np.float32)], EIGH),
    "eigh.f64": ([dominant(np.float64)], EIGH),
    "random.normal": ([line], {"numpy": lambda x: DRAW.standard_normal(x.shape, np.float32), "jax": lambda x: jax.random.normal(KEY, x.shape, np.float32)}),
    "random.poisson": ([line], {"numpy": lambda x: DRAW.poisson(abs(x) * 8 + 0.01), "jax": lambda x: jax.random.poisson(KEY, abs(x) * 8 + 0.01)}),
    "random.poisson.large": ([line], {"numpy": lambda x: DRAW.poisson(abs(x) * 90 + 10), "jax": lambda x: jax.random.poisson(KEY, abs(x) * 90 + 10)}),
    "random.gamma": ([line], {"numpy": lambda x: DRAW.standard_gamma(abs(x) * 4 + 0.01, dtype=np.float64), "jax": lambda x: jax.random.gamma(KEY, abs(x) * 4 + 0.01)}),
    "random.permutation": ([line], {"numpy": lambda x: DRAW.permutation(np.arange(len(x), dtype=np.int32)), "jax": lambda x: jax.random.permutation(KEY, len(x))}),
}


def timed(function, inputs, seconds):
    """Times in ms, at least one, after a run that does not count where it was short."""
    times, begin = [], time.perf_counter()
    while not times or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        function(*inputs)
        times.append((time.perf_counter() - start) * 1e3)
    return times[1:] if len(times) > 1 else times


def ready(library, function, inputs):
    """A function without arguments' names, and its inputs as the library has them."""
    if library == "jax":
        compiled = jax.jit(function)
        return lambda *x: jax.block_until_ready(compiled(*x)), [jax.device_put(x) for x in inputs]
    if library == "torch":
        return function, [torch.from_numpy(x) if x.dtype != np.int32 else torch.from_numpy(x).long() for x in inputs]
    return function, inputs


server = subprocess.Popen([arguments.program, "--serve", "--threads", str(arguments.threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def time_mica(name, size):
    server.stdin.write(f"{name} {size} {arguments.seconds}\n")
    server.stdin.flush()
    answer = json.loads(server.stdout.readline())
    if "error" in answer:
        raise SystemExit(f"{name} {size}: {answer['error']}")
    return answer["ms"]


def prepare(name, size):
    """Functions and inputs by library, run once."""
    makers, functions = PEERS.get(name, ([], {}))
    inputs = [make(size) for make in makers]
    peers = {library: ready(library, function, inputs) for library, function in functions.items() if library != "torch" or arguments.torch}
    for function, given in peers.values():
        function(*given)
    return peers


def measure(name, size, peers):
    """Medians by library, Mica's first."""
    times = {"mica": []} | {library: [] for library in peers}
    for _ in range(arguments.rounds):
        times["mica"] += time_mica(name, size)
        for library, (function, given) in peers.items():
            times[library] += timed(function, given, arguments.seconds)
    return {library: statistics.median(values) for library, values in times.items()}


def digits(ms):
    return f"{ms:.3g}" if ms < 1000 else f"{ms:.0f}"


listed = subprocess.run([arguments.program, "--list"], check=True, capture_output=True, text=True).stdout
table, work = [], []
for workload in map(json.loads, listed.splitlines()):
    for size in workload["sizes"]:
        if arguments.only in workload["workload"] and size <= arguments.most:
            work.append((workload["workload"], size, prepare(workload["workload"], size)))
if arguments.wait:
    input("ready to measure: ")
print(f"{'workload':26} {'size':>9} {'mica ms':>9} {'exponent':>8} {'ratio':>6}  peers, ms")
before, load = (None, 0, 0), os.getloadavg()[0]
for name, size, peers in work:
    found = measure(name, size, peers)
    mine = found.pop("mica")
    judges = {library: ms for library, ms in found.items() if library != "torch"}
    best = min(judges, key=judges.get) if judges else None
    ratio = mine / judges[best] if best else math.nan
    exponent = math.log(mine / before[2]) / math.log(size / before[1]) if before[0] == name else math.nan
    before = (name, size, mine)
    table.append((name, size, mine, exponent, best, judges.get(best), ratio))
    others = ", ".join(f"{library} {ms:.3f}" for library, ms in found.items())
    print(f"{name:26} {size:9} {mine:9.3f} {exponent:8.2f} {ratio:6.2f}  {others}", flush=True)
server.stdin.close()
server.wait()


def page():
    # The ratio of a workload is that of its largest size: small ones are the time of a call.
    last = {row[0]: row for row in table}
    slow = {name: row for name, row in last.items() if row[6] > WITHIN}
    steep = max((row for row in last.values() if not math.isnan(row[3])), key=lambda row: row[3])
    lines = ["<!-- SPDX-License-Identifier: Apache-2.0 -->", "<!-- Written by bench/peers/scaling.py --write; do not edit. -->", "# Time against size", "",
             "How the time of operators grows with their size, beside numpy, SciPy and JAX on the same machine. "
             f"Medians of {arguments.rounds} rounds in which the libraries take turns, {arguments.threads} threads each; the exponent is the slope "
             "from the size before on a log-log scale (1: linear; n log n is a little more; dense factorizations go to 3), the ratio is Mica's time by "
             "that of the best of the others. Sizes are elements, or rows of a square matrix.", "",
             f"Python {platform.python_version()}, numpy {np.__version__}, SciPy {scipy.__version__}, JAX {jax.__version__}. The machine's load when measuring began: {load:.1f}"
             + (", so that times, and ratios to libraries whose threads wait for each other, are larger than on a quiet machine." if load > arguments.threads else "."), "",
             f"Aimed at: a ratio of at most {WITHIN} at the largest size, {EXCEPTIONS} exceptions at most, and none above {NEVER}. "]
    lines.append("Above it: " + ", ".join(f"`{name}` ({row[6]:.1f})" for name, row in slow.items()) + "." if slow else "None is above it.")
    lines.append(f"The steepest growth at the largest size is that of `{steep[0]}`, {steep[3]:.2f}.")
    lines += ["", "| workload | size | Mica, ms | exponent | best peer | its ms | ratio |", "|---|---:|---:|---:|---|---:|---:|"]
    for name, size, mine, exponent, best, theirs, ratio in table:
        slope = "" if math.isnan(exponent) else f"{exponent:.2f}"
        peer = f"{best} | {digits(theirs)} | {ratio:.2f}" if best else "none has it | | "
        lines.append(f"| {name} | {size} | {digits(mine)} | {slope} | {peer} |")
    return "\n".join(lines) + "\n"


if arguments.write:
    with open(arguments.write, "w", encoding="utf-8") as out:
        out.write(page())
