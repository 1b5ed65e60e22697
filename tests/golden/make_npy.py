# SPDX-License-Identifier: Apache-2.0
"""Writes the .npy and .npz files in tests/golden/npy, by numpy and ml_dtypes, for test_npy.c and test_npz.c.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy ml_dtypes
    /tmp/venv/bin/python tests/golden/make_npy.py tests/golden/npy

Every array holds 0, 1, 2, ... converted to its dtype, in row-major order, so that the tests know what to expect.
"""
import os
import sys

import ml_dtypes
import numpy as np
from numpy.lib import format as npy_format


def counting(shape, dtype):
    return np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)


def main(folder):
    os.makedirs(folder, exist_ok=True)

    def save(name, array, version=None):
        with open(os.path.join(folder, name + ".npy"), "wb") as file:
            npy_format.write_array(file, np.asanyarray(array), version=version)

    for dtype in ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32",
                  "float64", "complex64", "complex128"):
        save(dtype, counting((2, 3), dtype))
    save("bfloat16", counting((2, 3), ml_dtypes.bfloat16))
    save("float8_e5m2", counting((2, 3), ml_dtypes.float8_e5m2))
    save("untold_int4", counting((2, 3), ml_dtypes.int4))
    save("scalar", np.float32(0))
    save("vector", counting((3,), "float32"))
    save("empty", np.zeros((3, 0, 2), "float32"))
    save("rank_8", counting((1, 2, 1, 2, 1, 2, 1, 2), "int32"))
    save("rank_9", counting((1,) * 9, "int32"))
    save("fortran", np.asfortranarray(counting((2, 3, 4), "float64")))
    save("fortran_big_endian", np.asfortranarray(counting((2, 3), ">i4")))
    save("big_endian_complex", counting((2, 3), ">c8"))
    save("version_2", counting((2, 3), "float32"), (2, 0))
    save("version_3", counting((2, 3), "float32"), (3, 0))
    save("structure", np.zeros(2, [("a", "f4"), ("b", "i4")]))
    save("text", np.array(["ab", "c"]))
    arrays = {"weights": counting((20, 30), "float32"), "labels": counting((50,), "uint8"),
              "transposed": np.asfortranarray(counting((4, 5), "int64")), "nested/scalar": counting((), "float64")}
    np.savez(os.path.join(folder, "stored.npz"), **arrays)
    np.savez_compressed(os.path.join(folder, "deflated.npz"), **arrays)
    np.savez(os.path.join(folder, "nothing.npz"))


main(sys.argv[1])
