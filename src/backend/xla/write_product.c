/* SPDX-License-Identifier: Apache-2.0 */
/* write_product.c: dot_general, convolution, Fourier transforms.
 *
 * Narrow floats are multiplied with an f32 result that is rounded once, as everywhere in Mica; f8 and
 * 4-bit operands are widened first, and the other operand with them, since accelerators round a mixed pair to
 * the narrower one. Precision HIGHEST keeps an accelerator from rounding f32 operands
 * (TF32), where the device was opened with `exact`. */
#include "backend/xla/writer_internal.h"

#include <inttypes.h>
#include <stdio.h>

/* The dtype of products and sums. */
static mica_dtype product_dtype(mica_dtype dtype) {
  switch (dtype) {
    case MICA_BF16:
    case MICA_F16:
    case MICA_F8E4M3FN:
    case MICA_F8E5M2: return MICA_F32;
    case MICA_I4: return MICA_I32;
    case MICA_U4: return MICA_U32;
    default: return dtype;
  }
}

/* Whether products take the dtype as it is. */
static bool is_factor(mica_dtype dtype) {
  return mica_dtype_bits(dtype) != 4 && dtype != MICA_F8E4M3FN && dtype != MICA_F8E5M2;
}

static void precision_attribute(xla_writer *w) {
  if (w->module->exact)
    mica_xla_attribute_text(w, "precision_config",
                            "[#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]");
}

/* Operands that a wider result is made of: integers are widened, since they would wrap before. */
static void factors(xla_writer *w, uint32_t id, mica_dtype result, xla_ref in[2]) {
  bool keep = true;
  for (uint32_t i = 0; i < 2; i++) {
    in[i] = mica_xla_operand(w, id, i);
    mica_dtype dtype = in[i].type.dtype;
    keep = keep && is_factor(dtype) && (mica_dtype_is_float(dtype) || dtype == result);
  }
  for (uint32_t i = 0; i < 2 && !keep; i++) in[i] = mica_xla_convert(w, in[i], result);
}

static void emit_dot(xla_writer *w, uint32_t id) {
  const mica_dot_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_type type = mica_xla_type_of(w, id);
  mica_dtype dtype = product_dtype(type.dtype);
  xla_ref in[2];
  factors(w, id, dtype, in);
  mica_xla_attribute_text(w, "dot_dimension_numbers", "#stablehlo.dot<");
  mica_xla_list(w, "lhs_batching_dimensions", &attr->lhs_batch, true);
  mica_xla_list(w, "rhs_batching_dimensions", &attr->rhs_batch, false);
  mica_xla_list(w, "lhs_contracting_dimensions", &attr->lhs_contract, false);
  mica_xla_list(w, "rhs_contracting_dimensions", &attr->rhs_contract, false);
  mica_text_append(&w->attributes, ">");
  precision_attribute(w);
  xla_ref out = mica_xla_emit(w, "stablehlo.dot_general", xla_shaped(dtype, type.shape), in, 2);
  mica_xla_define(w, id, mica_xla_convert(w, out, type.dtype));
}

static xla_ref convolve(xla_writer *w, uint32_t id, mica_dtype dtype, const xla_ref in[2]) {
  const mica_convolution_attr *attr = mica_node_at(w->graph, id)->attr;
  char spatial[64] = "";
  for (int32_t i = 0; i < attr->stride.count; i++)
    snprintf(spatial + 3 * i, sizeof(spatial) - 3 * (size_t)i, "%d, ", (int)(i % 10));
  mica_xla_attribute_text(w, "dimension_numbers", "#stablehlo.conv<");
  mica_text_format(&w->attributes, "[b, %sf]x[%si, o]->[b, %sf]>", spatial, spatial, spatial);
  mica_xla_attribute_array(w, "window_strides", attr->stride.at, attr->stride.count);
  mica_xla_attribute_pairs(w, "padding", &attr->low, &attr->high);
  mica_xla_attribute_array(w, "lhs_dilation", attr->base_dilation.at, attr->base_dilation.count);
  mica_xla_attribute_array(w, "rhs_dilation", attr->window_dilation.at,
                           attr->window_dilation.count);
  mica_xla_attribute_i64(w, "feature_group_count", attr->groups);
  mica_xla_attribute_i64(w, "batch_group_count", attr->batch_groups);
  precision_attribute(w);
  return mica_xla_emit(w, "stablehlo.convolution", xla_shaped(dtype, mica_xla_type_of(w, id).shape),
                       in, 2);
}

/* (a + bi)(c + di) by four real ones. */
static xla_ref convolve_complex(xla_writer *w, uint32_t id, const xla_ref in[2]) {
  mica_type type = mica_xla_type_of(w, id);
  mica_dtype part = type.dtype == MICA_C64 ? MICA_F32 : MICA_F64;
  mica_type half = xla_shaped(part, type.shape);
  xla_ref re[2], im[2];
  for (int i = 0; i < 2; i++) {
    mica_type of = xla_shaped(part, in[i].type.shape);
    re[i] = mica_xla_emit_1(w, "stablehlo.real", of, in[i]);
    im[i] = mica_xla_emit_1(w, "stablehlo.imag", of, in[i]);
  }
  xla_ref product[4];
  for (int i = 0; i < 4; i++)
    product[i] = convolve(w, id, part, (xla_ref[]){i & 1 ? im[0] : re[0], i & 2 ? im[1] : re[1]});
  xla_ref real = mica_xla_emit_2(w, "stablehlo.subtract", half, product[0], product[3]);
  xla_ref imaginary = mica_xla_emit_2(w, "stablehlo.add", half, product[1], product[2]);
  return mica_xla_emit_2(w, "stablehlo.complex", type, real, imaginary);
}

static void emit_convolution(xla_writer *w, uint32_t id) {
  mica_type type = mica_xla_type_of(w, id);
  mica_dtype dtype = product_dtype(type.dtype);
  bool whole = mica_dtype_is_integer(type.dtype) && w->module->float_convolutions;
  if (whole) dtype = MICA_F64; /* exact below 2^53 */
  xla_ref in[2];
  factors(w, id, dtype, in);
  bool parts = mica_dtype_is_complex(dtype) && w->module->float_convolutions;
  xla_ref out = parts ? convolve_complex(w, id, in) : convolve(w, id, dtype, in);
  if (whole) out = mica_xla_convert(w, out, MICA_I64); /* then narrower ones wrap */
  mica_xla_define(w, id, mica_xla_convert(w, out, type.dtype));
}

/* StableHLO's inverse transforms divide by the lengths; the attribute's scale is of the plain sum. */
static void emit_fft(xla_writer *w, uint32_t id) {
  static const char *const kinds[] = {"FFT", "IFFT", "RFFT", "IRFFT"};
  const mica_fft_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_type type = mica_xla_type_of(w, id);
  char value[48];
  snprintf(value, sizeof(value), "#stablehlo<fft_type %s>", kinds[attr->kind]);
  mica_xla_attribute_text(w, "fft_type", value);
  mica_xla_attribute_array(w, "fft_length", attr->lengths.at, attr->lengths.count);
  xla_ref out = mica_xla_emit_1(w, "stablehlo.fft", type, mica_xla_operand(w, id, 0));
  double scale = attr->scale;
  if (attr->kind == MICA_FFT_IFFT || attr->kind == MICA_FFT_IRFFT)
    for (int32_t i = 0; i < attr->lengths.count; i++) scale *= (double)attr->lengths.at[i];
  if (scale != 1) {
    xla_ref factor = mica_xla_filled(w, type, scale);
    out = mica_xla_emit_2(w, "stablehlo.multiply", type, out, factor);
  }
  mica_xla_define(w, id, out);
}

xla_emitter_table mica_xla_product_emitters = {
    [MICA_OP_DOT_GENERAL] = emit_dot,
    [MICA_OP_CONVOLUTION] = emit_convolution,
    [MICA_OP_FFT] = emit_fft,
};
