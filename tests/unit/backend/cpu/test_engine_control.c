/* SPDX-License-Identifier: Apache-2.0 */
/* test_engine_control.c: loops, branches, carries in place, donated inputs. */
#include "unit/backend/cpu/engine.h"

/* ---- while ------------------------------------------------------------------------------------ */

static void build_while(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value zero = mica_scalar(graph, MICA_I32, 0);
  mica_value state[4] = {zero, in[0], in[1], in[0]};
  mica_region loop = mica_while_begin(graph, state, 4, 100);
  mica_while_body(loop, mica_less(mica_argument(loop, 0), 5));
  mica_value x = mica_argument(loop, 1), y = mica_argument(loop, 2);
  /* x and y change places, the fourth stays as it is, and the loop reads something of outside. */
  mica_value next[4] = {mica_add(mica_argument(loop, 0), 1), y, mica_add(mica_mul(x, 0.5), in[1]),
                        mica_argument(loop, 3)};
  mica_while_end(loop, next, out);
  out[4] = mica_add(in[0], out[1]);
}
TEST(while_swaps_carries) {
  engine_case test = {.in = {ENGINE_F32(3, 5), ENGINE_F32(3, 5)}, .in_count = 2, .out_count = 5};
  engine_check("while", &test, build_while);
}

static void build_bounded(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value state[1] = {in[0]};
  mica_region loop = mica_while_begin(graph, state, 1, 3);
  mica_while_body(loop, mica_less(mica_reduce_sum(mica_argument(loop, 0), MICA_ALL), 1e9));
  mica_while_end(loop, (mica_value[]){mica_add(mica_argument(loop, 0), 1)}, out);
}
TEST(while_is_bounded) {
  engine_case test = {.in = {ENGINE_F32(4)}, .in_count = 1, .out_count = 1};
  engine_check("bounded while", &test, build_bounded);
}

static void build_permuted(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value zero = mica_scalar(graph, MICA_I32, 0);
  mica_value state[4] = {zero, in[0], in[1], in[2]};
  mica_region loop = mica_while_begin(graph, state, 4, 0);
  mica_while_body(loop, mica_less(mica_argument(loop, 0), 7));
  mica_value a = mica_argument(loop, 1), b = mica_argument(loop, 2), c = mica_argument(loop, 3);
  mica_value next[4] = {mica_add(mica_argument(loop, 0), 1), mica_transpose(b, MICA_ALL), c, a};
  mica_while_end(loop, next, out);
}
TEST(while_permutes_views) {
  engine_case test = {
      .in = {ENGINE_F32(4, 4), ENGINE_F32(4, 4), ENGINE_F32(4, 4)}, .in_count = 3, .out_count = 4};
  engine_check("permuted while", &test, build_permuted);
}

static void build_nested(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value zero = mica_scalar(graph, MICA_I32, 0);
  mica_region outer = mica_while_begin(graph, (mica_value[]){zero, in[0]}, 2, 0);
  mica_while_body(outer, mica_less(mica_argument(outer, 0), 3));
  mica_value i = mica_argument(outer, 0), x = mica_argument(outer, 1);
  mica_region inner = mica_while_begin(graph, (mica_value[]){zero, x}, 2, 0);
  mica_while_body(inner, mica_less_equal(mica_argument(inner, 0), i));
  mica_value y = mica_argument(inner, 1);
  mica_value result[2];
  mica_while_end(inner,
                 (mica_value[]){mica_add(mica_argument(inner, 0), 1),
                                mica_tanh(mica_add(mica_mul(y, 0.7), in[1]))},
                 result);
  mica_while_end(outer, (mica_value[]){mica_add(i, 1), mica_add(result[1], mica_mul(x, 0.25))},
                 out);
}
TEST(while_in_while) {
  engine_case test = {.in = {ENGINE_F32(17), ENGINE_F32(17)}, .in_count = 2, .out_count = 2};
  engine_check("nested while", &test, build_nested);
}

/* ---- scan ------------------------------------------------------------------------------------- */

static void build_scan(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_region loop = mica_scan_begin(&in[0], 1, &in[1], 1);
  mica_value h = mica_argument(loop, 0), x = mica_argument(loop, 1);
  mica_value next = mica_tanh(mica_add(mica_matmul(h, in[2]), x));
  mica_value emit[2] = {next, mica_reduce_sum(x, MICA_ALL)};
  mica_scan_end(loop, &next, emit, 2, &out[0], &out[1]);
  mica_value loss =
      mica_add(mica_reduce_sum(out[0], MICA_ALL), mica_reduce_sum(mica_square(out[1]), MICA_ALL));
  mica_gradients(loss, in, 3, &out[3]);
}
TEST(scan_and_its_gradient) {
  engine_case test = {.in = {ENGINE_F32(3, 8), ENGINE_F32(6, 3, 8), ENGINE_F32(8, 8)},
                      .in_count = 3,
                      .out_count = 6,
                      .low = -0.5,
                      .high = 0.5,
                      .tolerance = 1e-4};
  engine_check("scan", &test, build_scan);
}

static void build_reverse_scan(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value items = mica_transpose(in[1], MICA_AXES(1, 0)); /* read where they lie */
  mica_region loop = mica_scan_begin_count(graph, &in[0], 1, &items, 1, 6, true);
  mica_value next = mica_add(mica_mul(mica_argument(loop, 0), 0.5), mica_argument(loop, 1));
  mica_scan_end(loop, &next, (mica_value[]){mica_argument(loop, 0)}, 1, &out[0], &out[1]);
}
TEST(scan_backwards) {
  engine_case test = {.in = {ENGINE_F32(5), ENGINE_F32(5, 6)}, .in_count = 2, .out_count = 2};
  engine_check("reverse scan", &test, build_reverse_scan);
}

static void build_updates(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value zero = mica_scalar(graph, MICA_I32, 0);
  mica_value carry[2] = {in[0], zero};
  mica_region loop = mica_scan_begin_count(graph, carry, 2, NULL, 0, 4, false);
  mica_value cache = mica_argument(loop, 0), t = mica_argument(loop, 1);
  mica_value row = mica_mul(mica_index_axis(cache, t, 0), 2);
  mica_value next[2] = {mica_update_axis(cache, mica_add(row, 1), t, 0), mica_add(t, 1)};
  mica_scan_end(loop, next, &row, 1, out, &out[2]);
}
TEST(scan_updates_in_place) {
  engine_case test = {.in = {ENGINE_F32(6, 9)}, .in_count = 1, .out_count = 3};
  engine_check("updates", &test, build_updates);
  test.donate = 1;
  engine_check("updates of a donated input", &test, build_updates);
}

/* ---- switch ----------------------------------------------------------------------------------- */

static void build_switch(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_region choice = mica_switch_begin(in[0]);
  mica_switch_next(choice, (mica_value[]){mica_add(in[1], 1), in[1]}, 2);
  mica_value y = mica_transpose(mica_exp(in[1]), MICA_ALL);
  mica_switch_next(choice, (mica_value[]){y, mica_transpose(y, MICA_ALL)}, 2);
  mica_switch_end(choice, (mica_value[]){mica_reverse(in[1], MICA_AXES(0)), mica_zeros_like(in[1])},
                  2, out);
  mica_region condition = mica_if_begin(mica_greater(mica_reduce_sum(out[0], MICA_ALL), 0));
  mica_if_else(condition, &out[0], 1);
  mica_if_end(condition, (mica_value[]){mica_neg(out[0])}, 1, &out[2]);
}
TEST(switches) {
  engine_case test = {
      .in = {ENGINE_SCALAR(MICA_I32), ENGINE_F32(5, 5)}, .in_count = 2, .out_count = 3};
  for (int i = 0; i < 12; i++) engine_check("switch", &test, build_switch);
}

/* ---- donation --------------------------------------------------------------------------------- */

static void build_donated(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_sub(in[0], mica_mul(in[1], 0.1));
  out[1] = in[0]; /* wants the old value */
  out[2] = mica_transpose(in[1], MICA_ALL);
  out[3] = mica_matmul(in[0], in[1]);
}
TEST(donated_inputs) {
  engine_case test = {
      .in = {ENGINE_F32(9, 9), ENGINE_F32(9, 9)}, .in_count = 2, .out_count = 4, .donate = 3};
  engine_check("donated", &test, build_donated);
}

static void build_swapped(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = in[1];
  out[1] = in[0];
}
TEST(outputs_over_donated_inputs) {
  /* Both ways of laying two outputs over two donated inputs. */
  engine_case test = {
      .in = {ENGINE_F32(33), ENGINE_F32(33)}, .in_count = 2, .out_count = 2, .donate = 3};
  for (int way = 0; way < 2; way++) {
    mica_device *device = engine_device(&mica_backend_cpu, 2);
    mica_executable *executable = engine_compile(device, &test, build_swapped);
    mica_tensor *in[2], *out[2];
    float values[2][33];
    for (int i = 0; i < 2; i++) {
      in[i] = engine_tensor(test.in[i], &test);
      memcpy(values[i], mica_tensor_data(in[i]), sizeof(values[i]));
    }
    for (int i = 0; i < 2; i++) out[i] = in[way == 0 ? i : 1 - i];
    mica_error error = {0};
    CHECK_OK_ERROR(mica_executable_run(executable, in, 2, out, 2, &error), &error);
    for (int i = 0; i < 2; i++)
      CHECK_EQ_BYTES(mica_tensor_data(out[i]), values[1 - i], sizeof(values[i]));
    for (int i = 0; i < 2; i++) mica_tensor_release(in[i]);
    mica_executable_release(executable);
    mica_device_release(device);
  }
}

TEST_MAIN(TEST_CASE(while_swaps_carries), TEST_CASE(while_is_bounded),
          TEST_CASE(while_permutes_views), TEST_CASE(while_in_while),
          TEST_CASE(scan_and_its_gradient), TEST_CASE(scan_backwards),
          TEST_CASE(scan_updates_in_place), TEST_CASE(switches), TEST_CASE(donated_inputs),
          TEST_CASE(outputs_over_donated_inputs))
