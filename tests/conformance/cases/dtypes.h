/* SPDX-License-Identifier: Apache-2.0 */
/* dtypes.h: blocks and host operators on values that they only move, for dtypes.def. */
#ifndef CONFORMANCE_CASES_DTYPES_H
#define CONFORMANCE_CASES_DTYPES_H
#include "mica/custom.h"

/* x [n, n] turned and turned over again, n times. */
static mica_value moved_while(mica_value x) {
  mica_value state[2] = {x, mica_scalar(x.graph, MICA_I32, 0)}, last[2];
  mica_region loop = mica_while_begin(x.graph, state, 2, 4);
  mica_while_body(loop, mica_less(mica_argument(loop, 1), 3));
  mica_value next[2] = {
      mica_reverse(mica_transpose(mica_argument(loop, 0), MICA_ALL), MICA_AXES(0)),
      mica_add(mica_argument(loop, 1), 1)};
  mica_while_end(loop, next, last);
  return last[0];
}

static mica_value moved_switch(mica_value index, mica_value x, mica_value y) {
  mica_region choice = mica_switch_begin(index);
  mica_value r = mica_transpose(x, MICA_ALL), out;
  mica_switch_next(choice, &r, 1);
  r = mica_reverse(y, MICA_AXES(1));
  mica_switch_end(choice, &r, 1, &out);
  return out;
}

/* Carries the row before the last one; emits each row turned over. */
static void moved_scan(mica_value x, mica_value *out) {
  mica_value carry = mica_index_axis(x, mica_scalar(x.graph, MICA_I32, 0), 0);
  mica_region scan = mica_scan_begin(&carry, 1, &x, 1);
  mica_value next = mica_argument(scan, 1),
             emit = mica_reverse(mica_argument(scan, 0), MICA_AXES(0));
  mica_scan_end(scan, &next, &emit, 1, &out[0], &out[1]);
}

static mica_value moved_call(mica_value x) {
  mica_region call = mica_call_begin(x.graph, &x, 1);
  mica_value r = mica_reverse(mica_argument(call, 0), MICA_AXES(1)), out;
  mica_call_end(call, &r, 1, &out);
  return out;
}

static mica_value moved_recompute(mica_value x) {
  mica_region block = mica_recompute_begin(x.graph, &x, 1);
  mica_value r = mica_transpose(mica_argument(block, 0), MICA_ALL), out;
  mica_recompute_end(block, &r, 1, &out);
  return out;
}

static mica_value moved_custom_gradient(mica_value x) {
  mica_region block = mica_custom_gradient_begin(x.graph, &x, 1);
  mica_value y = mica_reverse(mica_argument(block, 0), MICA_AXES(0)), out;
  mica_custom_gradient_backward(block, &y, 1);
  y = mica_argument(block, 1);
  mica_custom_gradient_end(block, &y, &out, 1);
  return out;
}

/* The host's copy of its operand. */
static mica_status copy_infer(void *user, const mica_type *in, size_t in_count, const char *config,
                              mica_type *out, size_t out_count, mica_error *error) {
  (void)user, (void)config, (void)error;
  if (in_count != 1 || out_count != 1) return MICA_INVALID;
  out[0] = in[0];
  return MICA_OK;
}
static mica_status copy_run(void *user, const mica_custom_call *call, mica_error *error) {
  (void)user, (void)error;
  int64_t bits =
      mica_shape_count(call->in_types[0].shape) * mica_dtype_bits(call->in_types[0].dtype);
  memcpy(call->out[0], call->in[0], (size_t)(bits + 7) / 8);
  return MICA_OK;
}
static mica_value host_copy(mica_value x, bool effect) {
  mica_custom_operator *custom =
      mica_custom_create(&(mica_custom_options){.struct_size = sizeof(mica_custom_options),
                                                .name = "copy",
                                                .infer = copy_infer,
                                                .run = copy_run,
                                                .effect = effect},
                         NULL);
  mica_value out = {0};
  mica_custom(custom, &x, 1, NULL, &out, 1);
  mica_custom_release(custom);
  return out;
}

#endif
