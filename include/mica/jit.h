/* SPDX-License-Identifier: Apache-2.0 */
/* jit.h: a C function that builds a graph, traced and compiled once for each list of input types.
 *
 * Ownership: create/destroy; tensors given out belong to the caller. Threads: a jit may be
 * called from many threads at once; concurrent compiles of one key happen once. Example:
 * examples/quickstart.c. */
#ifndef MICA_JIT_H
#define MICA_JIT_H
#include "mica/backend.h"
#include "mica/mesh.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct mica_jit mica_jit;

/* Builds out[] from in[] in `graph`. May be called from any thread that calls the jit, never
 * twice at once for one graph; must not keep values. */
typedef void mica_build(mica_graph *graph, const mica_value *in, mica_value *out, void *user);

/* Traced once for each distinct list of input types (and variable types, and `variant`); least
 * recently used executables go first. */
typedef struct {
  size_t struct_size;
  mica_device *device; /* retained */
  mica_build *build;   /* NULL for mica_jit_find and mica_jit_finish */
  const struct mica_names_only *named_;
  size_t inputs, outputs;
  void *user;
  uint64_t donate;     /* bit i: input i may be overwritten */
  size_t cache_limit;  /* 0: 64 */
  const char *variant; /* part of the key: "train", "eval"; copied */
  /* Devices on which inputs and outputs are laid out, as mica_shard of each (mica/mesh.h); retained. An array
   * or an entry that is NULL: whole; texts are copied. Without a callback: mica_shard them yourself. */
  const mica_mesh *mesh;
  const char *const *shardings;        /* [inputs] */
  const char *const *output_shardings; /* [outputs] */
} mica_jit_args;
/* NULL without memory. A NULL device (whose opening failed) is kept and reported by the first
 * call. */
MICA_API mica_jit *mica_jit_create_with(const mica_jit_args *args);
#define mica_jit_create(...) \
  mica_jit_create_with(&(mica_jit_args){.struct_size = sizeof(mica_jit_args), __VA_ARGS__})
MICA_API void mica_jit_destroy(mica_jit *jit);

/* out[i] == NULL: a new tensor; otherwise it is overwritten in place. A failed trace is not
 * cached. */
MICA_API mica_status mica_jit_call(mica_jit *jit, mica_tensor *const *in, size_t in_count,
                                   mica_tensor **out, size_t out_count, mica_error *error);
/* The same with arrays in parts, of a jit that was given a mesh: in[i] may lie anyhow, results are cut as
 * output_shardings says, new ones always. On `xla` an argument that lies as its sharding says is not moved, and results stay
 * on the devices that made them. */
MICA_API mica_status mica_jit_call_sharded(mica_jit *jit, mica_sharded_tensor *const *in,
                                           size_t in_count, mica_sharded_tensor **out,
                                           size_t out_count, mica_error *error);
/* Traces and compiles without running: ahead of time. *out_executable, if wanted, is retained. */
MICA_API mica_status mica_jit_compile(mica_jit *jit, const mica_type *in, size_t count,
                                      mica_executable **out_executable, mica_error *error);
/* The trace for these input types as a StableHLO module in MLIR's text form, as mica_stablehlo_format
 * (mica/xla.h) writes one: for JAX, IREE and others that read it. Needs no plugin, compiles nothing and caches
 * nothing. @main takes the inputs that something reads, then the variables that are read in the order in
 * which the trace met them, and gives the outputs, then the assigned variables' new values in that order.
 * MICA_UNSUPPORTED in a library that was built without the backend xla. */
MICA_API mica_status mica_jit_stablehlo(mica_jit *jit, const mica_type *in, size_t count,
                                        char *text, size_t size, size_t *out_length,
                                        mica_error *error);
/* Another value of the key's variant for later calls; NULL: none. Not while calls run. */
MICA_API mica_status mica_jit_set_variant(mica_jit *jit, const char *variant, mica_error *error);
MICA_API size_t mica_jit_cache_count(const mica_jit *jit);

/* The same without a callback, for languages where callbacks are hard: exactly one of the two is
 * set. *out_ready is retained. A trace is built from its parameters (mica_jit_parameter), then
 * finished, which ends it on failure too. */
MICA_API mica_status mica_jit_find(mica_jit *jit, const mica_type *in, size_t count,
                                   mica_executable **out_ready, mica_graph **out_trace,
                                   mica_error *error);
MICA_API mica_value mica_jit_parameter(mica_graph *trace, size_t index);
MICA_API mica_status mica_jit_finish(mica_jit *jit, mica_graph *trace, const mica_value *out,
                                     size_t count, mica_executable **out_ready, mica_error *error);
MICA_API void mica_jit_abandon(mica_jit *jit, mica_graph *trace);

/* Traces, compiles, runs and forgets: for scripts and tests. */
MICA_API mica_status mica_call_once(mica_device *device, mica_build *build, void *user,
                                    mica_tensor *const *in, size_t in_count, mica_tensor **out,
                                    size_t out_count, mica_error *error);
/* The value of one graph value that depends on no parameter. The graph stays usable. */
MICA_API mica_status mica_evaluate(mica_device *device, mica_value value, mica_tensor **out,
                                   mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
