/* SPDX-License-Identifier: Apache-2.0 */
/* marks.c: marked values on their way to the log callback, and the search for the first NaN. */
#include "backend/backend_internal.h"
#include "core/tensor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- marked values ---------------------------------------------------------------------------- */

/* Appends the formatted tensor; the text fails when memory runs out. */
static void append_values(mica_text *text, const mica_tensor *tensor) {
  char line[256];
  int64_t length = mica_tensor_format(tensor, NULL, line, sizeof(line));
  if (length >= 0 && (size_t)length < sizeof(line)) {
    mica_text_append_bytes(text, line, (size_t)length);
    return;
  }
  size_t size = length < 0 ? 0 : (size_t)length + 1;
  char *whole = size == 0 ? NULL : mica_allocate(&text->allocator, size);
  if (whole == NULL) {
    text->failed = true;
    return;
  }
  mica_tensor_format(tensor, NULL, whole, size);
  mica_text_append_bytes(text, whole, (size_t)length);
  mica_free(&text->allocator, whole, size);
}

void mica_call_mark(const mica_call *call, const char *label, mica_type type, const void *values) {
  if (call->marks == NULL) return;
  mica_text *text = &call->marks->text;
  mica_tensor *copy = NULL;
  if (mica_tensor_create(&text->allocator, type, values, &copy, NULL) != MICA_OK) {
    text->failed = true;
    return;
  }
  mica_text_format(text, "%s: ", label == NULL ? "" : label);
  append_values(text, copy);
  mica_text_append_bytes(text, "", 1);
  mica_tensor_release(copy);
}

void mica_call_marks_report(struct mica_call_marks *marks, const mica_device *device) {
  mica_text *text = &marks->text;
  if (text->size == 0 && !text->failed) return;
  if (device->log != NULL) {
    /* What stands behind the last terminator was cut off by a failure. */
    for (size_t begin = 0; begin < text->size;) {
      const char *line = text->data + begin;
      size_t length = strlen(line);
      if (begin + length >= text->size) break;
      device->log(device->log_user, line);
      begin += length + 1;
    }
    if (text->failed) device->log(device->log_user, "marked values are missing: memory ran out");
  }
  mica_text_clear(text);
  text->failed = false;
}

/* ---- NaN and infinity ------------------------------------------------------------------------- */

/* An element is NaN or infinite when its exponent bits are all set. */
#define FIND_EXPONENT(word, mask)                                  \
  for (int64_t i = 0; i < count; i++) {                            \
    word bits;                                                     \
    memcpy(&bits, bytes + (size_t)i * sizeof(bits), sizeof(bits)); \
    if ((bits & (word)(mask)) == (word)(mask)) return i;           \
  }                                                                \
  return -1

int64_t mica_find_not_finite(mica_type type, const void *values) {
  const unsigned char *bytes = values;
  int64_t count = mica_shape_count(type.shape);
  switch (type.dtype) {
    case MICA_F8E4M3FN: FIND_EXPONENT(uint8_t, 0x7F); /* it has no infinity */
    case MICA_F8E5M2: FIND_EXPONENT(uint8_t, 0x7C);
    case MICA_BF16: FIND_EXPONENT(uint16_t, 0x7F80);
    case MICA_F16: FIND_EXPONENT(uint16_t, 0x7C00);
    case MICA_C64: count *= 2; /* fall through */
    case MICA_F32: FIND_EXPONENT(uint32_t, 0x7F800000);
    case MICA_C128: count *= 2; /* fall through */
    case MICA_F64: FIND_EXPONENT(uint64_t, 0x7FF0000000000000);
    default: return -1;
  }
}

#undef FIND_EXPONENT

mica_status mica_not_finite_error(const mica_graph *graph, uint32_t id, uint32_t result,
                                  const void *values, int64_t index, mica_error *error) {
  const mica_node *node = mica_node_at(graph, id);
  mica_type type = mica_node_at(graph, id + result)->type;
  /* A complex number takes two places, of which either may have been found. */
  bool complex = mica_dtype_is_complex(type.dtype);
  mica_dtype real = type.dtype == MICA_C64    ? MICA_F32
                    : type.dtype == MICA_C128 ? MICA_F64
                                              : type.dtype;
  double value = NAN;
  const unsigned char *bytes = values;
  size_t size = (size_t)mica_dtype_bits(real) / 8;
  mica_convert_elements(MICA_F64, &value, real, bytes + (size_t)index * size, 1);
  if (complex) index /= 2;
  char position[200] = "", types[400] = "";
  size_t used = 0;
  int64_t inner = mica_shape_count(type.shape), left = index;
  for (int32_t axis = 0; axis < type.shape.rank && used < sizeof(position); axis++) {
    inner /= type.shape.dim[axis];
    int length = snprintf(position + used, sizeof(position) - used, "%s%" PRId64,
                          axis == 0 ? "" : ", ", left / inner);
    if (length > 0) used += (size_t)length;
    left %= inner;
  }
  used = 0;
  const uint32_t *operands = mica_node_operands(graph, node);
  for (uint32_t i = 0; i < node->operand_count && used + 100 < sizeof(types); i++) {
    if (i > 0) used += (size_t)snprintf(types + used, sizeof(types) - used, ", ");
    used += (size_t)mica_type_format(mica_node_at(graph, operands[i])->type, types + used,
                                     sizeof(types) - used);
  }
  char result_type[160];
  mica_type_format(type, result_type, sizeof(result_type));
  const char *scope = mica_scope_text(graph, node->scope);
  /* The usual reason there. */
  bool labels = node->op == MICA_OP_SOFTMAX_CROSS_ENTROPY && isnan(value);
  return mica_error_set(error, MICA_DATA_LOSS,
                        "%s(%s) -> %s made %s at [%s] from finite operands%s%s%s",
                        mica_op_definition((mica_op)node->op)->name, types, result_type,
                        isnan(value)  ? "NaN"
                        : value > 0.0 ? "infinity"
                                      : "-infinity",
                        position, labels ? ": the label there is none of the classes" : "",
                        *scope != '\0' ? ", in " : "", scope);
}
