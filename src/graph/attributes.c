/* SPDX-License-Identifier: Apache-2.0 */
/* attributes.c: comparing, hashing and printing attribute structs by their tables of fields. */
#include "graph/attributes.h"

#include <string.h>

static size_t field_size(mica_attr_kind kind) {
  switch (kind) {
    case MICA_ATTR_I64: return sizeof(int64_t);
    case MICA_ATTR_F64: return sizeof(double);
    case MICA_ATTR_BOOL: return sizeof(bool);
    case MICA_ATTR_ENUM: return sizeof(int32_t);
    case MICA_ATTR_DTYPE: return sizeof(mica_dtype);
    case MICA_ATTR_SHAPE: return sizeof(mica_shape);
    case MICA_ATTR_INTS: return sizeof(mica_ints);
    case MICA_ATTR_TENSOR: return sizeof(mica_tensor *);
    case MICA_ATTR_VARIABLE: return sizeof(mica_variable *);
    case MICA_ATTR_CUSTOM: return sizeof(struct mica_custom_operator *);
    case MICA_ATTR_TEXT: return sizeof(const char *);
  }
  return 0;
}

static const void *pointer_at(const void *field) {
  const void *pointer;
  memcpy(&pointer, field, sizeof pointer);
  return pointer;
}

static bool texts_equal(const char *a, const char *b) {
  return a == b || (a && b && !strcmp(a, b));
}

bool mica_attr_equal(const mica_op_def *def, const void *a, const void *b) {
  for (const mica_attr_field *f = def->fields; f && f->name; f++) {
    const char *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;
    bool same;
    if (f->kind == MICA_ATTR_TENSOR)
      same = mica_tensor_equal(pointer_at(x), pointer_at(y));
    else if (f->kind == MICA_ATTR_TEXT)
      same = texts_equal(pointer_at(x), pointer_at(y));
    else if (f->kind == MICA_ATTR_INTS) {
      const mica_ints *p = (const void *)x, *q = (const void *)y;
      same = p->count == q->count && !memcmp(p->at, q->at, (size_t)p->count * sizeof p->at[0]);
    } else if (f->kind == MICA_ATTR_SHAPE) {
      same = mica_shape_equal(*(const mica_shape *)(const void *)x,
                              *(const mica_shape *)(const void *)y);
    } else
      same = !memcmp(x, y, field_size(f->kind));
    if (!same) return false;
  }
  return true;
}

/* FNV-1a. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size) {
  const unsigned char *b = bytes;
  for (size_t i = 0; i < size; i++) hash = (hash ^ b[i]) * 1099511628211u;
  return hash;
}

uint64_t mica_attr_hash(const mica_op_def *def, const void *attr) {
  uint64_t hash = 14695981039346656037u;
  for (const mica_attr_field *f = def->fields; f && f->name; f++) {
    const char *x = (const char *)attr + f->offset;
    if (f->kind == MICA_ATTR_TENSOR) {
      const mica_tensor *tensor = pointer_at(x);
      size_t size = mica_tensor_byte_size(tensor);
      hash = hash_bytes(hash, mica_tensor_data(tensor), size < 256 ? size : 256);
      hash = hash_bytes(hash, &size, sizeof size);
    } else if (f->kind == MICA_ATTR_TEXT) {
      const char *text = pointer_at(x);
      hash = hash_bytes(hash, text ? text : "", text ? strlen(text) : 0);
    } else if (f->kind == MICA_ATTR_INTS) {
      const mica_ints *list = (const void *)x;
      hash = hash_bytes(hash, list->at, (size_t)list->count * sizeof list->at[0]);
      hash = hash_bytes(hash, &list->count, sizeof list->count);
    } else if (f->kind == MICA_ATTR_SHAPE) {
      const mica_shape *shape = (const void *)x;
      hash = hash_bytes(hash, shape->dim, (size_t)shape->rank * sizeof shape->dim[0]);
      hash = hash_bytes(hash, &shape->rank, sizeof shape->rank);
    } else
      hash = hash_bytes(hash, x, field_size(f->kind));
  }
  return hash;
}

static void print_list(const int64_t *at, int32_t count, mica_text *text) {
  mica_text_append(text, "[");
  for (int32_t i = 0; i < count; i++)
    mica_text_format(text, "%s%lld", i ? ", " : "", (long long)at[i]);
  mica_text_append(text, "]");
}

void mica_print_quoted(const char *value, mica_text *text) {
  mica_text_append(text, "\"");
  for (const char *c = value ? value : ""; *c; c++) {
    if (*c == '"' || *c == '\\')
      mica_text_format(text, "\\%c", *c);
    else if ((unsigned char)*c < ' ')
      mica_text_format(text, "\\x%02x", (unsigned)(unsigned char)*c);
    else
      mica_text_append_bytes(text, c, 1);
  }
  mica_text_append(text, "\"");
}

/* "f32[2, 3] 0x0000803f..": the elements' bytes in memory order (little-endian), so that every
 * value, NaN payloads too, reads back with the same bits; one real element is written as a
 * number where that does. */
void mica_print_tensor(const mica_tensor *tensor, mica_text *text) {
  char type[160];
  mica_type t = mica_tensor_type(tensor);
  mica_type_format(t, type, sizeof type);
  mica_text_format(text, "%s ", type);
  double number;
  int64_t count = mica_shape_count(t.shape);
  if (count == 1 && mica_tensor_read_doubles(tensor, &number, 1, NULL) == MICA_OK) {
    mica_tensor *again = mica_tensor_from_doubles(t.dtype, t.shape, &number);
    bool exact = again && number - number == 0 && mica_tensor_equal(again, tensor);
    mica_tensor_release(again);
    if (exact) {
      mica_text_double(text, number);
      return;
    }
  }
  mica_text_append(text, "0x");
  const unsigned char *bytes = mica_tensor_data(tensor);
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < mica_tensor_byte_size(tensor); i++) {
    char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
    mica_text_append_bytes(text, pair, 2);
  }
}

void mica_attr_print(const mica_op_def *def, const void *attr, mica_text *text) {
  bool first = true;
  for (const mica_attr_field *f = def->fields; f && f->name; f++) {
    const char *x = (const char *)attr + f->offset;
    if (mica_attr_hidden(f->kind)) continue;
    mica_text_format(text, "%s%s=", first ? "" : ", ", f->name);
    first = false;
    switch (f->kind) {
      case MICA_ATTR_I64:
        mica_text_format(text, "%lld", (long long)*(const int64_t *)(const void *)x);
        break;
      case MICA_ATTR_F64: mica_text_double(text, *(const double *)(const void *)x); break;
      case MICA_ATTR_BOOL:
        mica_text_append(text, *(const bool *)(const void *)x ? "true" : "false");
        break;
      case MICA_ATTR_ENUM:
        mica_text_append(text, f->names[*(const int32_t *)(const void *)x]);
        break;
      case MICA_ATTR_DTYPE:
        mica_text_append(text, mica_dtype_name(*(const mica_dtype *)(const void *)x));
        break;
      case MICA_ATTR_SHAPE: {
        const mica_shape *shape = (const void *)x;
        print_list(shape->dim, shape->rank, text);
        break;
      }
      case MICA_ATTR_INTS: {
        const mica_ints *list = (const void *)x;
        print_list(list->at, list->count, text);
        break;
      }
      case MICA_ATTR_TENSOR: mica_print_tensor(pointer_at(x), text); break;
      case MICA_ATTR_VARIABLE:
      case MICA_ATTR_CUSTOM: break;
      case MICA_ATTR_TEXT: mica_print_quoted(pointer_at(x), text); break;
    }
  }
}
