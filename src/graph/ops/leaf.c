/* SPDX-License-Identifier: Apache-2.0 */
/* leaf.c: nodes without operands: inputs, constants, variables, counters. Every number that a
 * rule or a builder writes down becomes a constant [] here, and a broadcast where a whole array
 * is meant. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/tensor.h"
#include "graph/ops/rules.h"

/* ---- definitions ----------------------------------------------------------------------------- */

static bool infer_parameter(mica_infer *infer) {
  const mica_parameter_attr *attr = infer->attr;
  if (attr->index < 0) return mica_infer_fail(infer, "index %" PRId64 " is negative", attr->index);
  return mica_infer_one(infer, (mica_type){attr->dtype, attr->shape});
}
static const mica_attr_field parameter_fields[] = {
    MICA_FIELD(mica_parameter_attr, index, I64), MICA_FIELD(mica_parameter_attr, dtype, DTYPE),
    MICA_FIELD(mica_parameter_attr, shape, SHAPE), MICA_FIELD_END};
const mica_op_def mica_op_parameter = {
    .name = "parameter",
    .kind = MICA_KIND_LEAF,
    .dtypes = MICA_CLASS_ANY,
    .results = 1,
    .barrier = true,
    .attr_size = sizeof(mica_parameter_attr),
    .fields = parameter_fields,
    .formula = "-> [shape...]: input number `index` of the graph",
    .infer = infer_parameter,
};

static bool infer_argument(mica_infer *infer) {
  const mica_argument_attr *attr = infer->attr;
  if (attr->index < 0) return mica_infer_fail(infer, "index %" PRId64 " is negative", attr->index);
  return mica_infer_one(infer, (mica_type){attr->dtype, attr->shape});
}
static const mica_attr_field argument_fields[] = {
    MICA_FIELD(mica_argument_attr, index, I64), MICA_FIELD(mica_argument_attr, dtype, DTYPE),
    MICA_FIELD(mica_argument_attr, shape, SHAPE), MICA_FIELD_END};
const mica_op_def mica_op_argument = {
    .name = "argument",
    .kind = MICA_KIND_LEAF,
    .dtypes = MICA_CLASS_ANY,
    .results = 1,
    .barrier = true,
    .attr_size = sizeof(mica_argument_attr),
    .fields = argument_fields,
    .formula = "-> [shape...]: argument number `index` of the region it stands in",
    .infer = infer_argument,
};

static bool infer_constant(mica_infer *infer) {
  const mica_constant_attr *attr = infer->attr;
  if (!attr->value)
    return mica_infer_fail(infer, "the tensor is NULL: expected one (was there no memory for it?)");
  return mica_infer_one(infer, mica_tensor_type(attr->value));
}
static const mica_attr_field constant_fields[] = {MICA_FIELD(mica_constant_attr, value, TENSOR),
                                                  MICA_FIELD_END};
const mica_op_def mica_op_constant = {
    .name = "constant",
    .kind = MICA_KIND_LEAF,
    .dtypes = MICA_CLASS_ANY,
    .results = 1,
    .attr_size = sizeof(mica_constant_attr),
    .fields = constant_fields,
    .formula = "-> [shape...]: the values of a tensor",
    .infer = infer_constant,
};

static bool infer_variable(mica_infer *infer) {
  const mica_variable_attr *attr = infer->attr;
  return mica_infer_one(infer, (mica_type){attr->dtype, attr->shape});
}
static const mica_attr_field variable_fields[] = {
    MICA_FIELD(mica_variable_attr, variable, VARIABLE), MICA_FIELD(mica_variable_attr, name, TEXT),
    MICA_FIELD(mica_variable_attr, dtype, DTYPE), MICA_FIELD(mica_variable_attr, shape, SHAPE),
    MICA_FIELD_END};
const mica_op_def mica_op_variable = {
    .name = "variable",
    .kind = MICA_KIND_LEAF,
    .dtypes = MICA_CLASS_ANY,
    .results = 1,
    .barrier = true,
    .attr_size = sizeof(mica_variable_attr),
    .fields = variable_fields,
    .formula = "-> [shape...]: what the variable holds when the call begins",
    .infer = infer_variable,
};

static bool infer_result(mica_infer *infer) {
  return mica_infer_fail(infer,
                         "entries for further results are made by their node, never by themselves");
}
static const mica_attr_field result_fields[] = {MICA_FIELD(mica_result_attr, index, I64),
                                                MICA_FIELD_END};
const mica_op_def mica_op_result = {
    .name = "result",
    .kind = MICA_KIND_RESULT,
    .dtypes = MICA_CLASS_ANY,
    .results = 1,
    .attr_size = sizeof(mica_result_attr),
    .fields = result_fields,
    .formula = "-> [shape...]: a further result of the node in front",
    .infer = infer_result,
};

static bool infer_iota(mica_infer *infer) {
  mica_iota_attr *attr = infer->attr;
  mica_dtype dtype = attr->dtype;
  bool small = mica_dtype_bits(dtype) < 8 || dtype == MICA_F8E4M3FN || dtype == MICA_F8E5M2;
  if (dtype == MICA_BOOL || small)
    return mica_infer_fail(
        infer, "dtype %s is not supported: expected integers, f16, bf16, f32, f64, c64 or c128",
        mica_dtype_name(dtype));
  if (!mica_infer_one(infer, (mica_type){dtype, attr->shape})) return false;
  return mica_infer_axis(infer, &attr->axis, attr->shape.rank);
}
static const mica_attr_field iota_fields[] = {
    MICA_FIELD(mica_iota_attr, dtype, DTYPE), MICA_FIELD(mica_iota_attr, shape, SHAPE),
    MICA_FIELD(mica_iota_attr, axis, I64), MICA_FIELD_END};
const mica_op_def mica_op_iota = {
    .name = "iota",
    .kind = MICA_KIND_LEAF,
    .dtypes = MICA_CLASS_NUMBER,
    .results = 1,
    .attr_size = sizeof(mica_iota_attr),
    .fields = iota_fields,
    .formula = "-> [shape...]: out[.., i, ..] = i, the position along `axis`",
    .infer = infer_iota,
};

/* ---- builders -------------------------------------------------------------------------------- */

static bool can_build(mica_graph *graph) { return graph && graph->status == MICA_OK; }

mica_value mica_parameter(mica_graph *graph, mica_type type) {
  MICA_ENTRY(graph);
  if (!can_build(graph)) return mica_no_value(graph);
  if (graph->current)
    return mica_fail_operator(graph, "parameter", NULL, 0,
                              "expected a place outside of all blocks (a value from "
                              "outside may be used in a block freely)");
  if (!mica_grow(&graph->allocator, &graph->parameters, &graph->parameter_capacity,
                 graph->parameter_count + 1u, sizeof(*graph->parameters)))
    return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_parameter_attr attr = {
      .index = graph->parameter_count, .dtype = type.dtype, .shape = mica_shape_clean(type.shape)};
  mica_value value = mica_emit(graph, MICA_OP_PARAMETER, NULL, 0, &attr);
  if (mica_has_value(value)) graph->parameters[graph->parameter_count++] = value.id;
  return value;
}

mica_value mica_constant(mica_graph *graph, mica_tensor *tensor) {
  MICA_ENTRY(graph);
  if (!can_build(graph)) return mica_no_value(graph);
  mica_constant_attr attr = {.value = tensor};
  return mica_emit(graph, MICA_OP_CONSTANT, NULL, 0, &attr);
}

mica_value mica_iota(mica_graph *graph, mica_type type, int32_t axis) {
  MICA_ENTRY(graph);
  if (!can_build(graph)) return mica_no_value(graph);
  mica_iota_attr attr = {.dtype = type.dtype, .shape = mica_shape_clean(type.shape), .axis = axis};
  return mica_emit(graph, MICA_OP_IOTA, NULL, 0, &attr);
}

/* Why `number` cannot be an element of `dtype`, or NULL. */
static const char *number_problem(mica_dtype dtype, double number) {
  if (dtype == MICA_BOOL) return number == 0 || number == 1 ? NULL : "expected 0 or 1";
  if (mica_dtype_is_integer(dtype)) {
    int32_t bits = mica_dtype_bits(dtype);
    bool negative = mica_dtype_is_signed(dtype);
    double limit = ldexp(1, negative ? bits - 1 : bits), least = negative ? -limit : 0;
    if (number != floor(number) || isinf(number))
      return "expected a whole number"; /* NaN != NaN too */
    return number >= least && number < limit ? NULL
                                             : "it is out of range: expected a number that fits";
  }
  if (dtype == MICA_F8E4M3FN && isinf(number))
    return "the dtype has no infinity: expected a finite number";
  return NULL;
}

/* A tensor [] of a number on behalf of operator `op` with operand x ({0}: none). */
static mica_value number_constant(mica_graph *graph, const char *op, mica_value x, mica_dtype dtype,
                                  double number) {
  size_t operand_count = mica_has_value(x) ? 1 : 0;
  if (mica_dtype_bits(dtype) == 0)
    return mica_fail_operator(graph, op, &x, operand_count,
                              "dtype %d is unknown: expected MICA_F32 or its like", (int)dtype);
  const char *problem = number_problem(dtype, number);
  char bytes[16] = {0}, text[32];
  double back = number;
  if (!problem && (mica_convert_elements(dtype, bytes, MICA_F64, &number, 1) != MICA_OK ||
                   mica_convert_elements(MICA_F64, &back, dtype, bytes, 1) != MICA_OK))
    problem = "the dtype cannot be converted to";
  if (!problem && isfinite(number) && !isfinite(back))
    problem = "it overflows: expected a number that fits";
  if (problem) {
    mica_format_double(number, text, sizeof(text));
    return mica_fail_operator(graph, op, &x, operand_count, "the number %s is no %s: %s", text,
                              mica_dtype_name(dtype), problem);
  }
  mica_tensor *tensor = NULL;
  if (mica_tensor_create(&graph->allocator, (mica_type){.dtype = dtype}, bytes, &tensor, NULL) !=
      MICA_OK)
    return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_value value = mica_constant(graph, tensor);
  mica_tensor_release(tensor);
  return value;
}

mica_value mica_scalar(mica_graph *graph, mica_dtype dtype, double number) {
  MICA_ENTRY(graph);
  if (!can_build(graph)) return mica_no_value(graph);
  return number_constant(graph, "scalar", (mica_value){0}, dtype, number);
}

mica_value mica_full(mica_graph *graph, mica_type type, double number) {
  MICA_ENTRY(graph);
  if (!can_build(graph)) return mica_no_value(graph);
  mica_error error = {0};
  if (mica_type_check(type, NULL, &error) != MICA_OK)
    return mica_fail_operator(graph, "full", NULL, 0,
                              "%s; expected a known dtype, rank 0 to 8 and sizes >= 0",
                              error.message);
  mica_value value = number_constant(graph, "full", (mica_value){0}, type.dtype, number);
  return mica_broadcast_if_needed(value, type.shape);
}

mica_value mica_number_for(const char *op, mica_value x, double number) {
  if (!mica_operands_usable(op, &x, 1)) return mica_no_value(x.graph);
  return number_constant(x.graph, op, x, mica_dtype_of(x), number);
}

mica_value mica_number_like(const char *op, mica_value x, double number) {
  return mica_broadcast_if_needed(mica_number_for(op, x, number), mica_shape_of(x));
}

mica_value mica_full_like(mica_value x, double number) {
  MICA_ENTRY(x.graph);
  return mica_number_like("full_like", x, number);
}
mica_value mica_zeros_like(mica_value x) {
  MICA_ENTRY(x.graph);
  return mica_number_like("zeros_like", x, 0);
}
mica_value mica_ones_like(mica_value x) {
  MICA_ENTRY(x.graph);
  return mica_number_like("ones_like", x, 1);
}
