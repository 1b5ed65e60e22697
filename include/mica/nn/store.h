/* SPDX-License-Identifier: Apache-2.0 */
/* store.h: parameters by path, and what a model is told about itself.
 *
 * A store owns the variables of a model and its hyper-parameters; a scope is a path into it, open while one
 * graph is traced. Layers (layers.h) make and read their variables through scopes:
 *
 *   static void predict(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
 *     mica_scope *scope = mica_scope_open(user, graph, false);
 *     out[0] = mica_nn_dense(mica_scope_in(scope, "logits"), in[0], .units = 10);
 *     mica_scope_close(scope);
 *   }
 *
 * A jit may trace this several times (shapes, training): variables are made by the first trace and found by
 * their path in the others. New ones get their values when the scope closes, all by one executable, from
 * the store's seed and the variable's path alone. A trace that fails leaves no variables behind.
 *   Ownership: a store is created and destroyed; scopes die with mica_scope_close; what a store gives out is
 * borrowed. Threads: several may trace with one store; a scope belongs to the thread of its graph; settings
 * and groups are changed while nobody traces. Mistakes in scopes make the graph fail, like operators. */
#ifndef MICA_NN_STORE_H
#define MICA_NN_STORE_H
#include "mica/backend.h"
#include "mica/mesh.h"
#include "mica/nn/initializer.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct mica_store mica_store;
typedef struct mica_scope mica_scope;

/* ---- the store ------------------------------------------------------------------------------- */

/* Retains the device, which computes initial values (a NULL one is reported by the first scope that
 * closes). NULL without memory. */
MICA_API mica_store *mica_store_create(mica_device *device, uint64_t seed);
MICA_API void mica_store_destroy(mica_store *store); /* NULL is fine; no scope may be open */
MICA_API uint64_t mica_store_seed(const mica_store *store);
MICA_API mica_device *mica_store_device(const mica_store *store); /* borrowed */

/* One variable; path and variable live as long as the store. */
typedef struct {
  const char *path; /* "encoder/layer0/kernel" */
  mica_variable *variable;
  mica_type type;
  bool trainable;                   /* asked to be by its layer, and no group freezes it */
  const char *group;                /* of the last rule that matches; "" for none */
  double rate_factor, decay_factor; /* of all rules that match, multiplied */
} mica_store_entry;
/* Variables in the order in which they were made. `index` outside or a path that is missing: false. */
MICA_API size_t mica_store_count(const mica_store *store);
MICA_API bool mica_store_get(const mica_store *store, size_t index, mica_store_entry *out);
MICA_API bool mica_store_find(const mica_store *store, const char *path, mica_store_entry *out);
/* Makes a variable, or gives a present one of that type another value: for files of parameters. A layer
 * that asks for the path later takes it as it is. */
MICA_API mica_status mica_store_put(mica_store *store, const char *path, mica_tensor *value,
                                    bool trainable, mica_error *error);
/* Lays all variables out on a mesh, those that are made later, too: each is cut along its first axis that divides into
 * as many parts as `mesh_axes` ("data") has devices, and is whole where none does (mica_variable_shard). NULL axes:
 * whole on every device. For traces that begin from now on; a NULL mesh ends it. */
MICA_API mica_status mica_store_shard(mica_store *store, const mica_mesh *mesh,
                                      const char *mesh_axes, mica_error *error);
/* Elements and bytes of all variables, or of the trainable ones. */
MICA_API int64_t mica_store_parameter_count(const mica_store *store, bool trainable_only);
MICA_API int64_t mica_store_byte_count(const mica_store *store, bool trainable_only);
/* All variables get their initial values anew, from another seed. */
MICA_API mica_status mica_store_reset(mica_store *store, uint64_t seed, mica_error *error);
/* A table of layers: path, variables, shapes, parameters, and totals, into text[size], always terminated;
 * returns the length it needs, or -1 without memory. */
MICA_API int64_t mica_store_summary(const mica_store *store, char *text, size_t size);

/* ---- groups of parameters -------------------------------------------------------------------- */

/* A rule for all variables whose path matches: `*` stands for any part of a name, `?` for one character of it, `**` for any
 * part of a path. Rules are kept in their order; factors multiply, of names and frozen the last rule counts:
 *   mica_store_group(store, "**", .frozen = true), mica_store_group(store, "head/" "**", .trained = true). */
typedef struct {
  size_t struct_size;
  mica_store *store;
  const char *pattern;
  const struct mica_names_only *named_;
  const char *name;    /* NULL: the pattern; copied */
  double rate_factor;  /* of the learning rate; 0: 1 (a rate of nothing is `frozen`) */
  double decay_factor; /* of weight decay; 0: 1 */
  bool no_decay;
  bool frozen;  /* not trained */
  bool trained; /* trained, though an earlier rule froze it */
  mica_error *error;
} mica_store_group_args;
MICA_API mica_status mica_store_group_with(const mica_store_group_args *args);
#define mica_store_group(...) \
  mica_store_group_with(      \
      &(mica_store_group_args){.struct_size = sizeof(mica_store_group_args), __VA_ARGS__})
/* MICA_INVALID with the patterns of groups that match no variable: they may be misspelt. To be asked after a trace. */
MICA_API mica_status mica_store_check_groups(const mica_store *store, mica_error *error);
/* Whether a path matches a pattern. */
MICA_API bool mica_path_matches(const char *pattern, const char *path);

/* ---- hyper-parameters ------------------------------------------------------------------------ */

/* A setting has a path: "dropout" holds everywhere, "encoder/dropout" in the scope "encoder" and below, where
 * it hides the former. Its type is that of its first declaration or use; another type is an error. */
MICA_API mica_status mica_store_set_number(mica_store *store, const char *path, double value,
                                           mica_error *error);
MICA_API mica_status mica_store_set_integer(mica_store *store, const char *path, int64_t value,
                                            mica_error *error);
MICA_API mica_status mica_store_set_flag(mica_store *store, const char *path, bool value,
                                         mica_error *error);
MICA_API mica_status mica_store_set_text(mica_store *store, const char *path, const char *value,
                                         mica_error *error);
/* A text that is one of `choices` ("small, large"), which mica_store_set holds it to and mica_store_settings lists. */
MICA_API mica_status mica_store_set_choice(mica_store *store, const char *path, const char *value,
                                           const char *choices, mica_error *error);
/* "lr=1e-3,encoder/dropout=0.1,file:params.txt": settings of names that are known (set above before), by
 * their types; a file has one a line, `#` begins a comment. Unknown names and values of another type are
 * errors that list what there is; nothing is changed then. */
MICA_API mica_status mica_store_set(mica_store *store, const char *settings, mica_error *error);
/* The present settings in that form, a line each, with their types; as mica_store_summary returns. */
MICA_API int64_t mica_store_settings(const mica_store *store, char *text, size_t size);
/* MICA_INVALID with the settings of a scope ("encoder/dropout") that no trace has read: their path may be
 * misspelt. To be asked after a trace. */
MICA_API mica_status mica_store_check_settings(const mica_store *store, mica_error *error);

/* The setting in force at a scope, else `otherwise`. A setting of another type makes the graph fail (an
 * integer serves as a number). Text lives as long as the setting. */
MICA_API double mica_scope_get_number(mica_scope *scope, const char *name, double otherwise);
MICA_API int64_t mica_scope_get_integer(mica_scope *scope, const char *name, int64_t otherwise);
MICA_API bool mica_scope_get_flag(mica_scope *scope, const char *name, bool otherwise);
MICA_API const char *mica_scope_get_text(mica_scope *scope, const char *name,
                                         const char *otherwise);

/* The same at a path, outside of a trace: "lr"; of another type: `otherwise`. */
MICA_API double mica_store_get_number(mica_store *store, const char *path, double otherwise);
MICA_API int64_t mica_store_get_integer(mica_store *store, const char *path, int64_t otherwise);
MICA_API bool mica_store_get_flag(mica_store *store, const char *path, bool otherwise);
MICA_API const char *mica_store_get_text(mica_store *store, const char *path,
                                         const char *otherwise);

/* ---- scopes ---------------------------------------------------------------------------------- */

/* The root scope of a trace. Never NULL for a graph that is well: without memory the graph fails. */
MICA_API mica_scope *mica_scope_open(mica_store *store, mica_graph *graph, bool training);
/* Ends it and its children, and gives new variables their values. NULL is fine. */
MICA_API void mica_scope_close(mica_scope *root);

/* The scope `name` below: a new one, which is an error when this trace had it before; one that may be entered
 * again and whose variables several layers share; one whose variables exist already. Names are made of
 * letters, digits, '_', '-', '+', ':', '@'. `index` >= 0 is appended to the name. Never NULL unless `scope` is. */
MICA_API mica_scope *mica_scope_in(mica_scope *scope, const char *name);
MICA_API mica_scope *mica_scope_in_index(mica_scope *scope, const char *name, int64_t index);
MICA_API mica_scope *mica_scope_shared(mica_scope *scope, const char *name);
MICA_API mica_scope *mica_scope_reuse(mica_scope *scope, const char *name);

MICA_API mica_graph *mica_scope_graph(const mica_scope *scope);
MICA_API mica_store *mica_scope_store(const mica_scope *scope);
MICA_API const char *mica_scope_path(const mica_scope *scope); /* "" for the root */
MICA_API bool mica_scope_is_training(const mica_scope *scope);

/* The variable `name` in a scope, as the trace sees it: a parameter that is trained, or a state that the model
 * assigns itself. Asked for twice in a trace it is an error, unless the scope is shared; so is another type
 * than it has. Floats; a state may have any dtype. */
MICA_API mica_value mica_scope_variable(mica_scope *scope, const char *name, mica_type type,
                                        mica_initializer initializer);
MICA_API mica_value mica_scope_state(mica_scope *scope, const char *name, mica_type type,
                                     mica_initializer initializer);
/* A parameter that rests in this trace, whatever other traces do with it (a kernel under an adapter). */
MICA_API mica_value mica_scope_frozen(mica_scope *scope, const char *name, mica_type type,
                                      mica_initializer initializer);
MICA_API void mica_scope_assign(mica_scope *scope, const char *name, mica_value value);

/* A random key, u32 [2], of the store's seed, the scope's path, how many the scope has given out in this
 * trace, and the step: a state "random_step" that counts the calls of traces that train and draw. Inside of a
 * loop, fold it with the iteration. */
MICA_API mica_value mica_scope_key(mica_scope *scope);

/* A term of the loss that a layer brings along, f32 or f64 []; their sum in f32 ({0} if there is none). */
MICA_API void mica_scope_add_loss(mica_scope *scope, mica_value loss);
MICA_API mica_value mica_scope_losses(mica_scope *scope);

/* A part of a model. Where the setting "recompute" is true at the scope (mica_store_set_flag(store, "encoder/recompute", true)),
 * the backward pass computes the values within the part again instead of keeping them, which takes less memory and more time;
 * gradients are the same. Parts within such a part are kept as it has them. Every begin has its end, in the same block.
 *   mica_scope_part part = mica_scope_part_begin(scope);
 *   x = layers(scope, x);
 *   x = mica_scope_part_end(part, x); */
typedef struct {
  mica_scope *scope;
  mica_region region;
  mica_value losses;
  bool recomputes;
} mica_scope_part;
MICA_API mica_scope_part mica_scope_part_begin(mica_scope *scope);
MICA_API mica_value mica_scope_part_end(mica_scope_part part, mica_value result);
/* The same for up to 16 results. */
MICA_API void mica_scope_part_end_values(mica_scope_part part, const mica_value *result,
                                         size_t count, mica_value *out);

/* The trainable variables that the trace has read so far. Any of the lists may be NULL; returns how many there
 * are, of which the first `capacity` are stored. */
MICA_API size_t mica_scope_trainable(mica_scope *scope, size_t capacity, mica_value *out_values,
                                     mica_variable **out_variables, mica_store_entry *out_entries);

#ifdef __cplusplus
}
#endif
#endif
