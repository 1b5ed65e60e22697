/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_parts.c: arrays in parts on the devices of a mesh: where a part lies in the whole, uploads of parts, and
 * tensors whose values stay on the devices between calls.
 *
 * Such a tensor has the type of the whole array. Who reads it gets the parts put together; a call whose program wants
 * the array cut as it lies takes the buffers. Its parts can be tensors of their own, which share the values: so it is
 * counted, and consumed by a call only where nobody else holds it. */
#include "backend/xla/mesh.h"
#include "core/tensor.h"

#include <string.h>

/* ---- geometry ---------------------------------------------------------------------------------- */

/* The part of a device of an array of `whole`, as the plugin has it: 4-bit elements a byte each. */
typedef struct {
  mica_type type;
  int64_t begin[MICA_MAX_RANK], first;
  bool run; /* its elements lie together in the whole, from `first` on */
  size_t item, bytes;
} mesh_part;

static mesh_part part_of(const xla_cut *cut, mica_type whole, int64_t device) {
  mesh_part part = {.type = mica_xla_boundary_type(whole)};
  for (int32_t i = 0; i < whole.shape.rank; i++)
    part.type.shape.dim[i] /= cut->sharding.axis[i].size;
  mica_mesh_part_begin(&cut->mesh, &cut->sharding, part.type.shape, device, part.begin);
  part.run = mica_mesh_is_run(whole.shape, part.type.shape, part.begin, &part.first);
  part.item = (size_t)mica_dtype_bits(part.type.dtype) / 8;
  part.bytes = mica_xla_byte_size(part.type);
  return part;
}

bool mica_xla_same_cut(const xla_cut *a, const xla_cut *b, mica_shape whole) {
  if (a->mesh.device_count != b->mesh.device_count) return false;
  mica_type type = {MICA_U8, whole};
  for (int64_t d = 0; d < a->mesh.device_count; d++) {
    mesh_part one = part_of(a, type, d), other = part_of(b, type, d);
    size_t bytes = (size_t)whole.rank * sizeof(int64_t);
    if (!mica_shape_equal(one.type.shape, other.type.shape) ||
        memcmp(one.begin, other.begin, bytes) != 0)
      return false;
  }
  return true;
}

/* ---- uploads ------------------------------------------------------------------------------------ */

static mica_status give_part(const xla_client *client, const mesh_part *part, mica_shape whole,
                             int64_t device, const char *data, bool *lend, char *scratch,
                             pjrt_buffer **out_buffer, mica_error *error) {
  const char *at = data + (size_t)part->first * part->item;
  *lend = *lend && part->run && (uintptr_t)at % MICA_ALIGNMENT == 0;
  if (!part->run) {
    mica_mesh_cut(whole, part->type.shape, part->begin, part->item, data, scratch);
    at = scratch;
  }
  return mica_xla_upload_to(client, client->devices[device], part->type, at,
                            *lend ? PJRT_HOST_ZERO_COPY : PJRT_HOST_DURING_CALL, out_buffer, error);
}

/* Of an array whose elements are bytes at least. */
static mica_status give_dense(const xla_client *client, const xla_cut *cut, mica_type type,
                              const void *data, bool *io_lend, pjrt_buffer **first, size_t stride,
                              mica_error *error) {
  bool lend = *io_lend;
  char *scratch = NULL;
  size_t bytes = part_of(cut, type, 0).bytes;
  mica_status status = MICA_OK;
  *io_lend = false;
  for (int64_t d = 0; d < cut->mesh.device_count && status == MICA_OK; d++) {
    mesh_part part = part_of(cut, type, d);
    bool lent = lend;
    if (!part.run && scratch == NULL) {
      scratch = mica_allocate_aligned(&client->allocator, bytes, MICA_ALIGNMENT);
      if (scratch == NULL)
        return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a part of an array");
    }
    status = give_part(client, &part, type.shape, d, data, &lent, scratch,
                       &first[(size_t)d * stride], error);
    *io_lend = *io_lend || lent;
  }
  mica_free_aligned(&client->allocator, scratch, bytes, MICA_ALIGNMENT);
  return status;
}

mica_status mica_xla_give_parts(const xla_client *client, const xla_cut *cut, mica_type type,
                                const void *data, bool *io_lend, pjrt_buffer **first, size_t stride,
                                mica_error *error) {
  mica_type wide = mica_xla_boundary_type(type);
  if (wide.dtype == type.dtype)
    return give_dense(client, cut, type, data, io_lend, first, stride, error);
  size_t size = (size_t)mica_shape_count(type.shape);
  void *bytes = mica_allocate(&client->allocator, size);
  *io_lend = false;
  if (bytes == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  mica_convert_elements(wide.dtype, bytes, type.dtype, data, (int64_t)size);
  mica_status status = give_dense(client, cut, wide, bytes, io_lend, first, stride, error);
  mica_free(&client->allocator, bytes, size);
  return status;
}

/* ---- values in parts ---------------------------------------------------------------------------- */

static void drop_parts(xla_parts *parts) {
  if (atomic_fetch_sub_explicit(&parts->references, 1, memory_order_acq_rel) != 1) return;
  const xla_client *client = parts->client;
  mica_device *owner = parts->owner;
  mica_allocator allocator = client->allocator;
  /* In a forked child the plugin's threads do not exist. */
  if (owner->process == mica_process_id())
    mica_xla_destroy_buffers(client, parts->part, (size_t)parts->cut.mesh.device_count);
  mica_free_aligned(&allocator, atomic_load(&parts->host), parts->size, MICA_ALIGNMENT);
  mica_free(&allocator, parts, parts->memory_size);
  mica_device_release(owner);
}
static void release_parts(void *pointer) { drop_parts(pointer); }

/* Fetches each part once and puts it in its place; `whole` is of the boundary's type. */
static mica_status gather_parts(const xla_parts *parts, char *whole, mica_error *error) {
  const xla_client *client = parts->client;
  const xla_cut *cut = &parts->cut;
  char *scratch = NULL;
  size_t bytes = part_of(cut, parts->type, 0).bytes;
  mica_status status = MICA_OK;
  for (int64_t d = 0; d < cut->mesh.device_count && status == MICA_OK && bytes > 0; d++) {
    if (!mica_mesh_is_first(&cut->mesh, &cut->sharding, d)) continue;
    mesh_part part = part_of(cut, parts->type, d);
    if (!part.run && scratch == NULL) {
      scratch = mica_allocate_aligned(&client->allocator, bytes, MICA_ALIGNMENT);
      if (scratch == NULL)
        return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a part of an array");
    }
    char *to = part.run ? whole + (size_t)part.first * part.item : scratch;
    status = mica_xla_fetch(client, part.type, parts->part[d], to, bytes, error);
    if (status == MICA_OK && !part.run)
      mica_mesh_paste(parts->type.shape, part.type.shape, part.begin, part.item, scratch, whole);
  }
  mica_free_aligned(&client->allocator, scratch, bytes, MICA_ALIGNMENT);
  return status;
}

static mica_status read_parts(void *pointer, void *host, size_t byte_size, mica_error *error) {
  const xla_parts *parts = pointer;
  mica_status status = mica_device_check(parts->owner, error);
  if (status != MICA_OK) return status;
  const void *copy = atomic_load_explicit(&parts->host, memory_order_acquire);
  if (copy != NULL) {
    memcpy(host, copy, byte_size);
    return MICA_OK;
  }
  mica_type wide = mica_xla_boundary_type(parts->type);
  if (wide.dtype == parts->type.dtype) return gather_parts(parts, host, error);
  const mica_allocator *allocator = &parts->client->allocator;
  size_t size = (size_t)mica_shape_count(wide.shape);
  char *bytes = mica_allocate(allocator, size);
  if (bytes == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a copy");
  status = gather_parts(parts, bytes, error);
  if (status == MICA_OK)
    mica_convert_elements(parts->type.dtype, host, wide.dtype, bytes, (int64_t)size);
  mica_free(allocator, bytes, size);
  return status;
}

static const void *host_of_parts(void *pointer) {
  xla_parts *parts = pointer;
  return mica_xla_keep_copy(parts->client, &parts->host, parts->size, read_parts, parts);
}

static mica_status wait_for_parts(void *pointer, mica_error *error) {
  const xla_parts *parts = pointer;
  mica_status status = MICA_OK;
  for (int64_t d = 0; d < parts->cut.mesh.device_count && status == MICA_OK; d++)
    status = mica_xla_wait_for_buffer(parts->client, parts->part[d], error);
  return status;
}

static bool parts_are_ready(void *pointer) {
  const xla_parts *parts = pointer;
  bool ready = true;
  for (int64_t d = 0; d < parts->cut.mesh.device_count && ready; d++)
    ready = mica_xla_buffer_is_ready(parts->client, parts->part[d]);
  return ready;
}

/* ---- one part as a tensor ----------------------------------------------------------------------- */

typedef struct {
  xla_parts *parts; /* counted */
  int64_t device;
  mica_type type;
  size_t size;
  _Atomic(void *) host;
} xla_one_part;

static void release_one_part(void *pointer) {
  xla_one_part *one = pointer;
  mica_allocator allocator = one->parts->client->allocator;
  xla_parts *parts = one->parts;
  mica_free_aligned(&allocator, atomic_load(&one->host), one->size, MICA_ALIGNMENT);
  mica_free(&allocator, one, sizeof(*one));
  drop_parts(parts);
}

static mica_status read_one_part(void *pointer, void *host, size_t byte_size, mica_error *error) {
  const xla_one_part *one = pointer;
  mica_status status = mica_device_check(one->parts->owner, error);
  if (status != MICA_OK) return status;
  return mica_xla_fetch(one->parts->client, one->type, one->parts->part[one->device], host,
                        byte_size, error);
}

static const void *host_of_one_part(void *pointer) {
  xla_one_part *one = pointer;
  return mica_xla_keep_copy(one->parts->client, &one->host, one->size, read_one_part, one);
}

static mica_status wait_for_one_part(void *pointer, mica_error *error) {
  const xla_one_part *one = pointer;
  return mica_xla_wait_for_buffer(one->parts->client, one->parts->part[one->device], error);
}

static bool one_part_is_ready(void *pointer) {
  const xla_one_part *one = pointer;
  return mica_xla_buffer_is_ready(one->parts->client, one->parts->part[one->device]);
}

static const mica_tensor_device xla_one_part_device = {.read = read_one_part,
                                                       .release = release_one_part,
                                                       .host = host_of_one_part,
                                                       .wait = wait_for_one_part,
                                                       .ready = one_part_is_ready};

static mica_tensor *part_as_tensor(void *pointer, int64_t device, mica_shape shape,
                                   const int64_t *begin) {
  xla_parts *parts = pointer;
  if (device < 0 || device >= parts->cut.mesh.device_count) return NULL;
  mesh_part part = part_of(&parts->cut, parts->type, device);
  if (!mica_shape_equal(part.type.shape, shape) || part.type.dtype != parts->type.dtype ||
      memcmp(part.begin, begin, (size_t)shape.rank * sizeof(*begin)) != 0)
    return NULL;
  const mica_allocator *allocator = &parts->client->allocator;
  xla_one_part *one = mica_allocate(allocator, sizeof(*one));
  mica_tensor *tensor = NULL;
  if (one == NULL) return NULL;
  *one = (xla_one_part){.parts = parts, .device = device, .type = part.type, .size = part.bytes};
  atomic_init(&one->host, NULL);
  if (mica_tensor_create_on_device(allocator, part.type, &xla_one_part_device, one, &tensor,
                                   NULL) != MICA_OK) {
    mica_free(allocator, one, sizeof(*one));
    return NULL;
  }
  atomic_fetch_add_explicit(&parts->references, 1, memory_order_relaxed);
  return tensor;
}

/* ---- tensors ------------------------------------------------------------------------------------ */

static const mica_tensor_device xla_parts_device = {.read = read_parts,
                                                    .release = release_parts,
                                                    .host = host_of_parts,
                                                    .wait = wait_for_parts,
                                                    .ready = parts_are_ready,
                                                    .part = part_as_tensor};

/* Of parts without buffers. */
static xla_parts *make_parts(const xla_client *client, const xla_cut *cut, mica_type type) {
  size_t count = (size_t)cut->mesh.device_count;
  size_t size = sizeof(xla_parts) + count * sizeof(pjrt_buffer *);
  xla_parts *parts = mica_allocate_zeroed(&client->allocator, 1, size);
  if (parts == NULL) return NULL;
  atomic_init(&parts->references, 1);
  atomic_init(&parts->host, NULL);
  parts->owner = mica_device_retain(client->owner);
  parts->client = client;
  parts->type = type;
  parts->size = mica_xla_byte_size(type);
  parts->cut = *cut;
  parts->memory_size = size;
  return parts;
}

/* The parts become the tensor's, or end. */
static mica_status tensor_of(xla_parts *parts, mica_tensor **out_tensor, mica_error *error) {
  mica_status status = mica_tensor_create_on_device(&parts->client->allocator, parts->type,
                                                    &xla_parts_device, parts, out_tensor, error);
  if (status != MICA_OK) drop_parts(parts);
  return status;
}

static mica_status no_parts(mica_error *error) {
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a tensor on several devices");
}

mica_status mica_xla_parts_tensor(const xla_client *client, const xla_cut *cut, mica_type type,
                                  pjrt_buffer **first, size_t stride, mica_tensor **out_tensor,
                                  mica_error *error) {
  xla_parts *parts = make_parts(client, cut, type);
  if (parts == NULL) return no_parts(error);
  for (size_t d = 0; d < (size_t)cut->mesh.device_count; d++) {
    parts->part[d] = first[d * stride];
    first[d * stride] = NULL;
  }
  return tensor_of(parts, out_tensor, error);
}

xla_parts *mica_xla_parts_of(const xla_client *client, const mica_tensor *tensor,
                             const xla_cut *cut) {
  if (tensor->storage != MICA_TENSOR_DEVICE || tensor->device != &xla_parts_device) return NULL;
  xla_parts *parts = tensor->device_buffer;
  return parts->client == client && mica_xla_same_cut(&parts->cut, cut, parts->type.shape) ? parts
                                                                                           : NULL;
}

mica_status mica_xla_place_cut(const xla_client *client, const xla_cut *cut, mica_tensor *tensor,
                               mica_tensor **out_tensor, mica_error *error) {
  if (mica_xla_parts_of(client, tensor, cut) != NULL) {
    *out_tensor = mica_tensor_retain(tensor);
    return MICA_OK;
  }
  mica_tensor_view view;
  mica_status status = mica_tensor_view_begin(tensor, &view, error);
  if (status != MICA_OK) return status;
  xla_parts *parts = make_parts(client, cut, tensor->type);
  bool lend = false; /* it stays there for longer than the tensor */
  status = parts == NULL ? no_parts(error)
                         : mica_xla_give_parts(client, cut, tensor->type, view.data, &lend,
                                               parts->part, 1, error);
  mica_tensor_view_end(tensor, &view);
  if (status == MICA_OK) return tensor_of(parts, out_tensor, error);
  if (parts != NULL) drop_parts(parts);
  return status == MICA_OUT_OF_MEMORY ? mica_xla_upload_error(client, tensor->type, error) : status;
}

/* ---- sharded tensors ---------------------------------------------------------------------------- */

/* The values whose parts these are, each on its device; NULL: they are no such. */
static xla_parts *common_parts(const xla_client *client, const mica_sharded_tensor *sharded,
                               const xla_cut *cut) {
  xla_parts *parts = NULL;
  for (int64_t d = 0; d < cut->mesh.device_count; d++) {
    const mica_tensor *part = mica_sharded_tensor_part(sharded, d);
    if (!mica_mesh_is_first(&cut->mesh, &cut->sharding, d)) continue;
    if (part->storage != MICA_TENSOR_DEVICE || part->device != &xla_one_part_device) return NULL;
    const xla_one_part *one = part->device_buffer;
    if (one->device != d || (parts != NULL && one->parts != parts)) return NULL;
    parts = one->parts;
  }
  mica_shape whole = mica_sharded_tensor_type(sharded).shape;
  return parts != NULL && parts->client == client && mica_xla_same_cut(&parts->cut, cut, whole)
             ? parts
             : NULL;
}

static mica_status upload_sharded(const xla_client *client, const mica_sharded_tensor *sharded,
                                  const xla_cut *cut, xla_parts *parts, mica_error *error) {
  mica_status status = MICA_OK;
  for (int64_t d = 0; d < cut->mesh.device_count && status == MICA_OK; d++) {
    const mica_tensor *part = mica_sharded_tensor_part(sharded, d);
    mica_tensor_view view;
    status = mica_tensor_view_begin(part, &view, error);
    if (status != MICA_OK) break;
    status = mica_xla_upload_to(client, client->devices[d], part->type, view.data,
                                PJRT_HOST_DURING_CALL, &parts->part[d], error);
    mica_tensor_view_end(part, &view);
  }
  return status;
}

mica_status mica_xla_place_parts(void *state, const mica_sharded_tensor *sharded,
                                 mica_tensor **out_tensor, mica_error *error) {
  const xla_client *client = state;
  const char *text = mica_sharded_tensor_sharding(sharded);
  mica_type type = mica_sharded_tensor_type(sharded);
  char message[MICA_MESSAGE_SIZE];
  xla_cut cut = {.mesh = *mica_mesh_axes_of(mica_sharded_tensor_mesh(sharded))};
  if (!mica_mesh_parse_sharding(&cut.mesh, text, strlen(text), type.shape.rank, &cut.sharding,
                                message))
    return mica_error_set(error, MICA_INVALID, "%s", message);
  if ((size_t)cut.mesh.device_count > client->device_count)
    return mica_error_set(error, MICA_INVALID,
                          "xla:%s: the mesh \"%.200s\" needs %lld devices, and there %s %zu",
                          client->plugin.name, mica_mesh_text(mica_sharded_tensor_mesh(sharded)),
                          (long long)cut.mesh.device_count,
                          mica_noun(client->device_count, "is", "are"), client->device_count);
  xla_parts *parts = common_parts(client, sharded, &cut);
  if (parts != NULL) {
    atomic_fetch_add_explicit(&parts->references, 1, memory_order_relaxed);
    return tensor_of(parts, out_tensor, error);
  }
  parts = make_parts(client, &cut, type);
  if (parts == NULL) return no_parts(error);
  mica_status status = upload_sharded(client, sharded, &cut, parts, error);
  if (status == MICA_OK) return tensor_of(parts, out_tensor, error);
  drop_parts(parts);
  return status;
}
