/* SPDX-License-Identifier: Apache-2.0 */
/* writer.c: the words of StableHLO's text: names, types, constants, attributes, regions.
 *
 * Constants are the hexadecimal bytes of their values, which a plugin reads 27 times faster than
 * decimal numbers; one element alone stands for all of them. Bits of bool and 4-bit arrays have
 * changed their form between versions of MLIR, so those are written as bytes and converted. */
#include "backend/xla/mesh.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

mica_status mica_xla_fail(xla_writer *w, mica_status status, const char *format, ...) {
  if (w->status != MICA_OK) return w->status;
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  w->status = status;
  return mica_error_set(w->error, status, "xla: %s", message);
}

/* ---- names and types ------------------------------------------------------------------------- */

static const char *mlir_element(mica_dtype dtype) {
  switch (dtype) {
    case MICA_BOOL: return "i1";
    case MICA_I4: return "i4";
    case MICA_U4: return "ui4";
    case MICA_I8: return "i8";
    case MICA_U8: return "ui8";
    case MICA_I16: return "i16";
    case MICA_U16: return "ui16";
    case MICA_I32: return "i32";
    case MICA_U32: return "ui32";
    case MICA_I64: return "i64";
    case MICA_U64: return "ui64";
    case MICA_F8E4M3FN: return "f8E4M3FN";
    case MICA_F8E5M2: return "f8E5M2";
    case MICA_BF16: return "bf16";
    case MICA_F16: return "f16";
    case MICA_F32: return "f32";
    case MICA_F64: return "f64";
    case MICA_C64: return "complex<f32>";
    case MICA_C128: return "complex<f64>";
    case MICA_DTYPE_NONE:
    case MICA_DTYPE_COUNT: break;
  }
  return "none";
}

static void write_type(xla_writer *w, mica_type type) {
  mica_text_append(w->text, "tensor<");
  for (int32_t axis = 0; axis < type.shape.rank; axis++)
    mica_text_format(w->text, "%" PRId64 "x", type.shape.dim[axis]);
  mica_text_append(w->text, mlir_element(type.dtype));
  mica_text_append(w->text, ">");
}

static void write_ref(xla_writer *w, xla_ref ref) {
  if (ref.part < 0)
    mica_text_format(w->text, "%%%" PRIu32, ref.number);
  else
    mica_text_format(w->text, "%%%" PRIu32 "#%" PRId32, ref.number, ref.part);
}

static void write_refs(xla_writer *w, const xla_ref *in, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (i > 0) mica_text_append(w->text, ", ");
    write_ref(w, in[i]);
  }
}

static void write_types_of(xla_writer *w, const xla_ref *in, size_t count) {
  mica_text_append(w->text, "(");
  for (size_t i = 0; i < count; i++) {
    if (i > 0) mica_text_append(w->text, ", ");
    write_type(w, in[i].type);
  }
  mica_text_append(w->text, ")");
}

static void write_result_types(xla_writer *w, const mica_type *types, size_t count) {
  mica_text_append(w->text, " -> (");
  for (size_t i = 0; i < count; i++) {
    if (i > 0) mica_text_append(w->text, ", ");
    write_type(w, types[i]);
  }
  mica_text_append(w->text, ")\n");
}

static void write_indent(xla_writer *w) {
  for (int32_t i = 0; i <= w->depth; i++) mica_text_append(w->text, "  ");
}

static void write_attributes(xla_writer *w) {
  if (w->attributes.size > 0) {
    mica_text_append(w->text, " {");
    mica_text_append_bytes(w->text, w->attributes.data, w->attributes.size);
    mica_text_append(w->text, "}");
  }
  mica_text_clear(&w->attributes);
}

mica_type mica_xla_type_of(const xla_writer *w, uint32_t id) {
  return mica_node_at(w->graph, id)->type;
}

xla_ref mica_xla_operand(const xla_writer *w, uint32_t id, uint32_t index) {
  return w->refs[mica_node_operands(w->graph, mica_node_at(w->graph, id))[index]];
}

/* ---- operations ------------------------------------------------------------------------------ */

xla_ref mica_xla_emit(xla_writer *w, const char *name, mica_type type, const xla_ref *in,
                      size_t count) {
  xla_ref out = {w->next++, -1, type};
  write_indent(w);
  write_ref(w, out);
  mica_text_format(w->text, " = \"%s\"(", name);
  write_refs(w, in, count);
  mica_text_append(w->text, ")");
  write_attributes(w);
  mica_text_append(w->text, " : ");
  write_types_of(w, in, count);
  mica_text_append(w->text, " -> ");
  write_type(w, type);
  mica_text_append(w->text, "\n");
  return out;
}

uint32_t mica_xla_emit_results(xla_writer *w, const char *name, const mica_type *types,
                               size_t results, const xla_ref *in, size_t count) {
  uint32_t number = w->next++;
  write_indent(w);
  mica_text_format(w->text, "%%%" PRIu32 ":%zu = \"%s\"(", number, results, name);
  write_refs(w, in, count);
  mica_text_append(w->text, ")");
  write_attributes(w);
  mica_text_append(w->text, " : ");
  write_types_of(w, in, count);
  write_result_types(w, types, results);
  return number;
}

void mica_xla_emit_many(xla_writer *w, uint32_t id, const char *name, const mica_type *types,
                        size_t results, const xla_ref *in, size_t count) {
  if (results == 1) {
    mica_xla_define(w, id, mica_xla_emit(w, name, types[0], in, count));
    return;
  }
  uint32_t number = mica_xla_emit_results(w, name, types, results, in, count);
  for (size_t i = 0; i < results; i++)
    mica_xla_define(w, id + (uint32_t)i, (xla_ref){number, (int32_t)i, types[i]});
}

xla_ref mica_xla_emit_1(xla_writer *w, const char *name, mica_type type, xla_ref x) {
  return mica_xla_emit(w, name, type, &x, 1);
}

xla_ref mica_xla_emit_2(xla_writer *w, const char *name, mica_type type, xla_ref x, xla_ref y) {
  return mica_xla_emit(w, name, type, (xla_ref[]){x, y}, 2);
}

xla_ref mica_xla_compare(xla_writer *w, const char *direction, xla_ref x, xla_ref y) {
  char value[64];
  snprintf(value, sizeof(value), "#stablehlo<comparison_direction %s>", direction);
  mica_xla_attribute_text(w, "comparison_direction", value);
  return mica_xla_emit_2(w, "stablehlo.compare", xla_shaped(MICA_BOOL, x.type.shape), x, y);
}

xla_ref mica_xla_select(xla_writer *w, xla_ref condition, xla_ref x, xla_ref y) {
  return mica_xla_emit(w, "stablehlo.select", x.type, (xla_ref[]){condition, x, y}, 3);
}

xla_ref mica_xla_convert(xla_writer *w, xla_ref x, mica_dtype dtype) {
  if (x.type.dtype == dtype) return x;
  return mica_xla_emit_1(w, "stablehlo.convert", xla_shaped(dtype, x.type.shape), x);
}

xla_ref mica_xla_reshape(xla_writer *w, xla_ref x, mica_shape shape) {
  return mica_xla_emit_1(w, "stablehlo.reshape", xla_shaped(x.type.dtype, shape), x);
}

/* ---- constants ------------------------------------------------------------------------------- */

/* Whether all elements have the same bits. */
static bool is_splat(const char *bytes, size_t size, size_t element) {
  return size > element && memcmp(bytes, bytes + element, size - element) == 0;
}

static void append_hex(mica_text *text, const unsigned char *bytes, size_t size) {
  static const char digits[] = "0123456789ABCDEF";
  char block[256];
  while (size > 0) {
    size_t count = size < sizeof(block) / 2 ? size : sizeof(block) / 2;
    for (size_t i = 0; i < count; i++) {
      block[2 * i] = digits[bytes[i] >> 4];
      block[2 * i + 1] = digits[bytes[i] & 15];
    }
    mica_text_append_bytes(text, block, 2 * count);
    bytes += count;
    size -= count;
  }
}

/* A dtype of whole bytes. */
static xla_ref dense_constant(xla_writer *w, mica_type type, const void *values, size_t size) {
  size_t element = (size_t)mica_dtype_bits(type.dtype) / 8;
  mica_text_append(&w->attributes, "value = dense<");
  if (size > 0) {
    mica_text_append(&w->attributes, "\"0x");
    append_hex(&w->attributes, values, is_splat(values, size, element) ? element : size);
    mica_text_append(&w->attributes, "\"");
  }
  mica_text_append(&w->attributes, "> : ");
  mica_text *text = w->text;
  w->text = &w->attributes;
  write_type(w, type);
  w->text = text;
  return mica_xla_emit(w, "stablehlo.constant", type, NULL, 0);
}

xla_ref mica_xla_constant(xla_writer *w, mica_type type, const void *values) {
  int64_t count = mica_shape_count(type.shape);
  if (type.dtype == MICA_BOOL) {
    xla_ref bytes = dense_constant(w, xla_shaped(MICA_U8, type.shape), values, (size_t)count);
    xla_ref zero = dense_constant(w, bytes.type, count > 0 ? "" : NULL, count > 0 ? 1 : 0);
    return mica_xla_compare(w, "NE", bytes, zero);
  }
  if (mica_dtype_bits(type.dtype) != 4)
    return dense_constant(w, type, values, (size_t)count * (size_t)mica_dtype_bits(type.dtype) / 8);
  mica_dtype byte = type.dtype == MICA_I4 ? MICA_I8 : MICA_U8;
  char *wide = mica_allocate(&w->module->allocator, (size_t)count);
  if (wide == NULL) {
    mica_xla_fail(w, MICA_OUT_OF_MEMORY, "no memory for a constant");
    return (xla_ref){0, -1, type};
  }
  mica_convert_elements(byte, wide, type.dtype, values, count);
  xla_ref bytes = dense_constant(w, xla_shaped(byte, type.shape), wide, (size_t)count);
  mica_free(&w->module->allocator, wide, (size_t)count);
  return mica_xla_convert(w, bytes, type.dtype);
}

xla_ref mica_xla_number(xla_writer *w, mica_dtype dtype, double number) {
  unsigned char value[16] = {0};
  mica_convert_elements(dtype, value, MICA_F64, &number, 1);
  return mica_xla_constant(w, xla_scalar(dtype), value);
}

xla_ref mica_xla_filled(xla_writer *w, mica_type type, double number) {
  xla_ref one = mica_xla_number(w, type.dtype, number);
  mica_xla_attribute_array(w, "broadcast_dimensions", NULL, 0);
  return mica_xla_emit_1(w, "stablehlo.broadcast_in_dim", type, one);
}

/* The least (or largest) value of an integer dtype, as bytes, little end first. */
static void extreme_integer(mica_dtype dtype, bool largest, unsigned char *value) {
  size_t size = (size_t)mica_dtype_bits(dtype) / 8;
  bool is_signed = mica_dtype_is_signed(dtype);
  memset(value, largest ? 0xFF : 0, size);
  if (is_signed) value[size - 1] = largest ? 0x7F : 0x80;
}

xla_ref mica_xla_neutral(xla_writer *w, mica_dtype dtype, mica_reduce_kind kind) {
  unsigned char value[16] = {0};
  switch (kind) {
    case MICA_REDUCE_SUM:
    case MICA_REDUCE_OR: return mica_xla_number(w, dtype, 0);
    case MICA_REDUCE_PROD: return mica_xla_number(w, dtype, 1);
    case MICA_REDUCE_AND:
      if (dtype == MICA_BOOL) return mica_xla_number(w, dtype, 1);
      memset(value, 0xFF, sizeof(value));
      return mica_xla_constant(w, xla_scalar(dtype), value);
    case MICA_REDUCE_MAX:
    case MICA_REDUCE_MIN: break;
  }
  bool largest = kind == MICA_REDUCE_MIN;
  if (dtype == MICA_BOOL) return mica_xla_number(w, dtype, largest);
  if (mica_dtype_is_float(dtype))
    return mica_xla_number(w, dtype, largest ? (double)INFINITY : -(double)INFINITY);
  extreme_integer(dtype, largest, value);
  return mica_xla_constant(w, xla_scalar(dtype), value);
}

xla_ref mica_xla_iota(xla_writer *w, mica_type type, int64_t axis) {
  mica_xla_attribute_i64(w, "iota_dimension", axis);
  return mica_xla_emit(w, "stablehlo.iota", type, NULL, 0);
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void begin_attribute(xla_writer *w, const char *name) {
  if (w->attributes.size > 0) mica_text_append(&w->attributes, ", ");
  mica_text_format(&w->attributes, "%s = ", name);
}

void mica_xla_attribute_text(xla_writer *w, const char *name, const char *value) {
  begin_attribute(w, name);
  mica_text_append(&w->attributes, value);
}

void mica_xla_attribute_i64(xla_writer *w, const char *name, int64_t number) {
  begin_attribute(w, name);
  mica_text_format(&w->attributes, "%" PRId64 " : i64", number);
}

void mica_xla_attribute_array(xla_writer *w, const char *name, const int64_t *at, int32_t count) {
  begin_attribute(w, name);
  mica_text_append(&w->attributes, "array<i64");
  for (int32_t i = 0; i < count; i++)
    mica_text_format(&w->attributes, "%s %" PRId64, i == 0 ? ":" : ",", at[i]);
  mica_text_append(&w->attributes, ">");
}

void mica_xla_attribute_pairs(xla_writer *w, const char *name, const mica_ints *low,
                              const mica_ints *high) {
  begin_attribute(w, name);
  mica_text_append(&w->attributes, "dense<");
  if (low->count > 0) mica_text_append(&w->attributes, "[");
  for (int32_t i = 0; i < low->count; i++)
    mica_text_format(&w->attributes, "%s[%" PRId64 ", %" PRId64 "]", i == 0 ? "" : ", ", low->at[i],
                     high->at[i]);
  if (low->count > 0) mica_text_append(&w->attributes, "]");
  mica_text_format(&w->attributes, "> : tensor<%" PRId32 "x2xi64>", low->count);
}

void mica_xla_list(xla_writer *w, const char *label, const mica_ints *list, bool first) {
  mica_text_format(&w->attributes, "%s%s = [", first ? "" : ", ", label);
  for (int32_t i = 0; i < list->count; i++)
    mica_text_format(&w->attributes, "%s%" PRId64, i == 0 ? "" : ", ", list->at[i]);
  mica_text_append(&w->attributes, "]");
}

/* ---- regions --------------------------------------------------------------------------------- */

uint32_t mica_xla_operation_begin(xla_writer *w, const char *name, size_t results,
                                  const xla_ref *in, size_t count) {
  uint32_t number = w->next++;
  write_indent(w);
  if (results == 1) mica_text_format(w->text, "%%%" PRIu32 " = ", number);
  if (results > 1) mica_text_format(w->text, "%%%" PRIu32 ":%zu = ", number, results);
  mica_text_format(w->text, "\"%s\"(", name);
  write_refs(w, in, count);
  mica_text_append(w->text, ") (");
  return number;
}

void mica_xla_region_begin(xla_writer *w, bool first) {
  mica_text_append(w->text, first ? "{\n" : ", {\n");
  w->depth++;
}

xla_ref mica_xla_argument(xla_writer *w, mica_type type, bool first) {
  xla_ref out = {w->next++, -1, type};
  if (first) {
    write_indent(w);
    mica_text_append(w->text, "^bb0(");
  } else {
    mica_text_append(w->text, ", ");
  }
  write_ref(w, out);
  mica_text_append(w->text, ": ");
  write_type(w, type);
  return out;
}

void mica_xla_region_ready(xla_writer *w) { mica_text_append(w->text, "):\n"); }

void mica_xla_region_return(xla_writer *w, const xla_ref *in, size_t count) {
  mica_xla_region_return_by(w, "stablehlo.return", in, count);
}

void mica_xla_region_return_by(xla_writer *w, const char *name, const xla_ref *in, size_t count) {
  write_indent(w);
  mica_text_format(w->text, "\"%s\"(", name);
  write_refs(w, in, count);
  mica_text_append(w->text, ") : ");
  write_types_of(w, in, count);
  mica_text_append(w->text, " -> ()\n");
  w->depth--;
  write_indent(w);
  mica_text_append(w->text, "}");
}

void mica_xla_operation_end(xla_writer *w, const xla_ref *in, size_t count, const mica_type *types,
                            size_t results) {
  mica_text_append(w->text, ")");
  write_attributes(w);
  mica_text_append(w->text, " : ");
  write_types_of(w, in, count);
  write_result_types(w, types, results);
}

/* ---- the module ------------------------------------------------------------------------------ */

/* Attributes of an argument: which output takes its memory. */
static void write_parameter(xla_writer *w, size_t index, xla_ref ref) {
  const xla_module *module = w->module;
  if (index > 0) mica_text_append(w->text, ", ");
  write_ref(w, ref);
  mica_text_append(w->text, ": ");
  write_type(w, ref.type);
  if (index >= module->input_count) return;
  bool laid = module->meshes != NULL, taken = module->alias[index] >= 0;
  if (laid || taken) mica_text_append(w->text, " {");
  if (laid) {
    mica_text_append(w->text, "sdy.sharding = #sdy.sharding");
    mica_xla_write_layout(module, &module->meshes->in[index], w->text);
  }
  if (taken)
    mica_text_format(w->text, "%stf.aliasing_output = %" PRId32 " : i32", laid ? ", " : "",
                     module->alias[index]);
  if (laid || taken) mica_text_append(w->text, "}");
}

static void write_head(xla_writer *w) {
  const xla_module *module = w->module;
  mica_text_append(w->text, "module @mica {\n");
  mica_xla_write_meshes(module, w->text);
  mica_text_append(w->text, "  func.func public @main(");
  for (size_t i = 0; i < module->input_count + module->hoisted_count; i++) {
    uint32_t id =
        i < module->input_count ? module->inputs[i] : module->hoisted[i - module->input_count];
    xla_ref ref = {w->next++, -1, mica_xla_boundary_type(mica_xla_type_of(w, id))};
    mica_xla_define(w, id, ref);
    write_parameter(w, i, ref);
  }
  mica_text_append(w->text, ") -> (");
  for (size_t i = 0; i < module->output_count; i++) {
    if (i > 0) mica_text_append(w->text, ", ");
    write_type(w, mica_xla_boundary_type(mica_xla_type_of(w, module->outputs[i])));
    if (module->meshes == NULL) continue;
    mica_text_append(w->text, " {sdy.sharding = #sdy.sharding");
    mica_xla_write_layout(module, &module->meshes->out[i], w->text);
    mica_text_append(w->text, "}");
  }
  mica_text_append(w->text, ") {\n");
  for (size_t i = 0; i < module->input_count + module->hoisted_count; i++) {
    uint32_t id =
        i < module->input_count ? module->inputs[i] : module->hoisted[i - module->input_count];
    mica_xla_define(w, id, mica_xla_convert(w, w->refs[id], mica_xla_type_of(w, id).dtype));
  }
}

static void write_tail(xla_writer *w) {
  const xla_module *module = w->module;
  for (size_t i = 0; i < module->output_count; i++) { /* an output may be named twice */
    xla_ref *ref = &w->refs[module->outputs[i]];
    *ref = mica_xla_convert(w, *ref, mica_xla_boundary_type(ref->type).dtype);
  }
  write_indent(w);
  mica_text_append(w->text, "\"func.return\"(");
  for (size_t i = 0; i < module->output_count; i++) {
    if (i > 0) mica_text_append(w->text, ", ");
    write_ref(w, w->refs[module->outputs[i]]);
  }
  mica_text_append(w->text, ") : (");
  for (size_t i = 0; i < module->output_count; i++) {
    if (i > 0) mica_text_append(w->text, ", ");
    write_type(w, w->refs[module->outputs[i]].type);
  }
  mica_text_append(w->text, ") -> ()\n  }\n}\n");
}

mica_status mica_xla_module_write(const xla_module *module, mica_text *text, mica_error *error) {
  xla_writer w = {.module = module, .graph = module->graph, .text = text, .depth = 1};
  w.error = error;
  w.refs = mica_allocate_zeroed(&module->allocator, module->graph->count, sizeof(xla_ref));
  if (w.refs == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  mica_text_init(&w.attributes, &module->allocator);
  write_head(&w);
  mica_xla_nodes(&w, 0);
  write_tail(&w);
  mica_status status = w.status;
  if (status == MICA_OK && (text->failed || w.attributes.failed))
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  mica_text_deinit(&w.attributes);
  mica_free(&module->allocator, w.refs, module->graph->count * sizeof(xla_ref));
  return status;
}
