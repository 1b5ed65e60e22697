# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/flash_attention.golden: how JAX calls cuDNN's flash attention on CUDA, a case in two lines: its name, and
the custom call's configuration. Needs no GPU. unit.backend.xla.flash holds Mica's text to it."""
import json
import os
import re

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import jax.numpy as jnp
from jax._src.cudnn import fused_attention_stablehlo as fused

fused.check_cudnn_version = lambda: 91100


def text(causal, dtype, shape, scale):
    mask = fused.MaskType.CAUSAL if causal else fused.MaskType.NO_MASK
    f = jax.jit(lambda q, k, v: fused.dot_product_attention(q, k, v, scale=scale, mask_type=mask, qkv_layout="BNTH"))
    b, n, t, s, h = shape
    q, k = jax.ShapeDtypeStruct((b, n, t, h), dtype), jax.ShapeDtypeStruct((b, n, s, h), dtype)
    return jax.export.export(f, platforms=["cuda"], disabled_checks=[jax.export.DisabledSafetyCheck.custom_call(
        "__cudnn$fmhaSoftmax")])(q, k, k).mlir_module()


if __name__ == "__main__":
    with open(os.path.join(os.path.dirname(__file__), "flash_attention.golden"), "w") as out:
        for name, causal, dtype, shape, scale in (("causal_bf16", True, jnp.bfloat16, (2, 3, 128, 128, 64), 0.125),
                                                  ("all_f16", False, jnp.float16, (2, 3, 64, 96, 32), 0.5)):
            line = re.search(r".*__cudnn.*", text(causal, dtype, shape, scale))[0].strip()
            if os.environ.get("SHOW"):
                print(line)
            config = json.loads(re.search(r'backend_config = "((?:[^"\\]|\\22|\\.)*)"', line)[1].replace("\\22", '"'))
            out.write(f"{name}\n{json.dumps(config, sort_keys=True, separators=(',', ':'))}\n")
