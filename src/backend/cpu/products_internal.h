/* SPDX-License-Identifier: Apache-2.0 */
/* products_internal.h: steps that run a matrix product, a convolution or a normalization of rows, whose
 * results can be finished block by block. */
#ifndef MICA_BACKEND_CPU_PRODUCTS_INTERNAL_H
#define MICA_BACKEND_CPU_PRODUCTS_INTERNAL_H
#include "backend/cpu/kernels/conv.h"
#include "backend/cpu/fusion_internal.h"

/* What is done to the blocks of a result: a bias and a relu, or a tile program. In a step's argument. */
typedef struct {
  const mica_tile_program *program; /* NULL: none */
  uint32_t buffer_count;
  bool bias, relu;
  bool any;
} mica_finish;

/* A finish while its step is being planned. The host adds its own references, the result's at index 2, and
 * then those of the finish. */
typedef struct {
  mica_finish argument;
  uint32_t result;  /* id whose value the host's memory holds in the end */
  uint32_t storage; /* of the host's result */
  mica_view bias;
  uint32_t bias_value;
  const mica_block_program *block;
} mica_finish_plan;

enum { MICA_FINISH_SCRATCH = 1 << 15, MICA_PRODUCT_REFERENCES = 4 };

/* The finish of a call, as the kernels take it; `call` lives as long as they run. */
typedef struct {
  const mica_tile_program *program;
  void *buffers[MICA_TILE_MAX_ACCESSES];
  mica_gemm_finish finish;
} mica_finish_call;
const mica_gemm_finish *mica_finish_begin(const mica_finish *finish, const mica_cpu_step *step,
                                          const mica_cpu_context *context, mica_finish_call *call);
/* The reference of the result: the finish's storage, or new memory for `id`. */
void mica_plan_product_result(mica_plan *plan, uint32_t id, const mica_finish_plan *finish);
void mica_plan_finish_references(mica_plan *plan, const mica_finish_plan *finish);

/* finish: NULL, or what is done to the result. */
bool mica_plan_dot_finished(mica_plan *plan, uint32_t id, const mica_finish_plan *finish);
bool mica_plan_convolution_finished(mica_plan *plan, uint32_t id, const mica_finish_plan *finish);
bool mica_plan_dot(mica_plan *plan, uint32_t id);
bool mica_plan_convolution(mica_plan *plan, uint32_t id);
/* Whether the kernels take a convolution or one of its transposes as it is. */
bool mica_convolution_fits(const mica_graph *graph, uint32_t id);
/* The same, or it does once it is widened. */
bool mica_convolution_taken(const mica_graph *graph, uint32_t id);
/* widen.c: whether a node is one of f16 or bf16 that is computed in f32; whether there is any; the pass that makes it so. */
bool mica_cpu_widens(const mica_graph *graph, uint32_t id);
bool mica_cpu_has_halves(const mica_graph *graph);
mica_status mica_cpu_pass_widen(const mica_graph *from, mica_graph *to, mica_error *error);
bool mica_dot_fits(const mica_graph *graph, uint32_t id);
/* step_bytes.c: integers of 8 or 4 bits into i32; the kernels' name of such a dtype. */
bool mica_plan_bytes_dot(mica_plan *plan, uint32_t id);
bool mica_weight_kind_of(mica_dtype dtype, mica_weight_kind *out);
/* Scratch that is enough for products of the size of `part` and those left over of [m, k] times [k, n]. */
size_t mica_parts_scratch(const mica_cpu_kernels *kernels, const mica_gemm *part, int64_t m,
                          int64_t n, int64_t k);
/* step_quantized.c: floats times weights of 8 or 4 bits. */
bool mica_plan_quantized(mica_plan *plan, uint32_t id);
bool mica_quantized_fits(const mica_graph *graph, uint32_t id);
/* step_rows.c: softmax, layer_norm and their kin over rows that lie together. */
bool mica_plan_rows(mica_plan *plan, uint32_t id);
bool mica_plan_rows_finished(mica_plan *plan, uint32_t id, const mica_finish_plan *finish);
/* Whether the kernels take it, and whether its result is rows that can be finished. */
bool mica_rows_fit(const mica_graph *graph, uint32_t id);
bool mica_rows_finish(const mica_graph *graph, uint32_t id);
/* Whether a node is one of these in f32, so that its result's blocks can be finished. */
bool mica_product_fits(const mica_plan *plan, uint32_t id);

#endif
