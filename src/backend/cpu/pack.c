/* SPDX-License-Identifier: Apache-2.0 */
/* pack.c: the cache of packed weights.
 *
 * Products and convolutions rearrange their right operand into panels at each call. When that operand is a
 * constant, or a variable that the program does not assign, the panels of a version can serve all calls
 * that see it. A version is packed when it is met for the second time: who trains between two calls never
 * pays for panels that are used once. The old panels go when a call sees another version, after the last
 * step that reads them.
 *
 * Any number of calls run at once: the program's mutex is held for looking only, one call packs, and the
 * others meanwhile read the operand itself, which gives the same bits. The bytes of all programs of a
 * device are bounded; what does not fit is not kept. */
#include "backend/cpu/pack.h"

struct mica_cpu_packed {
  uint32_t reference_count; /* guarded by the program's mutex */
  mica_cpu_pack *pack;
  mica_call_version version;
  void *data; /* [pack->size] */
};

struct mica_cpu_pack {
  mica_cpu_pack *next; /* of the program */
  mica_cpu_program *program;
  _Atomic size_t *device_bytes;
  size_t limit;   /* the device's */
  size_t size;    /* of one version */
  uint32_t input; /* of the call; UINT32_MAX: a constant */
  /* All below is guarded by the program's mutex. */
  bool packing;
  mica_call_version met; /* the version that the last call saw; {0, 0}: none */
  mica_cpu_packed *packed;
};

static bool same_version(mica_call_version a, mica_call_version b) {
  return a.value == b.value && a.write == b.write;
}

/* ---- memory ----------------------------------------------------------------------------------- */

static bool has_pages(const mica_cpu_pack *pack) {
  return pack->size >= (size_t)1 << 20 && pack->program->allocator.allocate == NULL;
}

static void destroy_packed(mica_cpu_packed *packed) {
  if (packed == NULL) return;
  const mica_cpu_pack *pack = packed->pack;
  const mica_allocator *allocator = &pack->program->allocator;
  if (has_pages(pack))
    mica_pages_unmap(packed->data, pack->size);
  else
    mica_free_aligned(allocator, packed->data, pack->size, MICA_ALIGNMENT);
  mica_free(allocator, packed, sizeof(*packed));
  atomic_fetch_sub(pack->device_bytes, pack->size);
}

/* Held once; NULL without memory, or where the device's packs would become too large. */
static mica_cpu_packed *create_packed(mica_cpu_pack *pack, mica_call_version version) {
  const mica_allocator *allocator = &pack->program->allocator;
  size_t before = atomic_fetch_add(pack->device_bytes, pack->size);
  if (before > pack->limit || pack->size > pack->limit - before) {
    atomic_fetch_sub(pack->device_bytes, pack->size);
    return NULL;
  }
  mica_cpu_packed *packed = mica_allocate(allocator, sizeof(*packed));
  void *data = has_pages(pack) ? mica_pages_map(pack->size)
                               : mica_allocate_aligned(allocator, pack->size, MICA_ALIGNMENT);
  if (packed != NULL && data != NULL) {
    *packed = (mica_cpu_packed){1, pack, version, data};
    return packed;
  }
  if (data != NULL && has_pages(pack)) mica_pages_unmap(data, pack->size);
  if (data != NULL && !has_pages(pack))
    mica_free_aligned(allocator, data, pack->size, MICA_ALIGNMENT);
  if (packed != NULL) mica_free(allocator, packed, sizeof(*packed));
  atomic_fetch_sub(pack->device_bytes, pack->size);
  return NULL;
}

/* ---- planning --------------------------------------------------------------------------------- */

/* When the program is destroyed no call runs. */
static void release_pack(void *object) {
  mica_cpu_pack *pack = object;
  destroy_packed(pack->packed);
  pack->packed = NULL;
}

mica_cpu_pack *mica_plan_pack(mica_plan *plan, const mica_view *view, size_t size) {
  mica_cpu_program *program = plan->program;
  if (!mica_plan_good(plan) || size == 0 || size > program->engine->pack_limit) return NULL;
  const mica_storage *storage = &plan->storages[mica_plan_class(plan, view->storage)];
  bool kept = storage->kind == MICA_STORAGE_CONSTANT ||
              (storage->kind == MICA_STORAGE_INPUT && plan->in_kept[storage->index]);
  if (!kept) return NULL;
  mica_cpu_pack *pack = mica_plan_allocate(plan, 1, sizeof(*pack));
  if (pack == NULL) return NULL;
  pack->program = program;
  pack->device_bytes = &program->engine->pack_bytes;
  pack->limit = program->engine->pack_limit;
  pack->size = size;
  pack->input = storage->kind == MICA_STORAGE_INPUT ? storage->index : UINT32_MAX;
  if (!mica_plan_own(plan, release_pack, pack)) return NULL;
  pack->next = program->packs;
  program->packs = pack;
  return pack;
}

/* ---- running ---------------------------------------------------------------------------------- */

/* The version of the operand in this call; false: unknown. */
static bool version_of_call(const mica_cpu_pack *pack, const mica_call *call,
                            mica_call_version *out) {
  *out = (mica_call_version){1, 0};
  if (pack->input == UINT32_MAX) return true;
  if (call->struct_size < sizeof(*call) || call->versions == NULL) return false;
  *out = call->versions[pack->input];
  return out->value != 0;
}

/* Counts a reference down; what nobody holds is to be destroyed outside of the lock. */
static mica_cpu_packed *drop_reference(mica_cpu_packed *packed) {
  return packed != NULL && --packed->reference_count == 0 ? packed : NULL;
}

mica_cpu_packed *mica_cpu_pack_take(mica_cpu_pack *pack, const mica_cpu_context *context,
                                    const mica_parallel *parallel, mica_cpu_pack_fill *fill,
                                    void *user) {
  mica_call_version version;
  if (pack == NULL || !version_of_call(pack, context->call, &version)) return NULL;
  mica_mutex *mutex = &pack->program->mutex;
  mica_cpu_packed *held = NULL, *stale = NULL;
  bool fills = false;
  mica_mutex_lock(mutex);
  if (pack->packed != NULL && same_version(pack->packed->version, version)) {
    held = pack->packed;
    held->reference_count++;
  } else {
    /* A constant is met by every call: it waits for no second one. */
    bool again = same_version(pack->met, version) || pack->input == UINT32_MAX;
    stale = drop_reference(pack->packed);
    pack->packed = NULL;
    pack->met = version;
    fills = again && !pack->packing;
    if (fills) pack->packing = true;
  }
  mica_mutex_unlock(mutex);
  destroy_packed(stale);
  if (!fills) return held;
  held = create_packed(pack, version);
  if (held != NULL) fill(user, parallel, held->data);
  mica_mutex_lock(mutex);
  pack->packing = false;
  stale = NULL;
  if (held != NULL) {
    stale = drop_reference(pack->packed);
    pack->packed = held;
    held->reference_count++;
  }
  mica_mutex_unlock(mutex);
  destroy_packed(stale);
  return held;
}

const void *mica_cpu_packed_data(const mica_cpu_packed *packed) {
  return packed == NULL ? NULL : packed->data;
}

void mica_cpu_pack_give(mica_cpu_packed *packed) {
  if (packed == NULL) return;
  mica_mutex *mutex = &packed->pack->program->mutex;
  mica_mutex_lock(mutex);
  packed = drop_reference(packed);
  mica_mutex_unlock(mutex);
  destroy_packed(packed);
}

size_t mica_cpu_pack_bytes(const mica_cpu_program *program) {
  size_t bytes = 0;
  if (program->packs == NULL) return 0;
  mica_mutex *mutex = &program->packs->program->mutex;
  mica_mutex_lock(mutex);
  for (const mica_cpu_pack *pack = program->packs; pack != NULL; pack = pack->next)
    if (pack->packed != NULL) bytes += pack->size;
  mica_mutex_unlock(mutex);
  return bytes;
}
