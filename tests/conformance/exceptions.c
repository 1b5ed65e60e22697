/* SPDX-License-Identifier: Apache-2.0 */
/* exceptions.c: the rows of the table that XLA's CPU plugins do not hold, and why. What is the plugin's doing is shown
 * on it by a module written by hand in unit.backend.xla.defects, without anything of ours. */
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"

enum { EVERY_VERSION = 1000 };

const case_exception case_exceptions[] = {
    {"any_custom", I4 | U4, EVERY_VERSION, false, "a custom operator on 4-bit values",
     "custom operators take no 4-bit values there"},
    {"any_custom_effect", I4 | U4, EVERY_VERSION, false, "a custom operator on 4-bit values",
     "custom operators take no 4-bit values there"},
    {"any_switch", I4 | U4, 106, false, "transposes 4-bit values",
     "XLA's compiler would end the process"},
    {"atanh", F64, 115, false, NULL,
     "up to 2.7e-14 of its value off, as XLA's `log_plus_one` of f64 is; 3.3e-16 on 0.115"},
    {"log1p", F64, 115, false, NULL,
     "up to 7.5e-15 of its value off, as XLA's `log_plus_one` of f64 is"},
    {"xlog1py", F64, 115, false, NULL,
     "up to 1.4e-14 of its value off, as XLA's `log_plus_one` of f64 is"},
    {"complex_mul", F32, EVERY_VERSION, true, NULL,
     "NaN where products of the parts overflow: XLA multiplies in f32, the reference in f64"},
    {"complex_pow", F32, EVERY_VERSION, true, NULL,
     "NaN where products of the parts overflow: XLA multiplies in f32, the reference in f64"},
    {"quantize_channels", F64, EVERY_VERSION, true, NULL,
     "the largest number does not overflow: XLA multiplies by the reciprocal of a constant "
     "divisor"},
    {"quantize_blocks", F64, EVERY_VERSION, true, NULL,
     "the largest number does not overflow: XLA multiplies by the reciprocal of a constant "
     "divisor"},
    {"fake_quantize_data", F64, EVERY_VERSION, true, NULL,
     "the largest number does not overflow: XLA multiplies by the reciprocal of a constant "
     "divisor"},
};
const int32_t case_exception_count = sizeof case_exceptions / sizeof case_exceptions[0];

const case_exception *case_exception_of(mica_device *device, const conformance_case *c,
                                        mica_dtype dtype, bool special) {
  const char *description = mica_device_description(device),
             *version = strstr(description, "PJRT 0.");
  int minor = version ? atoi(version + 7) : 0;
  if (strncmp(description, "xla:cpu", 7) != 0) return NULL;
  for (int32_t i = 0; i < case_exception_count; i++) {
    const case_exception *e = &case_exceptions[i];
    if (minor >= e->before || (e->special && !special) || strcmp(c->name, e->name) != 0) continue;
    for (uint32_t bit = 1; bit <= LAST_DTYPE; bit <<= 1)
      if ((e->dtypes & bit) && case_dtype(bit) == dtype) return e;
  }
  return NULL;
}
