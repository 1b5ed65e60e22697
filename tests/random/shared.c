/* SPDX-License-Identifier: Apache-2.0 */
/* shared.c: what all programs share: three variables, and operators of the host's: y = x^2 w and z = x + 2 w
 * (config "three": 3 w), once batched, once not, once with an effect that is counted. */
#include <stdatomic.h>
#include <stdio.h>

#include "random/generator.h"

static mica_variable *variables[SHARED_VARIABLES];
mica_variable *random_variable(size_t i) {
  static const mica_dtype dtypes[SHARED_VARIABLES] = {MICA_F64, MICA_F32, MICA_I32};
  static const char *const names[SHARED_VARIABLES] = {"weights", "single", "whole"};
  if (!variables[i]) {
    static const double values[6] = {1.5, -0.75, 2, -3, 0.5, 1};
    mica_tensor *start = mica_tensor_from_doubles(dtypes[i], MICA_DIMS(2, 3), values);
    variables[i] = mica_variable_create(names[i], start);
    mica_tensor_release(start);
  }
  return variables[i];
}

static mica_status infer_pair(void *user, const mica_type *in, size_t in_count, const char *config,
                              mica_type *out, size_t out_count, mica_error *error) {
  (void)user, (void)config;
  if (in_count != 2 || out_count != 2 || !mica_type_equal(in[0], in[1]))
    return mica_error_set(error, MICA_INVALID, "expected two operands of one type");
  out[0] = out[1] = in[0];
  return MICA_OK;
}

static _Atomic int64_t effects;
int64_t random_effect_count(void) { return atomic_load(&effects); }

static mica_status run_pair(void *user, const mica_custom_call *call, mica_error *error) {
  (void)error;
  int64_t count = mica_shape_count(call->in_types[0].shape);
  double factor = *call->config == 't' ? 3 : 2;
  if (user) atomic_fetch_add(&effects, 1);
  for (int64_t i = 0; i < count; i++) {
    if (call->in_types[0].dtype == MICA_F64) {
      const double *x = call->in[0], *w = call->in[1];
      double *y = call->out[0], *z = call->out[1];
      y[i] = x[i] * x[i] * w[i], z[i] = x[i] + factor * w[i];
    } else {
      const float *x = call->in[0], *w = call->in[1];
      float *y = call->out[0], *z = call->out[1];
      y[i] = x[i] * x[i] * w[i], z[i] = x[i] + (float)factor * w[i];
    }
  }
  return MICA_OK;
}

static void pair_gradient(void *user, const char *config, const mica_value *in, size_t in_count,
                          const mica_value *out, const mica_value *cotangent, size_t out_count,
                          mica_value *in_cotangent) {
  (void)user, (void)in_count, (void)out, (void)out_count;
  mica_value x = in[0], w = in[1], dy = cotangent[0], dz = cotangent[1];
  in_cotangent[0] = mica_add(mica_mul(mica_mul(mica_mul(x, 2), w), dy), dz);
  in_cotangent[1] =
      mica_add(mica_mul(mica_square(x), dy), mica_mul(dz, *config == 't' ? 3.0 : 2.0));
}
static void pair_tangent(void *user, const char *config, const mica_value *in,
                         const mica_value *in_tangent, size_t in_count, const mica_value *out,
                         size_t out_count, mica_value *out_tangent) {
  (void)user, (void)in_count, (void)out, (void)out_count;
  mica_value x = in[0], w = in[1], dx = in_tangent[0], dw = in_tangent[1];
  out_tangent[0] =
      mica_add(mica_mul(mica_mul(mica_mul(x, 2), w), dx), mica_mul(mica_square(x), dw));
  out_tangent[1] = mica_add(dx, mica_mul(dw, *config == 't' ? 3.0 : 2.0));
}

static mica_custom_operator *customs[SHARED_CUSTOMS];
mica_custom_operator *random_custom(size_t i) {
  static const char *const names[SHARED_CUSTOMS] = {"pair_batched", "pair_alone", "pair_effect"};
  bool effect = i == 2;
  if (!customs[i])
    customs[i] =
        mica_custom_create(&(mica_custom_options){.struct_size = sizeof(mica_custom_options),
                                                  .name = names[i],
                                                  .user = effect ? &effects : NULL,
                                                  .infer = infer_pair,
                                                  .run = run_pair,
                                                  .gradient = effect ? NULL : pair_gradient,
                                                  .tangent = effect ? NULL : pair_tangent,
                                                  .batched = i == 0,
                                                  .effect = effect},
                           NULL);
  return customs[i];
}

void random_release_shared(void) {
  for (size_t i = 0; i < SHARED_VARIABLES; i++)
    mica_variable_release(variables[i]), variables[i] = NULL;
  for (size_t i = 0; i < SHARED_CUSTOMS; i++) mica_custom_release(customs[i]), customs[i] = NULL;
}
