/* SPDX-License-Identifier: Apache-2.0 */
/* stages.c: the stages that need no thread: take, skip, repeat, map, cache, interleave, shuffle. */
#include "core/tensor.h"
#include "data/dataset.h"

#include <inttypes.h>
#include <string.h>

/* ---- take, skip, repeat ---------------------------------------------------------------------- */

typedef struct {
  mica_stage stage;
  int64_t limit, at, epoch;
} count_stage;

static void count_save(void *self, mica_dataset_state *state) {
  count_stage *s = self;
  mica_dataset_state_put(state, s->at);
  mica_dataset_state_put(state, s->epoch);
  mica_dataset_put_state(s->stage.source, state);
}

static mica_status count_restore(void *self, mica_dataset_state *state, mica_error *error) {
  count_stage *s = self;
  s->at = mica_dataset_state_take(state);
  s->epoch = mica_dataset_state_take(state);
  return mica_dataset_take_state(s->stage.source, state, error);
}

static mica_status count_begin(void *self, int64_t epoch, mica_error *error) {
  count_stage *s = self;
  s->at = 0;
  return mica_dataset_begin(s->stage.source, epoch, error);
}

static mica_status take_next(void *self, mica_batch *batch, mica_error *error) {
  count_stage *s = self;
  batch->count = s->at < s->limit ? batch->count : 0;
  if (s->at >= s->limit) return MICA_OK;
  s->at++;
  return mica_dataset_next(s->stage.source, batch, error);
}

static mica_status skip_next(void *self, mica_batch *batch, mica_error *error) {
  count_stage *s = self;
  for (; s->at < s->limit; s->at++) {
    mica_status status = mica_dataset_next(s->stage.source, batch, error);
    if (status != MICA_OK || batch->count == 0) return status;
  }
  return mica_dataset_next(s->stage.source, batch, error);
}

/* limit: the rounds of an epoch, 0 without end; at: the present one. */
static mica_status repeat_begin(void *self, int64_t epoch, mica_error *error) {
  count_stage *s = self;
  s->at = 0;
  if (s->limit == 0) {
    s->epoch = epoch;
  } else if (__builtin_mul_overflow(epoch, s->limit, &s->epoch)) {
    return mica_error_set(error, MICA_INVALID, "repeat: the epoch is too large");
  }
  return mica_dataset_begin(s->stage.source, s->epoch, error);
}

static mica_status repeat_next(void *self, mica_batch *batch, mica_error *error) {
  count_stage *s = self;
  for (bool fresh = false;; fresh = true) {
    mica_status status = mica_dataset_next(s->stage.source, batch, error);
    if (status != MICA_OK || batch->count > 0) return status;
    if (fresh) return mica_error_set(error, MICA_INVALID, "repeat: the source is empty");
    if (s->limit > 0 && ++s->at >= s->limit) return MICA_OK;
    status = mica_dataset_begin(s->stage.source, ++s->epoch, error);
    if (status != MICA_OK) return status;
  }
}

static mica_dataset *make_count(mica_dataset *source, int64_t limit,
                                const mica_dataset_methods *methods, mica_error *error) {
  if (limit < 0)
    return mica_stage_refuse(source, "data set: take, skip and repeat need a count of at least 0",
                             error);
  count_stage *s = mica_stage_allocate(source, sizeof *s, methods->name, error);
  if (s == NULL) return NULL;
  s->limit = limit;
  return mica_stage_create(s, methods, error);
}

mica_dataset *mica_dataset_take(mica_dataset *source, int64_t count, mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "take",
                                               .next = take_next,
                                               .begin = count_begin,
                                               .save = count_save,
                                               .restore = count_restore,
                                               .destroy = mica_stage_free};
  return make_count(source, count, &methods, error);
}

mica_dataset *mica_dataset_skip(mica_dataset *source, int64_t count, mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "skip",
                                               .next = skip_next,
                                               .begin = count_begin,
                                               .save = count_save,
                                               .restore = count_restore,
                                               .destroy = mica_stage_free};
  return make_count(source, count, &methods, error);
}

mica_dataset *mica_dataset_repeat(mica_dataset *source, int64_t times, mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "repeat",
                                               .next = repeat_next,
                                               .begin = repeat_begin,
                                               .save = count_save,
                                               .restore = count_restore,
                                               .destroy = mica_stage_free};
  return make_count(source, times, &methods, error);
}

/* ---- map ------------------------------------------------------------------------------------- */

void mica_map_random(uint64_t seed, mica_map_position position, uint32_t draw,
                     uint32_t out_words[4]) {
  /* The key is turned, so that the words are not those of mica_shuffle of the same seed. */
  const uint32_t key[2] = {(uint32_t)seed ^ 0x6d617073u, (uint32_t)(seed >> 32) ^ 0x9e3779b9u};
  const uint32_t counter[4] = {(uint32_t)position.index, (uint32_t)((uint64_t)position.index >> 32),
                               (uint32_t)position.epoch, draw};
  mica_philox(counter, key, out_words);
}

typedef struct {
  mica_stage stage;
  mica_map_callback *map;
  void *user;
  mica_map_position position;
  mica_batch in;
} map_stage;

static void map_destroy(void *self) {
  map_stage *s = self;
  mica_batch_clear(&s->in);
  mica_stage_free(s);
}

static mica_status map_begin(void *self, int64_t epoch, mica_error *error) {
  map_stage *s = self;
  s->position = (mica_map_position){epoch, 0};
  return mica_dataset_begin(s->stage.source, epoch, error);
}

static mica_status map_next(void *self, mica_batch *batch, mica_error *error) {
  map_stage *s = self;
  mica_status status = mica_dataset_next(s->stage.source, &s->in, error);
  mica_batch_clear(batch);
  if (status != MICA_OK || s->in.count == 0) return status;
  status = s->map(s->user, s->position, &s->in, batch, error);
  s->position.index++;
  if (status == MICA_OK && batch->count == 0)
    status = mica_error_set(error, MICA_INVALID, "map: the function gave no tensor");
  return status;
}

static void map_save(void *self, mica_dataset_state *state) {
  map_stage *s = self;
  mica_dataset_state_put(state, s->position.epoch);
  mica_dataset_state_put(state, s->position.index);
  mica_dataset_put_state(s->stage.source, state);
}

static mica_status map_restore(void *self, mica_dataset_state *state, mica_error *error) {
  map_stage *s = self;
  s->position.epoch = mica_dataset_state_take(state);
  s->position.index = mica_dataset_state_take(state);
  return mica_dataset_take_state(s->stage.source, state, error);
}

mica_dataset *mica_dataset_map(mica_dataset *source, mica_map_callback *map, void *user,
                               mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "map",
                                               .next = map_next,
                                               .begin = map_begin,
                                               .save = map_save,
                                               .restore = map_restore,
                                               .destroy = map_destroy};
  if (map == NULL) return mica_stage_refuse(source, "map: the function is NULL", error);
  map_stage *s = mica_stage_allocate(source, sizeof *s, "map", error);
  if (s == NULL) return NULL;
  s->map = map, s->user = user;
  return mica_stage_create(s, &methods, error);
}

/* ---- cache ----------------------------------------------------------------------------------- */

typedef struct {
  mica_stage stage;
  mica_batch *kept;
  uint32_t capacity;
  int64_t count, at, kept_epoch; /* the source's epoch that is kept; -1: none is begun */
  bool complete, broken;         /* broken: its beginning was not seen, since the restore */
} cache_stage;

static void empty_cache(cache_stage *s) {
  for (int64_t i = 0; i < s->count; i++) mica_batch_clear(&s->kept[i]);
  s->count = 0;
  s->complete = false;
}

static void cache_destroy(void *self) {
  cache_stage *s = self;
  empty_cache(s);
  if (s->kept != NULL) mica_free(NULL, s->kept, s->capacity * sizeof *s->kept);
  mica_stage_free(s);
}

static void share_elements(mica_batch *to, const mica_batch *from) {
  mica_batch_clear(to);
  to->count = from->count;
  for (int32_t i = 0; i < from->count; i++) to->tensor[i] = mica_tensor_retain(from->tensor[i]);
}

static mica_status cache_next(void *self, mica_batch *batch, mica_error *error) {
  cache_stage *s = self;
  if (s->complete) {
    mica_batch_clear(batch);
    if (s->at < s->count) share_elements(batch, &s->kept[s->at++]);
    return MICA_OK;
  }
  mica_status status = mica_dataset_next(s->stage.source, batch, error);
  if (status != MICA_OK || s->broken) return status;
  if (batch->count == 0) {
    s->complete = true;
    return MICA_OK;
  }
  if (!mica_grow(NULL, &s->kept, &s->capacity, (size_t)s->count + 1, sizeof *s->kept))
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "cache: out of memory");
  s->kept[s->count] = (mica_batch){0};
  share_elements(&s->kept[s->count++], batch);
  s->at = s->count;
  return MICA_OK;
}

/* The rest of the kept epoch, or all of it again where its beginning was not seen. What is kept does not depend on how
 * far somebody read, so that reading ahead changes nothing. */
static mica_status complete_cache(cache_stage *s, mica_error *error) {
  mica_batch batch = {0};
  mica_status status = MICA_OK;
  if (s->broken) {
    empty_cache(s);
    s->broken = false;
    status = mica_dataset_begin(s->stage.source, s->kept_epoch, error);
  }
  while (status == MICA_OK && !s->complete) status = cache_next(s, &batch, error);
  mica_batch_clear(&batch);
  s->at = 0;
  return status;
}

static mica_status cache_begin(void *self, int64_t epoch, mica_error *error) {
  cache_stage *s = self;
  s->at = 0;
  if (s->complete) return MICA_OK;
  if (s->kept_epoch >= 0) return complete_cache(s, error);
  s->kept_epoch = epoch;
  return mica_dataset_begin(s->stage.source, epoch, error);
}

static void cache_save(void *self, mica_dataset_state *state) {
  cache_stage *s = self;
  mica_dataset_state_put(state, s->complete);
  mica_dataset_state_put(state, s->at);
  mica_dataset_state_put(state, s->kept_epoch);
  mica_dataset_put_state(s->stage.source, state);
}

static mica_status cache_restore(void *self, mica_dataset_state *state, mica_error *error) {
  cache_stage *s = self;
  bool complete = mica_dataset_state_take(state) != 0;
  int64_t at = mica_dataset_state_take(state), epoch = mica_dataset_state_take(state);
  if (at < 0 || epoch < -1)
    return mica_error_set(error, MICA_INVALID, "cache: the position is negative");
  mica_status status = MICA_OK;
  if (!complete || epoch < 0 || !s->complete || s->kept_epoch != epoch) {
    empty_cache(s);
    s->kept_epoch = epoch;
    s->broken = epoch >= 0;
    if (complete && epoch >= 0) status = complete_cache(s, error);
  }
  if (status == MICA_OK) status = mica_dataset_take_state(s->stage.source, state, error);
  s->at = at;
  if (status == MICA_OK && complete && at > s->count)
    status = mica_error_set(error, MICA_INVALID,
                            "cache: the position is behind the end: the data has changed");
  return status;
}

mica_dataset *mica_dataset_cache(mica_dataset *source, mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "cache",
                                               .next = cache_next,
                                               .begin = cache_begin,
                                               .save = cache_save,
                                               .restore = cache_restore,
                                               .destroy = cache_destroy};
  cache_stage *s = mica_stage_allocate(source, sizeof *s, "cache", error);
  if (s == NULL) return NULL;
  s->kept_epoch = -1;
  return mica_stage_create(s, &methods, error);
}

/* ---- interleave ------------------------------------------------------------------------------ */

enum { INTERLEAVE_LIMIT = 256 };

typedef struct {
  mica_stage stage; /* its source is the first of them */
  mica_dataset *sources[INTERLEAVE_LIMIT];
  bool ended[INTERLEAVE_LIMIT];
  int32_t count, present;
  int64_t block, taken;
} interleave_stage;

static void interleave_destroy(void *self) {
  interleave_stage *s = self;
  for (int32_t i = 1; i < s->count; i++) mica_dataset_destroy(s->sources[i]);
  mica_stage_free(s);
}

static mica_status interleave_begin(void *self, int64_t epoch, mica_error *error) {
  interleave_stage *s = self;
  mica_status status = MICA_OK;
  s->present = 0, s->taken = 0;
  for (int32_t i = 0; i < s->count && status == MICA_OK; i++) {
    s->ended[i] = false;
    status = mica_dataset_begin(s->sources[i], epoch, error);
  }
  return status;
}

static mica_status interleave_next(void *self, mica_batch *batch, mica_error *error) {
  interleave_stage *s = self;
  for (int32_t passed = 0; passed < s->count;) {
    if (!s->ended[s->present] && s->taken < s->block) {
      mica_status status = mica_dataset_next(s->sources[s->present], batch, error);
      if (status != MICA_OK) return status;
      s->taken++;
      if (batch->count > 0) return MICA_OK;
      s->ended[s->present] = true;
    }
    passed = s->ended[s->present] ? passed + 1 : 0;
    s->present = (s->present + 1) % s->count;
    s->taken = 0;
  }
  batch->count = 0;
  return MICA_OK;
}

static void interleave_save(void *self, mica_dataset_state *state) {
  interleave_stage *s = self;
  mica_dataset_state_put(state, s->count);
  mica_dataset_state_put(state, s->present);
  mica_dataset_state_put(state, s->taken);
  for (int32_t i = 0; i < s->count; i++) {
    mica_dataset_state_put(state, s->ended[i]);
    mica_dataset_put_state(s->sources[i], state);
  }
}

static mica_status interleave_restore(void *self, mica_dataset_state *state, mica_error *error) {
  interleave_stage *s = self;
  int64_t count = mica_dataset_state_take(state), present = mica_dataset_state_take(state);
  s->taken = mica_dataset_state_take(state);
  if (count != s->count || present < 0 || present >= count)
    return mica_error_set(error, MICA_INVALID, "interleave: the position is of %" PRId64 " sources",
                          count);
  s->present = (int32_t)present;
  mica_status status = MICA_OK;
  for (int32_t i = 0; i < s->count && status == MICA_OK; i++) {
    s->ended[i] = mica_dataset_state_take(state) != 0;
    status = mica_dataset_take_state(s->sources[i], state, error);
  }
  return status;
}

mica_dataset *mica_dataset_interleave(mica_dataset *const *sources, int32_t count, int64_t block,
                                      mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "interleave",
                                               .next = interleave_next,
                                               .begin = interleave_begin,
                                               .save = interleave_save,
                                               .restore = interleave_restore,
                                               .destroy = interleave_destroy};
  bool good = sources != NULL && count >= 1 && count <= INTERLEAVE_LIMIT && block >= 1;
  for (int32_t i = 0; good && i < count; i++) good = sources[i] != NULL;
  interleave_stage *s = NULL;
  if (good) {
    s = mica_allocate_zeroed(NULL, 1, sizeof *s);
    if (s == NULL) mica_error_set(error, MICA_OUT_OF_MEMORY, "data set: out of memory");
  } else {
    mica_error_set(error, MICA_INVALID,
                   "interleave: 1 to %d sources and a block of at least 1 are needed",
                   INTERLEAVE_LIMIT);
  }
  if (s == NULL) {
    for (int32_t i = 0; sources != NULL && i < count; i++) mica_dataset_destroy(sources[i]);
    return NULL;
  }
  s->stage = (mica_stage){sizeof *s, sources[0]};
  memcpy(s->sources, sources, (size_t)count * sizeof *sources);
  s->count = count, s->block = block;
  return mica_stage_create(s, &methods, error);
}

/* ---- shuffle through a buffer ---------------------------------------------------------------- */

typedef struct {
  mica_stage stage;
  mica_batch *buffer; /* [size] */
  int64_t size, used, drawn, epoch;
  uint64_t seed;
  bool source_ended;
} shuffle_stage;

static void shuffle_destroy(void *self) {
  shuffle_stage *s = self;
  for (int64_t i = 0; i < s->used; i++) mica_batch_clear(&s->buffer[i]);
  if (s->buffer != NULL) mica_free(NULL, s->buffer, (size_t)s->size * sizeof *s->buffer);
  mica_stage_free(s);
}

static mica_status shuffle_begin(void *self, int64_t epoch, mica_error *error) {
  shuffle_stage *s = self;
  for (int64_t i = 0; i < s->used; i++) mica_batch_clear(&s->buffer[i]);
  s->used = s->drawn = 0, s->epoch = epoch;
  s->source_ended = false;
  return mica_dataset_begin(s->stage.source, epoch, error);
}

static mica_status shuffle_next(void *self, mica_batch *batch, mica_error *error) {
  shuffle_stage *s = self;
  while (s->used < s->size && !s->source_ended) {
    mica_batch element = {0};
    mica_status status = mica_dataset_next(s->stage.source, &element, error);
    if (status != MICA_OK) return status;
    if (element.count == 0)
      s->source_ended = true;
    else
      s->buffer[s->used++] = element;
  }
  mica_batch_clear(batch);
  if (s->used == 0) return MICA_OK;
  uint32_t words[4];
  mica_map_random(s->seed, (mica_map_position){s->epoch, s->drawn++}, 0, words);
  uint64_t bits = (uint64_t)words[1] << 32 | words[0];
  int64_t at = (int64_t)(bits % (uint64_t)s->used); /* a bias below size / 2^64 */
  *batch = s->buffer[at];
  s->buffer[at] = s->buffer[--s->used];
  return MICA_OK;
}

mica_dataset *mica_dataset_shuffle(mica_dataset *source, int64_t size, uint64_t seed,
                                   mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "shuffle",
                                               .next = shuffle_next,
                                               .begin = shuffle_begin,
                                               .destroy = shuffle_destroy};
  if (size < 1)
    return mica_stage_refuse(source, "shuffle: a buffer of at least 1 is needed", error);
  shuffle_stage *s = mica_stage_allocate(source, sizeof *s, "shuffle", error);
  if (s == NULL) return NULL;
  s->size = size, s->seed = seed;
  s->buffer = mica_allocate_zeroed(NULL, (size_t)size, sizeof *s->buffer);
  if (s->buffer == NULL) {
    shuffle_destroy(s);
    mica_error_set(error, MICA_OUT_OF_MEMORY, "data set: out of memory");
    return NULL;
  }
  return mica_stage_create(s, &methods, error);
}
