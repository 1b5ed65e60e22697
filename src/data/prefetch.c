/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch.c: reading ahead on a thread, also into a device's memory.
 *
 * The thread owns the source while it runs. With each batch it puts the source's position behind it, so that the
 * position of the stage is that of what was given out last, whatever lies ready. Where no thread can be started,
 * batches are read when they are asked for. */
#include "data/dataset.h"
#include "platform/platform.h"

#include <string.h>

typedef struct {
  mica_batch batch; /* count 0: the end */
  mica_batch host;  /* what the source wrote, where `batch` is a copy on a device */
  mica_dataset_state position;
  mica_status status;
  mica_error error;
} prefetch_slot;

typedef struct {
  mica_stage stage;
  prefetch_slot *slots; /* a ring of [depth] */
  int32_t depth, first, ready;
  mica_dataset_state position; /* of the source, behind what was given out last */
  mica_mutex mutex;
  mica_condition changed;
  mica_thread_handle thread;
  bool running, stop, direct, has_mutex, has_condition;
  mica_device *device; /* of an upload, else NULL */
} prefetch_stage;

/* Host memory that serves the device as well is given out itself and comes back to be written anew. */
static void upload_slot(prefetch_stage *s, prefetch_slot *slot) {
  mica_batch_clear(&slot->batch);
  for (int32_t i = 0; i < slot->host.count && slot->status == MICA_OK; i++)
    slot->status = mica_tensor_to_device(s->device, slot->host.tensor[i], &slot->batch.tensor[i],
                                         &slot->error);
  slot->batch.count = slot->host.count;
  bool shared = slot->host.count > 0;
  for (int32_t i = 0; i < slot->host.count; i++)
    shared = shared && slot->batch.tensor[i] == slot->host.tensor[i];
  if (shared) mica_batch_clear(&slot->host);
}

static void read_into_slot(prefetch_stage *s, prefetch_slot *slot) {
  slot->error = (mica_error){0};
  if (s->device != NULL && slot->host.count == 0) mica_batch_move(&slot->host, &slot->batch);
  slot->status = mica_dataset_next(s->stage.source, s->device == NULL ? &slot->batch : &slot->host,
                                   &slot->error);
  if (slot->status == MICA_OK && s->device != NULL) upload_slot(s, slot);
  mica_state_clear(&slot->position);
  if (slot->status == MICA_OK) mica_dataset_put_state(s->stage.source, &slot->position);
  if (slot->position.failed)
    slot->status = mica_error_set(&slot->error, MICA_OUT_OF_MEMORY, "prefetch: out of memory");
}

static void read_ahead(void *context) {
  prefetch_stage *s = context;
  mica_mutex_lock(&s->mutex);
  while (!s->stop) {
    if (s->ready == s->depth) {
      mica_condition_wait(&s->changed, &s->mutex);
      continue;
    }
    prefetch_slot *slot = &s->slots[(s->first + s->ready) % s->depth];
    mica_mutex_unlock(&s->mutex);
    read_into_slot(s, slot);
    mica_mutex_lock(&s->mutex);
    s->ready++;
    mica_condition_signal_all(&s->changed);
    if (slot->status != MICA_OK || slot->batch.count == 0) break;
  }
  mica_mutex_unlock(&s->mutex);
}

/* Afterwards the source is the caller's. */
static void stop_reading(prefetch_stage *s) {
  if (s->running) {
    mica_mutex_lock(&s->mutex);
    s->stop = true;
    mica_condition_signal_all(&s->changed);
    mica_mutex_unlock(&s->mutex);
    mica_thread_join(s->thread);
  }
  for (int32_t i = 0; s->slots != NULL && i < s->depth; i++)
    mica_batch_clear(&s->slots[i].batch), mica_batch_clear(&s->slots[i].host);
  s->running = s->stop = s->direct = false;
  s->first = s->ready = 0;
}

static mica_status start_reading(prefetch_stage *s, mica_error *error) {
  mica_state_clear(&s->position);
  mica_dataset_put_state(s->stage.source, &s->position);
  if (s->position.failed)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "prefetch: out of memory");
  if (mica_thread_start(&s->thread, read_ahead, s) == 0)
    s->running = true;
  else
    s->direct = true;
  return MICA_OK;
}

static void prefetch_destroy(void *self) {
  prefetch_stage *s = self;
  stop_reading(s);
  for (int32_t i = 0; s->slots != NULL && i < s->depth; i++) mica_state_free(&s->slots[i].position);
  if (s->slots != NULL) mica_free(NULL, s->slots, (size_t)s->depth * sizeof *s->slots);
  mica_state_free(&s->position);
  if (s->has_mutex) mica_mutex_deinit(&s->mutex);
  if (s->has_condition) mica_condition_deinit(&s->changed);
  mica_device_release(s->device);
  mica_stage_free(s);
}

static mica_status prefetch_begin(void *self, int64_t epoch, mica_error *error) {
  prefetch_stage *s = self;
  stop_reading(s);
  return mica_dataset_begin(s->stage.source, epoch, error);
}

static mica_status take_slot(prefetch_stage *s, prefetch_slot *slot, mica_batch *batch,
                             mica_error *error) {
  mica_status status = slot->status;
  if (status != MICA_OK) {
    mica_error_set(error, status, "%s", slot->error.message);
    return status;
  }
  /* What the caller held goes to the slot, where the source may write to it again. */
  mica_batch held = *batch;
  *batch = slot->batch;
  slot->batch = held;
  mica_dataset_state kept = s->position;
  s->position = slot->position;
  slot->position = kept;
  return MICA_OK;
}

static mica_status prefetch_next(void *self, mica_batch *batch, mica_error *error) {
  prefetch_stage *s = self;
  if (!s->running && !s->direct) {
    mica_status status = start_reading(s, error);
    if (status != MICA_OK) return status;
  }
  if (s->direct) {
    read_into_slot(s, &s->slots[0]);
    return take_slot(s, &s->slots[0], batch, error);
  }
  mica_mutex_lock(&s->mutex);
  while (s->ready == 0) mica_condition_wait(&s->changed, &s->mutex);
  prefetch_slot *slot = &s->slots[s->first];
  mica_status status = take_slot(s, slot, batch, error);
  if (status == MICA_OK && batch->count > 0) { /* the last slot stays: nothing follows it */
    s->first = (s->first + 1) % s->depth;
    s->ready--;
    mica_condition_signal_all(&s->changed);
  }
  mica_mutex_unlock(&s->mutex);
  return status;
}

static void prefetch_save(void *self, mica_dataset_state *state) {
  prefetch_stage *s = self;
  if (!s->running && !s->direct) {
    mica_dataset_put_state(s->stage.source, state);
    return;
  }
  for (size_t i = 0; i < s->position.count; i++)
    mica_dataset_state_put(state, s->position.values[i]);
}

static mica_status prefetch_restore(void *self, mica_dataset_state *state, mica_error *error) {
  prefetch_stage *s = self;
  stop_reading(s);
  return mica_dataset_take_state(s->stage.source, state, error);
}

static mica_dataset *make_prefetch(mica_dataset *source, mica_device *device, int32_t depth,
                                   const mica_dataset_methods *methods, mica_error *error) {
  prefetch_stage *s = mica_stage_allocate(source, sizeof *s, methods->name, error);
  if (s == NULL) return NULL;
  s->depth = depth;
  s->device = mica_device_retain(device);
  s->slots = mica_allocate_zeroed(NULL, (size_t)depth, sizeof *s->slots);
  s->has_mutex = mica_mutex_init(&s->mutex) == 0;
  s->has_condition = mica_condition_init(&s->changed) == 0;
  if (s->slots == NULL || !s->has_mutex || !s->has_condition) {
    prefetch_destroy(s);
    mica_error_set(error, MICA_OUT_OF_MEMORY, "data set: out of memory");
    return NULL;
  }
  return mica_stage_create(s, methods, error);
}

static mica_dataset_methods prefetch_methods(const char *name) {
  return (mica_dataset_methods){.struct_size = sizeof(mica_dataset_methods),
                                .name = name,
                                .next = prefetch_next,
                                .begin = prefetch_begin,
                                .save = prefetch_save,
                                .restore = prefetch_restore,
                                .destroy = prefetch_destroy};
}

mica_dataset *mica_dataset_prefetch(mica_dataset *source, int32_t depth, mica_error *error) {
  mica_dataset_methods methods = prefetch_methods("prefetch");
  if (depth < 1)
    return mica_stage_refuse(source, "prefetch: a depth of at least 1 is needed", error);
  return make_prefetch(source, NULL, depth, &methods, error);
}

mica_dataset *mica_dataset_upload(mica_dataset *source, mica_device *device, int32_t depth,
                                  mica_error *error) {
  mica_dataset_methods methods = prefetch_methods("upload");
  if (depth < 1 || device == NULL)
    return mica_stage_refuse(source, "upload: a device and a depth of at least 1 are needed",
                             error);
  return make_prefetch(source, device, depth, &methods, error);
}
