# SPDX-License-Identifier: Apache-2.0
# Runs a module of StableHLO in JAX on the arrays in0, in1, .. of an .npz file and compares what comes out with
# out0, out1, ..: within 1e-5. Exit status 77: there is no JAX.
import sys

try:
    import jax
    import numpy as np
    from jax._src.lib import xla_client
except ImportError:
    sys.exit(77)

module, arrays = open(sys.argv[1]).read(), np.load(sys.argv[2])
device = jax.devices("cpu")[0]
program = device.client.compile_and_load(module, xla_client.DeviceList((device,)), xla_client.CompileOptions())
inputs = [jax.device_put(arrays[f"in{i}"], device) for i in range(sum(k.startswith("in") for k in arrays))]
results = program.execute_sharded(inputs).disassemble_into_single_device_arrays()
worst = 0.0
for i, (result,) in enumerate(results):
    wanted = arrays[f"out{i}"]
    result = np.asarray(result)
    if result.shape != wanted.shape or result.dtype != wanted.dtype:
        sys.exit(f"output {i} is {result.dtype}{result.shape}, not {wanted.dtype}{wanted.shape}")
    worst = max(worst, float(np.max(np.abs(result - wanted) / (1 + np.abs(wanted)))))
print(f"{len(results)} results differ by {worst:.1e} at most")
sys.exit(0 if worst <= 1e-5 else 1)
