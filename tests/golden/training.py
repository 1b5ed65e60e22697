# SPDX-License-Identifier: Apache-2.0
# Makes training.npz: the first 100 losses of a convolutional network (Adam) and of a transformer of two layers (AdamW, clipped
# gradients) by JAX and optax in f64, from weights and data that are a formula (tests/unit/train/test_training_golden.c has the
# same). PyTorch has to come to the same losses within 1e-9, or nothing is written.
import math
import os

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import jax.numpy as jnp
import optax

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
jax.config.update("jax_enable_x64", True)


def mixed(z):  # splitmix64 (Steele et al. 2014)
    with np.errstate(over="ignore"):
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def numbers(seed, *shape):  # in [-1, 1), exact in f32
    count = int(np.prod(shape))
    bits = mixed(np.arange(count, dtype=np.uint64) + (np.uint64(seed) << np.uint64(32))) >> np.uint64(40)
    return torch.tensor((bits.astype(np.float64) / 2**23 - 1).reshape(shape))


def classes(seed, count, *shape):
    return ((numbers(seed, *shape) + 1) / 2 * count).floor().long()


def weight(seed, *shape):
    fan = math.prod(shape[:-1]) if len(shape) > 1 else 0
    return (numbers(seed, *shape) * (math.sqrt(3 / fan) if fan else 0.01)).requires_grad_(True)


def train(parameters, optimizer, loss, clip=None):
    losses = []
    for step in range(100):
        value = loss(step)
        losses.append(value.item())
        optimizer.zero_grad()
        value.backward()
        if clip:
            norm = torch.sqrt(sum((p.grad ** 2).sum() for p in parameters))
            for p in parameters:
                p.grad *= min(1.0, clip / norm.item())
        optimizer.step()
    return np.array(losses)


def train_jax(parameters, optimizer, loss):
    p = [jnp.array(q.detach().numpy()) for q in parameters]
    state = optimizer.init(p)

    @jax.jit
    def step(p, state, *batch):
        value, g = jax.value_and_grad(loss)(p, *batch)
        updates, state = optimizer.update(g, state, p)
        return optax.apply_updates(p, updates), state, value

    def run(batch):
        nonlocal p, state
        p, state, value = step(p, state, *batch)
        return float(value)

    return run


def losses_of(run, batch):
    return np.array([run([jnp.array(a.numpy()) for a in batch(step)]) for step in range(100)])


# ---- the network: conv 8, pool, conv 16, pool, dense 32, logits 10
shapes = [(3, 3, 1, 8), (8,), (3, 3, 8, 16), (16,), (144, 32), (32,), (32, 10), (10,)]
p = [weight(i, *s) for i, s in enumerate(shapes)]


def cnn(step):
    x = numbers(1000 + step, 16, 14, 14, 1).permute(0, 3, 1, 2)
    for k, b in [(p[0], p[1]), (p[2], p[3])]:
        x = F.max_pool2d(F.relu(F.conv2d(x, k.permute(3, 2, 0, 1), b, padding=1)), 2)
    x = F.relu(x.permute(0, 2, 3, 1).flatten(1) @ p[4] + p[5])
    return F.cross_entropy(x @ p[6] + p[7], classes(2000 + step, 10, 16))


def cnn_jax(w, x, labels):
    for k, b in [(w[0], w[1]), (w[2], w[3])]:
        x = jax.lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + b
        x = jax.lax.reduce_window(jax.nn.relu(x), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = jax.nn.relu(x.reshape(16, -1) @ w[4] + w[5])
    return optax.softmax_cross_entropy_with_integer_labels(x @ w[6] + w[7], labels).mean()


run = train_jax(p, optax.adam(1e-3), cnn_jax)
arrays = {"cnn": losses_of(run, lambda step: (numbers(1000 + step, 16, 14, 14, 1), classes(2000 + step, 10, 16)))}
checks = {"cnn": train(p, torch.optim.Adam(p, 1e-3), cnn)}

# ---- the transformer: vocabulary 11, width 16, 2 heads, 12 positions
block = [(16,), (16,), (16, 16), (16,), (16, 16), (16,), (16, 16), (16,), (16, 16), (16,), (16,), (16,), (16, 64), (64,), (64, 16),
         (16,)]
shapes = [(11, 16), (12, 16)] + block + block + [(16,), (16,), (16, 11), (11,)]
q = [weight(100 + i, *s) for i, s in enumerate(shapes)]
for i in [2, 12, 18, 28, 34]:  # scales of norms
    q[i] = (q[i].detach() + 1).requires_grad_(True)
causal = torch.ones(12, 12).tril().bool()


def heads(x):
    return x.reshape(4, 12, 2, 8).transpose(1, 2)


def transformer(step):
    tokens = classes(3000 + step, 11, 4, 13)
    x = F.embedding(tokens[:, :-1], q[0]) + q[1]
    for w in [q[2:18], q[18:34]]:
        y = F.layer_norm(x, (16,), w[0], w[1])
        query, key, value = heads(y @ w[2] + w[3]), heads(y @ w[4] + w[5]), heads(y @ w[6] + w[7])
        score = (query @ key.transpose(2, 3) / math.sqrt(8)).masked_fill(~causal, float("-inf"))
        y = (F.softmax(score, -1) @ value).transpose(1, 2).reshape(4, 12, 16)
        x = x + y @ w[8] + w[9]
        y = F.layer_norm(x, (16,), w[10], w[11])
        x = x + F.gelu(y @ w[12] + w[13]) @ w[14] + w[15]
    x = F.layer_norm(x, (16,), q[34], q[35]) @ q[36] + q[37]
    return F.cross_entropy(x.flatten(0, 1), tokens[:, 1:].flatten())


def norm_jax(x, scale, bias):
    m = x.mean(-1, keepdims=True)
    return (x - m) / jnp.sqrt(((x - m) ** 2).mean(-1, keepdims=True) + 1e-5) * scale + bias


def transformer_jax(w, tokens):
    x = w[0][tokens[:, :-1]] + w[1]
    heads = lambda a: a.reshape(4, 12, 2, 8).transpose(0, 2, 1, 3)
    for v in [w[2:18], w[18:34]]:
        y = norm_jax(x, v[0], v[1])
        query, key, value = heads(y @ v[2] + v[3]), heads(y @ v[4] + v[5]), heads(y @ v[6] + v[7])
        score = jnp.where(jnp.tril(jnp.ones((12, 12), bool)), query @ key.swapaxes(2, 3) / math.sqrt(8), -jnp.inf)
        y = (jax.nn.softmax(score) @ value).transpose(0, 2, 1, 3).reshape(4, 12, 16)
        x = x + y @ v[8] + v[9]
        y = norm_jax(x, v[10], v[11])
        x = x + jax.nn.gelu(y @ v[12] + v[13], approximate=False) @ v[14] + v[15]
    x = norm_jax(x, w[34], w[35]) @ w[36] + w[37]
    return optax.softmax_cross_entropy_with_integer_labels(x, tokens[:, 1:]).mean()


run = train_jax(q, optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(3e-3, weight_decay=0.1)), transformer_jax)
arrays["transformer"] = losses_of(run, lambda step: (classes(3000 + step, 11, 4, 13),))
checks["transformer"] = train(q, torch.optim.AdamW(q, 3e-3, weight_decay=0.1), transformer, 1.0)
for name, losses in checks.items():
    apart = np.max(np.abs(losses / arrays[name] - 1))
    print(name, "JAX and PyTorch differ by", apart)
    assert apart < 1e-9
np.savez(os.path.join(os.path.dirname(os.path.abspath(__file__)), "training.npz"), **arrays)
print({k: (v[0], v[-1]) for k, v in arrays.items()})
