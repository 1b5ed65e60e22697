/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors_write.c: writes safetensors files, front to back, one tensor at a time.
 *
 * The format allows no gaps, so tensors are put in order of the alignment that their sizes keep: those whose size
 * is a multiple of 64 first, which then all lie at multiples of 64 (the header is padded to one), then those of
 * 32, ... Readers may then use nearly all bytes in place. */
#include "model/safetensors.h"

#include <inttypes.h>
#include <string.h>

#include "core/json.h"
#include "core/memory.h"
#include "core/npy.h"
#include "core/tensor.h"
#include "core/utf8.h"
#include "platform/platform.h"

typedef struct {
  const mica_named_tensor *tensors;
  uint32_t *order;
  size_t count;
} safetensors_plan;

/* The largest power of two up to 64 that divides the tensor's size. */
static size_t kept_alignment(const mica_tensor *tensor) {
  size_t size = mica_tensor_byte_size(tensor) | 64;
  return size & (~size + 1);
}

static bool name_before(const void *context, uint32_t a, uint32_t b) {
  const mica_named_tensor *tensors = context;
  return strcmp(tensors[a].name, tensors[b].name) < 0;
}

static bool place_before(const void *context, uint32_t a, uint32_t b) {
  const mica_named_tensor *tensors = context;
  size_t first = kept_alignment(tensors[a].tensor), second = kept_alignment(tensors[b].tensor);
  return first != second ? first > second : name_before(context, a, b);
}

static bool text_is_writable(const char *text) {
  size_t size = text == NULL ? 0 : strlen(text);
  for (size_t i = 0; i < size;) {
    size_t length = mica_utf8_length(text + i, size - i);
    if (length == 0) return false;
    i += length;
  }
  return text != NULL;
}

static mica_status check_named(const mica_named_tensor *tensors, size_t count, uint32_t *order,
                               mica_error *error) {
  for (size_t i = 0; i < count; i++) {
    const char *name = tensors[i].name;
    bool good = text_is_writable(name) && strcmp(name, "__metadata__") != 0;
    for (const char *c = name; good && *c; c++) good = (unsigned char)*c >= 0x20;
    if (!good)
      return mica_error_set(error, MICA_INVALID,
                            "safetensors: the name of tensor %zu is not UTF-8, has control "
                            "characters or is __metadata__",
                            i);
    if (tensors[i].tensor == NULL)
      return mica_error_set(error, MICA_INVALID, "safetensors: tensor '%.200s' is NULL", name);
    order[i] = (uint32_t)i;
  }
  mica_sort_indices(order, count, name_before, tensors);
  for (size_t i = 1; i < count; i++)
    if (!strcmp(tensors[order[i - 1]].name, tensors[order[i]].name))
      return mica_error_set(error, MICA_INVALID, "safetensors: two tensors are named '%.200s'",
                            tensors[order[i]].name);
  mica_sort_indices(order, count, place_before, tensors);
  return MICA_OK;
}

static const char *stored_dtype(mica_dtype dtype) {
  if (dtype == MICA_I4 || dtype == MICA_U4) return "U8";
  if (dtype == MICA_C128) return "F64";
  for (size_t i = 0; mica_safetensors_dtype_row(i) != NULL; i++)
    if (mica_safetensors_dtype_row(i)->dtype == dtype) return mica_safetensors_dtype_row(i)->name;
  return NULL;
}

static bool is_foreign(mica_dtype dtype) {
  return dtype == MICA_I4 || dtype == MICA_U4 || dtype == MICA_C128;
}

static void write_shape(mica_json_writer *json, mica_type type, size_t bytes) {
  mica_json_array_begin(json);
  if (mica_dtype_bits(type.dtype) == 4) {
    mica_json_integer(json, (int64_t)bytes);
  } else {
    for (int32_t i = 0; i < type.shape.rank; i++) mica_json_integer(json, type.shape.dim[i]);
    if (type.dtype == MICA_C128) mica_json_integer(json, 2);
  }
  mica_json_array_end(json);
}

/* "mica.types" of the metadata, or nothing. */
static void write_types(const safetensors_plan *plan, mica_text *text) {
  mica_json_writer json;
  bool any = false;
  for (size_t i = 0; i < plan->count; i++)
    any |= is_foreign(mica_tensor_type(plan->tensors[i].tensor).dtype);
  if (!any) return;
  mica_json_begin(&json, text);
  mica_json_object_begin(&json);
  for (size_t i = 0; i < plan->count; i++) {
    const mica_named_tensor *named = &plan->tensors[plan->order[i]];
    mica_type type = mica_tensor_type(named->tensor);
    if (!is_foreign(type.dtype)) continue;
    mica_json_key(&json, named->name);
    mica_json_array_begin(&json);
    mica_json_string(&json, mica_dtype_name(type.dtype));
    for (int32_t k = 0; k < type.shape.rank; k++) mica_json_integer(&json, type.shape.dim[k]);
    mica_json_array_end(&json);
  }
  mica_json_object_end(&json);
}

static mica_status write_header(const safetensors_plan *plan, const mica_named_text *metadata,
                                size_t metadata_count, mica_text *text, mica_error *error) {
  mica_json_writer json;
  mica_text types;
  uint64_t offset = 0;
  mica_text_init(&types, NULL);
  write_types(plan, &types);
  mica_text_append_bytes(text, "\0\0\0\0\0\0\0\0", 8);
  mica_json_begin(&json, text);
  mica_json_object_begin(&json);
  if (metadata_count > 0 || types.size > 0) {
    mica_json_key(&json, "__metadata__");
    mica_json_object_begin(&json);
    for (size_t i = 0; i < metadata_count; i++)
      mica_json_key(&json, metadata[i].key), mica_json_string(&json, metadata[i].value);
    if (types.size > 0) mica_json_key(&json, "mica.types"), mica_json_string(&json, types.data);
    mica_json_object_end(&json);
  }
  for (size_t i = 0; i < plan->count; i++) {
    const mica_named_tensor *named = &plan->tensors[plan->order[i]];
    mica_type type = mica_tensor_type(named->tensor);
    size_t bytes = mica_tensor_byte_size(named->tensor);
    mica_json_key(&json, named->name);
    mica_json_object_begin(&json);
    mica_json_key(&json, "dtype"), mica_json_string(&json, stored_dtype(type.dtype));
    mica_json_key(&json, "shape"), write_shape(&json, type, bytes);
    mica_json_key(&json, "data_offsets"), mica_json_array_begin(&json);
    mica_json_integer(&json, (int64_t)offset), mica_json_integer(&json, (int64_t)(offset + bytes));
    mica_json_array_end(&json);
    mica_json_object_end(&json);
    offset += bytes;
  }
  mica_json_object_end(&json);
  while (text->size % 64 != 0 && !text->failed) mica_text_append(text, " ");
  bool failed = text->failed || types.failed;
  mica_text_deinit(&types);
  if (failed) return mica_error_set(error, MICA_OUT_OF_MEMORY, "safetensors: out of memory");
  if (text->size - 8 > 100 * 1000 * 1000)
    return mica_error_set(error, MICA_INVALID,
                          "safetensors: names and metadata of %zu bytes are more than readers take",
                          text->size - 8);
  for (int i = 0; i < 8; i++)
    text->data[i] = (char)(unsigned char)((uint64_t)(text->size - 8) >> (8 * i));
  return MICA_OK;
}

static mica_status check_metadata_texts(const mica_named_text *metadata, size_t count,
                                        mica_error *error) {
  for (size_t i = 0; i < count; i++) {
    if (!text_is_writable(metadata[i].key) || !text_is_writable(metadata[i].value) ||
        !strcmp(metadata[i].key, "mica.types"))
      return mica_error_set(
          error, MICA_INVALID,
          "safetensors: text %zu of the metadata is not UTF-8, or its key is mica.types", i);
    for (size_t k = 0; k < i; k++)
      if (!strcmp(metadata[i].key, metadata[k].key))
        return mica_error_set(error, MICA_INVALID,
                              "safetensors: '%.200s' occurs twice in the metadata",
                              metadata[i].key);
  }
  return MICA_OK;
}

mica_status mica_safetensors_write(const mica_named_tensor *tensors, size_t tensor_count,
                                   const mica_named_text *metadata, size_t metadata_count,
                                   mica_write_callback *write, void *user, mica_error *error) {
  if ((tensors == NULL && tensor_count > 0) || (metadata == NULL && metadata_count > 0) ||
      write == NULL || tensor_count >= UINT32_MAX)
    return mica_error_set(error, MICA_INVALID, "safetensors: tensors, metadata or write is NULL");
  safetensors_plan plan = {.tensors = tensors, .count = tensor_count};
  size_t order_size = (tensor_count + 1) * sizeof *plan.order;
  plan.order = mica_allocate(NULL, order_size);
  if (plan.order == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "safetensors: out of memory");
  mica_text header;
  mica_text_init(&header, NULL);
  mica_status status = check_metadata_texts(metadata, metadata_count, error);
  if (status == MICA_OK) status = check_named(tensors, tensor_count, plan.order, error);
  if (status == MICA_OK) status = write_header(&plan, metadata, metadata_count, &header, error);
  if (status == MICA_OK) status = write(user, header.data, header.size, error);
  for (size_t i = 0; i < tensor_count && status == MICA_OK; i++) {
    const mica_tensor *tensor = tensors[plan.order[i]].tensor;
    mica_tensor_view view;
    if (mica_tensor_byte_size(tensor) == 0) continue;
    if ((status = mica_tensor_view_begin(tensor, &view, error)) != MICA_OK) break;
    status = write(user, view.data, mica_tensor_byte_size(tensor), error);
    mica_tensor_view_end(tensor, &view);
  }
  mica_text_deinit(&header);
  mica_free(NULL, plan.order, order_size);
  return status;
}

typedef struct {
  int descriptor;
  const char *path;
} safetensors_sink;

static mica_status write_to_file(void *user, const void *bytes, size_t size, mica_error *error) {
  safetensors_sink *sink = user;
  return mica_file_status(mica_file_append(sink->descriptor, bytes, size), sink->path, "write",
                          error);
}

mica_status mica_safetensors_save(const char *path, const mica_named_tensor *tensors,
                                  size_t tensor_count, const mica_named_text *metadata,
                                  size_t metadata_count, mica_error *error) {
  if (path == NULL) return mica_error_set(error, MICA_INVALID, "safetensors: the path is NULL");
  mica_file_writer writer;
  mica_status status = mica_file_status(mica_file_begin(path, &writer), path, "write", error);
  if (status != MICA_OK) return status;
  safetensors_sink sink = {.descriptor = writer.descriptor, .path = path};
  status = mica_safetensors_write(tensors, tensor_count, metadata, metadata_count, write_to_file,
                                  &sink, error);
  int code = mica_file_end(&writer, status == MICA_OK);
  if (status == MICA_OK) status = mica_file_status(code, path, "write", error);
  return status;
}
