# SPDX-License-Identifier: Apache-2.0
# Makes jax_block.bc, jax_block.mlir and jax_block.npz: a transformer block with its gradients, exported from JAX
# (jax.export) as StableHLO's bytecode and as text, with inputs and JAX's results. Arguments are i32, bool and
# bf16. tests/unit/backend/xla/test_import.c runs both on XLA's plugins.
import os

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

jax.config.update("jax_hlo_source_file_canonicalization_regex", ".*/")  # no folders of this machine
HEADS, WIDTH, VOCABULARY = 2, 16, 13


def block(p, tokens, keep):
    embedding, qkv, mixing, up, down = p
    x = embedding[tokens]
    h = (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)
    q, k, v = jnp.split(h @ qkv, 3, -1)
    b, t, _ = x.shape
    q, k, v = (z.reshape(b, t, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3) for z in (q, k, v))
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(WIDTH // HEADS)
    allowed = jnp.tril(jnp.ones((t, t), bool)) & keep[:, None, None, :]
    weights = jax.nn.softmax(jnp.where(allowed, scores, -1e9), -1)
    x = x + (weights @ v).transpose(0, 2, 1, 3).reshape(b, t, WIDTH) @ mixing
    return x + jax.nn.gelu(x @ up) @ down


def loss(p, tokens, keep):
    logits = block(p, tokens, keep) @ p[0].T
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits, -1)[:, :-1], tokens[:, 1:, None], -1)[..., 0]
    return -(picked * keep[:, 1:]).sum() / keep[:, 1:].sum()


def program(tokens, keep, *weights):
    p = tuple(w.astype(jnp.float32) for w in weights)
    value, slopes = jax.value_and_grad(loss)(p, tokens, keep)
    return (value, block(p, tokens, keep).astype(jnp.bfloat16), *slopes)


rng = np.random.default_rng(6)
tokens = rng.integers(0, VOCABULARY, (2, 6)).astype(np.int32)
keep = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]], bool)
shapes = [(VOCABULARY, WIDTH), (WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 2 * WIDTH), (2 * WIDTH, WIDTH)]
weights = [jnp.asarray(rng.normal(size=s) * 0.3, jnp.bfloat16) for s in shapes]
arguments = [tokens, keep, *weights]
exported = export.export(jax.jit(program), platforms=["cpu"])(*arguments)
results = jax.jit(program)(*arguments)

folder = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(folder, "jax_block.bc"), "wb") as file:
    file.write(exported.mlir_module_serialized)
with open(os.path.join(folder, "jax_block.mlir"), "w") as file:
    file.write(jax.jit(program).lower(*arguments).as_text())


def plain(x):  # bf16 as its bits
    x = np.asarray(x)
    return x.view(np.uint16) if x.dtype == jnp.bfloat16 else x


arrays = {f"in{i}": plain(a) for i, a in enumerate(arguments)}
arrays |= {f"out{i}": plain(a) for i, a in enumerate(results)}
np.savez(os.path.join(folder, "jax_block.npz"), **arrays)
