/* SPDX-License-Identifier: Apache-2.0 */
/* jit.c: looking up, tracing and calling.
 *
 * A thread that finds no executable for its key leaves an entry that says "compiling" and traces without
 * the lock; others with the same key wait for it. When the trace fails the entry goes away and those who
 * waited try by themselves, so that a failure is never remembered and each caller gets its own message. */
#include "jit/jit_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { JIT_DEFAULT_LIMIT = 64, JIT_BUCKET_LIMIT = 4096 };

/* ---- life ------------------------------------------------------------------------------------- */

/* The index of a variant among those seen, UINT32_MAX without memory. */
static uint32_t intern_variant(mica_jit *jit, const char *variant) {
  if (variant == NULL) variant = "";
  for (uint32_t i = 0; i < jit->variant_count; i++)
    if (strcmp(jit->variants[i], variant) == 0) return i;
  if (!mica_grow(&jit->allocator, &jit->variants, &jit->variant_capacity, jit->variant_count + 1,
                 sizeof(char *)))
    return UINT32_MAX;
  size_t size = strlen(variant) + 1;
  char *copy = mica_allocate(&jit->allocator, size);
  if (copy == NULL) return UINT32_MAX;
  memcpy(copy, variant, size);
  jit->variants[jit->variant_count] = copy;
  return jit->variant_count++;
}

static bool init_jit(mica_jit *jit, const mica_jit_args *args) {
  if (mica_mutex_init(&jit->mutex) != 0) return false;
  if (mica_condition_init(&jit->compiled) != 0) {
    mica_mutex_deinit(&jit->mutex);
    return false;
  }
  jit->limit = args->cache_limit == 0 ? JIT_DEFAULT_LIMIT : args->cache_limit;
  jit->bucket_count = 16;
  while (jit->bucket_count < jit->limit && jit->bucket_count < JIT_BUCKET_LIMIT)
    jit->bucket_count *= 2;
  jit->buckets = mica_allocate_zeroed(&jit->allocator, jit->bucket_count, sizeof(jit_entry *));
  jit->variant = intern_variant(jit, args->variant);
  return jit->buckets != NULL && jit->variant != UINT32_MAX;
}

static void free_jit(mica_jit *jit, bool initialized) {
  mica_allocator allocator = jit->allocator;
  mica_device *device = jit->device;
  if (initialized) {
    for (uint32_t i = 0; i < jit->variant_count; i++)
      mica_free(&allocator, jit->variants[i], strlen(jit->variants[i]) + 1);
    mica_free(&allocator, jit->variants, jit->variant_capacity * sizeof(char *));
    mica_free(&allocator, jit->buckets, jit->bucket_count * sizeof(jit_entry *));
    mica_condition_deinit(&jit->compiled);
    mica_mutex_deinit(&jit->mutex);
  }
  mica_jit_layout_end(jit);
  mica_free(&allocator, jit, sizeof(*jit));
  mica_device_release(device);
}

mica_jit *mica_jit_create_with(const mica_jit_args *given) {
  if (given == NULL) return NULL;
  mica_jit_args args;
  mica_copy_options(&args, sizeof(args), given);
  mica_allocator allocator = mica_device_allocator(args.device);
  mica_jit *jit = mica_allocate_zeroed(&allocator, 1, sizeof(*jit));
  if (jit == NULL) return NULL;
  jit->allocator = allocator;
  jit->device = mica_device_retain(args.device);
  jit->build = args.build;
  jit->user = args.user;
  jit->inputs = args.inputs;
  jit->outputs = args.outputs;
  jit->donate = args.donate;
  if (init_jit(jit, &args) && mica_jit_layout_begin(jit, &args)) return jit;
  free_jit(jit, jit->bucket_count != 0);
  return NULL;
}

void mica_jit_destroy(mica_jit *jit) {
  if (jit == NULL) return;
  while (jit->open_traces != NULL) mica_jit_abandon(jit, jit->open_traces->graph);
  while (jit->newest != NULL) {
    mica_executable_release(jit->newest->executable);
    mica_jit_cache_remove(jit, jit->newest);
  }
  free_jit(jit, true);
}

mica_status mica_jit_set_variant(mica_jit *jit, const char *variant, mica_error *error) {
  if (jit == NULL) return mica_null_error(error, "the jit");
  mica_mutex_lock(&jit->mutex);
  uint32_t index = intern_variant(jit, variant);
  if (index != UINT32_MAX) jit->variant = index;
  mica_mutex_unlock(&jit->mutex);
  if (index == UINT32_MAX)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a variant");
  return MICA_OK;
}

size_t mica_jit_cache_count(const mica_jit *jit) {
  if (jit == NULL) return 0;
  mica_mutex *mutex = (mica_mutex *)(uintptr_t)&jit->mutex; /* a lock is no part of the value */
  mica_mutex_lock(mutex);
  size_t count = jit->ready_count;
  mica_mutex_unlock(mutex);
  return count;
}

/* ---- looking up ------------------------------------------------------------------------------- */

mica_status mica_jit_check(const mica_jit *jit, const jit_key *key, mica_error *error) {
  if (jit == NULL) return mica_null_error(error, "the jit");
  if (jit->device == NULL) return mica_null_error(error, "the device of the jit");
  if (key->count != jit->inputs)
    return mica_error_set(error, MICA_INVALID, "%zu %s given, expected %zu", key->count,
                          mica_noun(key->count, "input is", "inputs are"), jit->inputs);
  if (key->count > 0 && key->types == NULL && key->tensors == NULL)
    return mica_null_error(error, "the list of inputs");
  for (size_t i = 0; key->types == NULL && i < key->count; i++) {
    if (key->tensors[i] != NULL) continue;
    char what[40];
    snprintf(what, sizeof(what), "input %zu", i);
    return mica_null_error(error, what);
  }
  return MICA_OK;
}

/* Traces and compiles for an entry that this thread has left in the cache. */
static mica_status compile_entry(mica_jit *jit, jit_entry *entry, mica_executable **out_executable,
                                 mica_error *error) {
  mica_executable *executable = NULL, *pushed_out = NULL;
  mica_status status = mica_jit_trace_build(jit->device, &entry->key, jit->build, jit->user,
                                            jit->outputs, jit->donate, &executable, error);
  mica_mutex_lock(&jit->mutex);
  if (status == MICA_OK) {
    *out_executable = mica_executable_retain(executable);
    pushed_out = mica_jit_cache_ready(jit, entry, executable);
  } else {
    mica_jit_cache_remove(jit, entry);
  }
  mica_condition_signal_all(&jit->compiled);
  mica_mutex_unlock(&jit->mutex);
  mica_executable_release(pushed_out);
  return status;
}

/* The executable of a key, retained; compiled by the callback when there is none. */
static mica_status get_executable(mica_jit *jit, jit_key *key, mica_executable **out_executable,
                                  mica_error *error) {
  *out_executable = NULL;
  mica_mutex_lock(&jit->mutex);
  key->variant = jit->variant;
  mica_jit_key_hash(key);
  jit_entry *entry;
  while ((entry = mica_jit_cache_find(jit, key)) != NULL && entry->state == JIT_COMPILING) {
    if (entry->thread == mica_thread_self()) {
      mica_mutex_unlock(&jit->mutex);
      return mica_error_set(error, MICA_INVALID,
                            "the function that builds calls its own jit with the same types");
    }
    mica_condition_wait(&jit->compiled, &jit->mutex);
  }
  if (entry != NULL) {
    mica_jit_cache_use(jit, entry);
    *out_executable = mica_executable_retain(entry->executable);
    mica_mutex_unlock(&jit->mutex);
    return MICA_OK;
  }
  if (jit->build == NULL) {
    mica_mutex_unlock(&jit->mutex);
    return mica_error_set(error, MICA_INVALID,
                          "the jit has no function that builds: use mica_jit_find and "
                          "mica_jit_finish");
  }
  entry = mica_jit_cache_insert(jit, key);
  if (entry != NULL) entry->thread = mica_thread_self();
  mica_mutex_unlock(&jit->mutex);
  if (entry == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for an entry of a jit's cache");
  return compile_entry(jit, entry, out_executable, error);
}

mica_status mica_jit_call(mica_jit *jit, mica_tensor *const *in, size_t in_count, mica_tensor **out,
                          size_t out_count, mica_error *error) {
  jit_key key = {.tensors = in, .count = in_count};
  mica_executable *executable;
  mica_status status = mica_jit_check(jit, &key, error);
  if (status == MICA_OK) status = get_executable(jit, &key, &executable, error);
  if (status != MICA_OK) return status;
  status = mica_executable_run(executable, in, in_count, out, out_count, error);
  mica_executable_release(executable);
  return status;
}

mica_status mica_jit_compile(mica_jit *jit, const mica_type *in, size_t count,
                             mica_executable **out_executable, mica_error *error) {
  if (out_executable != NULL) *out_executable = NULL;
  jit_key key = {.types = in, .count = count};
  mica_executable *executable;
  mica_status status = mica_jit_check(jit, &key, error);
  if (status == MICA_OK) status = get_executable(jit, &key, &executable, error);
  if (status != MICA_OK) return status;
  if (out_executable != NULL)
    *out_executable = executable;
  else
    mica_executable_release(executable);
  return MICA_OK;
}

/* ---- traces without a callback ---------------------------------------------------------------- */

static void free_open_trace(mica_jit *jit, jit_open_trace *trace) {
  mica_free(&jit->allocator, trace, trace->allocation_size);
}

static jit_open_trace *make_open_trace(mica_jit *jit, const jit_key *key) {
  size_t bytes, whole;
  if (!mica_size_multiply(key->count, sizeof(mica_type), &bytes) ||
      !mica_size_add(bytes, sizeof(jit_open_trace), &whole))
    return NULL;
  jit_open_trace *trace = mica_allocate(&jit->allocator, whole);
  if (trace == NULL) return NULL;
  mica_type *types = (mica_type *)(void *)(trace + 1);
  if (bytes > 0) memcpy(types, key->types, bytes);
  *trace = (jit_open_trace){.key = *key, .allocation_size = whole};
  trace->key.types = types;
  return trace;
}

/* Takes the record of `graph` out of the list; NULL when it is no open trace of this jit. */
static jit_open_trace *take_open_trace(mica_jit *jit, const mica_graph *graph) {
  mica_mutex_lock(&jit->mutex);
  jit_open_trace **place = &jit->open_traces;
  while (*place != NULL && (*place)->graph != graph) place = &(*place)->next;
  jit_open_trace *trace = *place;
  if (trace != NULL) *place = trace->next;
  mica_mutex_unlock(&jit->mutex);
  return trace;
}

/* A trace that is found here does not keep others waiting, since nobody knows whether and in which
 * thread it will be finished; the first of two equal ones to be finished is kept. */
mica_status mica_jit_find(mica_jit *jit, const mica_type *in, size_t count,
                          mica_executable **out_ready, mica_graph **out_trace, mica_error *error) {
  if (out_ready != NULL) *out_ready = NULL;
  if (out_trace != NULL) *out_trace = NULL;
  if (out_ready == NULL || out_trace == NULL)
    return mica_null_error(error, "out_ready or out_trace");
  jit_key key = {.types = in, .count = count};
  mica_status status = mica_jit_check(jit, &key, error);
  if (status != MICA_OK) return status;
  mica_mutex_lock(&jit->mutex);
  key.variant = jit->variant;
  mica_jit_key_hash(&key);
  jit_entry *entry;
  while ((entry = mica_jit_cache_find(jit, &key)) != NULL && entry->state == JIT_COMPILING &&
         entry->thread != mica_thread_self())
    mica_condition_wait(&jit->compiled, &jit->mutex);
  if (entry != NULL && entry->state == JIT_READY) {
    mica_jit_cache_use(jit, entry);
    *out_ready = mica_executable_retain(entry->executable);
  }
  mica_mutex_unlock(&jit->mutex);
  if (*out_ready != NULL) return MICA_OK;
  jit_open_trace *trace = make_open_trace(jit, &key);
  if (trace == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a trace");
  status = mica_jit_trace_begin(jit->device, &key, &trace->graph, error);
  if (status != MICA_OK) {
    free_open_trace(jit, trace);
    return status;
  }
  mica_mutex_lock(&jit->mutex);
  trace->next = jit->open_traces;
  jit->open_traces = trace;
  mica_mutex_unlock(&jit->mutex);
  *out_trace = trace->graph;
  return MICA_OK;
}

/* Puts a finished executable into the cache and hands out a reference: to the one that is there already,
 * if another trace of this key was faster. Takes over `executable`. */
static mica_status keep_executable(mica_jit *jit, const jit_key *key, mica_executable *executable,
                                   mica_executable **out_ready, mica_error *error) {
  mica_executable *unwanted = NULL;
  mica_status status = MICA_OK;
  mica_mutex_lock(&jit->mutex);
  jit_entry *entry = mica_jit_cache_find(jit, key);
  if (entry == NULL) {
    entry = mica_jit_cache_insert(jit, key);
    if (entry == NULL) {
      status = MICA_OUT_OF_MEMORY;
      unwanted = executable;
    } else {
      *out_ready = mica_executable_retain(executable);
      unwanted = mica_jit_cache_ready(jit, entry, executable);
    }
  } else if (entry->state == JIT_READY) {
    *out_ready = mica_executable_retain(entry->executable);
    unwanted = executable;
  } else {
    *out_ready = executable; /* a callback compiles the same just now: its result will be kept */
  }
  mica_mutex_unlock(&jit->mutex);
  mica_executable_release(unwanted);
  if (status != MICA_OK)
    return mica_error_set(error, status, "no memory for an entry of a jit's cache");
  return MICA_OK;
}

mica_status mica_jit_finish(mica_jit *jit, mica_graph *graph, const mica_value *out, size_t count,
                            mica_executable **out_ready, mica_error *error) {
  if (out_ready == NULL) return mica_null_error(error, "out_ready");
  *out_ready = NULL;
  if (jit == NULL) return mica_null_error(error, "the jit");
  if (graph == NULL) return mica_null_error(error, "the trace");
  jit_open_trace *trace = take_open_trace(jit, graph);
  if (trace == NULL)
    return mica_error_set(error, MICA_INVALID, "the trace is not an open one of this jit");
  mica_executable *executable = NULL;
  mica_status status = MICA_OK;
  if (count != jit->outputs)
    status = mica_error_set(error, MICA_INVALID, "the trace has %zu %s, expected %zu", count,
                            mica_noun(count, "output", "outputs"), jit->outputs);
  if (status == MICA_OK) {
    mica_graph_set_outputs(graph, out, count);
    status = mica_compile(jit->device, graph, jit->donate, &executable, error);
  }
  mica_device_trace_end(jit->device, graph);
  if (status == MICA_OK) status = keep_executable(jit, &trace->key, executable, out_ready, error);
  free_open_trace(jit, trace);
  return status;
}

void mica_jit_abandon(mica_jit *jit, mica_graph *graph) {
  if (jit == NULL || graph == NULL) return;
  jit_open_trace *trace = take_open_trace(jit, graph);
  if (trace == NULL) return;
  mica_device_trace_end(jit->device, graph);
  free_open_trace(jit, trace);
}
