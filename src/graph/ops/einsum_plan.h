/* SPDX-License-Identifier: Apache-2.0 */
/* einsum_plan.h: what einsum.c reads from an equation and einsum_plan.c puts in order. */
#ifndef MICA_GRAPH_OPS_EINSUM_PLAN_H
#define MICA_GRAPH_OPS_EINSUM_PLAN_H
#include "graph/ops/rules.h"

enum {
  EINSUM_LABELS = MICA_MAX_RANK + 52, /* the axes of "..." and the letters */
  EINSUM_OPERANDS = 64,
  EINSUM_PLANNED = 8 /* operands whose best order is found */
};
#define LABEL_BIT(label) ((uint64_t)1 << (label))

/* A value and the label of each of its axes. */
typedef struct {
  mica_value value;
  uint64_t set; /* of its labels */
  int32_t rank;
  int32_t label[MICA_MAX_RANK];
} einsum_term;

typedef struct {
  mica_graph *graph;
  const mica_value *x; /* for messages */
  size_t operand_count;
  mica_dtype dtype;
  double size[EINSUM_LABELS]; /* at least 1 */
  /* The result: its shape; its labels but for sizes of 1, and their set. */
  mica_shape shape;
  int32_t rank, order[MICA_MAX_RANK];
  uint64_t output;
  size_t count; /* of the terms that are left */
  einsum_term terms[EINSUM_OPERANDS];
  /* For each subset of the last terms one of the two parts it is made of; 0: a single term. */
  uint32_t split[1 << EINSUM_PLANNED];
} einsum_plan;

/* The best order for at most EINSUM_PLANNED terms, into plan->split; false when every order needs
 * too many axes. */
bool mica_einsum_order(einsum_plan *plan);
/* The pair of terms i < j to contract next; false when every pair needs too many axes. */
bool mica_einsum_pick_pair(const einsum_plan *plan, size_t *out_i, size_t *out_j);
#endif
