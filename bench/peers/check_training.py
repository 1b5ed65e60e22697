#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the parameters of mica_bench's training steps with JAX's after some steps.

    python check_training.py --harness FOLDER --worker 'path/to/mica_bench' [--steps 20] [--models mlp,cnn]

FOLDER is the peers' harness (workloads.py, bench_jax.py). For each parameter the mean magnitude and its relative
difference are printed; exit status 1 when one exceeds 1e-3.
"""
import argparse
import json
import os
import shlex
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--harness", required=True)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--models", default="mlp,cnn")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    sys.path.insert(0, args.harness)
    sys.argv = ["bench_jax.py", "--only", "^$"]  # defines the models, times nothing
    import bench_jax as J
    import jax
    import numpy as np

    worker = subprocess.Popen(shlex.split(args.worker) + ["--serve", "--threads", str(args.threads)], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)

    def ask(**request):
        worker.stdin.write(json.dumps(request) + "\n")
        return json.loads(worker.stdout.readline())

    worker.stdout.readline()
    worst = 0.0
    for name in args.models.split(","):
        print(name, ask(command="prepare", workload=f"train.{name}"))
        mine = ask(command="parameters", steps=args.steps)
        model, optimizer, parameters, batch = J.MODELS[name]
        optimizer = optimizer()
        p = jax.tree.map(jax.numpy.asarray, parameters())
        state = optimizer.init(p)
        step = jax.jit(J.training_step(model, optimizer))
        x, labels = batch()
        for _ in range(args.steps):
            p, state, loss = step(p, state, x, labels)
        print(f"  loss: {mine['loss']:.7g} against {float(loss):.7g}")
        flat = {k: v for k, v in p.items() if not isinstance(v, (list, dict))} if isinstance(p, dict) else {}
        for key, value in mine["parameters"]:
            if key not in flat:
                continue
            theirs = float(np.mean(np.abs(np.asarray(flat[key])), dtype=np.float64))
            difference = abs(value - theirs) / max(theirs, 1e-12)
            worst = max(worst, difference)
            print(f"  {key:16} {value:.7g} against {theirs:.7g}: {difference:.2e}")
    worker.stdin.close()
    print(f"largest relative difference {worst:.2e}")
    sys.exit(worst > 1e-3)


if __name__ == "__main__":
    main()
