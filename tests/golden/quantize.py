# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/quantize.npz: what ONNX Runtime, JAX and numpy give for quantized arrays, products of them and
products of narrow numbers. Each case has arrays <case>.in0.. and <case>.out0..; the table of
tests/unit/backend/test_quantize_golden.c says what is built of the inputs. Numbers of bf16, f8 and 4 bits are kept in
wider dtypes."""
import os

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

jax.config.update("jax_enable_x64", True)
lax, jnp = jax.lax, jax.numpy
arrays = {}
rng = np.random.default_rng(11)


def case(name, inputs, outputs):
    for kind, values in (("in", inputs), ("out", outputs)):
        for i, value in enumerate(values):
            arrays[f"{name}.{kind}{i}"] = np.asarray(value, order="C")


def onnx_run(op, inputs, outputs, domain="", **attributes):
    inputs = [value if value is None else np.asarray(value) for value in inputs]
    names = [f"i{k}" if value is not None else "" for k, value in enumerate(inputs)]
    kinds = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in zip(names, inputs) if n]
    node = helper.make_node(op, names, [f"o{k}" for k in range(outputs)], domain=domain, **attributes)
    made = [onnx.ValueInfoProto(name=f"o{k}") for k in range(outputs)]
    graph = helper.make_graph([node], "case", kinds, made)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {n: v for n, v in zip(names, inputs) if n})


x = rng.normal(size=(6, 40)).astype(np.float32)
y, scale, zero = onnx_run("DynamicQuantizeLinear", [x], 3)
case("dynamic_u8", [x], [y, scale, zero])

# Scales and zero points of columns and of blocks along an axis, with numbers beyond the ends and halves.
x = np.concatenate([x, [[0.5, 1.5, -0.5, 2.5] * 10]]).astype(np.float32)
scale, zero = np.full(40, 0.25, np.float32), rng.integers(-20, 20, 40).astype(np.int8)
scale[:8] = 0.001
y, = onnx_run("QuantizeLinear", [x, scale, zero], 1, axis=1)
case("channels_i8", [x, scale[None], zero[None]], [y, onnx_run("DequantizeLinear", [y, scale, zero], 1, axis=1)[0]])
x = rng.normal(size=(8, 6)).astype(np.float32) * 3
scale, zero = rng.uniform(0.01, 0.05, (2, 6)).astype(np.float32), rng.integers(0, 255, (2, 6)).astype(np.uint8)
y, = onnx_run("QuantizeLinear", [x, scale, zero], 1, axis=0, block_size=4)
case("blocks_u8", [x, scale, zero], [y, onnx_run("DequantizeLinear", [y, scale, zero], 1, axis=0, block_size=4)[0]])

# Symmetric 4 bits by blocks of 8, in numpy.
x = rng.normal(size=(16, 5)).astype(np.float32)
blocks = x.reshape(2, 8, 5)
scale = np.abs(blocks).max(1, keepdims=True) / np.float32(7)
q = np.clip(np.round(blocks / scale), -8, 7)
case("blocks_i4", [x], [q.reshape(16, 5).astype(np.int8), scale[:, 0], (q * scale).reshape(16, 5)])

a, b = rng.integers(0, 256, (5, 70)).astype(np.uint8), rng.integers(-128, 128, (70, 9)).astype(np.int8)
az, bz = np.uint8(131), np.int8(-3)
sums, = onnx_run("MatMulInteger", [a, b, az, bz], 1)
a_scale, b_scale = np.float32(0.02), np.float32(0.3)
case("dot_u8_i8", [a, b, a_scale, b_scale, az, bz], [sums.astype(np.float32) * a_scale * b_scale])
y_scale, y_zero = np.float32(9.5), np.uint8(120)
y, = onnx_run("QLinearMatMul", [a, a_scale, az, b, b_scale, bz, y_scale, y_zero], 1)
case("linear_matmul", [a, b, a_scale, b_scale, y_scale, y_zero], [y])

# ONNX Runtime keeps 4-bit weights transposed, [n, blocks, bytes].
k, n, block = 64, 10, 32
w, zero = rng.integers(0, 16, (n, k)), rng.integers(0, 16, (n, k // block))
scale = rng.uniform(0.1, 0.2, (n, k // block)).astype(np.float32)
x = rng.normal(size=(3, k)).astype(np.float32)
packed = (w[:, 0::2] | w[:, 1::2] << 4).astype(np.uint8).reshape(n, k // block, block // 2)
packed_zero = (zero[:, 0::2] | zero[:, 1::2] << 4).astype(np.uint8)
y, = onnx_run("MatMulNBits", [x, packed, scale.reshape(-1), packed_zero.reshape(-1)], 1, domain="com.microsoft", K=k, N=n, bits=4, block_size=block)
case("dense_u4", [x, w.T.astype(np.uint8), scale.T, zero.T.astype(np.uint8)], [y])
y, = onnx_run("MatMulNBits", [x, packed, scale.reshape(-1), None], 1, domain="com.microsoft", K=k, N=n, bits=4, block_size=block)
case("dense_i4", [x, w.T.astype(np.int8) - 8, scale.T], [y])

# Rows of x rounded to i8 first.
row = np.abs(x).max(1, keepdims=True) / np.float32(127)
whole = np.round(x / row).astype(np.int64)
weights = (w.T - 8).reshape(2, block, n).astype(np.int64)
sums = np.einsum("mbi,bin->bmn", whole.reshape(3, 2, block), weights)
case("dense_dynamic", [x, w.T.astype(np.int8) - 8, scale.T], [((sums * scale.T[:, None]).sum(0) * row).astype(np.float32)])


# Products of narrow numbers with wider results, as JAX's preferred_element_type.
def wide_dot(a, b, dtype):
    return np.asarray(lax.dot_general(jnp.array(a), jnp.array(b), (((1,), (0,)), ((), ())), preferred_element_type=dtype))


u, v = rng.normal(size=(4, 33)), rng.normal(size=(33, 6))
for name in ("bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"):
    dtype = np.dtype(getattr(ml_dtypes, name, getattr(np, name, None)))
    a, b = u.astype(dtype), v.astype(dtype)
    wide = wide_dot(a, b, jnp.float32) if name in ("bfloat16", "float16") else a.astype(np.float64) @ b.astype(np.float64)
    case(f"wide_{name}", [a.astype(np.float32), b.astype(np.float32)], [wide.astype(np.float32)])
a, b = rng.integers(-128, 128, (4, 33)).astype(np.int8), rng.integers(-128, 128, (33, 6)).astype(np.int8)
case("wide_i8", [a, b], [wide_dot(a, b, jnp.int32)])
c = rng.integers(0, 256, (4, 33)).astype(np.uint8)
case("wide_u8_i8", [c, b], [c.astype(np.int32) @ b.astype(np.int32)])
case("wide_u8_i4", [c, b // 16], [c.astype(np.int32) @ (b // 16).astype(np.int32)])

# The derivatives of x rounded: straight through, and by the scale (Esser et al. 2020).
x = (rng.normal(size=(5, 4)) * 2).astype(np.float64)
scale = rng.uniform(0.01, 0.02, (1, 4))
weights = rng.normal(size=(5, 4))
t = x / scale
inside = (t >= -128) & (t <= 127)
q = np.clip(np.round(t), -128, 127)
by_scale = np.where(inside, np.round(t) - t, q)
case("fake", [x, scale, weights], [q * scale, weights * inside, (weights * by_scale).sum(0, keepdims=True)])

np.savez_compressed(os.path.join(os.path.dirname(os.path.abspath(__file__)), "quantize.npz"), **arrays)
