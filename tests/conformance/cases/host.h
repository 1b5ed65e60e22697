/* SPDX-License-Identifier: Apache-2.0 */
/* host.h: custom operators for the table: the pair over rows, w shared by the rows. */
#include "pair.h"

static void host_operator(const mica_value *in, const char *config, bool batched, bool effect,
                          mica_value *out) {
  mica_custom_operator *custom =
      mica_custom_create(&(mica_custom_options){.struct_size = sizeof(mica_custom_options),
                                                .name = "square_times",
                                                .infer = pair_infer,
                                                .run = pair_run,
                                                .gradient = effect ? NULL : pair_gradient,
                                                .tangent = effect ? NULL : pair_tangent,
                                                .batched = batched,
                                                .effect = effect},
                         NULL);
  mica_custom(custom, in, 2, config, out, 2);
  mica_custom_release(custom); /* the graph keeps it */
}
