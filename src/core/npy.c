/* SPDX-License-Identifier: Apache-2.0 */
/* npy.c: arrays in numpy's .npy files (numpy/lib/format.py describes the format), read from
 * untrusted bytes.
 *
 * A file is a preface, a header that is a Python dictionary, and the elements. Dtypes that numpy
 * lacks are raw bytes to it (`V`), as ml_dtypes leaves them; which of the one-byte dtypes they are
 * stands behind the dictionary as a Python comment, which numpy's reader skips. 4-bit elements take
 * a byte each there. */
#include "core/npy.h"

#include "core/memory.h"
#include "core/tensor.h"
#include "core/text.h"
#include "platform/platform.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
  NPY_MAGIC_SIZE = 6,
  NPY_PREFACE_SIZE = 12,     /* magic, version, and the header's size in 2 or 4 bytes */
  NPY_HEADER_READ = 1 << 16, /* a header that is longer is no header */
  NPY_ALIGNMENT = 64,
  NPY_GROWTH_DIGITS = 21 /* numpy leaves room for the first size to grow in place */
};

static const char npy_magic[] = "\x93NUMPY";

/* Rows of equal kind and size: the first is written and, unless a comment names another, read. */
static const struct {
  mica_dtype dtype;
  char kind;
  int32_t size;
  bool commented; /* named in a comment, and readable by that only */
} npy_types[] = {
    {MICA_BOOL, 'b', 1, false},    {MICA_I8, 'i', 1, false},     {MICA_U8, 'u', 1, false},
    {MICA_I16, 'i', 2, false},     {MICA_U16, 'u', 2, false},    {MICA_I32, 'i', 4, false},
    {MICA_U32, 'u', 4, false},     {MICA_I64, 'i', 8, false},    {MICA_U64, 'u', 8, false},
    {MICA_F16, 'f', 2, false},     {MICA_F32, 'f', 4, false},    {MICA_F64, 'f', 8, false},
    {MICA_C64, 'c', 8, false},     {MICA_C128, 'c', 16, false},  {MICA_BF16, 'V', 2, false},
    {MICA_F8E4M3FN, 'V', 1, true}, {MICA_F8E5M2, 'V', 1, true},  {MICA_I4, 'V', 1, true},
    {MICA_U4, 'V', 1, true},       {MICA_F8E5M2, 'f', 1, false}, /* ml_dtypes writes "<f1" */
};
enum { NPY_TYPE_COUNT = sizeof(npy_types) / sizeof(npy_types[0]) };

typedef struct {
  char kind;
  int32_t size;     /* bytes of an element in the file */
  bool swapped;     /* the bytes are in the other order than this machine's */
  bool fortran;     /* the first axis is the innermost */
  bool unsupported; /* valid, but nothing that a tensor can hold */
  mica_shape shape;
  mica_dtype dtype;
} npy_header;

/* ---- byte sources ---------------------------------------------------------------------------- */

mica_status mica_file_status(int code, const char *path, const char *verb, mica_error *error) {
  if (code == 0) return MICA_OK;
  char reason[128];
  mica_status status = code == ENOENT   ? MICA_NOT_FOUND
                       : code == ENOMEM ? MICA_OUT_OF_MEMORY
                                        : MICA_IO;
  return mica_error_set(error, status, "cannot %s '%s': %s", verb, path,
                        mica_errno_text(code, reason, sizeof(reason)));
}

mica_status mica_byte_source_open(const char *path, mica_byte_source *out_source,
                                  mica_error *error) {
  *out_source = (mica_byte_source){.path = path};
  if (path == NULL) return mica_error_set(error, MICA_INVALID, "the path is NULL");
  return mica_file_status(mica_file_size(path, &out_source->size), path, "read", error);
}

mica_status mica_byte_source_read(const mica_byte_source *source, uint64_t offset, void *out,
                                  size_t size, mica_error *error) {
  if (offset > source->size || size > source->size - offset)
    return mica_error_set(error, MICA_DATA_LOSS, "the data ends early");
  if (size == 0) return MICA_OK;
  if (source->path != NULL)
    return mica_file_status(mica_file_read(source->path, offset, out, size), source->path, "read",
                            error);
  memcpy(out, source->bytes + offset, size);
  return MICA_OK;
}

/* ---- the header's dictionary ----------------------------------------------------------------- */

typedef struct {
  const char *at, *end;
} npy_cursor;

static void npy_skip_space(npy_cursor *cursor) {
  while (cursor->at < cursor->end &&
         (*cursor->at == ' ' || *cursor->at == '\n' || *cursor->at == '\t'))
    cursor->at++;
}

static bool npy_take(npy_cursor *cursor, const char *word) {
  npy_skip_space(cursor);
  size_t length = strlen(word);
  if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
    return false;
  cursor->at += length;
  return true;
}

/* A quoted string without escapes. */
static bool npy_take_string(npy_cursor *cursor, const char **out, size_t *out_size) {
  npy_skip_space(cursor);
  if (cursor->at == cursor->end || (*cursor->at != '\'' && *cursor->at != '"')) return false;
  const char quote = *cursor->at, *begin = cursor->at + 1;
  const char *close = memchr(begin, quote, (size_t)(cursor->end - begin));
  if (close == NULL) return false;
  *out = begin;
  *out_size = (size_t)(close - begin);
  cursor->at = close + 1;
  return true;
}

static const char *npy_take_shape(npy_cursor *cursor, mica_shape *shape) {
  if (!npy_take(cursor, "(")) return "'shape' is not a tuple";
  *shape = MICA_SCALAR;
  while (!npy_take(cursor, ")")) {
    int64_t size;
    npy_skip_space(cursor);
    if (!mica_parse_i64(&cursor->at, cursor->end, &size) || size < 0)
      return "'shape' has something other than sizes";
    if (shape->rank == MICA_MAX_RANK) return "more than 8 axes";
    shape->dim[shape->rank++] = size;
    (void)npy_take(cursor, "L"); /* of Python 2 */
    if (!npy_take(cursor, ",")) {
      if (shape->rank == 1 || !npy_take(cursor, ")")) return "'shape' is not a tuple";
      break;
    }
  }
  return NULL;
}

static const char *npy_take_descr(npy_cursor *cursor, npy_header *header) {
  const char *text;
  size_t size;
  header->unsupported = true; /* whatever is wrong below */
  if (!npy_take_string(cursor, &text, &size)) return "arrays of structures are not supported";
  const char *end = text + size;
  char order = '|';
  if (text < end && strchr("<>|=", *text) != NULL && *text != '\0') order = *text++;
  if (text == end) return "'descr' names no type";
  header->kind = *text++;
  int64_t bytes;
  if (!mica_parse_i64(&text, end, &bytes) || text != end || bytes < 1 || bytes > 16)
    return "'descr' names an unsupported type";
  header->size = (int32_t)bytes;
  const uint16_t probe = 1;
  bool little = *(const uint8_t *)&probe == 1;
  header->swapped = order == '<' ? !little : order == '>' && little;
  header->unsupported = false;
  return NULL;
}

static const char *npy_take_bool(npy_cursor *cursor, bool *out) {
  *out = npy_take(cursor, "True");
  return *out || npy_take(cursor, "False") ? NULL : "'fortran_order' is neither True nor False";
}

/* Behind the dictionary: nothing, or a comment that names the dtype. */
static const char *npy_take_comment(npy_cursor *cursor, npy_header *header) {
  char name[16];
  size_t length = 0;
  bool commented = npy_take(cursor, "#");
  npy_skip_space(cursor);
  while (commented && cursor->at < cursor->end && length < sizeof(name) - 1 && *cursor->at > ' ')
    name[length++] = *cursor->at++;
  name[length] = '\0';
  mica_dtype named = mica_dtype_from_name(name);
  npy_skip_space(cursor);
  if (!commented && cursor->at < cursor->end) return "text after the dictionary";
  for (size_t row = 0; row < NPY_TYPE_COUNT; row++) {
    if (npy_types[row].kind != header->kind || npy_types[row].size != header->size) continue;
    if (npy_types[row].commented && npy_types[row].dtype != named) continue;
    header->dtype = npy_types[row].dtype;
    return NULL;
  }
  header->unsupported = true;
  if (header->kind == 'V' && header->size == 1)
    return "one-byte elements of a type that the file does not tell (f8e4m3fn, i4, u4)";
  return "'descr' names an unsupported type";
}

/* NULL or what is wrong. */
static const char *npy_parse_header(npy_cursor *cursor, npy_header *header) {
  static const char *const keys[] = {"descr", "fortran_order", "shape"};
  bool seen[3] = {false, false, false};
  *header = (npy_header){0};
  if (!npy_take(cursor, "{")) return "the header is not a dictionary";
  while (!npy_take(cursor, "}")) {
    const char *key, *wrong = NULL;
    size_t size, which = 0;
    if (!npy_take_string(cursor, &key, &size) || !npy_take(cursor, ":"))
      return "the header is not a dictionary";
    while (which < 3 && (strlen(keys[which]) != size || memcmp(keys[which], key, size) != 0))
      which++;
    if (which == 3 || seen[which]) return "the header has an unknown key or one twice";
    seen[which] = true;
    if (which == 0) wrong = npy_take_descr(cursor, header);
    if (which == 1) wrong = npy_take_bool(cursor, &header->fortran);
    if (which == 2) wrong = npy_take_shape(cursor, &header->shape);
    if (wrong != NULL) return wrong;
    if (!npy_take(cursor, ",")) {
      if (!npy_take(cursor, "}")) return "the header is not a dictionary";
      break;
    }
  }
  if (!seen[0] || !seen[1] || !seen[2])
    return "the header lacks one of descr, fortran_order and shape";
  return npy_take_comment(cursor, header);
}

static mica_status npy_read_header(const mica_byte_source *source, npy_header *header,
                                   uint64_t *out_body, mica_error *error) {
  uint8_t preface[NPY_PREFACE_SIZE] = {0};
  size_t got = source->size < NPY_PREFACE_SIZE ? (size_t)source->size : NPY_PREFACE_SIZE;
  mica_status status = mica_byte_source_read(source, 0, preface, got, error);
  if (status != MICA_OK) return status;
  int major = preface[NPY_MAGIC_SIZE];
  if (got < NPY_PREFACE_SIZE || memcmp(preface, npy_magic, NPY_MAGIC_SIZE) != 0)
    return mica_error_set(error, MICA_DATA_LOSS, "not a .npy file");
  if (major < 1 || major > 3)
    return mica_error_set(error, MICA_UNSUPPORTED, ".npy version %d is not supported, 1 to 3 are",
                          major);
  size_t size = (size_t)preface[8] | (size_t)preface[9] << 8, begin = 10;
  if (major > 1) {
    size |= (size_t)preface[10] << 16 | (size_t)preface[11] << 24;
    begin = 12;
  }
  if (size > NPY_HEADER_READ || size > source->size - begin)
    return mica_error_set(error, MICA_DATA_LOSS, ".npy: the header is longer than the file");
  char *text = mica_allocate(NULL, size);
  if (text == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a .npy header");
  status = mica_byte_source_read(source, begin, text, size, error);
  if (status == MICA_OK) {
    npy_cursor cursor = {text, text + size};
    const char *wrong = npy_parse_header(&cursor, header);
    mica_status failure = header->unsupported ? MICA_UNSUPPORTED : MICA_DATA_LOSS;
    if (wrong != NULL) status = mica_error_set(error, failure, ".npy: %s", wrong);
  }
  mica_free(NULL, text, size);
  *out_body = begin + size;
  return status;
}

/* ---- the body -------------------------------------------------------------------------------- */

static void swap_bytes(uint8_t *bytes, size_t size, size_t part) {
  for (size_t i = 0; i + part <= size; i += part)
    for (size_t low = 0, high = part - 1; low < high; low++, high--) {
      uint8_t kept = bytes[i + low];
      bytes[i + low] = bytes[i + high];
      bytes[i + high] = kept;
    }
}

/* From a temporary in Fortran order into the tensor. */
static mica_status read_fortran(const mica_byte_source *source, uint64_t body,
                                const npy_header *header, mica_tensor *tensor, mica_error *error) {
  void *raw = mica_allocate(NULL, tensor->byte_size);
  if (raw == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to reorder a .npy array");
  mica_status status = mica_byte_source_read(source, body, raw, tensor->byte_size, error);
  if (status == MICA_OK) {
    int64_t stride[MICA_MAX_RANK], inner = header->size;
    for (int32_t axis = 0; axis < header->shape.rank; axis++) {
      stride[axis] = inner;
      inner *= header->shape.dim[axis];
    }
    mica_copy_strided(header->shape, stride, (size_t)header->size, raw, tensor->data);
  }
  mica_free(NULL, raw, tensor->byte_size);
  return status;
}

/* The elements as they lie in the file, a byte for each 4-bit one, in this machine's order. */
static mica_status read_body(const mica_byte_source *source, uint64_t body,
                             const npy_header *header, mica_dtype dtype, mica_tensor **out_tensor,
                             mica_error *error) {
  *out_tensor = NULL;
  mica_type type = {.dtype = dtype, .shape = header->shape};
  size_t byte_size = 0;
  mica_status status = mica_type_check(type, &byte_size, NULL);
  if (status != MICA_OK || byte_size > source->size - body)
    return mica_error_set(error, MICA_DATA_LOSS,
                          ".npy: the shape asks for more than the file holds");
  mica_tensor *tensor;
  status = mica_tensor_create_uninitialized(NULL, type, &tensor, error);
  if (status != MICA_OK) return status;
  if (header->fortran && header->shape.rank > 1 && byte_size > 0)
    status = read_fortran(source, body, header, tensor, error);
  else
    status = mica_byte_source_read(source, body, tensor->data, byte_size, error);
  if (status != MICA_OK) {
    mica_tensor_release(tensor);
    return status;
  }
  if (header->swapped)
    swap_bytes(tensor->data, byte_size, (size_t)header->size / (header->kind == 'c' ? 2 : 1));
  mica_tensor_normalize(tensor);
  *out_tensor = tensor;
  return MICA_OK;
}

mica_status mica_npy_read(const mica_byte_source *source, mica_tensor **out_tensor,
                          mica_error *error) {
  *out_tensor = NULL;
  npy_header header = {0};
  uint64_t body = 0;
  mica_status status = npy_read_header(source, &header, &body, error);
  if (status != MICA_OK) return status;
  bool packed = mica_dtype_bits(header.dtype) == 4;
  mica_dtype stored = !packed ? header.dtype : header.dtype == MICA_I4 ? MICA_I8 : MICA_U8;
  mica_tensor *tensor;
  status = read_body(source, body, &header, stored, &tensor, error);
  if (status != MICA_OK) return status;
  if (packed) {
    mica_tensor *wide = tensor;
    mica_type type = {.dtype = header.dtype, .shape = header.shape};
    status = mica_tensor_create_uninitialized(NULL, type, &tensor, error);
    if (status == MICA_OK)
      status = mica_convert_elements(header.dtype, tensor->data, stored, wide->data,
                                     mica_shape_count(type.shape));
    mica_tensor_release(wide);
    if (status != MICA_OK) return status;
  }
  *out_tensor = tensor;
  return MICA_OK;
}

mica_status mica_npy_parse(const void *bytes, size_t byte_size, mica_tensor **out_tensor,
                           mica_error *error) {
  mica_byte_source source = {.bytes = bytes, .size = bytes == NULL ? 0 : byte_size};
  return mica_npy_read(&source, out_tensor, error);
}

mica_status mica_npy_load(const char *path, mica_tensor **out_tensor, mica_error *error) {
  *out_tensor = NULL;
  mica_byte_source source;
  mica_status status = mica_byte_source_open(path, &source, error);
  if (status != MICA_OK) return status;
  mica_error inner = {0};
  status = mica_npy_read(&source, out_tensor, &inner);
  return mica_file_content_error(error, status, path, &inner);
}

mica_status mica_file_content_error(mica_error *error, mica_status status, const char *path,
                                    const mica_error *inner) {
  if (status == MICA_IO || status == MICA_NOT_FOUND) /* these name the file */
    return mica_error_set(error, status, "%s", inner->message);
  return mica_error_set(error, status, "%.300s: %.700s", path, inner->message);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void npy_write_header(mica_type type, mica_npy_parts *parts) {
  size_t row = 0;
  while (row + 1 < NPY_TYPE_COUNT && npy_types[row].dtype != type.dtype) row++;
  const uint16_t probe = 1;
  char order = npy_types[row].size == 1 && npy_types[row].kind != 'V' ? '|'
               : *(const uint8_t *)&probe == 1                        ? '<'
                                                                      : '>';
  char dictionary[MICA_NPY_HEADER_LIMIT];
  size_t size = sizeof(dictionary), used = 0;
  used += (size_t)snprintf(dictionary, size,
                           "{'descr': '%c%c%" PRId32 "', 'fortran_order': False, 'shape': (", order,
                           npy_types[row].kind, npy_types[row].size);
  int32_t growth = 0;
  for (int32_t axis = 0; axis < type.shape.rank; axis++) {
    int digits = snprintf(dictionary + used, size - used, "%" PRId64, type.shape.dim[axis]);
    if (axis == 0) growth = NPY_GROWTH_DIGITS - digits;
    used += (size_t)digits;
    bool comma = axis + 1 < type.shape.rank || axis == 0;
    bool space = axis + 1 < type.shape.rank;
    used += (size_t)snprintf(dictionary + used, size - used, "%s%s", comma ? "," : "",
                             space ? " " : "");
  }
  used += (size_t)snprintf(dictionary + used, size - used, "), }%*s", (int)growth, "");
  if (npy_types[row].commented)
    used += (size_t)snprintf(dictionary + used, size - used, " # %s", mica_dtype_name(type.dtype));
  /* Magic, version 1.0, the size of what follows, then all of it padded with spaces and a
   * newline. */
  size_t whole = (10 + used + 1 + NPY_ALIGNMENT - 1) / NPY_ALIGNMENT * NPY_ALIGNMENT;
  memset(parts->header, ' ', whole);
  memcpy(parts->header, npy_magic, NPY_MAGIC_SIZE);
  memcpy(parts->header + 10, dictionary, used);
  parts->header[6] = 1;
  parts->header[7] = 0;
  parts->header[8] = (char)((whole - 10) & 0xFF);
  parts->header[9] = (char)((whole - 10) >> 8);
  parts->header[whole - 1] = '\n';
  parts->header_size = whole;
}

mica_status mica_npy_parts_make(const mica_tensor *tensor, mica_npy_parts *out_parts,
                                mica_error *error) {
  *out_parts = (mica_npy_parts){.body = NULL};
  if (tensor == NULL) return mica_error_set(error, MICA_INVALID, "the tensor is NULL");
  npy_write_header(tensor->type, out_parts);
  bool packed = mica_dtype_bits(tensor->type.dtype) == 4;
  int64_t count = mica_shape_count(tensor->type.shape);
  out_parts->body_size = packed ? (size_t)count : tensor->byte_size;
  out_parts->body = tensor->data;
  if (tensor->data != NULL && !packed) return MICA_OK;
  void *copy = mica_allocate(NULL, out_parts->body_size);
  if (copy == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to write a .npy array");
  out_parts->body = out_parts->copy = copy;
  mica_tensor_view view;
  mica_status status = mica_tensor_view_begin(tensor, &view, error);
  if (status == MICA_OK) {
    mica_dtype stored = tensor->type.dtype == MICA_I4 ? MICA_I8 : MICA_U8;
    if (packed)
      status = mica_convert_elements(stored, copy, tensor->type.dtype, view.data, count);
    else if (tensor->byte_size > 0)
      memcpy(copy, view.data, tensor->byte_size);
    mica_tensor_view_end(tensor, &view);
  }
  if (status != MICA_OK) mica_npy_parts_free(out_parts);
  return status;
}

void mica_npy_parts_free(mica_npy_parts *parts) {
  mica_free(NULL, parts->copy, parts->body_size);
  parts->copy = NULL;
}

mica_status mica_npy_save(const char *path, const mica_tensor *tensor, mica_error *error) {
  if (path == NULL) return mica_error_set(error, MICA_INVALID, "the path is NULL");
  mica_npy_parts parts;
  mica_status status = mica_npy_parts_make(tensor, &parts, error);
  if (status != MICA_OK) return status;
  mica_file_part pieces[] = {{parts.header, parts.header_size}, {parts.body, parts.body_size}};
  status = mica_file_status(mica_file_write_parts(path, pieces, 2), path, "write", error);
  mica_npy_parts_free(&parts);
  return status;
}
