# SPDX-License-Identifier: Apache-2.0
# Makes tests/golden/python.safetensors by Python's safetensors package; without an argument. With two, it is the
# other half of a live cross-check: `make_safetensors.py check OURS THEIRS` reads what Mica wrote and writes it again.
import os
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

here = os.path.dirname(os.path.abspath(__file__))
if len(sys.argv) == 4 and sys.argv[1] == "check":
    arrays = load_file(sys.argv[2])
    assert arrays["a.f32"].dtype == np.float32 and arrays["a.f32"].shape == (3, 5), arrays["a.f32"]
    assert np.array_equal(arrays["a.f32"], np.arange(15, dtype=np.float32).reshape(3, 5) / 4)
    assert arrays["scalar"].shape == () and arrays["scalar"] == -7
    assert arrays["empty"].shape == (0, 4)
    assert np.array_equal(arrays["odd"], np.arange(7, dtype=np.uint8))
    save_file(arrays, sys.argv[3], metadata={"from": "python"})
    sys.exit(0)

count = 6
arrays = {}
for dtype in ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32",
              "float64", "complex64"]:
    values = np.arange(count).reshape(2, 3)
    arrays["encoder." + dtype] = (values % 2 == 1) if dtype == "bool" else values.astype(dtype)
arrays["empty"] = np.zeros((0, 4), np.float32)
arrays["scalar"] = np.array(2.5, np.float64)
arrays["größe \"\\ 𝄞"] = np.array([1, 2, 3], np.int32)
save_file(arrays, os.path.join(here, "python.safetensors"), metadata={"format": "np", "note": "line\nbreak"})
