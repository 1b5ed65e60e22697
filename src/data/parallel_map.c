/* SPDX-License-Identifier: Apache-2.0 */
/* parallel_map.c: a function of elements on several threads, in order or not.
 *
 * Elements get tickets as they are read from the source, by one thread at a time; a ring holds those in work. In
 * order, the element of the oldest ticket is given out next; otherwise any that is done. A position is the source's
 * position behind the oldest ticket that is not given out, and the later tickets that are: after a restore those are
 * read and dropped. Without threads the caller does the work when it asks. */
#include "data/dataset.h"
#include "platform/platform.h"

#include <inttypes.h>
#include <string.h>

enum { PARALLEL_LIMIT = 256 };

typedef enum { SLOT_FREE, SLOT_WORKING, SLOT_DONE, SLOT_GIVEN } slot_phase;

typedef struct {
  slot_phase phase;
  mica_batch in, out;
  mica_dataset_state position; /* of the source, behind this element */
  mica_status status;
  mica_error error;
} parallel_slot;

typedef struct {
  mica_stage stage;
  mica_map_callback *map;
  void *user;
  bool ordered;
  int32_t wanted, threads; /* threads: those that run */
  mica_thread_handle handles[PARALLEL_LIMIT];
  parallel_slot *slots; /* [window]: ticket t in slot t % window */
  int64_t window;
  int64_t epoch, base, next;   /* oldest ticket not given out, next to read */
  mica_dataset_state position; /* of the source, behind ticket base - 1 */
  mica_dataset_state dropped;  /* tickets to read and drop, after a restore */
  bool started, stop, reading, source_ended, has_mutex, has_condition;
  mica_mutex mutex;
  mica_condition changed;
} parallel_stage;

/* ---- working --------------------------------------------------------------------------------- */

static bool is_dropped(const parallel_stage *s, int64_t ticket) {
  for (size_t i = 0; i < s->dropped.count; i++)
    if (s->dropped.values[i] == ticket) return true;
  return false;
}

/* Reads the next element into its slot. Called with the lock held and `reading` set; gives the lock back
 * meanwhile. NULL: the source has ended. */
static parallel_slot *read_element(parallel_stage *s, int64_t *out_ticket) {
  int64_t ticket = s->next;
  parallel_slot *slot = &s->slots[ticket % s->window];
  mica_mutex_unlock(&s->mutex);
  slot->error = (mica_error){0};
  slot->status = mica_dataset_next(s->stage.source, &slot->in, &slot->error);
  mica_state_clear(&slot->position);
  if (slot->status == MICA_OK) mica_dataset_put_state(s->stage.source, &slot->position);
  if (slot->position.failed)
    slot->status = mica_error_set(&slot->error, MICA_OUT_OF_MEMORY, "parallel_map: out of memory");
  mica_mutex_lock(&s->mutex);
  s->reading = false;
  if (slot->status == MICA_OK && slot->in.count == 0) {
    s->source_ended = true;
    return NULL;
  }
  s->next++;
  slot->phase = SLOT_WORKING;
  if (slot->status != MICA_OK) s->source_ended = true; /* nothing is read behind an error */
  *out_ticket = ticket;
  return slot;
}

static void map_element(parallel_stage *s, parallel_slot *slot, int64_t ticket, bool drop) {
  if (slot->status != MICA_OK || drop) return;
  slot->status =
      s->map(s->user, (mica_map_position){s->epoch, ticket}, &slot->in, &slot->out, &slot->error);
  if (slot->status == MICA_OK && slot->out.count == 0)
    slot->status =
        mica_error_set(&slot->error, MICA_INVALID, "parallel_map: the function gave no tensor");
}

/* One element read and mapped; with the lock held. False: nothing to do now. */
static bool work_once(parallel_stage *s) {
  if (s->reading || s->source_ended || s->next - s->base >= s->window) return false;
  int64_t ticket;
  s->reading = true;
  parallel_slot *slot = read_element(s, &ticket);
  mica_condition_signal_all(&s->changed);
  if (slot == NULL) return true;
  bool drop = is_dropped(s, ticket);
  mica_mutex_unlock(&s->mutex);
  map_element(s, slot, ticket, drop);
  mica_mutex_lock(&s->mutex);
  slot->phase = drop && slot->status == MICA_OK ? SLOT_GIVEN : SLOT_DONE;
  mica_condition_signal_all(&s->changed);
  return true;
}

static void map_on_thread(void *context) {
  parallel_stage *s = context;
  mica_mutex_lock(&s->mutex);
  while (!s->stop)
    if (!work_once(s)) mica_condition_wait(&s->changed, &s->mutex);
  mica_mutex_unlock(&s->mutex);
}

/* ---- starting and stopping ------------------------------------------------------------------- */

static void stop_mapping(parallel_stage *s) {
  if (s->threads > 0) {
    mica_mutex_lock(&s->mutex);
    s->stop = true;
    mica_condition_signal_all(&s->changed);
    mica_mutex_unlock(&s->mutex);
    for (int32_t i = 0; i < s->threads; i++) mica_thread_join(s->handles[i]);
  }
  for (int64_t i = 0; s->slots != NULL && i < s->window; i++) {
    mica_batch_clear(&s->slots[i].in);
    mica_batch_clear(&s->slots[i].out);
    s->slots[i].phase = SLOT_FREE;
  }
  s->threads = 0;
  s->started = s->stop = s->reading = s->source_ended = false;
  s->next = s->base;
}

static mica_status start_mapping(parallel_stage *s, mica_error *error) {
  mica_state_clear(&s->position);
  mica_dataset_put_state(s->stage.source, &s->position);
  if (s->position.failed)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "parallel_map: out of memory");
  s->started = true;
  /* Fewer than wanted, or none, do the same work. */
  while (s->threads < s->wanted &&
         mica_thread_start(&s->handles[s->threads], map_on_thread, s) == 0)
    s->threads++;
  return MICA_OK;
}

static void parallel_destroy(void *self) {
  parallel_stage *s = self;
  stop_mapping(s);
  for (int64_t i = 0; s->slots != NULL && i < s->window; i++)
    mica_state_free(&s->slots[i].position);
  if (s->slots != NULL) mica_free(NULL, s->slots, (size_t)s->window * sizeof *s->slots);
  mica_state_free(&s->position);
  mica_state_free(&s->dropped);
  if (s->has_mutex) mica_mutex_deinit(&s->mutex);
  if (s->has_condition) mica_condition_deinit(&s->changed);
  mica_stage_free(s);
}

static mica_status parallel_begin(void *self, int64_t epoch, mica_error *error) {
  parallel_stage *s = self;
  stop_mapping(s);
  s->epoch = epoch;
  s->base = s->next = 0;
  mica_state_clear(&s->dropped);
  return mica_dataset_begin(s->stage.source, epoch, error);
}

/* ---- giving out ------------------------------------------------------------------------------ */

/* Moves `base` over what has been given out. */
static void advance(parallel_stage *s) {
  while (s->base < s->next) {
    parallel_slot *slot = &s->slots[s->base % s->window];
    if (slot->phase != SLOT_GIVEN) break;
    slot->phase = SLOT_FREE;
    mica_dataset_state kept = s->position;
    s->position = slot->position;
    slot->position = kept;
    s->base++;
  }
}

/* The next element that may be given out, or NULL while there is none. */
static parallel_slot *find_done(parallel_stage *s) {
  for (int64_t ticket = s->base; ticket < s->next; ticket++) {
    parallel_slot *slot = &s->slots[ticket % s->window];
    if (slot->phase == SLOT_DONE) return slot;
    if (s->ordered && slot->phase != SLOT_GIVEN) return NULL;
  }
  return NULL;
}

static mica_status parallel_next(void *self, mica_batch *batch, mica_error *error) {
  parallel_stage *s = self;
  if (!s->started) {
    mica_status status = start_mapping(s, error);
    if (status != MICA_OK) return status;
  }
  mica_batch_clear(batch);
  mica_status status = MICA_OK;
  mica_mutex_lock(&s->mutex);
  for (;;) {
    advance(s);
    mica_condition_signal_all(&s->changed);
    parallel_slot *slot = find_done(s);
    if (slot != NULL) {
      status = slot->status;
      if (status != MICA_OK) {
        mica_error_set(error, status, "%s", slot->error.message);
        break;
      }
      mica_batch_move(batch, &slot->out);
      slot->phase = SLOT_GIVEN;
      advance(s);
      mica_condition_signal_all(&s->changed);
      break;
    }
    if (s->source_ended && s->base == s->next) break;
    if (s->threads == 0)
      (void)work_once(s);
    else
      mica_condition_wait(&s->changed, &s->mutex);
  }
  mica_mutex_unlock(&s->mutex);
  return status;
}

/* ---- positions ------------------------------------------------------------------------------- */

static void parallel_save(void *self, mica_dataset_state *state) {
  parallel_stage *s = self;
  if (s->has_mutex) mica_mutex_lock(&s->mutex);
  mica_dataset_state_put(state, s->epoch);
  mica_dataset_state_put(state, s->base);
  int64_t given = 0;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) mica_dataset_state_put(state, given);
    for (int64_t ticket = s->base; s->started && ticket < s->next; ticket++) {
      if (s->slots[ticket % s->window].phase != SLOT_GIVEN) continue;
      if (pass == 0)
        given++;
      else
        mica_dataset_state_put(state, ticket);
    }
    /* what a restore has yet to drop */
    for (size_t i = 0; i < s->dropped.count; i++) {
      int64_t ticket = s->dropped.values[i];
      if (ticket < s->next) continue;
      if (pass == 0)
        given++;
      else
        mica_dataset_state_put(state, ticket);
    }
  }
  if (s->started)
    for (size_t i = 0; i < s->position.count; i++)
      mica_dataset_state_put(state, s->position.values[i]);
  if (s->has_mutex) mica_mutex_unlock(&s->mutex);
  if (!s->started) mica_dataset_put_state(s->stage.source, state);
}

static mica_status parallel_restore(void *self, mica_dataset_state *state, mica_error *error) {
  parallel_stage *s = self;
  stop_mapping(s);
  s->epoch = mica_dataset_state_take(state);
  s->base = s->next = mica_dataset_state_take(state);
  int64_t given = mica_dataset_state_take(state);
  mica_state_clear(&s->dropped);
  if (s->base < 0 || given < 0 || (uint64_t)given > state->count)
    return mica_error_set(error, MICA_INVALID, "parallel_map: the position is broken");
  for (int64_t i = 0; i < given; i++)
    mica_dataset_state_put(&s->dropped, mica_dataset_state_take(state));
  if (s->dropped.failed)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "parallel_map: out of memory");
  return mica_dataset_take_state(s->stage.source, state, error);
}

mica_dataset *mica_dataset_parallel_map(mica_dataset *source, mica_map_callback *map, void *user,
                                        int32_t threads, bool ordered, mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "parallel_map",
                                               .next = parallel_next,
                                               .begin = parallel_begin,
                                               .save = parallel_save,
                                               .restore = parallel_restore,
                                               .destroy = parallel_destroy};
  if (map == NULL || threads < 0)
    return mica_stage_refuse(
        source, "parallel_map: a function and a count of threads of at least 0 are needed", error);
  parallel_stage *s = mica_stage_allocate(source, sizeof *s, "parallel_map", error);
  if (s == NULL) return NULL;
  if (threads == 0) threads = mica_thread_core_count();
  s->wanted = threads < PARALLEL_LIMIT ? threads : PARALLEL_LIMIT;
  s->map = map, s->user = user, s->ordered = ordered;
  s->window = 2 * (int64_t)s->wanted + 2;
  s->slots = mica_allocate_zeroed(NULL, (size_t)s->window, sizeof *s->slots);
  s->has_mutex = mica_mutex_init(&s->mutex) == 0;
  s->has_condition = mica_condition_init(&s->changed) == 0;
  if (s->slots == NULL || !s->has_mutex || !s->has_condition) {
    parallel_destroy(s);
    mica_error_set(error, MICA_OUT_OF_MEMORY, "data set: out of memory");
    return NULL;
  }
  return mica_stage_create(s, &methods, error);
}
