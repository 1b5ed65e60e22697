# SPDX-License-Identifier: Apache-2.0
"""Mica's composites, linear algebra, the host's operator and blocks in JAX, for to_jax.py; see jax_primitives.py."""
from jax_primitives import *  # first: it sets XLA up

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import lax


# ---- composites: half precision is computed in f32 and rounded once ---------------------------------------------

def widened(function):
    def wrapped(x, *rest, **attributes):
        if x.dtype not in (np.float16, ml_dtypes.bfloat16):
            return function(x, *rest, **attributes)
        wide = [r.astype(jnp.float32) if is_float(r) else r for r in rest]
        out = function(x.astype(jnp.float32), *wide, **attributes)
        return tuple(o.astype(x.dtype) for o in out) if isinstance(out, tuple) else out.astype(x.dtype)
    return wrapped


op_relu = simple(lambda x: jnp.maximum(x, 0))
op_gelu = widened(lambda x, tanh: jax.nn.gelu(x, approximate=tanh))
op_softmax = widened(lambda x, axis: jax.nn.softmax(x, axis))
op_log_softmax = widened(lambda x, axis: jax.nn.log_softmax(x, axis))


def layer_norm(x, scale, bias, epsilon):
    centered = x - jnp.mean(x, -1, keepdims=True)
    return centered * lax.rsqrt(jnp.mean(centered * centered, -1, keepdims=True) + epsilon) * scale + bias


op_layer_norm = widened(layer_norm)


@widened
def op_layer_norm_gradient(x, scale, dy, epsilon):
    return jax.vjp(lambda *v: layer_norm(*v, epsilon), x, scale, jnp.zeros_like(scale))[1](dy)


def label_axis(x, labels):
    return jnp.arange(x.shape[-1]) == labels[..., None]


@widened
def op_softmax_cross_entropy(x, labels):
    loss = -jnp.sum(jnp.where(label_axis(x, labels), jax.nn.log_softmax(x, -1), 0), -1)
    return jnp.where((labels >= 0) & (labels < x.shape[-1]), loss, jnp.nan)


@widened
def op_softmax_cross_entropy_gradient(x, labels, slope):
    return (jax.nn.softmax(x, -1) - label_axis(x, labels)) * slope[..., None]


def op_one_hot(x, axis, depth, dtype):
    hot = jnp.expand_dims(x, axis) == lax.broadcasted_iota(x.dtype, [depth], 0).reshape(
        [depth if i == axis else 1 for i in range(x.ndim + 1)])
    return hot.astype(dtype_of(dtype))


@widened
def op_attention(q, k, v, mask=None, *, scale, causal):
    scores = jnp.einsum("...qd,...kd->...qk", q, k) * scale
    visible = jnp.ones(scores.shape, bool) if mask is None else mask
    if causal:
        queries, keys = scores.shape[-2:]
        visible = visible & (jnp.arange(keys)[None] <= jnp.arange(queries)[:, None] + keys - queries)
    weights = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), -1)
    return jnp.einsum("...qk,...kd->...qd", jnp.where(visible, weights, 0), v)


# ---- matrices, transforms ---------------------------------------------------------------------------------------

def op_cholesky(x):
    return lax.linalg.cholesky((x + jnp.swapaxes(x, -1, -2)) / 2)


def op_triangular_solve(a, b, lower, transpose, unit_diagonal):
    return lax.linalg.triangular_solve(a, b, left_side=True, lower=lower, transpose_a=transpose,
                                       unit_diagonal=unit_diagonal)


def op_lu(x):
    return lax.linalg.lu(x)


def op_solve(a, b, transpose):
    return jnp.linalg.solve(jnp.swapaxes(a, -1, -2) if transpose else a, b)


def op_qr(x, full=False):
    return tuple(jnp.linalg.qr(x, "complete" if full else "reduced"))


def op_eigh(x):
    return tuple(jnp.linalg.eigh(x))


def op_svd(x, full=False):
    return tuple(jnp.linalg.svd(x, full_matrices=full))


def op_pinv(x, rcond):
    return jnp.linalg.pinv(x, rcond)


def op_fft(x, kind, lengths, scale):
    axes = tuple(range(x.ndim - len(lengths), x.ndim))
    function = {"fft": jnp.fft.fftn, "ifft": jnp.fft.ifftn, "rfft": jnp.fft.rfftn, "irfft": jnp.fft.irfftn}[kind]
    return function(x, lengths, axes, norm="forward" if kind in ("ifft", "irfft") else "backward") * scale


# ---- the host's -------------------------------------------------------------------------------------------------

def op_custom(x, w, name, config, results):
    return x * x * w, x + (3 if config.startswith("t") else 2) * w


op_custom_effect = op_custom


# ---- blocks: regions are functions of their declared arguments and what they captured -----------------------------

def op_while(*state, captures, regions, max_iterations):
    def condition(carry):
        go = regions[0](*carry[1:], *captures[0])[0]
        return go & (carry[0] < max_iterations) if max_iterations else go

    def step(carry):
        return (carry[0] + 1, *regions[1](*carry[1:], *captures[1]))

    return lax.while_loop(condition, step, (jnp.int64(0), *state))[1:]


def op_switch(index, captures, regions):
    index = jnp.where((index < 0) | (index >= len(regions)), len(regions) - 1, index)
    return lax.switch(index, [lambda r=r, c=c: tuple(r(*c)) for r, c in zip(regions, captures)])


def op_scan(*operands, captures, regions, length, carry_count, reverse):
    def step(carry, items):
        out = regions[0](*carry, *items, *captures[0])
        return tuple(out[:carry_count]), tuple(out[carry_count:])

    carry, emitted = lax.scan(step, tuple(operands[:carry_count]), tuple(operands[carry_count:]), length, reverse)
    return (*carry, *emitted)


def op_call(*operands, captures, regions):
    return regions[0](*operands, *captures[0])


op_recompute = op_call


def op_custom_gradient(*operands, captures, regions, input_count=None):
    return regions[0](*operands, *captures[0])
