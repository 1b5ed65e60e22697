/* SPDX-License-Identifier: Apache-2.0 */
/* graph.h: build a computation as maths, differentiate and transform it, print and parse it.
 *
 * Values nest like maths. The first mistake sticks in the graph: later operators do nothing, and
 * compiling (or mica_graph_status) reports it with operator, operand types and scope path.
 * Ownership: values and regions are plain handles that own nothing and die with their graph or
 * trace. Threads: one thread builds one graph at a time; different graphs are independent.
 * Example: examples/quickstart.c. */
#ifndef MICA_GRAPH_H
#define MICA_GRAPH_H
#include "mica/core.h"
#ifdef __cplusplus
extern "C" {
#endif

/* One trace; lives as long as the jit or the caller that made it. */
typedef struct mica_graph mica_graph;
typedef struct mica_variable mica_variable;

/* One result of one node, by value. {0} is "no value"; a stale one (kept past its trace) is an
 * error of the operator that takes it, never a crash. */
typedef struct {
  mica_graph *graph;
  uint32_t id, epoch;
} mica_value;

/* An open block of a control-flow operator; owns nothing; {0} is safe. */
typedef struct {
  mica_graph *graph;
  uint32_t id, epoch;
} mica_region;

/* Same: as many windows as the size by the stride, rounded up, the odd cell of padding at the end. Valid: only
 * windows that fit. The default is same for convolutions and valid for pooling. */
typedef enum { MICA_DEFAULT_PADDING, MICA_SAME, MICA_VALID, MICA_EXPLICIT } mica_padding;

/* First member after the operands of every option struct: a stray positional number then warns. */
struct mica_names_only;

/* ---- graphs ---------------------------------------------------------------------------------- */

/* An empty graph, never NULL: without memory it is a static graph that is already in error. */
MICA_API mica_graph *mica_graph_create(const mica_allocator *allocator);
MICA_API void mica_graph_destroy(mica_graph *graph); /* NULL is fine */
/* The first failure of the graph, MICA_OK when there is none; NULL is MICA_INVALID. */
MICA_API mica_status mica_graph_status(const mica_graph *graph, mica_error *error);
/* What the graph computes; replaces an earlier list. */
MICA_API void mica_graph_set_outputs(mica_graph *graph, const mica_value *outputs, size_t count);

/* Inspection. A failed value has dtype MICA_DTYPE_NONE, rank 0 and sizes 1 (callers divide by
 * them). */
MICA_API mica_type mica_type_of(mica_value value);
MICA_API mica_shape mica_shape_of(mica_value value);
MICA_API mica_dtype mica_dtype_of(mica_value value);
MICA_API int32_t mica_rank_of(mica_value value);
MICA_API int64_t mica_dim_of(mica_value value, int32_t axis); /* negative axes count from the end */
MICA_API bool mica_is_valid(mica_value value); /* a value of a live trace whose region is open */

/* One name of the scope path of what is built from here on, without '/', spaces or quotes; the path is
 * the open names joined ("encoder/layer3"). For errors, profiles and pictures. A scope that is still open
 * at the end of its block or of the trace (mica_graph_set_outputs) is an error that names it. */
MICA_API void mica_scope_push(mica_graph *graph, const char *name);
MICA_API void mica_scope_pop(mica_graph *graph, const char *name); /* another name is an error */

/* Makes the graph fail, as an operator of the caller's would: prefix your own operator's name.
 * Returns the failed value. The first failure stays. */
MICA_API mica_value mica_fail(mica_graph *graph, mica_status status, const char *format, ...)
    MICA_PRINTF(3, 4);

/* x itself; the graph fails unless x has that shape, where -1 stands for any size: an assertion on shapes, with
 * operand type and scope in the message. */
MICA_API mica_value mica_expect_shape(mica_value x, mica_shape shape);
/* The tensor of a constant, which the graph owns; NULL: x is none (or is no usable value). */
MICA_API const mica_tensor *mica_constant_value(mica_value x);
/* Whether x is made of constants alone: of no parameter, variable, argument or host callback. */
MICA_API bool mica_is_constant(mica_value x);

/* ---- leaves ---------------------------------------------------------------------------------- */

/* The next input of the graph, numbered from 0. */
MICA_API mica_value mica_parameter(mica_graph *graph, mica_type type);
/* A tensor as a constant; retains it. */
MICA_API mica_value mica_constant(mica_graph *graph, mica_tensor *tensor);
/* A constant [] of any dtype. Integer dtypes take whole numbers in their range, float dtypes
 * round to nearest, and a finite number that overflows is an error. */
MICA_API mica_value mica_scalar(mica_graph *graph, mica_dtype dtype, double number);
/* A constant of that type filled with one number. */
MICA_API mica_value mica_full(mica_graph *graph, mica_type type, double number);
MICA_API mica_value mica_full_like(mica_value x, double number);
MICA_API mica_value mica_zeros_like(mica_value x);
MICA_API mica_value mica_ones_like(mica_value x);

/* ---- derivatives of values already built; zeros where nothing depends ------------------------ */
/* `out` may be the array of x or y. */

/* d loss / d x[i] for each i, of x[i]'s type, in one backward pass. `loss` is a float []. The
 * results are values of the same graph, so they can be differentiated again. What cannot be
 * differentiated is an error that names the operator and its scope path. */
MICA_API void mica_gradients(mica_value loss, const mica_value *x, size_t count, mica_value *out);
/* out[i] = sum over j of (d y[j] / d x[i])^T y_cotangent[j]. Cotangents have their y's type. */
MICA_API void mica_vjp(const mica_value *y, const mica_value *y_cotangent, size_t y_count,
                       const mica_value *x, size_t x_count, mica_value *out);
/* out[j] = sum over i of (d y[j] / d x[i]) x_tangent[i]. Tangents have their x's type. */
MICA_API void mica_jvp(const mica_value *y, size_t y_count, const mica_value *x,
                       const mica_value *x_tangent, size_t x_count, mica_value *out);
MICA_API mica_value
mica_jacobian(mica_value y, mica_value x); /* y [a...], x [b...] -> [a..., b...], reverse mode */
MICA_API mica_value mica_jacobian_forward(mica_value y,
                                          mica_value x); /* the same by forward mode: for few x */
MICA_API mica_value
mica_hessian(mica_value loss, mica_value x); /* [], [b...] -> [b..., b...], forward over reverse */

/* ---- regions: one mechanism for every block; captures are free ------------------------------- */

/* Between begin and end, what is built belongs to the block. Values from outside may be used
 * freely and are captured; values of a block cannot be used after its end. An unclosed block is
 * an error that names its scope. An end may write into the array that it reads: mica_call_end(block,
 * x, 2, x). Argument `index` of the open block: */
MICA_API mica_value mica_argument(mica_region region, size_t index);

/* while (condition(state)) state = body(state). The condition is built first, then the body,
 * each from argument(0 .. count - 1). `max_iterations` bounds the loop; 0: unbounded, and then
 * without reverse mode. */
MICA_API mica_region mica_while_begin(mica_graph *graph, const mica_value *state, size_t count,
                                      int64_t max_iterations);
MICA_API void mica_while_body(
    mica_region region, mica_value condition); /* bool []; closes the condition, opens the body */
MICA_API void mica_while_end(mica_region region, const mica_value *next, mica_value *out_final);

/* condition (bool []) ? first block : second block; both give `count` results of the same types. */
MICA_API mica_region mica_if_begin(mica_value condition);
MICA_API void mica_if_else(mica_region region, const mica_value *result, size_t count);
MICA_API void mica_if_end(mica_region region, const mica_value *result, size_t count,
                          mica_value *out);

/* One of several blocks by an i32 []; an index outside picks the last one (as in StableHLO's
 * case). */
MICA_API mica_region mica_switch_begin(mica_value index);
MICA_API void mica_switch_next(mica_region region, const mica_value *result,
                               size_t count); /* closes a block, opens the next */
MICA_API void mica_switch_end(mica_region region, const mica_value *result, size_t count,
                              mica_value *out);

/* for t: carry, emit[t] = body(carry, items[t]). items [time, ...] are cut along axis 0;
 * arguments are the carries, then the items' slices. out_stacked [time, ...]. All item lengths
 * are equal; with no item the length comes from mica_scan_begin_count. */
MICA_API mica_region mica_scan_begin(const mica_value *carry, size_t carry_count,
                                     const mica_value *items, size_t item_count);
MICA_API mica_region mica_scan_begin_count(mica_graph *graph, const mica_value *carry,
                                           size_t carry_count, const mica_value *items,
                                           size_t item_count, int64_t length, bool reverse);
MICA_API void mica_scan_end(mica_region region, const mica_value *carry, const mica_value *emit,
                            size_t emit_count, mica_value *out_carry, mica_value *out_stacked);

/* The block for each example along axis[i] of in[i] (-1: the whole value for every example;
 * NULL: all 0). argument(i) is one example's slice; results get the examples as their axis 0. No
 * loop is built. */
MICA_API mica_region mica_vmap_begin(mica_graph *graph, const mica_value *in, const int32_t *axis,
                                     size_t count);
MICA_API void mica_vmap_end(mica_region region, const mica_value *result, size_t count,
                            mica_value *out);

/* A function call: one block, inlined by backends; groups a part of the model in pictures and
 * profiles. */
MICA_API mica_region mica_call_begin(mica_graph *graph, const mica_value *in, size_t count);
MICA_API void mica_call_end(mica_region region, const mica_value *result, size_t count,
                            mica_value *out);

/* Gradient checkpointing: the block's inside is computed again in the backward pass instead of
 * kept. */
MICA_API mica_region mica_recompute_begin(mica_graph *graph, const mica_value *in, size_t count);
MICA_API void mica_recompute_end(mica_region region, const mica_value *result, size_t count,
                                 mica_value *out);

/* The first block computes results from argument(0 .. count - 1). The second gives the gradient:
 * its arguments are the same inputs, then at count + j the cotangent of result j; in_gradient[i]
 * has the type of input i; out_count is that of the first block. Captured values get no gradient. Forward mode through it is an error. */
MICA_API mica_region mica_custom_gradient_begin(mica_graph *graph, const mica_value *in,
                                                size_t count);
MICA_API void mica_custom_gradient_backward(mica_region region, const mica_value *result,
                                            size_t count);
MICA_API void mica_custom_gradient_end(mica_region region, const mica_value *in_gradient,
                                       mica_value *out, size_t out_count);

/* ---- variables: side inputs and side outputs of whatever is traced --------------------------- */

/* A cell that outlives graphs; reference-counted. Retains `initial`; NULL without memory or
 * initial. A variable may be used by many threads; calls that assign it run one after the other. */
MICA_API mica_variable *mica_variable_create(const char *name, mica_tensor *initial);
MICA_API mica_variable *mica_variable_retain(mica_variable *variable);
MICA_API void mica_variable_release(mica_variable *variable);
MICA_API const char *mica_variable_name(const mica_variable *variable);
MICA_API mica_type mica_variable_type(const mica_variable *variable);
/* Its value in the trace; after an assign in the same trace: the new value. */
MICA_API mica_value mica_variable_read(mica_graph *graph, mica_variable *variable);
/* Stored when the call succeeds. Allowed in the root, call and recompute regions. Types must be
 * equal. */
MICA_API void mica_variable_assign(mica_variable *variable, mica_value value);
/* The present value, retained; the next step then copies instead of donating. NULL when it is
 * lost. */
MICA_API mica_tensor *mica_variable_snapshot(mica_variable *variable);
/* Replaces the value from outside of any trace; the type must be the same. Also mends a lost
 * variable. */
MICA_API mica_status mica_variable_set(mica_variable *variable, mica_tensor *value,
                                       mica_error *error);

/* ---- text and pictures ----------------------------------------------------------------------- */

/* The graph as text that parses back (docs/text-form.md), into text[size], always terminated;
 * returns the length it needs, or -1 without memory. */
MICA_API int64_t mica_graph_format(const mica_graph *graph, char *text, size_t size);
/* A graph from text; hostile input is refused with line and column. Variables come back unbound:
 * they have name and type, and compile once mica_graph_bind has given each one. */
MICA_API mica_status mica_graph_parse(const mica_allocator *allocator, const char *text,
                                      size_t size, mica_graph **out_graph, mica_error *error);
MICA_API mica_status mica_graph_bind(mica_graph *graph, mica_variable *variable, mica_error *error);
/* The graph as one HTML page whose tree collapses by scope and region. */
MICA_API int64_t mica_graph_format_html(const mica_graph *graph, char *text, size_t size);
/* One result of a node, for pictures and tools; all borrowed, until the graph is built on or ends. */
typedef struct {
  const char *op;           /* as in the text form: "dot_general", "parameter", "variable" */
  const char *scope;        /* path, "" for none */
  const char *variable;     /* the name of a variable that is read, else "" */
  mica_type type;           /* of this result */
  uint32_t node, index;     /* result `index` of the node whose result 0 has the id `node` */
  uint32_t owner;           /* the node whose block it stands in; 0: in none */
  const uint32_t *operands; /* [operand_count] ids, of the same block; captured ones last */
  size_t operand_count;
} mica_graph_result;
/* Ids run from 1 to this, and operands have smaller ids than what they enter. */
MICA_API uint32_t mica_graph_result_count(const mica_graph *graph);
/* False for ids that belong to nothing: outside, or in a block that left no node. */
MICA_API bool mica_graph_result_at(const mica_graph *graph, uint32_t id, mica_graph_result *out);
/* The graph's outputs as ids, at most `capacity` of them; returns how many there are. */
MICA_API size_t mica_graph_output_ids(const mica_graph *graph, uint32_t *out, size_t capacity);
/* Checks every invariant of docs/architecture.md; a well-built graph always passes. */
MICA_API mica_status mica_graph_verify(const mica_graph *graph, mica_error *error);

/* Every operator without macros or structs, for bindings, the parser and fuzzers: attributes as
 * in the text form ("axes=[0, 1], kind=sum"), NULL or "" for none. Operators with regions are
 * not built by it. */
MICA_API mica_value mica_build_operator(mica_graph *graph, const char *name, const mica_value *in,
                                        size_t in_count, const char *attributes);
/* All operators as JSON into text[size]: name, kind, class of dtypes and the dtypes that it accepts, how
 * many operands (-1: a list) and their names, results, formula, attributes with their kinds and values.
 * Returns the length it needs. */
MICA_API int64_t mica_operators_json(char *text, size_t size);

#ifdef __cplusplus
}
#endif
#include "mica/ops.h"
#endif
