/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoints.c: a training run into a checkpoint and back. Variables are tensors; all else is a JSON object, whose doubles
 * are written so that they read back exactly. Restoring checks before it changes anything. */
#include "mica/train/checkpoints.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/text.h"
#include "train/loop_internal.h"

#define TRAINER_PREFIX "trainer/"

/* ---- numbers of a run as JSON ------------------------------------------------------------------------------- */

static void write_double(mica_json_writer *json, const char *key, double value) {
  mica_json_key(json, key);
  if (isfinite(value))
    mica_json_double(json, value);
  else
    mica_json_string(json, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
}
static void write_integer(mica_json_writer *json, const char *key, int64_t value) {
  mica_json_key(json, key);
  mica_json_integer(json, value);
}

static double as_double(const mica_json *value, double otherwise) {
  if (value == NULL) return otherwise;
  if (value->kind == MICA_JSON_INTEGER || value->kind == MICA_JSON_NUMBER) return value->number;
  if (value->kind != MICA_JSON_STRING) return otherwise;
  if (strcmp(value->string, "inf") == 0) return INFINITY;
  return strcmp(value->string, "-inf") == 0 ? -INFINITY : NAN;
}
static double read_double(const mica_json *object, const char *key, double otherwise) {
  return as_double(mica_json_get(object, key), otherwise);
}
static int64_t read_integer(const mica_json *object, const char *key) {
  const mica_json *value = mica_json_get(object, key);
  return value != NULL && value->kind == MICA_JSON_INTEGER ? value->integer : 0;
}

static void write_watchers(mica_json_writer *json, const mica_training_checkpoints *o) {
  if (o->stopping != NULL) {
    mica_json_key(json, "stopping");
    mica_json_object_begin(json);
    write_double(json, "best", o->stopping->best);
    write_integer(json, "best_step", o->stopping->best_step);
    write_integer(json, "bad", o->stopping->bad);
    write_integer(json, "begun", o->stopping->begun);
    mica_json_object_end(json);
  }
  if (o->plateau != NULL) {
    mica_json_key(json, "plateau");
    mica_json_object_begin(json);
    write_double(json, "scale", o->plateau->scale);
    write_double(json, "best", o->plateau->best);
    write_integer(json, "bad", o->plateau->bad);
    write_integer(json, "cooling", o->plateau->cooling);
    mica_json_object_end(json);
  }
}

static void read_watchers(const mica_json *state, const mica_training_checkpoints *o) {
  const mica_json *stopping = mica_json_get(state, "stopping"),
                  *plateau = mica_json_get(state, "plateau");
  if (o->stopping != NULL && stopping != NULL) {
    o->stopping->best = read_double(stopping, "best", 0);
    o->stopping->best_step = read_integer(stopping, "best_step");
    o->stopping->bad = read_integer(stopping, "bad");
    o->stopping->begun = read_integer(stopping, "begun") != 0;
  }
  if (o->plateau != NULL && plateau != NULL) {
    o->plateau->scale = read_double(plateau, "scale", 0);
    o->plateau->best = read_double(plateau, "best", 0);
    o->plateau->bad = read_integer(plateau, "bad");
    o->plateau->cooling = read_integer(plateau, "cooling");
  }
}

/* ---- the position of a data set ------------------------------------------------------------------------------- */

static mica_status write_position(mica_json_writer *json, mica_dataset *dataset,
                                  const mica_allocator *allocator, mica_error *error) {
  if (dataset == NULL) return MICA_OK;
  int64_t length = mica_dataset_save(dataset, NULL, 0);
  char *text = length < 0 ? NULL : mica_allocate(allocator, (size_t)length + 1);
  bool done = text != NULL && mica_dataset_save(dataset, text, (size_t)length + 1) == length;
  if (done) {
    mica_json_key(json, "data");
    mica_json_string(json, text);
  }
  if (text != NULL) mica_free(allocator, text, (size_t)length + 1);
  return done ? MICA_OK
              : mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for the data set's position");
}

/* ---- saving --------------------------------------------------------------------------------------------------- */

/* The hyper-parameters, for whoever looks at the checkpoint; a program that restores has its own. */
static mica_status write_settings(mica_json_writer *json, const mica_store *store,
                                  const mica_allocator *allocator, mica_error *error) {
  int64_t length = mica_store_settings(store, NULL, 0);
  char *text = length < 0 ? NULL : mica_allocate(allocator, (size_t)length + 1);
  if (text == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for settings");
  if (mica_store_settings(store, text, (size_t)length + 1) == length && length > 0) {
    mica_json_key(json, "settings");
    mica_json_string(json, text);
  }
  mica_free(allocator, text, (size_t)length + 1);
  return MICA_OK;
}

static mica_status write_state(const mica_training_loop *loop, mica_dataset *dataset,
                               const mica_training_checkpoints *o, mica_text *text,
                               mica_error *error) {
  const mica_training_state *s = &loop->state;
  mica_json_writer json;
  mica_json_begin(&json, text);
  mica_json_object_begin(&json);
  write_integer(&json, "mica_training", 1);
  write_integer(&json, "step", s->step);
  write_integer(&json, "epoch", s->epoch);
  write_integer(&json, "at_beginning", loop->at_beginning);
  write_integer(&json, "skipped", loop->skipped);
  write_double(&json, "rate_scale", s->trainer->rate_scale);
  if (s->trainer->rate_was_set) write_double(&json, "rate", s->trainer->args.learning_rate);
  mica_json_key(&json, "means");
  mica_json_object_begin(&json);
  write_double(&json, "weight", loop->weight);
  write_double(&json, "loss", loop->loss_sum);
  for (size_t i = 0; i < s->trainer->args.measure_count; i++) {
    char name[32];
    mica_format_double((double)i, name, sizeof name);
    write_double(&json, name, loop->measure_sums[i]);
  }
  mica_json_object_end(&json);
  write_watchers(&json, o);
  mica_status status =
      write_settings(&json, mica_trainer_store(s->trainer), &loop->allocator, error);
  if (status == MICA_OK) status = write_position(&json, dataset, &loop->allocator, error);
  mica_json_object_end(&json);
  if (status == MICA_OK && text->failed)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for the state of a run");
  return status;
}

/* All variables of a store; names get a prefix. */
static mica_status list_variables(mica_arena *arena, const mica_store *store, const char *prefix,
                                  mica_checkpoint_part *part, mica_error *error) {
  size_t count = mica_store_count(store), head = strlen(prefix);
  mica_store_entry entry;
  mica_named_variable *list = mica_arena_allocate_zeroed(arena, count, sizeof *list);
  for (size_t i = 0; list != NULL && i < count && mica_store_get(store, i, &entry); i++) {
    char *name = mica_arena_allocate(arena, head + strlen(entry.path) + 1);
    if (name == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to save");
    memcpy(name, prefix, head);
    strcpy(name + head, entry.path);
    list[part->variable_count++] = (mica_named_variable){name, entry.variable};
  }
  part->variables = list;
  return list != NULL || count == 0
             ? MICA_OK
             : mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to save");
}

static mica_status check_options(const mica_training_loop *loop,
                                 const mica_training_checkpoints *options,
                                 mica_training_checkpoints *out, mica_error *error) {
  if (loop == NULL || options == NULL)
    return mica_error_set(error, MICA_INVALID, "the %s is NULL",
                          loop == NULL ? "loop" : "struct of checkpoints");
  mica_copy_options(out, sizeof *out, options);
  if (out->folder == NULL)
    return mica_error_set(error, MICA_INVALID, "checkpoints: there is no folder");
  return MICA_OK;
}

mica_status mica_training_save(mica_training_loop *loop, mica_dataset *dataset,
                               const mica_training_checkpoints *options, mica_error *error) {
  mica_training_checkpoints o;
  mica_status status = check_options(loop, options, &o, error);
  if (status != MICA_OK) return status;
  mica_training_state *s = &loop->state;
  mica_checkpoint_part parts[2] = {{.file = "model"}, {.file = "trainer"}};
  mica_checkpoint_save_options save = {.struct_size = sizeof save,
                                       .folder = o.folder,
                                       .step = s->step,
                                       .parts = parts,
                                       .part_count = 2,
                                       .larger_is_better = o.larger_is_better,
                                       .keep = o.keep,
                                       .keep_best = o.keep_best};
  mica_arena arena;
  mica_text text;
  mica_arena_init(&arena, &loop->allocator);
  mica_text_init(&text, &loop->allocator);
  if (o.measure != NULL) {
    save.metric_name = o.metric_name == NULL ? "loss" : o.metric_name;
    status = o.measure(s, &save.metric, o.measure_user, error);
  }
  if (status == MICA_OK)
    status = list_variables(&arena, mica_trainer_store(s->trainer), "", &parts[0], error);
  if (status == MICA_OK)
    status =
        list_variables(&arena, mica_trainer_state(s->trainer), TRAINER_PREFIX, &parts[1], error);
  if (status == MICA_OK) status = write_state(loop, dataset, &o, &text, error);
  if (status == MICA_OK) {
    save.state = text.data;
    status = mica_checkpoint_save(&save, error);
  }
  mica_text_deinit(&text);
  mica_arena_deinit(&arena);
  return status;
}

mica_status mica_training_save_hook(mica_training_state *state, void *user, mica_error *error) {
  return mica_training_save(state->loop, state->dataset, user, error);
}

/* ---- restoring ------------------------------------------------------------------------------------------------- */

static void dots_to_slashes(char *text) {
  for (; *text; text++)
    if (*text == '.') *text = '/';
}

/* The store and the path in it, which is made in `text`, that a tensor of a checkpoint belongs to; NULL for other parts. */
static const char *place_of_tensor(const mica_training_loop *loop, const mica_checkpoint *from,
                                   int64_t index, mica_text *text, mica_store **out_store) {
  const char *name = mica_checkpoint_name(from, index), *file = mica_checkpoint_file(from, index);
  mica_trainer *trainer = loop->state.trainer;
  size_t head = strlen(TRAINER_PREFIX);
  bool own = strcmp(file, "trainer") == 0;
  if (!own && strcmp(file, "model") != 0) return NULL;
  mica_text_clear(text);
  mica_text_append(text, name);
  if (text->failed) return NULL;
  dots_to_slashes(text->data);
  if (own && strncmp(text->data, TRAINER_PREFIX, head) != 0) return NULL;
  *out_store = own ? mica_trainer_state(trainer) : mica_trainer_store(trainer);
  return text->data + (own ? head : 0);
}

/* What the stores have already has to be in the checkpoint, as the same type. */
static mica_status check_saved_store(const mica_store *store, const char *prefix,
                                     const mica_checkpoint *from, mica_text *text,
                                     mica_error *error) {
  mica_store_entry entry;
  for (size_t i = 0; mica_store_get(store, i, &entry); i++) {
    char found[160], wanted[160];
    mica_text_clear(text);
    mica_text_format(text, "%s%s", prefix, entry.path);
    if (text->failed) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to restore");
    char *name = text->data;
    for (char *c = name; *c; c++)
      if (*c == '/') *c = '.';
    mica_tensor *tensor = mica_checkpoint_find(from, name);
    if (tensor == NULL)
      return mica_error_set(error, MICA_INVALID,
                            "the checkpoint of step %lld has no variable \"%.300s\": it is of "
                            "another model or trainer",
                            (long long)mica_checkpoint_step(from), name);
    if (mica_type_equal(mica_tensor_type(tensor), entry.type)) continue;
    mica_type_format(mica_tensor_type(tensor), found, sizeof found);
    mica_type_format(entry.type, wanted, sizeof wanted);
    return mica_error_set(error, MICA_INVALID,
                          "variable \"%.300s\" is %s in the checkpoint, not %s", name, found,
                          wanted);
  }
  return MICA_OK;
}

static mica_status restore_variables(const mica_training_loop *loop, const mica_checkpoint *from,
                                     mica_error *error) {
  mica_trainer *trainer = loop->state.trainer;
  mica_text text;
  mica_text_init(&text, &loop->allocator);
  mica_status status = check_saved_store(mica_trainer_store(trainer), "", from, &text, error);
  if (status == MICA_OK)
    status = check_saved_store(mica_trainer_state(trainer), TRAINER_PREFIX, from, &text, error);
  for (int64_t i = 0; i < mica_checkpoint_count(from) && status == MICA_OK; i++) {
    mica_store *store = NULL;
    const char *path = place_of_tensor(loop, from, i, &text, &store);
    if (text.failed) status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to restore");
    if (path != NULL)
      status = mica_store_put(store, path, mica_checkpoint_tensor(from, i), true, error);
  }
  mica_text_deinit(&text);
  return status;
}

static mica_status restore_state(mica_training_loop *loop, mica_dataset *dataset,
                                 const mica_training_checkpoints *o, const mica_json *state,
                                 mica_error *error) {
  mica_trainer *trainer = loop->state.trainer;
  const mica_json *means = mica_json_get(state, "means"), *data = mica_json_get(state, "data");
  if (dataset != NULL) {
    if (data == NULL || data->kind != MICA_JSON_STRING)
      return mica_error_set(error, MICA_INVALID,
                            "the checkpoint has no position of a data set: it was saved without");
    mica_status status = mica_dataset_restore(dataset, data->string, error);
    if (status != MICA_OK) return status;
  }
  mica_training_loop_resume(loop, read_integer(state, "step"), read_integer(state, "epoch"));
  loop->at_beginning = read_integer(state, "at_beginning") != 0;
  loop->skipped = read_integer(state, "skipped");
  loop->weight = read_double(means, "weight", 0);
  loop->loss_sum = read_double(means, "loss", 0);
  for (size_t i = 0; i < MICA_TRAINER_MOST_MEASURES; i++) {
    char name[32];
    mica_format_double((double)i, name, sizeof name);
    loop->measure_sums[i] = read_double(means, name, 0);
  }
  trainer->rate_scale = read_double(state, "rate_scale", 1);
  trainer->updates = -1;
  const mica_json *rate = mica_json_get(state, "rate");
  if (rate != NULL) mica_trainer_set_rate(trainer, as_double(rate, 0));
  read_watchers(state, o);
  return MICA_OK;
}

/* The line of a setting in a text of settings, or NULL; *out_size is without its comment. */
static const char *setting_line(const char *text, const char *name, size_t name_size,
                                size_t *out_size) {
  for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
    if (strncmp(text, name, name_size) != 0 || text[name_size] != '=') continue;
    const char *comment = strstr(text, "  #");
    size_t line = strcspn(text, "\n");
    *out_size =
        comment != NULL && (size_t)(comment - text) < line ? (size_t)(comment - text) : line;
    return text;
  }
  return NULL;
}

/* Settings that have other values than those that the run was saved with. */
static void report_settings(const mica_training_loop *loop, const mica_training_checkpoints *o,
                            const char *saved) {
  const mica_store *store = mica_trainer_store(loop->state.trainer);
  int64_t length = mica_store_settings(store, NULL, 0);
  char *now = length <= 0 ? NULL : mica_allocate(&loop->allocator, (size_t)length + 1);
  if (now == NULL) return;
  mica_store_settings(store, now, (size_t)length + 1);
  for (const char *at = now; *at; at += strcspn(at, "\n"), at += *at == '\n') {
    size_t name = strcspn(at, "=\n"), before = 0, after = 0;
    const char *old = setting_line(saved, at, name, &before),
               *line = setting_line(at, at, name, &after);
    if (old == NULL || line == NULL || (before == after && memcmp(old, line, after) == 0)) continue;
    char text[512];
    snprintf(text, sizeof text, "setting %.*s, saved with %.*s", (int)(after < 200 ? after : 200),
             line, (int)(before - name - 1 < 200 ? before - name - 1 : 200), old + name + 1);
    o->report(o->report_user, text);
  }
  mica_free(&loop->allocator, now, (size_t)length + 1);
}

/* The lines of a warning. */
static void report_warning(const mica_training_checkpoints *o, const char *warning) {
  while (*warning) {
    char line[1024];
    size_t size = strcspn(warning, "\n");
    snprintf(line, sizeof line, "passed over: %.*s", (int)(size < 1000 ? size : 1000), warning);
    o->report(o->report_user, line);
    warning += size + (warning[size] == '\n');
  }
}

mica_status mica_training_restore(mica_training_loop *loop, mica_dataset *dataset,
                                  const mica_training_checkpoints *options, int64_t step,
                                  bool *out_found, mica_error *error) {
  mica_training_checkpoints o;
  if (out_found != NULL) *out_found = false;
  mica_status status = check_options(loop, options, &o, error);
  if (status != MICA_OK) return status;
  mica_checkpoint *from = NULL;
  mica_error reason = {0};
  status = mica_checkpoint_open(o.folder, step, &from, &reason);
  if (status == MICA_NOT_FOUND && step < 0) return MICA_OK;
  if (status != MICA_OK) return mica_error_set(error, status, "%s", reason.message);
  if (o.report != NULL) report_warning(&o, mica_checkpoint_warning(from));
  const char *text = mica_checkpoint_state(from);
  mica_arena arena;
  mica_json *state = NULL;
  mica_arena_init(&arena, &loop->allocator);
  status = mica_json_parse(&arena, text, strlen(text), &state, error);
  if (status == MICA_OK && read_integer(state, "mica_training") != 1)
    status = mica_error_set(error, MICA_INVALID,
                            "the checkpoint of step %lld in \"%.300s\" is not of a training run",
                            (long long)mica_checkpoint_step(from), o.folder);
  if (status == MICA_OK) status = restore_variables(loop, from, error);
  const mica_json *settings = mica_json_get(state, "settings");
  if (status == MICA_OK) status = restore_state(loop, dataset, &o, state, error);
  if (status == MICA_OK && o.report != NULL && settings != NULL &&
      settings->kind == MICA_JSON_STRING)
    report_settings(loop, &o, settings->string);
  if (status == MICA_OK && out_found != NULL) *out_found = true;
  mica_arena_deinit(&arena);
  mica_checkpoint_destroy(from);
  return status;
}
