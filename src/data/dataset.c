/* SPDX-License-Identifier: Apache-2.0 */
/* dataset.c: data sets as such: epochs, positions and their text, batches.
 *
 * A position is a list of integers: for each stage a check of its name, the epoch, whether it has ended, how many
 * batches it has given, what the stage itself adds, and then the same of its sources. */
#include "data/dataset.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/tensor.h"
#include "core/text.h"

static mica_status dataset_memory(mica_error *error) {
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "data set: out of memory");
}

/* ---- batches --------------------------------------------------------------------------------- */

void mica_batch_truncate(mica_batch *batch, int32_t count) {
  for (int32_t i = count; i < MICA_BATCH_TENSORS; i++) {
    mica_tensor_release(batch->tensor[i]);
    batch->tensor[i] = NULL;
  }
  batch->count = count;
}

void mica_batch_clear(mica_batch *batch) {
  if (batch != NULL) mica_batch_truncate(batch, 0);
}

void mica_batch_move(mica_batch *to, mica_batch *from) {
  mica_batch_clear(to);
  *to = *from;
  *from = (mica_batch){0};
}

mica_tensor *mica_batch_reuse(mica_tensor **old, mica_type type, mica_error *error) {
  mica_tensor *tensor = *old;
  *old = NULL;
  if (tensor != NULL && mica_tensor_is_unique(tensor) &&
      mica_type_equal(mica_tensor_type(tensor), type) && mica_tensor_mutable_data(tensor) != NULL) {
    mica_tensor_touch(tensor);
    return tensor;
  }
  mica_tensor_release(tensor);
  tensor = NULL;
  return mica_tensor_create_uninitialized(NULL, type, &tensor, error) == MICA_OK ? tensor : NULL;
}

/* ---- positions ------------------------------------------------------------------------------- */

void mica_state_clear(mica_dataset_state *state) {
  state->count = state->at = 0;
  state->failed = false;
}

void mica_state_free(mica_dataset_state *state) {
  if (state->values != NULL)
    mica_free(NULL, state->values, state->capacity * sizeof *state->values);
  *state = (mica_dataset_state){0};
}

void mica_dataset_state_put(mica_dataset_state *state, int64_t value) {
  if (!mica_grow(NULL, &state->values, &state->capacity, state->count + 1, sizeof value)) {
    state->failed = true;
    return;
  }
  state->values[state->count++] = value;
}

int64_t mica_dataset_state_take(mica_dataset_state *state) {
  if (state->at < state->count) return state->values[state->at++];
  state->failed = true;
  return 0;
}

/* FNV-1a (Fowler, Noll, Vo) of the name in 31 bits: tells positions of other pipelines. */
static int64_t name_mark(const char *name) {
  uint32_t hash = 2166136261u;
  for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
  return hash >> 1;
}

void mica_dataset_put_state(mica_dataset *dataset, mica_dataset_state *state) {
  mica_dataset_state_put(state, name_mark(dataset->methods.name));
  mica_dataset_state_put(state, dataset->epoch);
  mica_dataset_state_put(state, dataset->begun + 2 * dataset->ended);
  mica_dataset_state_put(state, dataset->given);
  if (dataset->methods.save != NULL) dataset->methods.save(dataset->self, state);
}

/* Without a save of its own: from the start of the epoch, as many batches as had been given. */
static mica_status replay_epoch(mica_dataset *dataset, int64_t given, bool ended,
                                mica_error *error) {
  mica_batch batch = {0};
  mica_status status = mica_dataset_begin(dataset, dataset->epoch, error);
  for (int64_t i = 0; i < given + (ended ? 1 : 0) && status == MICA_OK; i++) {
    status = mica_dataset_next(dataset, &batch, error);
    if (status == MICA_OK && batch.count == 0 && i < given)
      status =
          mica_error_set(error, MICA_INVALID,
                         "data set: the position is behind the end of %s: the data has changed",
                         dataset->methods.name);
  }
  mica_batch_clear(&batch);
  return status;
}

mica_status mica_dataset_take_state(mica_dataset *dataset, mica_dataset_state *state,
                                    mica_error *error) {
  int64_t mark = mica_dataset_state_take(state), epoch = mica_dataset_state_take(state),
          flags = mica_dataset_state_take(state), given = mica_dataset_state_take(state);
  if (state->failed || mark != name_mark(dataset->methods.name) || epoch < 0 || given < 0 ||
      flags < 0 || flags > 3)
    return mica_error_set(
        error, MICA_INVALID,
        "data set: the position is of another data set than this one (at stage %s)",
        dataset->methods.name);
  dataset->epoch = epoch;
  dataset->begun = false, dataset->ended = false, dataset->given = 0;
  bool begun = (flags & 1) != 0, ended = (flags & 2) != 0;
  mica_status status = MICA_OK;
  if (dataset->methods.save != NULL)
    status = dataset->methods.restore(dataset->self, state, error);
  else if (begun)
    return replay_epoch(dataset, given, ended, error);
  if (status == MICA_OK && state->failed)
    status = mica_error_set(error, MICA_INVALID, "data set: the position ends early (at stage %s)",
                            dataset->methods.name);
  if (status == MICA_OK) dataset->begun = begun, dataset->ended = ended, dataset->given = given;
  return status;
}

int64_t mica_dataset_save(mica_dataset *dataset, char *text, size_t size) {
  if (size > 0) text[0] = 0;
  if (dataset == NULL) return 0;
  mica_dataset_state state = {0};
  mica_text json_text;
  mica_json_writer json;
  mica_dataset_put_state(dataset, &state);
  mica_text_init(&json_text, NULL);
  mica_json_begin(&json, &json_text);
  mica_json_object_begin(&json);
  mica_json_key(&json, "mica_dataset"), mica_json_integer(&json, 1);
  mica_json_key(&json, "position"), mica_json_array_begin(&json);
  for (size_t i = 0; i < state.count; i++) mica_json_integer(&json, state.values[i]);
  mica_json_array_end(&json);
  mica_json_object_end(&json);
  json_text.failed |= state.failed;
  mica_state_free(&state);
  return mica_text_deliver(&json_text, text, size);
}

mica_status mica_dataset_restore(mica_dataset *dataset, const char *text, mica_error *error) {
  if (dataset == NULL || text == NULL)
    return mica_error_set(error, MICA_INVALID, "data set: data set or position is NULL");
  mica_arena arena;
  mica_json *json = NULL;
  mica_dataset_state state = {0};
  mica_arena_init(&arena, NULL);
  mica_status status = mica_json_parse(&arena, text, strlen(text), &json, error);
  if (status == MICA_OK) {
    const mica_json *version = mica_json_get(json, "mica_dataset"),
                    *position = mica_json_get(json, "position");
    bool good = version != NULL && version->kind == MICA_JSON_INTEGER && version->integer == 1 &&
                position != NULL && position->kind == MICA_JSON_ARRAY;
    for (const mica_json *value = good ? position->first : NULL; value != NULL && good;
         value = value->next) {
      good = value->kind == MICA_JSON_INTEGER;
      if (good) mica_dataset_state_put(&state, value->integer);
    }
    if (!good)
      status = mica_error_set(error, MICA_INVALID, "data set: the text is not a position of one");
    else if (state.failed)
      status = dataset_memory(error);
  }
  mica_arena_deinit(&arena);
  if (status == MICA_OK) status = mica_dataset_take_state(dataset, &state, error);
  if (status == MICA_OK && state.at != state.count)
    status = mica_error_set(error, MICA_INVALID,
                            "data set: the position is of another data set, which has more stages");
  mica_state_free(&state);
  return status;
}

/* ---- life ------------------------------------------------------------------------------------ */

mica_dataset *mica_dataset_create(const mica_dataset_methods *methods, void *self,
                                  mica_error *error) {
  mica_dataset *dataset = NULL;
  if (methods == NULL || methods->next == NULL || methods->begin == NULL || methods->name == NULL ||
      (methods->save == NULL) != (methods->restore == NULL))
    mica_error_set(error, MICA_INVALID,
                   "data set: a method is missing: next, begin and a name are needed, save and "
                   "restore go together");
  else if ((dataset = mica_allocate_zeroed(NULL, 1, sizeof *dataset)) == NULL)
    dataset_memory(error);
  if (dataset == NULL) {
    if (methods != NULL && methods->destroy != NULL) methods->destroy(self);
    return NULL;
  }
  dataset->methods = *methods;
  dataset->self = self;
  return dataset;
}

void mica_dataset_destroy(mica_dataset *dataset) {
  if (dataset == NULL) return;
  if (dataset->methods.destroy != NULL) dataset->methods.destroy(dataset->self);
  mica_free(NULL, dataset, sizeof *dataset);
}

const char *mica_dataset_name(const mica_dataset *dataset) {
  return dataset == NULL ? "" : dataset->methods.name;
}
int64_t mica_dataset_epoch(const mica_dataset *dataset) {
  return dataset == NULL ? 0 : dataset->epoch;
}

mica_status mica_dataset_begin(mica_dataset *dataset, int64_t epoch, mica_error *error) {
  if (dataset == NULL || epoch < 0)
    return mica_error_set(error, MICA_INVALID, "data set: it is NULL or the epoch negative");
  dataset->epoch = epoch;
  dataset->given = 0;
  dataset->ended = false;
  mica_status status = dataset->methods.begin(dataset->self, epoch, error);
  dataset->begun = status == MICA_OK;
  return status;
}

mica_status mica_dataset_next(mica_dataset *dataset, mica_batch *batch, mica_error *error) {
  if (dataset == NULL || batch == NULL)
    return mica_error_set(error, MICA_INVALID, "data set: data set or batch is NULL");
  mica_status status = MICA_OK;
  if (!dataset->begun || dataset->ended)
    status = mica_dataset_begin(dataset, dataset->epoch + (dataset->ended ? 1 : 0), error);
  if (status == MICA_OK) status = dataset->methods.next(dataset->self, batch, error);
  if (status != MICA_OK) {
    mica_batch_clear(batch);
    return status;
  }
  if (batch->count == 0) {
    mica_batch_clear(batch);
    dataset->ended = true;
  } else {
    dataset->given++;
  }
  return MICA_OK;
}

/* ---- stages ---------------------------------------------------------------------------------- */

void *mica_stage_allocate(mica_dataset *source, size_t size, const char *name, mica_error *error) {
  if (source == NULL) {
    mica_error_set(error, MICA_INVALID, "%s: the source is NULL", name);
    return NULL;
  }
  mica_stage *stage = mica_allocate_zeroed(NULL, 1, size);
  if (stage == NULL) {
    mica_dataset_destroy(source);
    dataset_memory(error);
    return NULL;
  }
  stage->size = size;
  stage->source = source;
  return stage;
}

mica_dataset *mica_stage_refuse(mica_dataset *source, const char *what, mica_error *error) {
  mica_error_set(error, MICA_INVALID, "%s", what);
  mica_dataset_destroy(source);
  return NULL;
}

mica_dataset *mica_stage_create(void *stage, const mica_dataset_methods *methods,
                                mica_error *error) {
  return mica_dataset_create(methods, stage, error);
}

void mica_stage_free(void *stage) {
  mica_stage *head = stage;
  mica_dataset_destroy(head->source);
  mica_free(NULL, head, head->size);
}
