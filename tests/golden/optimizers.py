# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/optimizers.npz: the first 100 losses and the parameters after them of a small network under optax's
optimizers in f64, and the first 20 losses in f32. The network and the options stand in
tests/unit/train/optimizers/test_optimizers_golden.c too. Run by any Python with optax."""
import os

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import numpy as np
import optax
from optax import contrib
from optax._src import factorized, transform

jax.config.update("jax_enable_x64", True)
jnp = jax.numpy
rng = np.random.default_rng(5)
arrays = {
    "x": rng.normal(size=(16, 6)),
    "y": rng.normal(size=(16, 3)),
    "parameter0": rng.normal(size=(6, 4)) / 2,
    "parameter1": rng.normal(size=(4,)) / 2,
    "parameter2": rng.normal(size=(4, 3)) / 2,
    "parameter3": rng.normal(size=(2, 3, 4)),
}
first = [arrays[f"parameter{i}"] for i in range(4)]


def loss(p, x, y):
    error = jnp.tanh(x @ p[0] + p[1]) @ p[2] - y
    return jnp.mean(error**2) + 0.1 * jnp.mean((p[3] - 0.5) ** 4)


def adafactor(rate, momentum=None, decay=None, threshold=1.0, scaled=True):
    # optax.adafactor, but for the decay of squares, which that computes in f32 even among f64.
    steps = [
        factorized.scale_by_factored_rms(True, 0.8, 0, 3, 1e-30, lambda i, e: 1 - (i + 1.0) ** -e),
        optax.clip_by_block_rms(threshold),
        transform.scale_by_learning_rate(rate, flip_sign=False),
    ]
    if scaled:
        steps.append(transform.scale_by_param_block_rms())
    if momentum is not None:
        steps.append(optax.ema(momentum, debias=False))
    if decay is not None:
        steps.append(optax.add_decayed_weights(decay))
    return optax.chain(*steps, optax.scale(-1))


decayed = optax.add_decayed_weights
optimizers = {
    "sgd": optax.sgd(0.1),
    "sgd_momentum": optax.chain(decayed(0.05), optax.sgd(0.05, momentum=0.9)),
    "sgd_nesterov": optax.sgd(0.05, momentum=0.8, nesterov=True),
    "adam": optax.adam(0.02),
    "adam_options": optax.chain(decayed(0.1), optax.adam(0.02, b1=0.8, b2=0.95, eps=1e-3)),
    "adamw": optax.adamw(0.02, weight_decay=0.05),
    "adamw_mask": optax.adamw(0.02, weight_decay=0.2, mask=[True, False, True, False]),
    "adamax": optax.adamax(0.02),
    "nadam": optax.nadam(0.02),
    "amsgrad": optax.amsgrad(0.02),
    "rmsprop": optax.rmsprop(0.01),
    "rmsprop_options": optax.rmsprop(0.005, decay=0.95, eps=1e-6, centered=True, momentum=0.7, nesterov=True),
    "adagrad": optax.adagrad(0.1),
    "adadelta": optax.adadelta(1.0, rho=0.8),
    "lion": optax.lion(0.005, weight_decay=0.1),
    "lamb": optax.lamb(0.02, weight_decay=0.05),
    "adafactor": adafactor(0.05),
    "adafactor_options": adafactor(0.05, momentum=0.9, decay=0.001),
    "adafactor_plain": adafactor(0.05, threshold=0.3, scaled=False),
    "muon_short": contrib.muon(0.02, ns_steps=3),
    "muon": contrib.muon(0.02, weight_decay=0.1, adam_weight_decay=0.1),
    "clipped": optax.chain(optax.clip_by_global_norm(0.25), optax.sgd(0.2)),
}


def train(optimizer, dtype, steps):
    p = [jnp.array(v, dtype) for v in first]
    x, y = jnp.array(arrays["x"], dtype), jnp.array(arrays["y"], dtype)
    state = optimizer.init(p)

    @jax.jit
    def step(p, state):
        value, g = jax.value_and_grad(loss)(p, x, y)
        updates, state = optimizer.update(g, state, p)
        return optax.apply_updates(p, updates), state, value

    losses = []
    for _ in range(steps):
        p, state, value = step(p, state)
        losses.append(value)
    return np.array(losses), p


for name, optimizer in optimizers.items():
    losses, p = train(optimizer, jnp.float64, 100)
    arrays[f"{name}.losses"] = losses
    assert losses.dtype == np.float64 and losses[-1] < losses[0], name
    for i in range(4):
        arrays[f"{name}.parameter{i}"] = np.asarray(p[i])
    arrays[f"{name}.losses_f32"] = train(optimizer, jnp.float32, 20)[0].astype(np.float32)

np.savez_compressed(os.path.join(os.path.dirname(__file__), "optimizers.npz"), **arrays)
print(len(arrays), "arrays;", {n: float(arrays[f"{n}.losses"][-1].round(4)) for n in optimizers})
