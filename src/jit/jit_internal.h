/* SPDX-License-Identifier: Apache-2.0 */
/* jit_internal.h: a jit, its cache of executables, and the keys by which they are found.
 *
 * The key holds what a trace may depend on: the types of the inputs and the variant. The types of the
 * variables that a trace uses cannot differ between two calls, since a variable never changes its type. */
#ifndef MICA_JIT_INTERNAL_H
#define MICA_JIT_INTERNAL_H
#include "backend/device.h"
#include "core/memory.h"
#include "core/text.h"
#include "mica/jit.h"
#include "platform/platform.h"

typedef struct {
  const mica_type *types;      /* [count], or NULL: */
  mica_tensor *const *tensors; /* whose types they are */
  size_t count;
  uint32_t variant;
  uint64_t hash;
} jit_key;

typedef enum { JIT_COMPILING, JIT_READY } jit_state;

typedef struct jit_entry {
  struct jit_entry *next;          /* in its bucket */
  struct jit_entry *newer, *older; /* READY: by last use */
  jit_state state;
  uintptr_t thread;            /* COMPILING: whose trace it is (mica_thread_self) */
  mica_executable *executable; /* READY */
  jit_key key;                 /* `types` lie behind the entry */
  size_t allocation_size;
} jit_entry;

/* A trace that mica_jit_find gave out. */
typedef struct jit_open_trace {
  struct jit_open_trace *next;
  mica_graph *graph;
  jit_key key;
  size_t allocation_size;
} jit_open_trace;

struct mica_jit {
  mica_allocator allocator;
  mica_device *device; /* may be NULL: reported by the first call */
  mica_build *build;
  void *user;
  size_t inputs, outputs;
  uint64_t donate;
  struct jit_layout *layout; /* what stands around `build` for a mesh (layout.c); NULL: nothing */
  mica_mutex mutex;          /* guards everything below */
  mica_condition compiled;
  jit_entry **buckets;
  size_t bucket_count; /* a power of two */
  jit_entry *newest, *oldest;
  size_t ready_count, limit;
  jit_open_trace *open_traces;
  char **variants; /* every variant that was ever set; the key holds the index */
  uint32_t variant_count, variant_capacity;
  uint32_t variant;
};

/* For args->mesh: build and user of the jit become those of the layout. False without memory. */
bool mica_jit_layout_begin(mica_jit *jit, const mica_jit_args *args);
void mica_jit_layout_end(mica_jit *jit);

/* Under the lock. `key->hash` is set by mica_jit_key_hash. */
void mica_jit_key_hash(jit_key *key);
jit_entry *mica_jit_cache_find(const mica_jit *jit, const jit_key *key);
/* A new entry, COMPILING; NULL without memory. */
jit_entry *mica_jit_cache_insert(mica_jit *jit, const jit_key *key);
void mica_jit_cache_remove(mica_jit *jit, jit_entry *entry);
/* Makes the entry READY and the newest; takes over a reference. Returns an executable that the limit
 * pushed out, to be released outside of the lock, or NULL. */
mica_executable *mica_jit_cache_ready(mica_jit *jit, jit_entry *entry, mica_executable *executable);
void mica_jit_cache_use(mica_jit *jit, jit_entry *entry); /* now the newest */

/* MICA_OK, or why nothing can be looked up: NULL, a wrong count of inputs, an input that is NULL. */
mica_status mica_jit_check(const mica_jit *jit, const jit_key *key, mica_error *error);
/* The trace of one key: `graph` with its parameters. */
mica_status mica_jit_trace_begin(mica_device *device, const jit_key *key, mica_graph **out_graph,
                                 mica_error *error);
/* Builds by a callback, compiles and ends the trace. */
mica_status mica_jit_trace_build(mica_device *device, const jit_key *key, mica_build *build,
                                 void *user, size_t outputs, uint64_t donate,
                                 mica_executable **out_executable, mica_error *error);

static inline const mica_type *mica_jit_key_type(const jit_key *key, size_t index,
                                                 mica_type *storage) {
  if (key->types != NULL) return &key->types[index];
  *storage = mica_tensor_type(key->tensors[index]);
  return storage;
}

#endif
