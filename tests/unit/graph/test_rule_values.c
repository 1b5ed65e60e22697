/* SPDX-License-Identifier: Apache-2.0 */
/* Values of what random programs found in rules: bits drawn in blocks that examples share, scales of halves in
 * vmap, gradients by both ends of what has none. */
#include <string.h>

#include "check.h"
#include "mica/custom.h"
#include "mica/mica.h"

static void run(mica_graph *graph, mica_tensor *const *in, size_t in_count, mica_tensor **out,
                size_t out_count) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = "reference"},
      &error);
  mica_executable *executable = NULL;
  if (CHECK_OK_ERROR(mica_compile(device, graph, 0, &executable, &error), &error))
    CHECK_OK_ERROR(mica_executable_run(executable, in, in_count, out, out_count, &error), &error);
  mica_executable_release(executable);
  mica_device_release(device);
}

TEST(bits_differ_between_examples_in_shared_blocks) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value key = mica_random_key(graph, 7), index = mica_scalar(graph, MICA_I32, 0),
             x = mica_zeros(graph, (mica_type){MICA_F32, MICA_DIMS(3)}), out[4];
  mica_region each = mica_vmap_begin(graph, &x, NULL, 1);
  mica_value plain = mica_random_bits(key, MICA_DIMS(2)), same, result;
  mica_region choice = mica_switch_begin(index);
  result = mica_random_bits(key, MICA_DIMS(2));
  mica_switch_end(choice, &result, 1, &same);
  mica_region call = mica_call_begin(graph, NULL, 0);
  result = mica_random_bits(key, MICA_DIMS(2));
  mica_value called;
  mica_call_end(call, &result, 1, &called);
  mica_region scan = mica_scan_begin_count(graph, NULL, 0, NULL, 0, 1, false);
  result = mica_random_bits(key, MICA_DIMS(2));
  mica_value scanned;
  mica_scan_end(scan, NULL, &result, 1, NULL, &scanned);
  mica_vmap_end(each, (mica_value[]){plain, same, called, mica_reshape(scanned, MICA_DIMS(2))}, 4,
                out);
  mica_graph_set_outputs(graph, out, 4);
  mica_tensor *got[4] = {NULL};
  run(graph, NULL, 0, got, 4);
  for (int i = 1; i < 4 && got[0]; i++) CHECK(mica_tensor_equal(got[i], got[0]));
  const uint32_t *words = got[0] ? mica_tensor_data(got[0]) : NULL;
  CHECK(words && memcmp(words, words + 2, 8) && memcmp(words, words + 4, 8));
  for (int i = 0; i < 4; i++) mica_tensor_release(got[i]);
  mica_graph_destroy(graph);
}

TEST(layer_norm_of_halves_rounds_once_in_vmap) {
  enum { EXAMPLES = 5, LENGTH = 6 };
  mica_graph *graph = mica_graph_create(NULL);
  mica_type type = {MICA_BF16, MICA_DIMS(EXAMPLES, LENGTH)};
  mica_value in[3], example[3], out[2], rows[EXAMPLES];
  double values[3][EXAMPLES * LENGTH];
  mica_tensor *tensor[3], *got[2] = {NULL};
  for (int i = 0; i < 3; i++) {
    in[i] = mica_parameter(graph, type);
    for (int k = 0; k < EXAMPLES * LENGTH; k++) values[i][k] = (k * 37 + i * 11) % 23 / 7.0 - 1.5;
    tensor[i] = mica_tensor_from_doubles(MICA_BF16, type.shape, values[i]);
  }
  mica_region each = mica_vmap_begin(graph, in, NULL, 3);
  for (size_t i = 0; i < 3; i++) example[i] = mica_argument(each, i);
  mica_value y = mica_layer_norm(example[0], example[1], example[2], 0.01);
  mica_vmap_end(each, &y, 1, &out[0]);
  for (int64_t e = 0; e < EXAMPLES; e++) {
    for (size_t i = 0; i < 3; i++)
      example[i] = mica_reshape(mica_slice_axis(in[i], 0, e, e + 1, 1), MICA_DIMS(LENGTH));
    rows[e] = mica_layer_norm(example[0], example[1], example[2], 0.01);
  }
  out[1] = mica_stack(rows, EXAMPLES, 0);
  mica_graph_set_outputs(graph, out, 2);
  run(graph, tensor, 3, got, 2);
  CHECK(got[0] && mica_tensor_equal(got[0], got[1]));
  for (int i = 0; i < 3; i++) mica_tensor_release(tensor[i]);
  mica_tensor_release(got[0]), mica_tensor_release(got[1]);
  mica_graph_destroy(graph);
}

static mica_status infer_same(void *user, const mica_type *in, size_t in_count, const char *config,
                              mica_type *out, size_t out_count, mica_error *error) {
  (void)user, (void)in_count, (void)config, (void)out_count, (void)error;
  out[0] = in[0];
  return MICA_OK;
}
static mica_status run_same(void *user, const mica_custom_call *call, mica_error *error) {
  (void)user, (void)error;
  memcpy(call->out[0], call->in[0], 3 * sizeof(double));
  return MICA_OK;
}
TEST(gradient_by_both_ends_of_an_effect) {
  mica_custom_operator *custom =
      mica_custom_create(&(mica_custom_options){.struct_size = sizeof(mica_custom_options),
                                                .name = "same",
                                                .infer = infer_same,
                                                .run = run_same,
                                                .effect = true},
                         NULL);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x[2] = {mica_parameter(graph, (mica_type){MICA_F64, MICA_DIMS(3)})}, out[2];
  mica_custom(custom, x, 1, NULL, &x[1], 1);
  mica_value loss = mica_reduce_sum(mica_add(mica_mul(x[1], 5), mica_mul(x[0], 2)), MICA_ALL);
  mica_gradients(loss, x, 2, out);
  mica_graph_set_outputs(graph, out, 2);
  mica_tensor *in = mica_tensor_from_doubles(MICA_F64, MICA_DIMS(3), (double[]){1, 2, 3}),
              *got[2] = {NULL};
  run(graph, &in, 1, got, 2);
  for (int i = 0; i < 2 && CHECK(got[i]); i++)
    CHECK(((const double *)mica_tensor_data(got[i]))[1] == (i ? 5 : 2));
  mica_tensor_release(in);
  mica_tensor_release(got[0]), mica_tensor_release(got[1]);
  mica_graph_destroy(graph);
  mica_custom_release(custom);
}

/* Counts how often each element is read. */
TEST(cotangents_of_f8_are_summed) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(3)}), out;
  mica_value narrow = mica_convert(x, MICA_F8E5M2), zero = mica_scalar(graph, MICA_F8E5M2, 0);
  mica_value index = mica_convert(
      mica_rem(mica_add(mica_iota(graph, (mica_type){MICA_I32, MICA_DIMS(3)}, 0), 1), 2), MICA_I32);
  mica_value read[4] = {mica_broadcast_to(narrow, MICA_DIMS(4, 3)), mica_take(narrow, index, 0),
                        mica_pad(narrow, zero, (int64_t[]){1}, (int64_t[]){0}, (int64_t[]){0}),
                        mica_reverse(narrow, MICA_AXES(0))};
  mica_value loss = mica_scalar(graph, MICA_F32, 0);
  for (int i = 0; i < 4; i++)
    loss = mica_add(loss, mica_reduce_sum(mica_convert(read[i], MICA_F32), MICA_ALL));
  mica_gradients(loss, &x, 1, &out);
  mica_graph_set_outputs(graph, &out, 1);
  mica_tensor *in = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(3), (double[]){1, 3, 2}),
              *got = NULL;
  run(graph, &in, 1, &got, 1);
  const float *found = got ? mica_tensor_data(got) : NULL;
  CHECK(found && found[0] == 7 && found[1] == 8 && found[2] == 6);
  mica_tensor_release(in), mica_tensor_release(got);
  mica_graph_destroy(graph);
}

TEST_MAIN(TEST_CASE(cotangents_of_f8_are_summed),
          TEST_CASE(bits_differ_between_examples_in_shared_blocks),
          TEST_CASE(layer_norm_of_halves_rounds_once_in_vmap),
          TEST_CASE(gradient_by_both_ends_of_an_effect))
