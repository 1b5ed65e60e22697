/* SPDX-License-Identifier: Apache-2.0 */
/* mesh.h: programs for several devices. Each is one region, whose block is a function of the parts. */
#include "mica/mesh.h"

typedef void mesh_block(mica_graph *graph, const mica_value *part, mica_value *out);

/* It fails for want of memory alone. */
static mica_mesh *case_mesh(mica_graph *graph, const char *axes) {
  mica_mesh *mesh = mica_mesh_create(axes, NULL);
  if (!mesh) mica_fail(graph, MICA_OUT_OF_MEMORY, "no memory for a mesh");
  return mesh;
}

/* The block on the parts of in[]. shardings: of the inputs, then of the results. */
static void on_mesh(mica_graph *graph, const char *axes, const mica_value *in, size_t count,
                    const char *const *shardings, mesh_block *block, size_t results,
                    mica_value *out) {
  mica_mesh *mesh = case_mesh(graph, axes);
  mica_value part[CASE_INPUTS], made[CASE_OUTPUTS];
  mica_region region = mica_manual_begin(graph, mesh, in, shardings, count);
  for (size_t i = 0; i < count; i++) part[i] = mica_argument(region, i);
  block(graph, part, made);
  mica_manual_end(region, made, shardings + count, results, out);
  mica_mesh_release(mesh);
}
static mica_value one_on_mesh(mica_graph *graph, const char *axes, mica_value x, const char *in,
                              const char *result, mesh_block *block) {
  mica_value out;
  on_mesh(graph, axes, &x, 1, (const char *const[]){in, result}, block, 1, &out);
  return out;
}

#define MESH_BLOCK(name, expression)                                             \
  static void name(mica_graph *graph, const mica_value *part, mica_value *out) { \
    mica_value x = part[0];                                                      \
    (void)graph, (void)x;                                                        \
    out[0] = expression;                                                         \
  }
MESH_BLOCK(sum_all, mica_all_reduce_sum(x, NULL))
MESH_BLOCK(sum_squares, mica_all_reduce_sum(mica_mul(x, x), "b"))
MESH_BLOCK(mean_along, mica_square(mica_all_reduce_mean(mica_sin(x), "a")))
MESH_BLOCK(product_along, mica_all_reduce_prod(x, "b"))
MESH_BLOCK(product_all, mica_all_reduce_prod(x, "b+a"))
MESH_BLOCK(greatest_along, mica_all_reduce_max(x, "a"))
MESH_BLOCK(least_along, mica_all_reduce_min(x, "a+b"))
MESH_BLOCK(gather_rows, mica_all_gather(x, "b", 0))
MESH_BLOCK(gather_columns, mica_all_gather(x, "b+a", -1))
MESH_BLOCK(gather_squares, mica_square(mica_all_gather(x, "a", 1)))
MESH_BLOCK(scatter_rows, mica_reduce_scatter(x, "a", 0))
MESH_BLOCK(scatter_columns, mica_square(mica_reduce_scatter(x, "a+b", 1)))
MESH_BLOCK(exchange_apart, mica_all_to_all(x, "b", 0, 2))
MESH_BLOCK(exchange_back, mica_all_to_all(x, "b", 2, 0))
MESH_BLOCK(exchange_same, mica_square(mica_all_to_all(x, "a+b", 1, 1)))
MESH_BLOCK(shift_one, mica_collective_shift(x, "b", 1))
MESH_BLOCK(shift_back, mica_square(mica_collective_shift(x, NULL, -2)))
MESH_BLOCK(some_pairs, mica_collective_permute(x, "b", (const int64_t[][2]){{0, 2}, {2, 1}}, 2))
MESH_BLOCK(gather_columns_of_two, mica_all_gather(x, "b", 1))
MESH_BLOCK(numbered_row,
           mica_add(x, mica_convert(mica_add(mica_mul(mica_axis_index(graph, "b"), 10),
                                             mica_axis_index(graph, "b+a")),
                                    mica_dtype_of(x))))
MESH_BLOCK(by_place,
           mica_mul(x, mica_convert(mica_add(mica_axis_index(graph, "b+a"), 1), mica_dtype_of(x))))

/* What is repeated goes in, is used where parts are, and comes out once. */
static void repeated_operand(mica_graph *graph, const mica_value *part, mica_value *out) {
  (void)graph;
  mica_value y = mica_mul(mica_sin(part[0]), part[1]);
  out[0] = mica_all_reduce_sum(mica_reduce_sum(y, MICA_ALL), "a+b");
  out[1] = mica_exp(part[1]);
}

/* Two layers, the first cut by columns, the second by rows: x "a, -", v "-, b", w "b, -". */
static void two_layers(mica_graph *graph, const mica_value *part, mica_value *out) {
  (void)graph;
  mica_value hidden = mica_tanh(mica_matmul(part[0], part[1]));
  out[0] = mica_all_reduce_sum(mica_matmul(hidden, part[2]), "b");
  out[1] = mica_all_reduce_mean(mica_reduce_mean(mica_square(out[0]), MICA_ALL), "a");
}

/* A ring: each step adds what the neighbor had, inside of a scan; scale is from outside. */
static mica_value ring_scale;
static void ring_sum(mica_graph *graph, const mica_value *part, mica_value *out) {
  mica_value carry[2] = {part[0], part[0]};
  mica_region loop = mica_scan_begin_count(graph, carry, 2, NULL, 0, 2, false);
  mica_value travelling = mica_collective_shift(mica_argument(loop, 0), "b", 1);
  mica_value next[2] = {
      travelling, mica_add(mica_argument(loop, 1), mica_mul(mica_sin(travelling), ring_scale))};
  mica_value last[2];
  mica_scan_end(loop, next, NULL, 0, last, NULL);
  out[0] = last[1];
}
static mica_value ring(mica_graph *graph, mica_value x, mica_value scale) {
  ring_scale = scale;
  return one_on_mesh(graph, "a=1, b=3", x, "b", "b", ring_sum);
}

/* The gradient is taken inside, by each device for its own rows, and then summed by hand. */
static void gradient_inside(mica_graph *graph, const mica_value *part, mica_value *out) {
  (void)graph;
  mica_value loss = mica_reduce_sum(mica_sin(mica_matmul(part[0], part[1])), MICA_ALL), slope;
  mica_gradients(loss, &part[1], 1, &slope);
  out[0] = mica_all_reduce_sum(slope, "a");
}

static mica_value laid_out(mica_value x, const char *axes, const char *sharding) {
  mica_mesh *mesh = case_mesh(x.graph, axes);
  mica_value out = mica_shard(x, mesh, sharding);
  mica_mesh_release(mesh);
  return out;
}
