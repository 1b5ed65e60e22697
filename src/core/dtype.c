/* SPDX-License-Identifier: Apache-2.0 */
/* dtype.c: the dtypes' names, sizes and classes, all from the one list in core.h. */
#include "mica/core.h"

#include <string.h>

const char *mica_dtype_name(mica_dtype dtype) {
  switch (dtype) {
#define DTYPE_CASE(NAME, value, text, bits) \
  case MICA_##NAME: return text;
    MICA_DTYPE_LIST(DTYPE_CASE)
#undef DTYPE_CASE
    case MICA_DTYPE_NONE:
    case MICA_DTYPE_COUNT: break;
  }
  return "none";
}

mica_dtype mica_dtype_from_name(const char *name) {
  if (name == NULL) return MICA_DTYPE_NONE;
#define DTYPE_MATCH(NAME, value, text, bits) \
  if (strcmp(name, text) == 0) return MICA_##NAME;
  MICA_DTYPE_LIST(DTYPE_MATCH)
#undef DTYPE_MATCH
  return MICA_DTYPE_NONE;
}

int32_t mica_dtype_bits(mica_dtype dtype) {
  switch (dtype) {
#define DTYPE_CASE(NAME, value, text, bits) \
  case MICA_##NAME: return bits;
    MICA_DTYPE_LIST(DTYPE_CASE)
#undef DTYPE_CASE
    case MICA_DTYPE_NONE:
    case MICA_DTYPE_COUNT: break;
  }
  return 0;
}

bool mica_dtype_is_float(mica_dtype dtype) { return dtype >= MICA_F8E4M3FN && dtype <= MICA_F64; }

bool mica_dtype_is_integer(mica_dtype dtype) { return dtype >= MICA_I4 && dtype <= MICA_U64; }

bool mica_dtype_is_signed(mica_dtype dtype) {
  return dtype == MICA_I4 || dtype == MICA_I8 || dtype == MICA_I16 || dtype == MICA_I32 ||
         dtype == MICA_I64;
}

bool mica_dtype_is_complex(mica_dtype dtype) { return dtype == MICA_C64 || dtype == MICA_C128; }
