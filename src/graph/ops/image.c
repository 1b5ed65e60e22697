/* SPDX-License-Identifier: Apache-2.0 */
/* image.c: see image.h. */
#include "graph/ops/image.h"

#include <inttypes.h>

bool mica_image_checked(const char *op, mica_value x, int32_t most, int32_t *out_spatial) {
  if (!mica_operands_usable(op, &x, 1)) return false;
  *out_spatial = mica_rank_of(x) - 2;
  if (*out_spatial >= 1 && *out_spatial <= most) return true;
  mica_fail_operator(x.graph, op, &x, 1,
                     "rank %" PRId32
                     " does not fit: expected x [batch, spatial..., channels] with 1 to %" PRId32
                     " spatial axes",
                     *out_spatial + 2, most);
  return false;
}

bool mica_image_sizes(const char *op, mica_value x, int32_t spatial, mica_shape sizes) {
  bool good = sizes.rank == spatial;
  for (int32_t i = 0; good && i < spatial; i++)
    good = sizes.dim[i] >= 1 && mica_dim_of(x, i + 1) >= 1;
  if (good) return true;
  char text[MICA_SHAPE_TEXT];
  mica_fail_operator(x.graph, op, &x, 1,
                     "sizes %s: expected one of at least 1 for each of the %" PRId32
                     " spatial axes of x, none of which is empty",
                     mica_shape_text(sizes, text), spatial);
  return false;
}

void *mica_image_list(mica_graph *graph, int64_t count, size_t size) {
  size_t bytes;
  void *list = NULL;
  if (graph->status == MICA_OK && count >= 0 && (uint64_t)count <= SIZE_MAX &&
      mica_size_multiply((size_t)count, size, &bytes))
    list = mica_arena_allocate(&graph->arena, bytes);
  if (list == NULL) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  return list;
}

mica_value mica_places_constant(mica_graph *graph, mica_shape shape, const int64_t *places) {
  mica_tensor *tensor = NULL;
  if (graph->status != MICA_OK) return mica_no_value(graph);
  if (mica_tensor_create(&graph->allocator, (mica_type){MICA_I64, shape}, places, &tensor, NULL) !=
      MICA_OK)
    return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_value value = mica_constant(graph, tensor);
  mica_tensor_release(tensor);
  return value;
}

/* Places that follow one another are a slice. */
mica_value mica_take_places(mica_value x, int32_t axis, int64_t count, const int64_t *places) {
  if (x.graph->status != MICA_OK) return mica_no_value(x.graph);
  int64_t step = count > 1 ? places[1] - places[0] : 1;
  bool slice = count > 0 && step > 0;
  for (int64_t i = 1; slice && i < count; i++) slice = places[i] - places[i - 1] == step;
  if (slice) return mica_slice_axis(x, axis, places[0], places[count - 1] + 1, step);
  mica_shape shape = {.rank = 1, .dim = {count}};
  return mica_take(x, mica_places_constant(x.graph, shape, places), axis);
}

mica_value mica_multiply_axis(mica_value x, int32_t axis, mica_value matrix) {
  int32_t rank = mica_rank_of(x);
  mica_axes of_x = {.count = 1, .axis = {axis}};
  mica_value y = mica_dot_general(x, matrix, .x_contract = of_x, .y_contract = MICA_AXES(0));
  return mica_move_axis(y, rank - 1, axis);
}
