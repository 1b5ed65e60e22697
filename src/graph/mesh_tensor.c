/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_tensor.c: meshes as objects, and arrays in parts. */
#include "core/tensor.h"
#include "graph/mesh.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

struct mica_mesh {
  _Atomic uint32_t reference_count;
  mica_mesh_axes axes;
  size_t allocation_size;
  char text[];
};

struct mica_sharded_tensor {
  _Atomic uint32_t reference_count;
  mica_mesh *mesh;
  mica_type type, part_type;
  mica_mesh_sharding sharding;
  mica_tensor **parts; /* [device_count], equal ones are one tensor */
  size_t allocation_size;
  char *text; /* of the sharding */
};

/* ---- meshes ----------------------------------------------------------------------------------- */

mica_mesh *mica_mesh_create(const char *axes, mica_error *error) {
  char message[MICA_MESSAGE_SIZE];
  mica_mesh_axes parsed;
  if (!mica_mesh_parse(axes, &parsed, message)) {
    mica_error_set(error, MICA_INVALID, "%s", message);
    return NULL;
  }
  mica_text text;
  mica_text_init(&text, NULL);
  mica_mesh_format(&parsed, &text);
  size_t size = sizeof(mica_mesh) + text.size + 1;
  mica_mesh *mesh = text.failed ? NULL : mica_allocate(NULL, size);
  if (mesh != NULL) {
    atomic_init(&mesh->reference_count, 1);
    mesh->axes = parsed;
    mesh->allocation_size = size;
    memcpy(mesh->text, text.data, text.size + 1);
  } else {
    mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a mesh");
  }
  mica_text_deinit(&text);
  return mesh;
}

mica_mesh *mica_mesh_retain(mica_mesh *mesh) {
  if (mesh != NULL) atomic_fetch_add_explicit(&mesh->reference_count, 1, memory_order_relaxed);
  return mesh;
}

void mica_mesh_release(mica_mesh *mesh) {
  if (mesh == NULL) return;
  if (atomic_fetch_sub_explicit(&mesh->reference_count, 1, memory_order_acq_rel) != 1) return;
  mica_free(NULL, mesh, mesh->allocation_size);
}

const mica_mesh_axes *mica_mesh_axes_of(const mica_mesh *mesh) {
  return mesh == NULL ? NULL : &mesh->axes;
}
const char *mica_mesh_text(const mica_mesh *mesh) { return mesh == NULL ? "" : mesh->text; }
int64_t mica_mesh_device_count(const mica_mesh *mesh) {
  return mesh == NULL ? 0 : mesh->axes.device_count;
}
int32_t mica_mesh_axis_count(const mica_mesh *mesh) { return mesh == NULL ? 0 : mesh->axes.count; }
const char *mica_mesh_axis_name(const mica_mesh *mesh, int32_t axis) {
  return mesh == NULL || axis < 0 || axis >= mesh->axes.count ? NULL : mesh->axes.name[axis];
}
int64_t mica_mesh_axis_size(const mica_mesh *mesh, const char *name) {
  for (int32_t i = 0; mesh != NULL && name != NULL && i < mesh->axes.count; i++)
    if (strcmp(mesh->axes.name[i], name) == 0) return mesh->axes.size[i];
  return 0;
}
int64_t mica_mesh_coordinate(const mica_mesh *mesh, int64_t device, int32_t axis) {
  if (mesh == NULL || axis < 0 || axis >= mesh->axes.count || device < 0 ||
      device >= mesh->axes.device_count)
    return -1;
  return mica_mesh_position(&mesh->axes, device, axis);
}

/* ---- parts ------------------------------------------------------------------------------------ */

static mica_status null_mesh(mica_error *error) {
  if (error != NULL && error->status != MICA_OK) return error->status;
  return mica_error_set(error, MICA_INVALID, "the mesh is NULL: was it not made?");
}

/* Reads a sharding of an array of shape `whole` and gives the shape of its parts. */
static mica_status read_sharding(const mica_mesh *mesh, mica_shape whole, const char *text,
                                 mica_mesh_sharding *out, mica_shape *out_part, mica_error *error) {
  char message[MICA_MESSAGE_SIZE];
  if (mesh == NULL) return null_mesh(error);
  if (mica_shape_count(whole) < 0)
    return mica_error_set(error, MICA_INVALID, "the shape of the whole array is invalid");
  if (!mica_mesh_parse_sharding(&mesh->axes, text, text == NULL ? 0 : strlen(text), whole.rank, out,
                                message) ||
      !mica_mesh_part_shape(&mesh->axes, out, whole, out_part, message))
    return mica_error_set(error, MICA_INVALID, "%s", message);
  return MICA_OK;
}

mica_status mica_shard_shape(const mica_mesh *mesh, mica_shape whole, const char *sharding,
                             mica_shape *out_shape, mica_error *error) {
  mica_mesh_sharding parsed;
  *out_shape = (mica_shape){0};
  return read_sharding(mesh, whole, sharding, &parsed, out_shape, error);
}

mica_status mica_shard_begin(const mica_mesh *mesh, mica_shape whole, const char *sharding,
                             int64_t device, int64_t out_begin[MICA_MAX_RANK], mica_error *error) {
  mica_mesh_sharding parsed;
  mica_shape part;
  memset(out_begin, 0, MICA_MAX_RANK * sizeof(*out_begin));
  mica_status status = read_sharding(mesh, whole, sharding, &parsed, &part, error);
  if (status != MICA_OK) return status;
  if (device < 0 || device >= mesh->axes.device_count)
    return mica_error_set(error, MICA_INVALID,
                          "device %" PRId64 " is none of the %" PRId64 " of the mesh", device,
                          mesh->axes.device_count);
  mica_mesh_part_begin(&mesh->axes, &parsed, part, device, out_begin);
  return MICA_OK;
}

/* ---- sharded tensors -------------------------------------------------------------------------- */

static mica_status allocate_sharded(mica_mesh *mesh, mica_type type, mica_type part_type,
                                    const mica_mesh_sharding *sharding, mica_sharded_tensor **out,
                                    mica_error *error) {
  mica_text text;
  mica_text_init(&text, NULL);
  mica_mesh_format_sharding(&mesh->axes, sharding, &text);
  size_t parts = (size_t)mesh->axes.device_count * sizeof(mica_tensor *);
  size_t size = sizeof(mica_sharded_tensor) + parts + text.size + 1;
  mica_sharded_tensor *made = text.failed ? NULL : mica_allocate_zeroed(NULL, 1, size);
  if (made != NULL) {
    atomic_init(&made->reference_count, 1);
    made->mesh = mica_mesh_retain(mesh);
    made->type = type;
    made->part_type = part_type;
    made->sharding = *sharding;
    made->parts = (mica_tensor **)(void *)(made + 1);
    made->text = (char *)made->parts + parts;
    made->allocation_size = size;
    if (text.size > 0) memcpy(made->text, text.data, text.size);
  }
  mica_text_deinit(&text);
  *out = made;
  return made != NULL ? MICA_OK
                      : mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a sharded tensor");
}

/* The first of the devices that have the same part. */
static int64_t holder_of_part(const mica_sharded_tensor *sharded, int64_t device) {
  const mica_mesh_axes *mesh = &sharded->mesh->axes;
  mica_mesh_group repeated =
      mica_mesh_group_of_bits(mesh, mica_mesh_all_bits(mesh) & ~sharded->sharding.bits);
  return mica_mesh_group_member(mesh, &repeated, device, 0);
}

/* 4-bit elements are cut as bytes. */
static mica_type byte_type(mica_type type) {
  if (type.dtype == MICA_I4) type.dtype = MICA_I8;
  if (type.dtype == MICA_U4) type.dtype = MICA_U8;
  return type;
}

/* A copy of `tensor` in another dtype of the same values. */
static mica_status converted(const mica_tensor *tensor, mica_dtype dtype, mica_tensor **out,
                             mica_error *error) {
  mica_type type = mica_tensor_type(tensor), wanted = {dtype, type.shape};
  mica_tensor_view view;
  mica_status status = mica_tensor_create_uninitialized(NULL, wanted, out, error);
  if (status != MICA_OK) return status;
  status = mica_tensor_view_begin(tensor, &view, error);
  if (status == MICA_OK) {
    mica_convert_elements(dtype, mica_tensor_mutable_data(*out), type.dtype, view.data,
                          mica_shape_count(type.shape));
    mica_tensor_view_end(tensor, &view);
    mica_tensor_normalize(*out);
    return MICA_OK;
  }
  mica_tensor_release(*out);
  *out = NULL;
  return status;
}

/* The parts of a tensor that lies just so on several devices, without a copy; false: it does not. */
static bool share_parts(mica_sharded_tensor *sharded, const mica_tensor *whole) {
  const mica_mesh_axes *mesh = &sharded->mesh->axes;
  if (whole->storage != MICA_TENSOR_DEVICE || whole->device->part == NULL) return false;
  for (int64_t d = 0; d < mesh->device_count; d++) {
    int64_t holder = holder_of_part(sharded, d), begin[MICA_MAX_RANK];
    mica_mesh_part_begin(mesh, &sharded->sharding, sharded->part_type.shape, d, begin);
    sharded->parts[d] =
        holder != d ? mica_tensor_retain(sharded->parts[holder])
                    : whole->device->part(whole->device_buffer, d, sharded->part_type.shape, begin);
    if (sharded->parts[d] != NULL) continue;
    while (d-- > 0) {
      mica_tensor_release(sharded->parts[d]);
      sharded->parts[d] = NULL;
    }
    return false;
  }
  return true;
}

static mica_status cut_parts(mica_sharded_tensor *sharded, const mica_tensor *whole,
                             mica_error *error) {
  const mica_mesh_axes *mesh = &sharded->mesh->axes;
  mica_tensor_view view;
  if (share_parts(sharded, whole)) return MICA_OK;
  mica_status status = mica_tensor_view_begin(whole, &view, error);
  if (status != MICA_OK) return status;
  size_t item = (size_t)mica_dtype_bits(sharded->type.dtype) / 8;
  for (int64_t d = 0; d < mesh->device_count && status == MICA_OK; d++) {
    int64_t holder = holder_of_part(sharded, d), begin[MICA_MAX_RANK];
    if (holder != d) {
      sharded->parts[d] = mica_tensor_retain(sharded->parts[holder]);
      continue;
    }
    status = mica_tensor_create_uninitialized(NULL, sharded->part_type, &sharded->parts[d], error);
    if (status != MICA_OK) break;
    mica_mesh_part_begin(mesh, &sharded->sharding, sharded->part_type.shape, d, begin);
    mica_mesh_cut(sharded->type.shape, sharded->part_type.shape, begin, item, view.data,
                  mica_tensor_mutable_data(sharded->parts[d]));
  }
  mica_tensor_view_end(whole, &view);
  return status;
}

/* Every part in another dtype of the same values, equal ones once. */
static mica_status convert_parts(mica_sharded_tensor *sharded, mica_dtype dtype,
                                 mica_error *error) {
  const mica_mesh_axes *mesh = &sharded->mesh->axes;
  for (int64_t d = mesh->device_count; d-- > 0;) {
    int64_t holder = holder_of_part(sharded, d);
    if (holder != d) continue;
    mica_tensor *part = NULL;
    mica_status status = converted(sharded->parts[d], dtype, &part, error);
    if (status != MICA_OK) return status;
    for (int64_t other = 0; other < mesh->device_count; other++) {
      if (holder_of_part(sharded, other) != d) continue;
      mica_tensor_release(sharded->parts[other]);
      sharded->parts[other] = mica_tensor_retain(part);
    }
    mica_tensor_release(part);
  }
  sharded->type.dtype = sharded->part_type.dtype = dtype;
  return MICA_OK;
}

mica_status mica_tensor_shard(const mica_tensor *whole, mica_mesh *mesh, const char *sharding,
                              mica_sharded_tensor **out_sharded, mica_error *error) {
  *out_sharded = NULL;
  if (whole == NULL)
    return error != NULL && error->status != MICA_OK
               ? error->status
               : mica_error_set(error, MICA_INVALID, "the tensor is NULL: was it not made?");
  mica_type type = mica_tensor_type(whole), bytes = byte_type(type), part = bytes;
  mica_mesh_sharding parsed;
  mica_status status = read_sharding(mesh, type.shape, sharding, &parsed, &part.shape, error);
  mica_sharded_tensor *made = NULL;
  mica_tensor *wide = NULL;
  if (status == MICA_OK) status = allocate_sharded(mesh, bytes, part, &parsed, &made, error);
  if (status == MICA_OK && bytes.dtype != type.dtype)
    status = converted(whole, bytes.dtype, &wide, error);
  if (status == MICA_OK) status = cut_parts(made, wide != NULL ? wide : whole, error);
  if (status == MICA_OK && bytes.dtype != type.dtype)
    status = convert_parts(made, type.dtype, error);
  mica_tensor_release(wide);
  if (status == MICA_OK)
    *out_sharded = made;
  else
    mica_sharded_tensor_release(made);
  return status;
}

mica_status mica_sharded_tensor_create(mica_mesh *mesh, const char *sharding,
                                       mica_tensor *const *parts, size_t count,
                                       mica_sharded_tensor **out_sharded, mica_error *error) {
  char message[MICA_MESSAGE_SIZE];
  *out_sharded = NULL;
  if (mesh == NULL) return null_mesh(error);
  if (count != (size_t)mesh->axes.device_count)
    return mica_error_set(error, MICA_INVALID,
                          "%zu %s given: expected one for each of the %" PRId64
                          " devices of the mesh",
                          count, mica_noun(count, "part is", "parts are"), mesh->axes.device_count);
  for (size_t i = 0; i < count; i++) {
    if (parts == NULL || parts[i] == NULL)
      return error != NULL && error->status != MICA_OK
                 ? error->status
                 : mica_error_set(error, MICA_INVALID, "part %zu is NULL: was it not made?", i);
    if (!mica_type_equal(mica_tensor_type(parts[i]), mica_tensor_type(parts[0])))
      return mica_error_set(error, MICA_INVALID, "part %zu has another type than part 0", i);
  }
  mica_type part = mica_tensor_type(parts[0]), type = part;
  mica_mesh_sharding parsed;
  if (!mica_mesh_parse_sharding(&mesh->axes, sharding, sharding == NULL ? 0 : strlen(sharding),
                                part.shape.rank, &parsed, message) ||
      !mica_mesh_whole_shape(&parsed, part.shape, &type.shape, message))
    return mica_error_set(error, MICA_INVALID, "%s", message);
  mica_sharded_tensor *made;
  mica_status status = allocate_sharded(mesh, type, part, &parsed, &made, error);
  if (status != MICA_OK) return status;
  for (size_t i = 0; i < count; i++)
    made->parts[i] = mica_tensor_retain(parts[holder_of_part(made, (int64_t)i)]);
  *out_sharded = made;
  return MICA_OK;
}

/* Puts the parts of a byte dtype together. */
static mica_status paste_parts(const mica_sharded_tensor *sharded, mica_tensor *whole,
                               mica_error *error) {
  const mica_mesh_axes *mesh = &sharded->mesh->axes;
  size_t item = (size_t)mica_dtype_bits(sharded->type.dtype) / 8;
  for (int64_t d = 0; d < mesh->device_count; d++) {
    int64_t begin[MICA_MAX_RANK];
    mica_tensor_view view;
    if (!mica_mesh_is_first(mesh, &sharded->sharding, d)) continue;
    mica_status status = mica_tensor_view_begin(sharded->parts[d], &view, error);
    if (status != MICA_OK) return status;
    mica_mesh_part_begin(mesh, &sharded->sharding, sharded->part_type.shape, d, begin);
    mica_mesh_paste(sharded->type.shape, sharded->part_type.shape, begin, item, view.data,
                    mica_tensor_mutable_data(whole));
    mica_tensor_view_end(sharded->parts[d], &view);
  }
  mica_tensor_touch(whole);
  return MICA_OK;
}

static mica_status null_sharded(mica_error *error) {
  if (error != NULL && error->status != MICA_OK) return error->status;
  return mica_error_set(error, MICA_INVALID, "the sharded tensor is NULL: was it not made?");
}

mica_status mica_sharded_tensor_merge(const mica_sharded_tensor *sharded, mica_tensor **out_whole,
                                      mica_error *error) {
  *out_whole = NULL;
  if (sharded == NULL) return null_sharded(error);
  mica_type bytes = byte_type(sharded->type);
  mica_tensor *whole = NULL;
  if (bytes.dtype == sharded->type.dtype) {
    mica_status status = mica_tensor_create_uninitialized(NULL, sharded->type, &whole, error);
    if (status == MICA_OK) status = paste_parts(sharded, whole, error);
    if (status == MICA_OK)
      *out_whole = whole;
    else
      mica_tensor_release(whole);
    return status;
  }
  mica_sharded_tensor *wide = NULL; /* of bytes, which is merged and converted back */
  mica_status status =
      mica_sharded_tensor_create(sharded->mesh, sharded->text, sharded->parts,
                                 (size_t)sharded->mesh->axes.device_count, &wide, error);
  if (status == MICA_OK) status = convert_parts(wide, bytes.dtype, error);
  if (status == MICA_OK) status = mica_sharded_tensor_merge(wide, &whole, error);
  if (status == MICA_OK) status = converted(whole, sharded->type.dtype, out_whole, error);
  mica_tensor_release(whole);
  mica_sharded_tensor_release(wide);
  return status;
}

mica_status mica_sharded_tensor_move(const mica_sharded_tensor *sharded, mica_mesh *mesh,
                                     const char *sharding, mica_sharded_tensor **out_sharded,
                                     mica_error *error) {
  mica_tensor *whole = NULL;
  *out_sharded = NULL;
  mica_status status = mica_sharded_tensor_merge(sharded, &whole, error);
  if (status == MICA_OK) status = mica_tensor_shard(whole, mesh, sharding, out_sharded, error);
  mica_tensor_release(whole);
  return status;
}

mica_sharded_tensor *mica_sharded_tensor_retain(mica_sharded_tensor *sharded) {
  if (sharded != NULL)
    atomic_fetch_add_explicit(&sharded->reference_count, 1, memory_order_relaxed);
  return sharded;
}

void mica_sharded_tensor_release(mica_sharded_tensor *sharded) {
  if (sharded == NULL) return;
  if (atomic_fetch_sub_explicit(&sharded->reference_count, 1, memory_order_acq_rel) != 1) return;
  for (int64_t d = 0; d < sharded->mesh->axes.device_count; d++)
    mica_tensor_release(sharded->parts[d]);
  mica_mesh_release(sharded->mesh);
  mica_free(NULL, sharded, sharded->allocation_size);
}

mica_type mica_sharded_tensor_type(const mica_sharded_tensor *sharded) {
  return sharded == NULL ? (mica_type){0} : sharded->type;
}
const mica_mesh *mica_sharded_tensor_mesh(const mica_sharded_tensor *sharded) {
  return sharded == NULL ? NULL : sharded->mesh;
}
const char *mica_sharded_tensor_sharding(const mica_sharded_tensor *sharded) {
  return sharded == NULL ? "" : sharded->text;
}
mica_tensor *mica_sharded_tensor_part(const mica_sharded_tensor *sharded, int64_t device) {
  if (sharded == NULL || device < 0 || device >= sharded->mesh->axes.device_count) return NULL;
  return sharded->parts[device];
}

int64_t mica_sharded_tensor_format(const mica_sharded_tensor *sharded, char *text, size_t size) {
  if (sharded != NULL)
    return mica_sharding_format(sharded->mesh, sharded->type.shape, sharded->text, text, size);
  if (size > 0) text[0] = '\0';
  return 0;
}
