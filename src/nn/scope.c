/* SPDX-License-Identifier: Apache-2.0 */
/* scope.c: paths into a store while a graph is traced. A trace remembers which variables it has met, so that
 * two layers at one path are noticed, and which of them it made, so that a failed trace takes them away. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/guard.h"
#include "nn/store_internal.h"

enum { NN_PATH_LIMIT = 448 }; /* with room for what layers append; graphs take 511 */

/* ---- opening and closing --------------------------------------------------------------------- */

mica_scope *mica_scope_open(mica_store *store, mica_graph *graph, bool training) {
  if (graph == NULL) return NULL;
  if (store == NULL) {
    mica_fail(graph, MICA_INVALID, "scope_open: the store is NULL");
    return NULL;
  }
  nn_trace *trace = mica_allocate_zeroed(&store->allocator, 1, sizeof *trace);
  if (trace == NULL) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "scope_open: out of memory");
    return NULL;
  }
  trace->store = store;
  trace->graph = graph;
  trace->training = training;
  mica_arena_init(&trace->arena, &store->allocator);
  trace->root = (mica_scope){.trace = trace, .path = "", .name = ""};
  mica_mutex_lock(&store->mutex);
  trace->next = store->traces;
  store->traces = trace;
  mica_mutex_unlock(&store->mutex);
  return &trace->root;
}

/* Takes the trace out of the list, and away what nobody but it has met if it failed. */
static void end_trace(nn_trace *trace, bool failed) {
  mica_store *store = trace->store;
  mica_mutex_lock(&store->mutex);
  nn_trace **place = &store->traces;
  while (*place != trace) place = &(*place)->next;
  *place = trace->next;
  for (uint32_t i = store->entry_count; failed && i-- > 0;)
    if (store->entries[i]->pending && store->entries[i]->maker == trace)
      mica_nn_drop_entry(store, store->entries[i]);
  mica_mutex_unlock(&store->mutex);
}

/* The state that counts the calls that draw. */
static mica_value read_step(nn_trace *trace) {
  mica_store_entry entry;
  if (!mica_store_find(trace->store, "random_step", &entry)) return (mica_value){0};
  return mica_variable_read(trace->graph, entry.variable);
}

void mica_scope_close(mica_scope *root) {
  if (root == NULL) return;
  nn_trace *trace = root->trace;
  mica_graph *graph = trace->graph;
  if (graph != NULL && root != &trace->root) {
    mica_fail(graph, MICA_INVALID, "scope_close: scope \"%.200s\" is not a root", root->path);
    return;
  }
  bool failed = graph == NULL || mica_graph_has_failed(graph);
  if (!failed && trace->draws && trace->training)
    mica_scope_assign(&trace->root, "random_step", mica_add(read_step(trace), 1));
  mica_error error = {0};
  if (!failed && mica_nn_initialize(trace->store, &error) != MICA_OK) {
    mica_fail(graph, error.status, "%s", error.message);
    failed = true;
  }
  end_trace(trace, failed);
  mica_allocator allocator = trace->store->allocator;
  mica_free(&allocator, trace->uses, trace->use_capacity * sizeof(nn_use));
  mica_arena_deinit(&trace->arena);
  mica_free(&allocator, trace, sizeof *trace);
}

mica_graph *mica_scope_graph(const mica_scope *scope) {
  return scope == NULL ? NULL : scope->trace->graph;
}
mica_store *mica_scope_store(const mica_scope *scope) {
  return scope == NULL ? NULL : scope->trace->store;
}
const char *mica_scope_path(const mica_scope *scope) { return scope == NULL ? "" : scope->path; }
bool mica_scope_is_training(const mica_scope *scope) {
  return scope != NULL && scope->trace->training;
}

/* ---- paths ----------------------------------------------------------------------------------- */

static const mica_scope *find_scope(const nn_trace *trace, const char *path) {
  for (const mica_scope *scope = trace->scopes; scope != NULL; scope = scope->next)
    if (strcmp(scope->path, path) == 0) return scope;
  return NULL;
}

/* Whether some variable lies below the path. */
static bool has_variables(mica_store *store, const char *path) {
  size_t size = strlen(path);
  bool found = false;
  mica_mutex_lock(&store->mutex);
  for (uint32_t i = 0; !found && i < store->entry_count; i++) {
    const char *other = store->entries[i]->path;
    found = strncmp(other, path, size) == 0 && other[size] == '/';
  }
  mica_mutex_unlock(&store->mutex);
  return found;
}

typedef enum { NN_NEW, NN_SHARED, NN_REUSED } nn_entering;

static mica_scope *enter_scope(mica_scope *parent, const char *name, nn_entering how) {
  if (parent == NULL) return NULL;
  nn_trace *trace = parent->trace;
  char path[NN_PATH_LIMIT + 1];
  int length = snprintf(path, sizeof path, "%s%s%s", parent->path, *parent->path ? "/" : "",
                        name == NULL ? "" : name);
  if (name == NULL || !mica_nn_is_name(name, strlen(name)) || length < 0 ||
      length > NN_PATH_LIMIT) {
    mica_fail(
        trace->graph, MICA_INVALID,
        "scope \"%.60s\" in \"%.200s\": expected a name of letters, digits and _-+:@, and a path "
        "of at most %d bytes",
        name == NULL ? "NULL" : name, parent->path, NN_PATH_LIMIT);
    return parent;
  }
  const mica_scope *before = find_scope(trace, path);
  bool shared = parent->shared || how != NN_NEW;
  if (before != NULL && !shared)
    mica_fail(
        trace->graph, MICA_INVALID,
        "two scopes \"%.300s\": a layer's name is used twice; mica_scope_shared lets layers share "
        "their variables",
        path);
  if (how == NN_REUSED && !has_variables(trace->store, path))
    mica_fail(trace->graph, MICA_INVALID, "scope \"%.300s\" has no variables to use again", path);
  mica_scope *scope = mica_arena_allocate(&trace->arena, sizeof *scope);
  char *copy = mica_arena_text(&trace->arena, path);
  if (scope == NULL || copy == NULL) {
    mica_fail(trace->graph, MICA_OUT_OF_MEMORY, "scope \"%.200s\": out of memory", path);
    return parent;
  }
  *scope = (mica_scope){.trace = trace, .parent = parent, .path = copy, .shared = shared};
  scope->reuse = parent->reuse || how == NN_REUSED;
  const char *last = strrchr(copy, '/');
  scope->name = last == NULL ? copy : last + 1;
  if (trace->last_scope == NULL)
    trace->scopes = scope;
  else
    trace->last_scope->next = scope;
  trace->last_scope = scope;
  return scope;
}

mica_scope *mica_scope_in(mica_scope *scope, const char *name) {
  return enter_scope(scope, name, NN_NEW);
}
mica_scope *mica_scope_in_index(mica_scope *scope, const char *name, int64_t index) {
  char whole[96];
  int length = snprintf(whole, sizeof whole, "%s%" PRId64, name == NULL ? "" : name, index);
  return enter_scope(scope, length < (int)sizeof whole ? whole : NULL, NN_NEW);
}
mica_scope *mica_scope_shared(mica_scope *scope, const char *name) {
  return enter_scope(scope, name, NN_SHARED);
}
mica_scope *mica_scope_reuse(mica_scope *scope, const char *name) {
  return enter_scope(scope, name, NN_REUSED);
}

/* ---- variables ------------------------------------------------------------------------------- */

static bool variable_path(const mica_scope *scope, const char *name, char path[512]) {
  int length =
      snprintf(path, 512, "%s%s%s", scope->path, *scope->path ? "/" : "", name == NULL ? "" : name);
  if (name != NULL && mica_nn_is_name(name, strlen(name)) && length < 512) return true;
  mica_fail(scope->trace->graph, MICA_INVALID,
            "variable \"%.60s\" in scope \"%.200s\": expected a name of letters, digits and _-+:@",
            name == NULL ? "NULL" : name, scope->path);
  return false;
}

static nn_use *find_use(const nn_trace *trace, const nn_entry *entry) {
  for (uint32_t i = 0; i < trace->use_count; i++)
    if (trace->uses[i].entry == entry) return &trace->uses[i];
  return NULL;
}

/* The entry of a path, made if it is missing and may be; NULL after a failure. */
static nn_entry *ask_entry(const mica_scope *scope, const char *path, mica_type type,
                           mica_initializer initializer, bool trainable, mica_type *out_found) {
  mica_store *store = scope->trace->store;
  mica_mutex_lock(&store->mutex);
  nn_entry *entry = mica_nn_find_entry(store, path);
  bool make = entry == NULL && !scope->reuse;
  if (make && (entry = mica_nn_add_entry(store, path, type, trainable)) != NULL) {
    entry->initializer = initializer;
    entry->maker = scope->trace;
    if (initializer.kind == MICA_INITIALIZER_TENSOR)
      entry->initial = mica_tensor_retain(initializer.tensor);
  } else if (entry != NULL) {
    if (entry->maker != scope->trace) entry->maker = NULL;
    if (!trainable) entry->trainable = false;
  }
  *out_found = entry == NULL ? type : entry->type;
  mica_mutex_unlock(&store->mutex);
  if (entry == NULL && !make)
    mica_fail(scope->trace->graph, MICA_INVALID, "there is no variable \"%.300s\" to use again",
              path);
  else if (entry == NULL)
    mica_fail(scope->trace->graph, MICA_OUT_OF_MEMORY,
              "variable \"%.300s\": out of memory or too large", path);
  return entry;
}

static mica_value ask_variable(mica_scope *scope, const char *name, mica_type type,
                               mica_initializer initializer, bool trainable) {
  mica_value none = {0};
  if (scope == NULL) return none;
  nn_trace *trace = scope->trace;
  none.graph = trace->graph;
  char path[512];
  if (mica_graph_has_failed(trace->graph) || !variable_path(scope, name, path)) return none;
  mica_type found;
  nn_entry *entry = ask_entry(scope, path, type, initializer, trainable, &found);
  if (entry == NULL) return none;
  if (!mica_type_equal(found, type)) {
    char present[160], wanted[160];
    mica_type_format(found, present, sizeof present);
    mica_type_format(type, wanted, sizeof wanted);
    return mica_fail(
        trace->graph, MICA_INVALID, "variable \"%.300s\" is %s, and %s asks for %s%s", path,
        present, find_use(trace, entry) != NULL ? "another layer in its scope" : "its layer now",
        wanted, find_use(trace, entry) != NULL ? "; mica_scope_in makes a scope for each" : "");
  }
  nn_use *use = find_use(trace, entry);
  if (use != NULL && !(use->shared && scope->shared))
    return mica_fail(trace->graph, MICA_INVALID,
                     "two layers at \"%.300s\": variable \"%.100s\" is there already; "
                     "mica_scope_shared lets layers share their variables",
                     scope->path, name);
  mica_value value = mica_variable_read(trace->graph, entry->variable);
  if (use != NULL) return value;
  if (!mica_grow(&trace->store->allocator, &trace->uses, &trace->use_capacity,
                 trace->use_count + 1u, sizeof(nn_use)))
    return mica_fail(trace->graph, MICA_OUT_OF_MEMORY, "variable \"%.300s\": out of memory", path);
  trace->uses[trace->use_count++] =
      (nn_use){.entry = entry, .trainable = trainable, .shared = scope->shared};
  return value;
}

mica_value mica_scope_variable(mica_scope *scope, const char *name, mica_type type,
                               mica_initializer initializer) {
  if (scope != NULL && !mica_dtype_is_float(type.dtype))
    return mica_fail(scope->trace->graph, MICA_INVALID,
                     "variable \"%.100s\" in scope \"%.200s\" is of %s: expected floats, or "
                     "mica_scope_state",
                     name == NULL ? "NULL" : name, scope->path, mica_dtype_name(type.dtype));
  return ask_variable(scope, name, type, initializer, true);
}
mica_value mica_scope_frozen(mica_scope *scope, const char *name, mica_type type,
                             mica_initializer initializer) {
  mica_value value = mica_scope_variable(scope, name, type, initializer);
  char path[512];
  if (!mica_is_valid(value) || !variable_path(scope, name, path)) return value;
  nn_trace *trace = scope->trace;
  for (uint32_t i = 0; i < trace->use_count; i++)
    if (strcmp(trace->uses[i].entry->path, path) == 0) trace->uses[i].trainable = false;
  return value;
}
mica_value mica_scope_state(mica_scope *scope, const char *name, mica_type type,
                            mica_initializer initializer) {
  return ask_variable(scope, name, type, initializer, false);
}

void mica_scope_assign(mica_scope *scope, const char *name, mica_value value) {
  char path[512];
  if (scope == NULL || mica_graph_has_failed(scope->trace->graph) ||
      !variable_path(scope, name, path))
    return;
  mica_store *store = scope->trace->store;
  mica_mutex_lock(&store->mutex);
  nn_entry *entry = mica_nn_find_entry(store, path);
  mica_variable *variable = entry == NULL ? NULL : entry->variable;
  mica_mutex_unlock(&store->mutex);
  if (variable == NULL)
    mica_fail(scope->trace->graph, MICA_INVALID, "there is no variable \"%.300s\" to assign", path);
  else
    mica_variable_assign(variable, value);
}

size_t mica_scope_trainable(mica_scope *scope, size_t capacity, mica_value *out_values,
                            mica_variable **out_variables, mica_store_entry *out_entries) {
  if (scope == NULL) return 0;
  nn_trace *trace = scope->trace;
  mica_store *store = trace->store;
  size_t count = 0;
  mica_mutex_lock(&store->mutex);
  for (uint32_t i = 0; i < trace->use_count; i++) {
    const nn_use *use = &trace->uses[i];
    mica_store_entry entry = mica_nn_describe(store, use->entry);
    if (!use->trainable || !entry.trainable) continue;
    if (count < capacity) {
      if (out_values != NULL) out_values[count] = mica_variable_read(trace->graph, entry.variable);
      if (out_variables != NULL) out_variables[count] = entry.variable;
      if (out_entries != NULL) out_entries[count] = entry;
    }
    count++;
  }
  mica_mutex_unlock(&store->mutex);
  return count;
}

mica_value mica_nn_guard_states(mica_scope *root, mica_value keep) {
  const nn_trace *trace = root->trace;
  mica_graph *graph = trace->graph;
  for (uint32_t i = 0; i < trace->use_count; i++) {
    const nn_entry *entry = trace->uses[i].entry;
    if (!mica_variable_is_assigned(graph, entry->variable) ||
        !mica_dtype_is_float(entry->type.dtype))
      continue;
    mica_value next = mica_variable_read(graph, entry->variable);
    keep = mica_and(keep, mica_all(mica_is_finite(next), MICA_ALL));
  }
  for (uint32_t i = 0; i < trace->use_count; i++) {
    mica_variable *variable = trace->uses[i].entry->variable;
    if (!mica_variable_is_assigned(graph, variable)) continue;
    mica_value before = mica_variable_before(graph, variable);
    mica_value next = mica_variable_read(graph, variable);
    mica_variable_assign(variable, mica_select(keep, next, before));
  }
  return keep;
}

/* ---- random keys ----------------------------------------------------------------------------- */

mica_value mica_scope_key(mica_scope *scope) {
  if (scope == NULL) return (mica_value){0};
  nn_trace *trace = scope->trace;
  mica_graph *graph = trace->graph;
  /* Read anew each time: a value that a block has captured cannot be used behind it. */
  if (!trace->draws) {
    mica_scope_state(&trace->root, "random_step", (mica_type){MICA_I64, {0}}, mica_init_zeros());
    trace->draws = true;
  }
  mica_value step = read_step(trace);
  /* A scope that is entered again goes on counting where it was first entered. */
  mica_scope *counted = (mica_scope *)(uintptr_t)find_scope(trace, scope->path);
  if (counted == NULL) counted = &trace->root;
  uint64_t hash = mica_nn_hash(scope->path, strlen(scope->path));
  mica_value key = mica_random_key(graph, trace->store->seed);
  key = mica_random_fold_number(key, (uint32_t)hash);
  key = mica_random_fold_number(key, (uint32_t)(hash >> 32));
  key = mica_random_fold_number(key, counted->draws++);
  return mica_random_fold(key, step);
}

/* ---- losses that layers bring along ---------------------------------------------------------- */

void mica_scope_add_loss(mica_scope *scope, mica_value loss) {
  if (scope == NULL || !mica_is_valid(loss)) return;
  nn_trace *trace = scope->trace;
  if (mica_rank_of(loss) != 0 || !mica_dtype_is_float(mica_dtype_of(loss))) {
    mica_fail(trace->graph, MICA_INVALID, "a loss of scope \"%.200s\": expected a float []",
              scope->path);
    return;
  }
  if (mica_dtype_of(loss) != MICA_F64) loss = mica_convert(loss, MICA_F32);
  if (!mica_is_valid(trace->losses)) {
    trace->losses = loss;
    return;
  }
  if (mica_dtype_of(loss) != mica_dtype_of(trace->losses)) {
    loss = mica_convert(loss, MICA_F64);
    trace->losses = mica_convert(trace->losses, MICA_F64);
  }
  trace->losses = mica_add(trace->losses, loss);
}

mica_value mica_scope_losses(mica_scope *scope) {
  return scope == NULL ? (mica_value){0} : scope->trace->losses;
}
