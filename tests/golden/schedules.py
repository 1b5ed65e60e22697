# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/schedules.npz: the numbers of schedules at steps 0 .. 149 by optax, by PyTorch what optax lacks.
tests/unit/train/schedules/test_schedules.c makes the same. Run by any Python with optax and torch."""
import os
import warnings

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import numpy as np
import optax
import torch

jax.config.update("jax_enable_x64", True)
warnings.simplefilter("ignore")
steps = np.arange(150)
arrays = {}


def by_optax(name, schedule):
    arrays[name] = np.array([float(schedule(jax.numpy.float64(t))) for t in steps])


def by_torch(name, make, measures=None):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedule, numbers = make(optimizer), []
    for t in steps:
        if measures is not None:
            schedule.step(measures[t])
        numbers.append(optimizer.param_groups[0]["lr"])
        if measures is None:
            schedule.step()
    arrays[name] = np.array(numbers)


by_optax("piecewise", optax.piecewise_constant_schedule(0.5, {40: 0.1, 100: 0.5}))
arrays["piecewise"] = np.where(steps < 40, 0.5, np.where(steps < 100, 0.05, 0.025))  # optax changes a step later
by_optax("exponential", optax.exponential_decay(0.3, 20, 0.7))
by_optax("exponential_stairs", optax.exponential_decay(0.3, 20, 0.7, staircase=True, end_value=0.05))
by_torch("step", lambda o: torch.optim.lr_scheduler.StepLR(o, 30, 0.2))
by_optax("linear", optax.linear_schedule(0.1, 0.9, 70))
by_optax("polynomial", optax.polynomial_schedule(0.5, 0.02, 2.5, 100))
by_optax("cosine", optax.cosine_decay_schedule(0.4, 90, 0.25))
by_optax("cosine_warm", optax.warmup_cosine_decay_schedule(0.01, 0.4, 25, 120, 0.05))
by_torch("restarts", lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 20, 1, 0.1))
by_torch("restarts_longer", lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 10, 2, 0.1))
by_optax("one_cycle", optax.cosine_onecycle_schedule(110, 0.8, 0.3, 10.0, 100.0))
arrays["one_cycle_linear"] = np.interp(steps, [0, 55, 110], [0.08, 0.8, 0.0008])
arrays["inverse_root"] = np.minimum(0.2 * steps / 30, 0.2 * np.sqrt(30 / np.maximum(steps, 1)))
by_optax("join", optax.join_schedules([optax.linear_schedule(0.0, 1.0, 30), optax.exponential_decay(1.0, 10, 0.8),
                                       optax.constant_schedule(0.125)], [30, 90]))
rng = np.random.default_rng(3)
measures = 1 / (1 + steps / 10) + rng.normal(scale=0.05, size=150)
measures[70] = np.nan
arrays["measures"] = measures
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
by_torch("plateau", lambda o: plateau(o, factor=0.5, patience=4, cooldown=3, min_lr=0.01, eps=0), measures)
by_torch("plateau_max", lambda o: plateau(o, mode="max", factor=0.3, patience=2, threshold=0.01, threshold_mode="abs",
                                          eps=0), -measures)
np.savez_compressed(os.path.join(os.path.dirname(__file__), "schedules.npz"), **arrays)
print(len(arrays), "arrays")
