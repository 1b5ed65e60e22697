/* SPDX-License-Identifier: Apache-2.0 */
/* Manual regions beside JAX's shard_map (tests/golden/shard_map.npz, made by tests/golden/shard_map.py): exchanges,
 * layers cut over devices, gathered weights and a ring, with gradients taken outside; on `reference`, on `cpu`, and on four
 * devices of an XLA plugin where there is one. */
#include <string.h>

#include "mica/mesh.h"
#include "unit/backend/golden.h"

static mica_region region_of(mica_graph *g, const mica_value *in, const char *const *shardings,
                             size_t count) {
  mica_mesh *mesh = mica_mesh_create("a=2, b=2", NULL);
  mica_region region = mica_manual_begin(g, mesh, in, shardings, count);
  mica_mesh_release(mesh);
  return region;
}

static void exchanges(mica_graph *g, const mica_value *in, mica_value *out) {
  static const char *const lie[] = {"a, -", "-, b", "", "b, a, -", "a, b", "a+b, -"};
  mica_region region = region_of(g, in, (const char *const[]){"a, b"}, 1);
  mica_value x = mica_argument(region, 0);
  mica_value made[6] = {
      mica_all_reduce_sum(x, "b"),    mica_all_reduce_mean(x, "a"),
      mica_all_reduce_max(x, NULL),   mica_reshape(mica_all_gather(x, "b", 1), MICA_DIMS(1, 4, 4)),
      mica_reduce_scatter(x, "a", 0), mica_all_to_all(x, "b", 0, 1)};
  mica_manual_end(region, made, lie, 6, out);
}

static void moves(mica_graph *g, const mica_value *in, mica_value *out) {
  static const char *const lie[] = {"a, b", "a, b", "a, b"};
  mica_region region = region_of(g, in, lie, 1);
  mica_value x = mica_argument(region, 0);
  mica_value number = mica_convert(mica_axis_index(g, NULL), MICA_F64);
  mica_value made[3] = {
      mica_collective_permute(x, "b", (const int64_t[][2]){{0, 1}}, 1),
      mica_mul(mica_collective_shift(x, "a", 1), mica_add(number, 1)),
      mica_collective_permute(x, "a+b", (const int64_t[][2]){{0, 3}, {3, 1}, {1, 0}}, 3)};
  mica_manual_end(region, made, lie, 3, out);
}

static void tensor_parallel(mica_graph *g, const mica_value *in, mica_value *out) {
  mica_region region = region_of(g, in, (const char *const[]){"a, -", "-, b", "b, -"}, 3);
  mica_value h = mica_tanh(mica_matmul(mica_argument(region, 0), mica_argument(region, 1)));
  mica_value y = mica_all_reduce_sum(mica_matmul(h, mica_argument(region, 2)), "b");
  mica_value loss = mica_all_reduce_mean(mica_reduce_mean(mica_square(y), MICA_ALL), "a");
  mica_manual_end(region, &loss, NULL, 1, out);
  mica_gradients(out[0], in, 3, out + 1);
}

static void gathered(mica_graph *g, const mica_value *in, mica_value *out) {
  static const char *const lie[] = {"a+b, -", "a+b, -", "a+b, -"};
  mica_region region = region_of(g, in, lie, 3);
  mica_value v = mica_all_gather(mica_argument(region, 1), "a+b", 0);
  mica_value w = mica_all_gather(mica_argument(region, 2), "a+b", 0);
  mica_value y = mica_matmul(mica_relu(mica_matmul(mica_argument(region, 0), v)), w);
  mica_value loss = mica_all_reduce_mean(mica_reduce_mean(mica_square(y), MICA_ALL), "a+b");
  mica_manual_end(region, &loss, NULL, 1, out);
  mica_gradients(out[0], in, 3, out + 1);
}

static void ring(mica_graph *g, const mica_value *in, mica_value *out) {
  mica_region region = region_of(g, in, (const char *const[]){"a, -", "b, -"}, 2);
  mica_value x = mica_argument(region, 0);
  mica_value carry[2] = {mica_zeros(g, (mica_type){MICA_F64, MICA_DIMS(4, 3)}),
                         mica_argument(region, 1)};
  mica_value steps = mica_iota(g, (mica_type){MICA_I32, MICA_DIMS(2)}, 0), end[2];
  mica_region scan = mica_scan_begin(carry, 2, &steps, 1);
  mica_value sums = mica_argument(scan, 0), held = mica_argument(scan, 1);
  mica_value at = mica_rem(mica_add(mica_axis_index(g, "b"), mica_argument(scan, 2)), 2);
  mica_value mine =
      mica_dynamic_slice(x, (mica_value[]){mica_zeros_like(at), mica_mul(at, 2)}, MICA_DIMS(4, 2));
  mica_value next[2] = {mica_add(sums, mica_sin(mica_matmul(mine, held))),
                        mica_collective_shift(held, "b", 1)};
  mica_scan_end(scan, next, NULL, 0, end, NULL);
  mica_value sum = mica_all_reduce_sum(end[0], "b");
  mica_manual_end(region, &sum, (const char *const[]){"a, -"}, 1, out);
  mica_gradients(mica_reduce_sum(mica_cos(out[0]), MICA_ALL), in, 2, out + 1);
}

GOLDEN(exchanges, exchanges(g, in, out))
GOLDEN(moves, moves(g, in, out))
GOLDEN(tensor_parallel, tensor_parallel(g, in, out))
GOLDEN(gathered, gathered(g, in, out))
GOLDEN(ring, ring(g, in, out))

static const golden_case shard_map_cases[] = {
    {"exchanges", build_exchanges, 1, 6, 1e-14},
    {"moves", build_moves, 1, 3, 1e-14},
    {"tensor_parallel", build_tensor_parallel, 3, 4, 1e-13},
    {"gathered", build_gathered, 3, 4, 1e-13},
    {"ring", build_ring, 2, 3, 1e-13}};

static void check_shard_map(const char *backend) {
  check_golden_file(backend, "shard_map.npz", shard_map_cases,
                    sizeof shard_map_cases / sizeof shard_map_cases[0]);
}

TEST(reference_gives_shard_map_s_values) { check_shard_map("reference"); }
TEST(cpu_gives_shard_map_s_values) { check_shard_map("cpu"); }
TEST(xla_gives_shard_map_s_values) {
  static const char four[] = "xla:cpu,devices=4";
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = four}, &error);
  mica_device_release(device);
  if (device)
    check_shard_map(four);
  else
    CHECK_SKIP(error.message);
}

TEST_MAIN(TEST_CASE(reference_gives_shard_map_s_values), TEST_CASE(cpu_gives_shard_map_s_values),
          TEST_CASE(xla_gives_shard_map_s_values))
