/* SPDX-License-Identifier: Apache-2.0 */
/* custom.h: operators of your own in C, calls back into the host, and assertions at run time.
 *
 * A custom operator is a shape rule, a kernel on host memory and, if it shall be differentiable, a
 * gradient that builds graph. It is a node like any other: printed, shared, differentiated and
 * batched. It runs on backends that work in host memory (cpu, reference); others refuse to
 * compile it by name. Nothing is registered globally: the operator is an object, which the graphs
 * and executables that use it keep alive.
 * Example: examples/custom_operator.c. */
#ifndef MICA_CUSTOM_H
#define MICA_CUSTOM_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct mica_custom_operator mica_custom_operator;

enum { MICA_CUSTOM_MOST = 16 }; /* operands, results */

/* One call of a kernel. Operands are dense and row-major, aligned to 64 bytes where the engine made them; results
 * are to be filled wholly and do not overlap operands. */
typedef struct {
  size_t struct_size;
  const void *const *in;
  const mica_type *in_types;
  size_t in_count;
  void *const *out;
  const mica_type *out_types;
  size_t out_count;
  const char *config; /* what mica_custom was given, "" for NULL */
} mica_custom_call;

/* Callbacks get `user`. They must not end the process or jump out. */
typedef struct {
  size_t struct_size;
  const char *name; /* for errors, profiles and the text form: letters, digits, '_', '.', '-' */
  void *user;
  void (*release)(void *user); /* once nothing refers to the operator any more; may be NULL */
  /* Fills out[0 .. out_count) from the operands' types, or returns an error that says what was
   * expected; called when the node is built. NULL: one result of the first operand's type. */
  mica_status (*infer)(void *user, const mica_type *in, size_t in_count, const char *config,
                       mica_type *out, size_t out_count, mica_error *error);
  /* Runs. Any thread, several at once. An error ends the call that runs the executable. */
  mica_status (*run)(void *user, const mica_custom_call *call, mica_error *error);
  /* Builds in_cotangent[i], of in[i]'s type, from operands, results and the results' cotangents;
   * one left as {0} is zero. NULL: differentiating is an error that names the operator. */
  void (*gradient)(void *user, const char *config, const mica_value *in, size_t in_count,
                   const mica_value *out, const mica_value *cotangent, size_t out_count,
                   mica_value *in_cotangent);
  /* Builds out_tangent[j] from operands, results and the operands' tangents: forward mode. NULL: an error. */
  void (*tangent)(void *user, const char *config, const mica_value *in,
                  const mica_value *in_tangent, size_t in_count, const mica_value *out,
                  size_t out_count, mica_value *out_tangent);
  /* The kernel and the rules above also take operands that all have one more axis in front, of
   * independent examples: vmap then is one call. Otherwise it is a scan over the examples. */
  bool batched;
  /* Runs even where nobody uses the results, once for each time its place is reached, in the order
   * in which such nodes were built. Has no derivative. What a derivative builds of a block (call,
   * switch, while, scan, recompute) runs none of its effects again, but one whose results the block
   * reads: that one runs once in forward mode, and again in the backward pass of reverse mode and
   * where forward mode is nested in forward mode. */
  bool effect;
} mica_custom_options;

/* Copies the options; NULL when a needed one is missing or memory is. Reference-counted. */
MICA_API mica_custom_operator *mica_custom_create(const mica_custom_options *options,
                                                  mica_error *error);
MICA_API mica_custom_operator *mica_custom_retain(mica_custom_operator *custom);
MICA_API void mica_custom_release(mica_custom_operator *custom);

/* The node. 1 to MICA_CUSTOM_MOST operands and results. `config` is a text of the caller's for infer, run and the
 * rules (kept; NULL: ""), part of the operator's identity and of the text form. */
MICA_API void mica_custom(mica_custom_operator *custom, const mica_value *in, size_t in_count,
                          const char *config, mica_value *out, size_t out_count);

/* A parsed graph has custom operators by name only: gives all nodes of that name their operator.
 * MICA_NOT_FOUND when there is none. */
MICA_API mica_status mica_graph_bind_custom(mica_graph *graph, mica_custom_operator *custom,
                                            mica_error *error);

/* Calls `function` with the values each time the place is reached: for logging, plotting,
 * stopping. An error that it returns ends the call. Under vmap once for each example. At least one
 * operand: it says in which graph. */
typedef mica_status mica_host_function(void *user, const mica_custom_call *call, mica_error *error);
MICA_API void mica_host_callback(const mica_value *in, size_t in_count,
                                 mica_host_function *function, void *user);

/* Ends the call with MICA_INVALID, `message`, the scope path and the first index that is false unless
 * all of `condition` (bool [...]) is true; gives it back. Never dropped, although nothing uses it. */
MICA_API mica_value mica_assert(mica_value condition, const char *message);

#ifdef __cplusplus
}
#endif
#endif
