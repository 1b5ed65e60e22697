/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint_restore.c: variables from checkpoints, under other names where asked for; and the mean of several
 * checkpoints.
 *
 * First a value is found for every variable, and only when all is well are they stored: storing cannot fail. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/tensor.h"
#include "model/checkpoint.h"
#include "model/safetensors.h"

/* A tensor of some checkpoint under the name by which variables ask for it. */
typedef struct {
  const char *name, *original;
  mica_tensor *tensor;
  uint32_t checkpoint;
  bool used;
} restore_source;

typedef struct {
  const mica_restore_options *options;
  mica_arena arena;
  restore_source *sources;
  uint32_t *by_name; /* sorted by name, then by checkpoint */
  size_t source_count;
  mica_tensor **values; /* of each variable; NULL: stays */
  mica_restore_counts counts;
  mica_text problems; /* for the error's message */
} restoration;

static void tell(restoration *r, bool problem, const char *text) {
  if (problem && r->problems.size < 600)
    mica_text_format(&r->problems, "%s%s", r->problems.size > 0 ? "; " : "", text);
  if (r->options->report != NULL) r->options->report(r->options->report_user, text);
}

static bool source_before(const void *context, uint32_t a, uint32_t b) {
  const restore_source *sources = context;
  int order = strcmp(sources[a].name, sources[b].name);
  return order != 0 ? order < 0 : sources[a].checkpoint < sources[b].checkpoint;
}

static mica_status restore_memory(mica_error *error) {
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "checkpoint: out of memory");
}

static const char *renamed(restoration *r, const char *name) {
  for (size_t i = 0; i < r->options->rename_count; i++) {
    mica_pattern_captures captures;
    if (!mica_pattern_match(r->options->renames[i].from, name, &captures)) continue;
    mica_text text;
    mica_text_init(&text, NULL);
    mica_pattern_substitute(r->options->renames[i].to, &captures, &text);
    char *copy = text.failed || text.data == NULL ? NULL : mica_dotted_name(&r->arena, text.data);
    mica_text_deinit(&text);
    return copy;
  }
  return name;
}

static mica_status gather_sources(restoration *r, mica_error *error) {
  size_t total = 0;
  for (size_t i = 0; i < r->options->checkpoint_count; i++)
    total += r->options->checkpoints[i] != NULL ? r->options->checkpoints[i]->count : 0;
  r->sources = mica_arena_allocate_zeroed(&r->arena, total + 1, sizeof *r->sources);
  r->by_name = mica_arena_allocate_zeroed(&r->arena, total + 1, sizeof *r->by_name);
  if (r->sources == NULL || r->by_name == NULL || total >= UINT32_MAX) return restore_memory(error);
  for (size_t i = 0; i < r->options->checkpoint_count; i++) {
    const mica_checkpoint *checkpoint = r->options->checkpoints[i];
    for (size_t k = 0; checkpoint != NULL && k < checkpoint->count; k++) {
      const mica_checkpoint_entry *entry = &checkpoint->entries[k];
      restore_source *source = &r->sources[r->source_count];
      *source = (restore_source){.name = renamed(r, entry->name),
                                 .original = entry->name,
                                 .tensor = entry->tensor,
                                 .checkpoint = (uint32_t)i};
      if (source->name == NULL) return restore_memory(error);
      r->by_name[r->source_count] = (uint32_t)r->source_count;
      r->source_count++;
    }
  }
  mica_sort_indices(r->by_name, r->source_count, source_before, r->sources);
  return MICA_OK;
}

static restore_source *find_source(restoration *r, const char *dotted) {
  size_t low = 0, high = r->source_count;
  while (low < high) { /* the first that is not below the name */
    size_t middle = low + (high - low) / 2;
    if (strcmp(r->sources[r->by_name[middle]].name, dotted) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == r->source_count || strcmp(r->sources[r->by_name[low]].name, dotted) != 0) return NULL;
  return &r->sources[r->by_name[low]];
}

/* Memory of its own: a variable is written in place, and a mapped file should not be held by one. */
static mica_status copy_for_variable(const mica_tensor *from, mica_type type, mica_tensor **out,
                                     mica_error *error) {
  mica_tensor_view view;
  mica_status status = mica_tensor_view_begin(from, &view, error);
  if (status != MICA_OK) return status;
  status = mica_tensor_create_uninitialized(NULL, type, out, error);
  if (status == MICA_OK && mica_tensor_byte_size(*out) > 0) {
    if (type.dtype == mica_tensor_type(from).dtype)
      memcpy(mica_tensor_mutable_data(*out), view.data, mica_tensor_byte_size(*out));
    else
      status = mica_convert_elements(type.dtype, mica_tensor_mutable_data(*out),
                                     mica_tensor_type(from).dtype, view.data,
                                     mica_shape_count(type.shape));
  }
  mica_tensor_view_end(from, &view);
  return status;
}

static mica_status plan_variable(restoration *r, size_t index, mica_error *error) {
  const mica_named_variable *named = &r->options->variables[index];
  if (named->variable == NULL)
    return mica_error_set(error, MICA_INVALID, "checkpoint: variable %zu is NULL", index);
  const char *name = named->name != NULL ? named->name : mica_variable_name(named->variable);
  for (size_t i = 0; i < r->options->exclude_count; i++)
    if (mica_pattern_match(r->options->exclude[i], name, NULL)) {
      r->counts.excluded++;
      return MICA_OK;
    }
  char line[512], wanted[160], given[160];
  char *dotted = mica_dotted_name(&r->arena, name);
  if (dotted == NULL) return restore_memory(error);
  restore_source *source = find_source(r, dotted);
  if (source == NULL) {
    r->counts.missing++;
    snprintf(line, sizeof line, "no tensor for variable '%.300s'", name);
    tell(r, true, line);
    return MICA_OK;
  }
  source->used = true;
  mica_type type = mica_variable_type(named->variable), stored = mica_tensor_type(source->tensor);
  bool same = mica_shape_equal(type.shape, stored.shape) &&
              (type.dtype == stored.dtype || r->options->convert);
  if (same) {
    mica_status status = copy_for_variable(source->tensor, type, &r->values[index], error);
    r->counts.restored += status == MICA_OK;
    return status;
  }
  r->counts.mismatched++;
  mica_type_format(type, wanted, sizeof wanted);
  mica_type_format(stored, given, sizeof given);
  snprintf(line, sizeof line, "variable '%.120s' is %s, the tensor for it %s", name, wanted, given);
  tell(r, true, line);
  return MICA_OK;
}

static void report_unused(restoration *r) {
  for (size_t i = 0; i < r->source_count; i++) {
    const restore_source *source = &r->sources[i];
    if (source->used) continue;
    char line[600];
    r->counts.unused++;
    if (r->options->report == NULL) continue;
    if (strcmp(source->name, source->original) == 0)
      snprintf(line, sizeof line, "unused: tensor '%.300s'", source->original);
    else
      snprintf(line, sizeof line, "unused: tensor '%.250s', renamed to '%.250s'", source->original,
               source->name);
    tell(r, false, line);
  }
}

static mica_status check_restore(const mica_restore_options *options, mica_error *error) {
  if (options == NULL || (options->checkpoints == NULL && options->checkpoint_count > 0) ||
      (options->variables == NULL && options->variable_count > 0) ||
      (options->renames == NULL && options->rename_count > 0) ||
      (options->exclude == NULL && options->exclude_count > 0))
    return mica_error_set(error, MICA_INVALID, "checkpoint: a list of the restore options is NULL");
  mica_status status = MICA_OK;
  for (size_t i = 0; i < options->rename_count && status == MICA_OK; i++) {
    if (options->renames[i].to == NULL)
      return mica_error_set(error, MICA_INVALID, "checkpoint: a rename has no new name");
    status = mica_pattern_check(options->renames[i].from, options->renames[i].to, error);
  }
  for (size_t i = 0; i < options->exclude_count && status == MICA_OK; i++)
    status = mica_pattern_check(options->exclude[i], NULL, error);
  return status;
}

mica_status mica_checkpoint_restore(const mica_restore_options *options,
                                    mica_restore_counts *out_counts, mica_error *error) {
  if (out_counts != NULL) *out_counts = (mica_restore_counts){0};
  mica_status status = check_restore(options, error);
  if (status != MICA_OK) return status;
  restoration r = {.options = options};
  mica_arena_init(&r.arena, NULL);
  mica_text_init(&r.problems, NULL);
  r.values = mica_arena_allocate_zeroed(&r.arena, options->variable_count + 1, sizeof *r.values);
  status = r.values != NULL ? gather_sources(&r, error) : restore_memory(error);
  for (size_t i = 0; i < options->variable_count && status == MICA_OK; i++)
    status = plan_variable(&r, i, error);
  if (status == MICA_OK) {
    report_unused(&r);
    if (!options->partial && r.counts.missing + r.counts.mismatched > 0)
      status = mica_error_set(
          error, MICA_INVALID,
          "checkpoint: %" PRId64 " missing, %" PRId64 " of another type, nothing restored: %.700s",
          r.counts.missing, r.counts.mismatched, r.problems.data != NULL ? r.problems.data : "");
  }
  for (size_t i = 0; i < options->variable_count && r.values != NULL; i++) {
    if (status == MICA_OK && r.values[i] != NULL)
      status = mica_variable_set(options->variables[i].variable, r.values[i], error);
    mica_tensor_release(r.values[i]);
  }
  if (out_counts != NULL) *out_counts = r.counts;
  mica_text_deinit(&r.problems);
  mica_arena_deinit(&r.arena);
  return status;
}

/* ---- the mean of several --------------------------------------------------------------------- */

/* out = mean of the same entry of all; complex numbers are pairs of real ones. */
static mica_status mean_of(mica_checkpoint *const *all, size_t count, const char *name,
                           mica_type type, mica_tensor **out, mica_error *error) {
  mica_dtype part = type.dtype == MICA_C64    ? MICA_F32
                    : type.dtype == MICA_C128 ? MICA_F64
                                              : type.dtype;
  int64_t elements = mica_shape_count(type.shape) * (mica_dtype_is_complex(type.dtype) ? 2 : 1);
  size_t size = 0;
  double *sum = NULL, *one = NULL;
  if (mica_size_multiply((size_t)elements + 1, sizeof *sum, &size)) {
    sum = mica_allocate_zeroed(NULL, 1, size);
    one = mica_allocate(NULL, size);
  }
  mica_status status = sum != NULL && one != NULL
                           ? mica_tensor_create_uninitialized(NULL, type, out, error)
                           : restore_memory(error);
  for (size_t i = 0; i < count && status == MICA_OK; i++) {
    mica_tensor *tensor = mica_checkpoint_find(all[i], name);
    if (tensor == NULL || !mica_type_equal(mica_tensor_type(tensor), type)) {
      status =
          mica_error_set(error, MICA_INVALID,
                         "checkpoint: '%.200s' is not the same in steps %" PRId64 " and %" PRId64,
                         name, all[0]->step, all[i]->step);
      break;
    }
    status = mica_convert_elements(MICA_F64, one, part, mica_tensor_data(tensor), elements);
    for (int64_t k = 0; k < elements; k++) sum[k] += one[k];
  }
  if (status == MICA_OK) {
    for (int64_t k = 0; k < elements; k++) sum[k] /= (double)count;
    status = mica_convert_elements(part, mica_tensor_mutable_data(*out), MICA_F64, sum, elements);
  }
  if (sum != NULL) mica_free(NULL, sum, size);
  if (one != NULL) mica_free(NULL, one, size);
  return status;
}

static mica_status average(mica_checkpoint *const *all, size_t count, mica_checkpoint *out,
                           mica_error *error) {
  const mica_checkpoint *newest = all[0];
  char *state = mica_arena_text(&out->arena, newest->state);
  if (state == NULL) return restore_memory(error);
  out->state = state;
  out->step = newest->step;
  mica_status status = MICA_OK;
  for (size_t i = 0; i < newest->count && status == MICA_OK; i++) {
    const mica_checkpoint_entry *entry = &newest->entries[i];
    mica_type type = mica_tensor_type(entry->tensor);
    mica_tensor *mean = NULL;
    if (strcmp(entry->file, "model") != 0) continue;
    if (mica_dtype_is_float(type.dtype) || mica_dtype_is_complex(type.dtype))
      status = mean_of(all, count, entry->name, type, &mean, error);
    if (status == MICA_OK)
      status = mica_checkpoint_add(out, entry->file, entry->name,
                                   mean != NULL ? mean : entry->tensor, error);
    mica_tensor_release(mean);
  }
  return status == MICA_OK ? mica_checkpoint_close(out, error) : status;
}

mica_status mica_checkpoint_average(const char *folder, int32_t count,
                                    mica_checkpoint **out_checkpoint, mica_error *error) {
  enum { MOST = 1000 };
  *out_checkpoint = NULL;
  if (folder == NULL || count < 1 || count > MOST)
    return mica_error_set(error, MICA_INVALID, "checkpoint: the mean of 1 to %d checkpoints", MOST);
  mica_checkpoint_folders folders;
  mica_status status = mica_checkpoint_folders_read(folder, &folders, error);
  if (status != MICA_OK) return status;
  mica_checkpoint **all = mica_allocate_zeroed(NULL, (size_t)count, sizeof *all);
  if (all == NULL) status = restore_memory(error);
  size_t opened = 0;
  for (size_t i = folders.count; i-- > 0 && opened < (size_t)count && status == MICA_OK;) {
    if (i + 1 < folders.count && folders.items[i + 1].step == folders.items[i].step) continue;
    status = mica_checkpoint_open(folder, folders.items[i].step, &all[opened], error);
    opened += status == MICA_OK;
  }
  if (status == MICA_OK && opened < (size_t)count)
    status =
        mica_error_set(error, MICA_NOT_FOUND, "%.500s: %zu of %" PRId32 " checkpoints are there",
                       folder, opened, count);
  if (status == MICA_OK) status = mica_checkpoint_create(out_checkpoint, error);
  if (status == MICA_OK) status = average(all, opened, *out_checkpoint, error);
  if (status != MICA_OK) {
    mica_checkpoint_destroy(*out_checkpoint);
    *out_checkpoint = NULL;
  }
  for (size_t i = 0; i < opened; i++) mica_checkpoint_destroy(all[i]);
  if (all != NULL) mica_free(NULL, all, (size_t)count * sizeof *all);
  mica_checkpoint_folders_deinit(&folders);
  return status;
}
