/* SPDX-License-Identifier: Apache-2.0 */
/* pointwise.h: definitions of pointwise operators without attributes, one row each: NAME of the op,
 * name, dtype class, derivative rule, expansion (NULL: a primitive), formula. Each row is followed by
 * its builder. */
#ifndef MICA_GRAPH_OPS_POINTWISE_H
#define MICA_GRAPH_OPS_POINTWISE_H
#include "graph/ops/rules.h"

#define POINTWISE(op_name, class, count, inference, rule, expansion, text) \
  const mica_op_def mica_op_##op_name = {                                  \
      .name = #op_name,                                                    \
      .kind = MICA_KIND_POINTWISE,                                         \
      .dtypes = MICA_CLASS_##class,                                        \
      .arity = count,                                                      \
      .results = 1,                                                        \
      .formula = text,                                                     \
      .infer = inference,                                                  \
      .derivative = rule,                                                  \
      .expand = expansion,                                                 \
  };
#define POINTWISE_1(NAME, op_name, class, rule, expansion, text)                              \
  POINTWISE(op_name, class, 1, mica_infer_same, rule, expansion, "x [a...] -> [a...]: " text) \
  mica_value mica_##op_name(mica_value x) {                                                   \
    return mica_emit_broadcast(MICA_OP_##NAME, (mica_value[1]){x}, 1, NULL);                  \
  }
#define POINTWISE_2(NAME, op_name, class, rule, expansion, text)                \
  POINTWISE(op_name, class, 2, mica_infer_equal, rule, expansion,               \
            "x [a...], y [a...] -> [a...]: " text)                              \
  mica_value(mica_##op_name)(mica_value x, mica_value y) {                      \
    return mica_emit_broadcast(MICA_OP_##NAME, (mica_value[2]){x, y}, 2, NULL); \
  }
/* The builder that takes a plain number for y. */
#define POINTWISE_NUMBER(op_name)                                \
  mica_value mica_##op_name##_number(mica_value x, double y) {   \
    return (mica_##op_name)(x, mica_number_for(#op_name, x, y)); \
  }

#endif
