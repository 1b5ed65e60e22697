# SPDX-License-Identifier: Apache-2.0
"""Writes numpy_text.golden: arrays and what numpy's str() prints for them, for tests/unit/core/test_format.c.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy
    /tmp/venv/bin/python tests/golden/make_numpy_text.py > tests/golden/numpy_text.golden

Each case: a line `case NAME DTYPE PRECISION THRESHOLD EDGE WIDTH SIZE...`, a line with the elements' bytes in
hexadecimal, a line `text LINES`, then these lines. PRECISION -1 stands for floatmode="unique".
"""
import sys

import numpy as np

NAMES = {"bool": "bool", "int8": "i8", "uint8": "u8", "int16": "i16", "uint16": "u16", "int32": "i32",
         "uint32": "u32", "int64": "i64", "uint64": "u64", "float16": "f16", "float32": "f32",
         "float64": "f64", "complex64": "c64", "complex128": "c128"}


def case(name, array, precision=4, threshold=1000, edge=3, width=75):
    array = np.asarray(array)
    mode = {"floatmode": "unique"} if precision < 0 else {"precision": precision}
    with np.printoptions(threshold=threshold, edgeitems=edge, linewidth=width, **mode):
        text = str(array).split("\n")
    sizes = " ".join(str(n) for n in array.shape)
    print(f"case {name} {NAMES[array.dtype.name]} {precision} {threshold} {edge} {width} {sizes}".rstrip())
    print(array.tobytes().hex())
    print(f"text {len(text)}")
    for line in text:
        print(line)


def main():
    rng = np.random.default_rng(20260101)
    nan, inf = float("nan"), float("inf")
    for kind in ("float16", "float32", "float64"):
        def f(x):
            return np.array(x).astype(kind)
        case(f"{kind}_plain", f([[1, 2.5, -3], [0.125, 100, 7]]))
        case(f"{kind}_integers", f([1, 2, 3]))
        case(f"{kind}_zeros", f([0, -0.0, 0]))
        case(f"{kind}_small", f([1e-5, 1, 2]))
        case(f"{kind}_ratio", f([0.001, 1, 2.5]))
        case(f"{kind}_ratio_over", f([0.000999, 1]))
        case(f"{kind}_tenths", f([0.1, 0.2, 0.3]))
        case(f"{kind}_tenths_unique", f([0.1, 0.2, 0.3, 1 / 3]), precision=-1)
        case(f"{kind}_rounding", f([0.00005, 0.99999, 9.99995, 0.12345, 0.12355, 2.00005]))
        case(f"{kind}_precision_1", f([0.25, 0.35, 0.05, 9.96, 0.04]), precision=1)
        case(f"{kind}_precision_2_scientific", f([0.00025, 0.0035, 9.996, 99.96]), precision=2)
        case(f"{kind}_special", f([nan, inf, -inf, 1]))
        case(f"{kind}_special_positive", f([nan, inf, 1.5, -2.25]))
        case(f"{kind}_only_special", f([nan, inf]))
        case(f"{kind}_only_special_negative", f([nan, -inf]))
        case(f"{kind}_scientific_special", f([nan, -inf, 1e-6, 3]))
        case(f"{kind}_least", np.array([np.finfo(kind).smallest_subnormal, np.finfo(kind).max]))
        case(f"{kind}_scalar", f(0.1))
        case(f"{kind}_scalar_whole", f(-3))
        case(f"{kind}_scalar_zero", f(-0.0))
        case(f"{kind}_scalar_nan", f(nan))
        case(f"{kind}_scalar_small", f(1.5e-6))
        for i in range(8):
            scale = 10.0 ** rng.integers(-3, 4)
            case(f"{kind}_random_{i}", (rng.standard_normal((3, 4)) * scale).astype(kind),
                 precision=int(rng.choice([-1, 1, 2, 4, 8])))
        for i in range(4):
            spread = 10.0 ** rng.uniform(-4, 4, 9)
            case(f"{kind}_spread_{i}", (rng.standard_normal(9) * spread).astype(kind))
        case(f"{kind}_wrap", rng.standard_normal(40).astype(kind))
        case(f"{kind}_wrap_narrow", rng.standard_normal((2, 3, 5)).astype(kind), width=20)
        case(f"{kind}_summary", rng.standard_normal(60).astype(kind), threshold=50)
    case("float64_large", np.array([1e8, 1.0]))
    case("float64_below_large", np.array([99999999.0, 1e5]))
    case("float64_huge", np.array([1e300, 1e-300]))
    case("float64_scalar_large", np.array(1e16))
    case("float64_scalar_below_large", np.array(123456789012345.0))
    case("float32_scalar_large", np.array(3e38, "float32"))
    for i in range(6):
        bits = rng.integers(0, 2**63, 6, dtype="uint64")
        case(f"float64_bits_{i}", np.where(np.isnan(bits.view("float64")), 1, bits.view("float64")),
             precision=-1 if i % 2 else 4)
    for kind in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
        info = np.iinfo(kind)
        case(f"{kind}_limits", np.array([[info.min, 0], [1, info.max]], kind))
        case(f"{kind}_scalar", np.array(info.max, kind))
    case("bool_row", np.array([True, False, True]))
    case("bool_scalar", np.array(False))
    case("int32_summary_2d", np.arange(108, dtype="int32").reshape(9, 12), threshold=100)
    case("int32_summary_3d", np.arange(150, dtype="int32").reshape(5, 6, 5), threshold=100, edge=2)
    case("int32_summary_short_axis", np.arange(120, dtype="int32").reshape(2, 60), threshold=100)
    case("int32_summary_edge", np.arange(7 * 6, dtype="int32").reshape(7, 6), threshold=10, edge=3)
    case("int32_rank_4", np.arange(16, dtype="int32").reshape(2, 2, 2, 2))
    case("int32_rank_8", np.arange(2, dtype="int32").reshape(1, 1, 1, 2, 1, 1, 1, 1))
    case("int32_long_lines", np.arange(40, dtype="int32"), width=30)
    case("int32_too_narrow", np.array([123456789, 5, 6], "int32"), width=4)
    case("int32_empty", np.zeros((3, 0), "int32"))
    for kind in ("complex64", "complex128"):
        case(f"{kind}_plain", np.array([1 + 2j, -0.5 - 0.25j, 100j]).astype(kind))
        case(f"{kind}_random", (rng.standard_normal((2, 3)) + 1j * rng.standard_normal((2, 3))).astype(kind))
        case(f"{kind}_special", np.array([complex(nan, 1), complex(1, -inf), complex(inf, nan)]).astype(kind))
        case(f"{kind}_mixed", np.array([1 + 1e-7j, 2.5 + 3j]).astype(kind))


if __name__ == "__main__":
    sys.exit(main())
