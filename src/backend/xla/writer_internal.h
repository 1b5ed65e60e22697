/* SPDX-License-Identifier: Apache-2.0 */
/* writer_internal.h: what writes StableHLO.
 *
 * The text is MLIR's generic form, which changes least from version to version:
 *   %7 = "stablehlo.add"(%3, %5) {attributes} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
 * Every value gets the next number. Regions see the values around them, so what a region captures is
 * written by its outer name. */
#ifndef MICA_XLA_WRITER_INTERNAL_H
#define MICA_XLA_WRITER_INTERNAL_H
#include "backend/xla/xla_internal.h"
#include "graph/attributes.h"

/* A value in the text: %12, or %12#1 when the operation has several results (part -1: one). */
typedef struct {
  uint32_t number;
  int32_t part;
  mica_type type;
} xla_ref;

typedef struct {
  const xla_module *module;
  const mica_graph *graph;
  mica_text *text;
  mica_text attributes; /* of the next operation: written by it, and then empty */
  xla_ref *refs;        /* [graph->count] */
  uint32_t next;        /* number */
  int32_t depth;        /* of regions, for the indentation */
  uint32_t channels;    /* of collectives: used so far */
  mica_status status;   /* the first thing that cannot be written */
  mica_error *error;
} xla_writer;

/* Writes node `id`. */
typedef void xla_emitter(xla_writer *w, uint32_t id);
typedef xla_emitter *const xla_emitter_table[MICA_OP_COUNT];
extern xla_emitter_table mica_xla_pointwise_emitters, mica_xla_move_emitters,
    mica_xla_fold_emitters, mica_xla_product_emitters, mica_xla_control_emitters,
    mica_xla_mesh_emitters;
/* The operation of a pointwise operator that StableHLO has under some name, or NULL. */
const char *mica_xla_plain_name(mica_op op);
/* Whether some emitter writes the operator. */
bool mica_xla_writes(mica_op op);

/* ---- values ---------------------------------------------------------------------------------- */

mica_status mica_xla_fail(xla_writer *w, mica_status status, const char *format, ...)
    MICA_PRINTF(3, 4);
xla_ref mica_xla_operand(const xla_writer *w, uint32_t id, uint32_t index);
mica_type mica_xla_type_of(const xla_writer *w, uint32_t id);
static inline void mica_xla_define(xla_writer *w, uint32_t id, xla_ref ref) { w->refs[id] = ref; }
static inline xla_ref mica_xla_part(xla_ref first, int32_t part, mica_type type) {
  return (xla_ref){first.number, part, type};
}
static inline mica_type xla_scalar(mica_dtype dtype) {
  return (mica_type){.dtype = dtype, .shape = {0}};
}
static inline mica_type xla_shaped(mica_dtype dtype, mica_shape shape) {
  return (mica_type){.dtype = dtype, .shape = shape};
}

/* One operation with one result, attributes as they stand. */
xla_ref mica_xla_emit(xla_writer *w, const char *name, mica_type type, const xla_ref *in,
                      size_t count);
xla_ref mica_xla_emit_1(xla_writer *w, const char *name, mica_type type, xla_ref x);
xla_ref mica_xla_emit_2(xla_writer *w, const char *name, mica_type type, xla_ref x, xla_ref y);
/* The same with any number of results, which are defined as those of node `id`. */
void mica_xla_emit_many(xla_writer *w, uint32_t id, const char *name, const mica_type *types,
                        size_t results, const xla_ref *in, size_t count);
/* The same, two at least, which are not defined; returns their number. */
uint32_t mica_xla_emit_results(xla_writer *w, const char *name, const mica_type *types,
                               size_t results, const xla_ref *in, size_t count);
/* cuDNN's attention (write_attention.c). */
void mica_xla_write_attention(xla_writer *w, uint32_t id);
/* A call of the host that computes node `id`. */
void mica_xla_emit_host(xla_writer *w, uint32_t id);
/* "EQ", "LT", ..; -> bool of their shape. */
xla_ref mica_xla_compare(xla_writer *w, const char *direction, xla_ref x, xla_ref y);
xla_ref mica_xla_select(xla_writer *w, xla_ref condition, xla_ref x, xla_ref y);
xla_ref mica_xla_convert(xla_writer *w, xla_ref x, mica_dtype dtype);
xla_ref mica_xla_reshape(xla_writer *w, xla_ref x, mica_shape shape);

/* ---- constants ------------------------------------------------------------------------------- */

/* Dense values of `type` as they lie in memory. */
xla_ref mica_xla_constant(xla_writer *w, mica_type type, const void *values);
xla_ref mica_xla_number(xla_writer *w, mica_dtype dtype, double number); /* [] */
/* An array of one number. */
xla_ref mica_xla_filled(xla_writer *w, mica_type type, double number);
/* What a reduction starts with. */
xla_ref mica_xla_neutral(xla_writer *w, mica_dtype dtype, mica_reduce_kind kind);
xla_ref mica_xla_iota(xla_writer *w, mica_type type, int64_t axis);

/* ---- attributes of the next operation -------------------------------------------------------- */

/* "name = array<i64: 1, 2>" */
void mica_xla_attribute_array(xla_writer *w, const char *name, const int64_t *at, int32_t count);
void mica_xla_attribute_i64(xla_writer *w, const char *name, int64_t number);
void mica_xla_attribute_text(xla_writer *w, const char *name, const char *value); /* as it is */
/* "name = dense<[[low, high], ..]> : tensor<nx2xi64>" */
void mica_xla_attribute_pairs(xla_writer *w, const char *name, const mica_ints *low,
                              const mica_ints *high);
/* The layouts of a custom call's operands or results: row-major. */
void mica_xla_attribute_layouts(xla_writer *w, const char *name, const mica_type *types,
                                size_t count);
/* "label = [1, 2]" inside of a structured attribute, behind a comma unless `first`. */
void mica_xla_list(xla_writer *w, const char *label, const mica_ints *list, bool first);

/* ---- operations with regions ----------------------------------------------------------------- */

/* %n:results = "name"(in) ({ .. }, { .. }) attributes : types. Begin, for each region begin, its
 * arguments (in order), its nodes, return; end. */
uint32_t mica_xla_operation_begin(xla_writer *w, const char *name, size_t results,
                                  const xla_ref *in, size_t count);
void mica_xla_region_begin(xla_writer *w, bool first);
xla_ref mica_xla_argument(xla_writer *w, mica_type type, bool first);
void mica_xla_region_ready(xla_writer *w); /* behind the arguments, if there were any */
void mica_xla_region_return(xla_writer *w, const xla_ref *in, size_t count);
/* The same by another operation than StableHLO's. */
void mica_xla_region_return_by(xla_writer *w, const char *name, const xla_ref *in, size_t count);
void mica_xla_operation_end(xla_writer *w, const xla_ref *in, size_t count, const mica_type *types,
                            size_t results);
/* The nodes of region `index` of the graph. */
void mica_xla_nodes(xla_writer *w, uint32_t index);

#endif
