/* SPDX-License-Identifier: Apache-2.0 */
/* store_internal.h: the inside of a store and of its scopes.
 *
 * An entry is a variable and what is known of it. It is *pending* from the trace that asks for it first until
 * a scope closes that gives it its value; another trace may meet it meanwhile and reads the same cell. Whoever
 * closes first computes all that is pending; a value is stored only where none is yet, and since it depends on
 * seed and path alone it does not matter whose it is. The store's mutex guards entries, settings and groups;
 * it is never held while something is traced, compiled or run. */
#ifndef MICA_NN_STORE_INTERNAL_H
#define MICA_NN_STORE_INTERNAL_H
#include "backend/device.h"
#include "core/memory.h"
#include "core/text.h"
#include "graph/builder.h"
#include "graph/variable.h"
#include "mica/nn/store.h"

typedef struct nn_trace nn_trace;

typedef struct nn_entry {
  char *path;
  mica_variable *variable;
  mica_type type;
  mica_initializer initializer;
  mica_tensor *initial; /* what a tensor initializer holds, kept for mica_store_reset */
  bool trainable, pending;
  const nn_trace *maker; /* the one trace that has met a pending entry; NULL: several have */
  uint64_t hash;         /* of the path */
} nn_entry;

typedef enum { NN_NUMBER, NN_INTEGER, NN_FLAG, NN_TEXT } nn_setting_kind;
typedef struct {
  char *path; /* "encoder/dropout" */
  nn_setting_kind kind;
  bool set;  /* false: only declared, by a layer that asked */
  bool read; /* by some trace */
  double number;
  int64_t integer;
  bool flag;
  char *text;
  char *choices; /* of a text: "small, large"; NULL: any */
} nn_setting;

typedef struct {
  char *pattern, *name;
  double rate_factor, decay_factor;
  bool frozen, trained;
} nn_group;

struct mica_store {
  mica_allocator allocator;
  mica_device *device;
  uint64_t seed;
  mica_mutex mutex; /* guards what follows */
  nn_entry **entries;
  uint32_t entry_count, entry_capacity;
  nn_setting *settings;
  uint32_t setting_count, setting_capacity;
  nn_group *groups;
  uint32_t group_count, group_capacity;
  nn_trace *traces; /* open ones */
  mica_mesh *mesh;  /* on which variables are laid out (store_mesh.c); NULL: on none */
  char *mesh_axes;  /* along which they are cut; NULL: along none */
};

/* One use of a variable in a trace. */
typedef struct {
  nn_entry *entry;
  bool trainable; /* in this trace: its layer may have it frozen */
  bool shared;
} nn_use;

struct mica_scope {
  nn_trace *trace;
  mica_scope *parent, *next; /* `next`: all scopes of the trace */
  const char *path, *name;   /* in the trace's arena */
  bool shared, reuse;
  uint32_t draws;
};

struct nn_trace {
  nn_trace *next;
  mica_store *store;
  mica_graph *graph;
  mica_arena arena;
  mica_scope root;
  mica_scope *scopes, *last_scope;
  nn_use *uses;
  uint32_t use_count, use_capacity;
  bool training;
  bool draws;      /* random keys were wanted */
  bool recomputes; /* within a part that is computed again */
  mica_value losses;
};

uint64_t mica_nn_hash(const char *text, size_t size); /* FNV-1a, 64 bits */
/* Under the mutex. NULL if missing. */
nn_entry *mica_nn_find_entry(const mica_store *store, const char *path);
/* Under the mutex: a new, pending entry; NULL without memory. */
nn_entry *mica_nn_add_entry(mica_store *store, const char *path, mica_type type, bool trainable);
void mica_nn_drop_entry(mica_store *store, nn_entry *entry);
/* Gives every pending variable its value. */
mica_status mica_nn_initialize(mica_store *store, mica_error *error);
/* Under the mutex: what the groups say of an entry. */
mica_store_entry mica_nn_describe(const mica_store *store, const nn_entry *entry);
/* Lays a variable out as the store says. */
mica_status mica_nn_lay_out(const mica_store *store, mica_variable *variable, mica_error *error);
void mica_nn_free_settings(mica_store *store);
void mica_nn_free_groups(mica_store *store);
char *mica_nn_copy_text(const mica_store *store, const char *text);
void mica_nn_free_text(const mica_store *store, char *text);
/* Whether a name may be one part of a path. */
bool mica_nn_is_name(const char *name, size_t size);
bool mica_nn_is_path(const char *path);

#endif
