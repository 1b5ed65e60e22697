/* SPDX-License-Identifier: Apache-2.0 */
/* shared.c: what all programs share: three variables, and operators of the host's: the pair, once batched, once not,
 * once with an effect that is counted. */
#include <stdatomic.h>

#include "pair.h"
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

static _Atomic int64_t effects;
int64_t random_effect_count(void) { return atomic_load(&effects); }

static mica_status run_counted(void *user, const mica_custom_call *call, mica_error *error) {
  atomic_fetch_add(&effects, 1);
  return pair_run(user, call, error);
}

static mica_custom_operator *customs[SHARED_CUSTOMS];
mica_custom_operator *random_custom(size_t i) {
  static const char *const names[SHARED_CUSTOMS] = {"pair_batched", "pair_alone", "pair_effect"};
  bool effect = i == 2;
  if (!customs[i])
    customs[i] =
        mica_custom_create(&(mica_custom_options){.struct_size = sizeof(mica_custom_options),
                                                  .name = names[i],
                                                  .infer = pair_infer,
                                                  .run = effect ? run_counted : pair_run,
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
