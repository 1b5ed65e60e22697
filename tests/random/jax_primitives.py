# SPDX-License-Identifier: Apache-2.0
"""Mica's primitives in JAX, for to_jax.py: op_NAME takes the operands, then attributes by name."""
import os

# Each program is compiled once and runs once, with the roundings that it says.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
                      "--xla_allow_excess_precision=false")

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import lax

jax.config.update("jax_enable_x64", True)

DTYPES = {"bool": np.bool_, "i4": ml_dtypes.int4, "u4": ml_dtypes.uint4, "i8": np.int8, "u8": np.uint8, "i16": np.int16, "u16": np.uint16, "i32": np.int32,
          "u32": np.uint32, "i64": np.int64, "u64": np.uint64, "f16": np.float16, "bf16": ml_dtypes.bfloat16,
          "f32": np.float32, "f64": np.float64, "f8e5m2": ml_dtypes.float8_e5m2,
          "f8e4m3fn": ml_dtypes.float8_e4m3fn, "c64": np.complex64, "c128": np.complex128}


class Missing(Exception):
    """What JAX does not have, or defines in another way."""


def dtype_of(name):
    if name not in DTYPES:
        raise Missing("dtype " + name)
    return DTYPES[name]


def is_float(x):
    return jnp.issubdtype(x.dtype, jnp.floating)


def is_complex(x):
    return jnp.issubdtype(x.dtype, jnp.complexfloating)


def is_integer(x):
    return jnp.issubdtype(x.dtype, jnp.integer)


VARIABLES = np.array([[1.5, -0.75, 2], [-3, 0.5, 1]])


def op_variable(name, dtype, shape):
    return jnp.asarray(VARIABLES.astype(dtype_of(dtype)))


def op_iota(dtype, shape, axis):
    return lax.broadcasted_iota(dtype_of(dtype), shape, axis)


def simple(function):
    return lambda *operands: function(*operands)


op_neg, op_exp, op_expm1, op_log, op_log1p = map(simple, (jnp.negative, jnp.exp, jnp.expm1, jnp.log, jnp.log1p))
op_tanh, op_logistic, op_erf, op_sqrt, op_rsqrt = map(simple, (jnp.tanh, lax.logistic, lax.erf, jnp.sqrt, lax.rsqrt))
op_sin, op_cos, op_floor, op_ceil, op_round = map(simple, (jnp.sin, jnp.cos, jnp.floor, jnp.ceil, jnp.round))
op_tan, op_asin, op_acos, op_atan = map(simple, (jnp.tan, jnp.arcsin, jnp.arccos, jnp.arctan))
op_sinh, op_cosh, op_asinh, op_acosh, op_atanh = map(
    simple, (jnp.sinh, jnp.cosh, jnp.arcsinh, jnp.arccosh, jnp.arctanh))
op_exp2, op_log2, op_log10, op_cbrt, op_sinc = map(simple, (jnp.exp2, jnp.log2, jnp.log10, jnp.cbrt, jnp.sinc))
op_atan2, op_hypot, op_logaddexp = map(simple, (jnp.arctan2, jnp.hypot, jnp.logaddexp))
op_softplus, op_logit = map(simple, (jax.nn.softplus, jax.scipy.special.logit))
op_xlogy, op_xlog1py = map(simple, (jax.scipy.special.xlogy, jax.scipy.special.xlog1py))
op_erfc, op_erf_inv, op_lgamma, op_digamma = map(simple, (lax.erfc, lax.erf_inv, lax.lgamma, lax.digamma))
op_bessel_i0e, op_bessel_i1e = map(simple, (lax.bessel_i0e, lax.bessel_i1e))
op_bessel_i0, op_bessel_i1 = map(simple, (jax.scipy.special.i0, jax.scipy.special.i1))
op_igamma, op_igammac, op_igamma_slope = map(simple, (lax.igamma, lax.igammac, lax.igamma_grad_a))
op_betainc = simple(lax.betainc)
op_copysign, op_nextafter = map(simple, (jnp.copysign, lax.nextafter))
op_real, op_imag, op_conj, op_complex = map(simple, (jnp.real, jnp.imag, jnp.conj, lax.complex))
op_is_finite = simple(lax.is_finite)
op_not, op_and, op_or, op_xor = map(simple, (lax.bitwise_not, lax.bitwise_and, lax.bitwise_or, lax.bitwise_xor))
op_add, op_sub, op_mul, op_select = map(simple, (lax.add, lax.sub, lax.mul, lambda c, x, y: jnp.where(c, x, y)))
op_max, op_min, op_abs, op_sign = map(simple, (jnp.maximum, jnp.minimum, jnp.abs, jnp.sign))
op_popcount, op_count_leading_zeros = map(simple, (lax.population_count, lax.clz))
op_shift_left, op_shift_right_logical, op_shift_right_arithmetic = map(
    simple, (lax.shift_left, lax.shift_right_logical, lax.shift_right_arithmetic))
op_stop_gradient = simple(lambda x: x)


def op_gamma_draw(a, x, log):
    raise Missing("the derivative of a gamma draw")


def op_polygamma(x, order):
    return jax.scipy.special.polygamma(order, x) if order else lax.digamma(x)


def op_betainc_slope(*operands, parameter):
    raise Missing("the derivative of betainc by its parameters")


def op_div(x, y):
    if not is_integer(x):
        return lax.div(x, y)
    safe = jnp.where(y == 0, 1, y)
    return jnp.where(y == 0, jnp.array(-1).astype(x.dtype), lax.div(x, safe))


def op_rem(x, y):
    if not is_integer(x):
        return lax.rem(x, y)
    return jnp.where(y == 0, x, lax.rem(x, jnp.where(y == 0, 1, y)))


def op_pow(x, y):
    if not is_integer(x):
        return jnp.power(x, y)
    wide = y.astype(jnp.uint64)
    power, base = jnp.ones_like(x), x
    for _ in range(64):
        power = jnp.where(wide & 1, power * base, power)
        base, wide = base * base, wide >> 1
    if not jnp.issubdtype(x.dtype, jnp.signedinteger):
        return power
    negative = jnp.where(x == 1, 1, jnp.where(x == -1, jnp.where(y & 1, -1, 1), 0))
    return jnp.where(y < 0, negative.astype(x.dtype), power)


def op_compare(x, y, kind):
    return {"eq": jnp.equal, "ne": jnp.not_equal, "lt": jnp.less, "le": jnp.less_equal, "gt": jnp.greater,
            "ge": jnp.greater_equal}[kind](x, y)


def op_convert(x, dtype):
    to = dtype_of(dtype)
    if is_complex(x) and not jnp.issubdtype(to, jnp.complexfloating) and to != np.bool_:
        x = jnp.real(x)
    if is_float(x) and jnp.issubdtype(to, jnp.integer):
        info, wide = jnp.iinfo(to), x.astype(jnp.float64)
        inside = jnp.where((wide > float(info.min) - 1) & (wide < float(info.max) + 1), jnp.trunc(wide), 0)
        y = inside.astype(to)
        most, least = np.array(info.max, to), np.array(info.min, to)
        y = jnp.where(wide >= float(info.max), most, jnp.where(wide <= float(info.min), least, y))
        return jnp.where(jnp.isnan(wide), np.array(0, to), y)
    if to == np.bool_:
        return x != 0
    return x.astype(to)


def op_bitcast(x, dtype):
    return lax.bitcast_convert_type(x, dtype_of(dtype))


def op_reduce_precision(x, exponent_bits, mantissa_bits):
    return lax.reduce_precision(x, exponent_bits, mantissa_bits)


def op_mark(x, label):
    return x


def op_assert(x, message):
    return x


def op_barrier(*operands):
    return operands if len(operands) > 1 else operands[0]


def op_broadcast(x, shape, axes):
    return lax.broadcast_in_dim(x, shape, axes)


def op_reshape(x, shape):
    return x.reshape(shape)


def op_transpose(x, permutation):
    return lax.transpose(x, permutation)


def op_reverse(x, axes):
    return lax.rev(x, axes)


def op_slice(x, start, limit, stride):
    return lax.slice(x, start, limit, stride)


def op_pad(x, filling, low, high, interior):
    return lax.pad(x, filling, list(zip(low, high, interior)))


def op_concatenate(*operands, axis):
    return lax.concatenate(operands, axis)


def op_dynamic_slice(x, *start, sizes):
    return lax.dynamic_slice(x, clamped(start, x.shape, sizes), sizes)


def op_dynamic_update_slice(x, update, *start):
    return lax.dynamic_update_slice(x, update, clamped(start, x.shape, update.shape))


def clamped(start, shape, sizes):  # JAX takes negative starts as counted from the end
    return [jnp.clip(s, 0, n - size) for s, n, size in zip(start, shape, sizes)]


def last_axis(indices, axis):
    if axis == indices.ndim:
        return indices[..., None]
    return jnp.moveaxis(indices, axis, -1)


def op_gather(x, indices, offset_axes, collapsed_slice_axes, operand_batch_axes, index_batch_axes, start_index_map,
              index_vector_axis, slice_sizes):
    numbers = lax.GatherDimensionNumbers(
        offset_dims=tuple(offset_axes), collapsed_slice_dims=tuple(collapsed_slice_axes),
        start_index_map=tuple(start_index_map), operand_batching_dims=tuple(operand_batch_axes),
        start_indices_batching_dims=tuple(a - (a > index_vector_axis) for a in index_batch_axes))
    return lax.gather(x, last_axis(indices, index_vector_axis), numbers, tuple(slice_sizes), mode="clip")


def op_scatter(x, indices, updates, kind, update_window_axes, inserted_window_axes, operand_batch_axes,
               index_batch_axes, index_map, index_vector_axis):
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=tuple(update_window_axes), inserted_window_dims=tuple(inserted_window_axes),
        scatter_dims_to_operand_dims=tuple(index_map), operand_batching_dims=tuple(operand_batch_axes),
        scatter_indices_batching_dims=tuple(a - (a > index_vector_axis) for a in index_batch_axes))
    function = {"set": lax.scatter, "add": lax.scatter_add, "mul": lax.scatter_mul, "max": lax.scatter_max,
                "min": lax.scatter_min}[kind]
    return function(x, last_axis(indices, index_vector_axis), updates, numbers, mode=lax.GatherScatterMode.FILL_OR_DROP)


def op_reduce(x, kind, axes):
    axes = tuple(axes)
    if kind == "sum":
        if x.dtype in (np.float16, ml_dtypes.bfloat16):
            return jnp.sum(x.astype(jnp.float32), axis=axes).astype(x.dtype)
        return jnp.sum(x, axis=axes, dtype=x.dtype)
    if kind == "prod":
        return jnp.prod(x, axis=axes, dtype=x.dtype)
    if kind in ("and", "or"):
        function = lax.bitwise_and if kind == "and" else lax.bitwise_or
        start = np.array(True if x.dtype == np.bool_ else -1).astype(x.dtype)
        return lax.reduce(x, start if kind == "and" else np.zeros((), x.dtype), function, axes)
    return lax.reduce(x, extreme(x.dtype, kind), jnp.maximum if kind == "max" else jnp.minimum, axes)


def extreme(dtype, kind):
    if jnp.issubdtype(dtype, jnp.floating):
        return np.array(-np.inf if kind == "max" else np.inf, dtype)
    info = jnp.iinfo(dtype)
    return np.array(info.min if kind == "max" else info.max, dtype)


def op_arg_reduce(x, kind, axis, dtype):
    return (jnp.argmax if kind == "max" else jnp.argmin)(x, axis=axis).astype(dtype_of(dtype))


def op_reduce_window(x, kind, window, stride, base_dilation, window_dilation, low, high):
    function = {"sum": lax.add, "prod": lax.mul, "max": jnp.maximum, "min": jnp.minimum}[kind]
    start = np.array({"sum": 0, "prod": 1}[kind], x.dtype) if kind in ("sum", "prod") else extreme(x.dtype, kind)
    return lax.reduce_window(x, start, function, window, stride, list(zip(low, high)), base_dilation, window_dilation)


def patches(x, filling, window, stride, base_dilation, window_dilation, low, high):
    """[cells of a window, windows...]"""
    shape = lax.reduce_window_shape_tuple(x.shape, window, stride, list(zip(low, high)), base_dilation,
                                          window_dilation)
    if 0 in shape:
        return jnp.zeros((int(np.prod(window)), *shape), x.dtype)
    padded = lax.pad(x, filling, [(l, h, b - 1) for l, h, b in zip(low, high, base_dilation)])
    cells = []
    for cell in np.ndindex(*window):
        start = [c * d for c, d in zip(cell, window_dilation)]
        limit = [s + (n - 1) * step + 1 if n else s for s, n, step in zip(start, shape, stride)]
        cells.append(lax.slice(padded, start, limit, stride))
    return jnp.stack(cells)


def op_select_and_gather(x, t, kind, **windows):
    held = patches(x, extreme(x.dtype, kind), **windows)
    inside = patches(jnp.ones(x.shape, bool), np.array(False), **windows)
    taken = patches(t, np.zeros((), t.dtype), **windows)
    if held.size == 0:
        return jnp.zeros(held.shape[1:], t.dtype)
    better = held if kind == "max" else -held
    better = jnp.where(inside, better, -jnp.inf)
    # the first of the best, not a cell of padding: those rank behind the elements that tie with them
    order = jnp.where(inside, jnp.arange(held.shape[0]).reshape(-1, *[1] * x.ndim), held.shape[0])
    best = jnp.max(better, axis=0)
    hit = jnp.where((better == best) | jnp.isnan(better), order, held.shape[0])
    place = jnp.min(hit, axis=0)
    value = jnp.take_along_axis(taken, jnp.minimum(place, held.shape[0] - 1)[None], axis=0)[0]
    return jnp.where(place < held.shape[0], value, 0)


def op_select_and_scatter(x, source, kind, **windows):
    _, transpose = jax.vjp(lambda t: op_select_and_gather(x, t, kind, **windows), jnp.zeros_like(x))
    return transpose(source)[0]


def less(a, b):
    if is_float(a):
        return (a < b) | (jnp.isnan(b) & ~jnp.isnan(a))
    return (~a & b) if a.dtype == np.bool_ else a < b


def sorting_order(keys, descending):
    """[lines, n] each -> the positions that sort them, stably."""
    n = keys[0].shape[1]
    before = jnp.zeros((keys[0].shape[0], n, n), bool)
    tie = jnp.ones_like(before)
    for key in keys:
        a, b = key[:, :, None], key[:, None, :]
        if descending:
            a, b = b, a
        before = before | (tie & less(a, b))
        tie = tie & ~less(a, b) & ~less(b, a)
    first = jnp.arange(n)[:, None] < jnp.arange(n)[None, :]
    return jnp.argsort(jnp.sum(before | (tie & first), axis=1), axis=1)


def lines(x, axis):
    moved = jnp.moveaxis(x, axis, -1)
    return moved.reshape(int(np.prod(moved.shape[:-1])), moved.shape[-1]), moved.shape


def op_sort(*operands, axis, keys, descending):
    flat = [lines(x, axis) for x in operands]
    order = sorting_order([f[0] for f in flat[:keys]], descending)
    out = [jnp.moveaxis(jnp.take_along_axis(f, order, 1).reshape(shape), -1, axis) for f, shape in flat]
    return out if len(out) > 1 else out[0]


def op_top_k(x, axis, k, smallest):
    flat, shape = lines(x, axis)
    order = sorting_order([flat], not smallest)[:, :k]
    shape = (*shape[:-1], k)
    return (jnp.moveaxis(jnp.take_along_axis(flat, order, 1).reshape(shape), -1, axis),
            jnp.moveaxis(order.astype(jnp.int32).reshape(shape), -1, axis))


def op_search_sorted(line, values, right):
    if line.ndim != 1:
        raise Missing("search_sorted in many lines")
    flat = values.reshape(-1, 1)
    counted = ~less(flat, line[None]) if right else less(line[None], flat)
    return jnp.sum(counted, axis=1).astype(jnp.int32).reshape(values.shape)


def op_cumulative(x, kind, axis, reverse, exclusive):
    wide = x.astype(jnp.float32) if x.dtype in (np.float16, ml_dtypes.bfloat16) else x
    if reverse:
        wide = jnp.flip(wide, axis)
    function = {"sum": lambda v: jnp.cumsum(v, axis, dtype=v.dtype), "prod": lambda v: jnp.cumprod(v, axis, dtype=v.dtype),
                "max": lambda v: lax.cummax(v, axis), "min": lambda v: lax.cummin(v, axis),
                "logsumexp": lambda v: lax.cumlogsumexp(v, axis)}[kind]
    y = function(wide)
    if exclusive:
        first = {"sum": 0, "prod": 1, "logsumexp": -np.inf}[kind] if kind not in ("max", "min") else extreme(wide.dtype, kind)
        start = jnp.full_like(lax.slice_in_dim(y, 0, min(1, y.shape[axis]), axis=axis), first)
        y = lax.concatenate([start, lax.slice_in_dim(y, 0, max(y.shape[axis] - 1, 0), axis=axis)], axis)
    return (jnp.flip(y, axis) if reverse else y).astype(x.dtype)


def op_linear_recurrence(a, b, axis, reverse):
    wide = jnp.float32 if a.dtype in (np.float16, ml_dtypes.bfloat16) else a.dtype
    moved = [jnp.moveaxis(v, axis, 0).astype(wide) for v in (a, b)]

    def step(y, item):
        y = item[0] * y + item[1]
        return y, y

    _, out = lax.scan(step, jnp.zeros(moved[0].shape[1:], wide), tuple(moved), reverse=reverse)
    return jnp.moveaxis(out, 0, axis).astype(a.dtype)


def op_dot_general(x, y, lhs_batch, rhs_batch, lhs_contract, rhs_contract, dtype):
    to = x.dtype if dtype == "none" else dtype_of(dtype)
    wide = jnp.float32 if x.dtype in (np.float16, ml_dtypes.bfloat16) else to
    return lax.dot_general(x.astype(wide), y.astype(wide), ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch)),
                           precision=lax.Precision.HIGHEST).astype(to)


def op_quantized_dense(x, w, scale, zero=None):
    n, blocks = w.shape[1], scale.shape[0]
    steps = w.astype(scale.dtype).reshape(blocks, w.shape[0] // blocks, n)
    if zero is not None:
        steps = steps - zero.astype(scale.dtype)[:, None]
    return jnp.matmul(x.astype(scale.dtype), (steps * scale[:, None]).reshape(w.shape), precision=lax.Precision.HIGHEST).astype(x.dtype)


def op_convolution(x, kernel, stride, low, high, base_dilation, window_dilation, groups, batch_groups):
    spatial = "DHW"[3 - len(stride):]
    wide = jnp.float32 if x.dtype in (np.float16, ml_dtypes.bfloat16) else x.dtype
    out = lax.conv_general_dilated(
        x.astype(wide), kernel.astype(wide), stride, list(zip(low, high)), base_dilation, window_dilation,
        ("N" + spatial + "C", spatial + "IO", "N" + spatial + "C"), groups, batch_groups, lax.Precision.HIGHEST)
    return out.astype(x.dtype)


def op_convolution_backward_data(dy, kernel, shape, **forward):
    x = jnp.zeros(shape, dy.dtype)
    return jax.vjp(lambda v: op_convolution(v, kernel, **forward), x)[1](dy)[0]


def op_convolution_backward_kernel(x, dy, shape, **forward):
    kernel = jnp.zeros(shape, dy.dtype)
    return jax.vjp(lambda v: op_convolution(x, v, **forward), kernel)[1](dy)[0]


def op_random_bits(key, shape):
    each = int(np.prod(shape, dtype=np.int64))
    keys = key.reshape(-1, 2).astype(jnp.uint64)
    block = jnp.arange((each + 3) // 4, dtype=jnp.uint64)[None]
    low = np.uint64(0xFFFFFFFF)
    x0, x1 = block & low, block >> np.uint64(32)
    x0, x1 = (jnp.broadcast_to(v, (keys.shape[0], block.shape[1])) for v in (x0, x1))
    x2, x3 = jnp.zeros_like(x0), jnp.zeros_like(x0)
    k0, k1 = keys[:, :1], keys[:, 1:]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * x0, np.uint64(0xCD9E8D57) * x2
        x0, x1, x2, x3 = ((b >> np.uint64(32)) ^ x1 ^ k0, b & low, (a >> np.uint64(32)) ^ x3 ^ k1, a & low)
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    words = jnp.stack([x0, x1, x2, x3], axis=2).reshape(keys.shape[0], -1)[:, :each]
    return words.astype(jnp.uint32).reshape(*key.shape[:-1], *shape)
