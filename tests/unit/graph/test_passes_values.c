/* SPDX-License-Identifier: Apache-2.0 */
/* Programs with control flow, their derivatives and effects, computed before and after every
 * pass by the reference backend: the same numbers, and as many reports of marked values. */
#include "mica/backend.h"
#include "unit/graph/ops_testing.h"

#include "graph/attributes.h"

enum { OUTPUTS = 8, INPUTS = 2 };

static void count_report(void *user, const char *text) {
  (void)text;
  ++*(int *)user;
}

/* ---- programs: x [4, 3] and w [3, 3] to outputs ---------------------------------------------- */

typedef size_t program(mica_graph *g, const mica_value *in, mica_value *out);

/* A recurrent net over the rows of x, its gradient and a second order of it. */
static size_t recurrent(mica_graph *g, const mica_value *in, mica_value *out) {
  mica_value carry[3] = {mica_full(g, (mica_type){MICA_F32, MICA_DIMS(3)}, 0.5),
                         mica_scalar(g, MICA_I32, 0), in[1]};
  mica_region each = mica_scan_begin(carry, 3, in, 1);
  mica_value h =
      mica_tanh(mica_add(mica_matmul(mica_argument(each, 0), in[1]), mica_argument(each, 3)));
  mica_value next[3] = {h, mica_add(mica_argument(each, 1), 1), mica_argument(each, 2)};
  mica_value emit[2] = {mica_square(h), mica_exp(h)}, last[3], rows[2];
  mica_scan_end(each, next, emit, 2, last, rows);
  mica_value loss =
      mica_add(mica_reduce_sum(last[0], MICA_ALL), mica_reduce_sum(rows[0], MICA_ALL));
  out[0] = loss;
  mica_gradients(loss, in, 2, out + 1);
  mica_gradients(mica_reduce_sum(mica_square(out[2]), MICA_ALL), in, 2, out + 3);
  return 5;
}

/* Halving until small, with a count, and a state that nobody asks for. */
static size_t halving(mica_graph *g, const mica_value *in, mica_value *out) {
  mica_value state[3] = {in[0], mica_scalar(g, MICA_I32, 0), mica_exp(in[1])}, last[3];
  mica_region loop = mica_while_begin(g, state, 3, 20);
  mica_while_body(loop,
                  mica_greater(mica_reduce_max(mica_abs(mica_argument(loop, 0)), MICA_ALL), 0.01));
  mica_value next[3] = {mica_mul(mica_argument(loop, 0), 0.5), mica_add(mica_argument(loop, 1), 1),
                        mica_sin(mica_argument(loop, 2))};
  mica_while_end(loop, next, last);
  out[0] = last[0];
  out[1] = last[1];
  mica_gradients(mica_reduce_sum(last[0], MICA_ALL), in, 1, out + 2);
  return 3;
}

/* Blocks in blocks: an if in a scan in a vmap, with a capture from outside of all. */
static size_t nested(mica_graph *g, const mica_value *in, mica_value *out) {
  mica_value scale = mica_reduce_sum(in[1], MICA_ALL), result, values[2];
  mica_region each = mica_vmap_begin(g, in, (int32_t[]){1}, 1);
  mica_value column = mica_argument(each, 0), zero = mica_scalar(g, MICA_F32, 0), total;
  mica_region scan = mica_scan_begin(&zero, 1, &column, 1);
  mica_value item = mica_argument(scan, 1), chosen;
  mica_region either = mica_if_begin(mica_greater(item, 0));
  mica_value yes = mica_mul(item, scale);
  mica_if_else(either, &yes, 1);
  mica_value no = mica_sub(mica_argument(scan, 0), mica_square(item));
  mica_if_end(either, &no, 1, &chosen);
  mica_value next = mica_add(mica_argument(scan, 0), chosen);
  mica_scan_end(scan, &next, &chosen, 1, &total, &result);
  mica_vmap_end(each, (mica_value[]){total, result}, 2, values);
  out[0] = values[0];
  mica_value both = mica_mul(values[0], mica_reduce_sum(values[1], MICA_AXES(1)));
  mica_gradients(mica_reduce_sum(both, MICA_ALL), in, 2, out + 1);
  return 3;
}

/* A recomputed block, a call and a gradient of one's own. */
static size_t blocks(mica_graph *g, const mica_value *in, mica_value *out) {
  mica_value h, y, z;
  mica_region again = mica_recompute_begin(g, in, 1);
  h = mica_tanh(mica_matmul(mica_argument(again, 0), in[1]));
  mica_recompute_end(again, &h, 1, &y);
  mica_region call = mica_call_begin(g, &y, 1);
  h = mica_gelu(mica_argument(call, 0));
  mica_call_end(call, &h, 1, &z);
  mica_region own = mica_custom_gradient_begin(g, &z, 1);
  h = mica_softmax(mica_argument(own, 0), -1);
  mica_custom_gradient_backward(own, &h, 1);
  mica_value back = mica_mul(mica_argument(own, 1), 3);
  mica_custom_gradient_end(own, &back, out, 1);
  mica_gradients(mica_reduce_sum(mica_mul(out[0], in[0]), MICA_ALL), in, 2, out + 1);
  return 3;
}

/* Marks in a loop, one of them on a value that nothing uses, and a loop whose only effect they
 * are. */
static size_t marked(mica_graph *g, const mica_value *in, mica_value *out) {
  mica_value carry[2] = {mica_scalar(g, MICA_F32, 1), mica_scalar(g, MICA_F32, 2)}, last[2];
  mica_region scan = mica_scan_begin(carry, 2, in, 1);
  mica_value row = mica_argument(scan, 2);
  mica_mark(mica_reduce_max(row, MICA_ALL), "unused");
  mica_value next[2] = {
      mica_add(mica_argument(scan, 0), mica_mark(mica_reduce_sum(row, MICA_ALL), "used")),
      mica_mul(mica_argument(scan, 1), 2)};
  mica_scan_end(scan, next, NULL, 0, last, NULL);
  out[0] = last[0];
  mica_gradients(last[0], in, 1, out + 1);
  return 2;
}

/* Products with transposes, pools and convolutions, windows of scattered rows: what simplify
 * reaches into. */
static size_t products(mica_graph *g, const mica_value *in, mica_value *out) {
  mica_value x = mica_transpose(in[0], MICA_AXES(1, 0)); /* [3, 4] */
  mica_value y =
      mica_transpose(mica_matmul(x, mica_transpose(x, MICA_AXES(1, 0))), MICA_AXES(1, 0));
  mica_value image =
      mica_reshape(mica_concatenate((mica_value[]){in[0], in[0]}, 2, 1), MICA_DIMS(1, 4, 6, 1));
  mica_value kernel = mica_reshape(in[1], MICA_DIMS(3, 3, 1, 1));
  mica_value pooled = mica_mean_pool(mica_conv(image, kernel), .padding = MICA_SAME, .window = {3},
                                     .stride = {2, 2});
  mica_value rows =
      mica_scatter_add(in[1], mica_iota(g, (mica_type){MICA_I32, MICA_DIMS(4)}, 0), in[0]);
  mica_value norm =
      mica_layer_norm(mica_div(mica_add(y, rows), 4), (mica_value){0}, (mica_value){0}, 1e-5);
  mica_value loss = mica_reduce_sum(mica_mul(norm, y), MICA_ALL);
  out[0] = y;
  out[1] = mica_add(loss, mica_reduce_mean(mica_square(pooled), MICA_ALL));
  mica_gradients(out[1], in, 2, out + 2);
  return 4;
}

/* ---- before and after ------------------------------------------------------------------------ */

typedef struct {
  mica_tensor *out[OUTPUTS];
  int reports;
} run_result;

static bool run_graph(mica_graph *graph, mica_tensor *const *in, run_result *result,
                      const char *what) {
  mica_error error = {0};
  mica_executable *executable = NULL;
  mica_device_options options = {.struct_size = sizeof(options),
                                 .backend = "reference",
                                 .threads = 1,
                                 .log = count_report,
                                 .log_user = &result->reports};
  mica_device *device = mica_device_open(&options, &error);
  mica_status status = device ? mica_compile(device, graph, 0, &executable, &error) : error.status;
  if (status == MICA_OK)
    status = mica_executable_run(executable, in, INPUTS, result->out, graph->output_count, &error);
  mica_executable_release(executable);
  mica_device_release(device);
  return check_status((int)status, 0, error.message, what, __FILE__, __LINE__);
}

static mica_status expand_all(const mica_graph *from, mica_graph *to, mica_error *error) {
  return mica_pass_expand(from, to, NULL, NULL, error);
}
static bool keep_everything(void *context, const mica_graph *graph, uint32_t id) {
  (void)context, (void)graph, (void)id;
  return true;
}
static mica_status inline_blocks(const mica_graph *from, mica_graph *to, mica_error *error) {
  return mica_pass_expand(from, to, keep_everything, NULL, error);
}

static const struct {
  const char *name;
  mica_status (*run)(const mica_graph *from, mica_graph *to, mica_error *error);
} passes[] = {{"expand", expand_all},           {"inline", inline_blocks},
              {"simplify", mica_pass_simplify}, {"share", mica_pass_share},
              {"drop", mica_pass_drop},         {"simplify again", mica_pass_simplify},
              {"share again", mica_pass_share}, {"drop again", mica_pass_drop}};
enum { PASSES = sizeof(passes) / sizeof(passes[0]) };

static void compare_runs(const run_result *a, const run_result *b, size_t count, const char *what) {
  CHECK_EQ_INT(b->reports, a->reports);
  for (size_t i = 0; i < count; i++) {
    mica_closeness closeness = {0};
    CHECK_OK(mica_tensor_compare(b->out[i], a->out[i], 1e-5, 1e-6, &closeness, NULL));
    if (!closeness.close)
      CHECK_FAIL("%s: output %zu differs by %g", what, i, closeness.worst_error);
  }
}

static void release_run(run_result *result) {
  for (int i = 0; i < OUTPUTS; i++) mica_tensor_release(result->out[i]);
}

/* Each pass alone on the program, and all of them one after the other. */
static void check_program(program *build) {
  double x[12], w[9];
  for (int i = 0; i < 12; i++) x[i] = (i * 7 % 12 - 5) * 0.31;
  for (int i = 0; i < 9; i++) w[i] = (i * 5 % 9 - 4) * 0.17;
  mica_tensor *in[INPUTS] = {mica_tensor_from_doubles(MICA_F32, MICA_DIMS(4, 3), x),
                             mica_tensor_from_doubles(MICA_F32, MICA_DIMS(3, 3), w)};
  mica_graph *graph = mica_graph_create(NULL);
  mica_value parameters[INPUTS], out[OUTPUTS];
  for (int i = 0; i < INPUTS; i++) parameters[i] = mica_parameter(graph, mica_tensor_type(in[i]));
  size_t count = build(graph, parameters, out);
  mica_graph_set_outputs(graph, out, count);
  run_result before = {0};
  if (run_graph(graph, in, &before, "the program itself")) {
    mica_graph *chain = graph;
    uint32_t largest = graph->count; /* expanded, in the end */
    for (int i = 0; i < 2 * PASSES; i++) {
      bool alone = i < PASSES;
      mica_graph *to = mica_graph_create(NULL);
      mica_error error = {0};
      run_result after = {0};
      bool well =
          CHECK_OK_ERROR(passes[i % PASSES].run(alone ? graph : chain, to, &error), &error) &&
          CHECK_OK_ERROR(mica_graph_verify(to, &error), &error);
      if (well && run_graph(to, in, &after, passes[i % PASSES].name))
        compare_runs(&before, &after, count, passes[i % PASSES].name);
      release_run(&after);
      if (alone) {
        mica_graph_destroy(to);
      } else {
        if (chain != graph) mica_graph_destroy(chain);
        chain = to;
        if (chain->count > largest) largest = chain->count;
      }
    }
    CHECK(chain->count < largest);
    if (chain != graph) mica_graph_destroy(chain);
  }
  release_run(&before);
  mica_graph_destroy(graph);
  for (int i = 0; i < INPUTS; i++) mica_tensor_release(in[i]);
}

TEST(recurrent_net) { check_program(recurrent); }
TEST(while_loop) { check_program(halving); }
TEST(nested_blocks) { check_program(nested); }
TEST(inlined_blocks) { check_program(blocks); }
TEST(marked_values) { check_program(marked); }
TEST(products_and_windows) { check_program(products); }

/* A loop that is replaced by its own forward pass with more results stands once. */
TEST(loops_run_once) {
  mica_graph *graph = mica_graph_create(NULL), *to = mica_graph_create(NULL);
  mica_value in[2] = {mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(4, 3)}),
                      mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(3, 3)})};
  mica_value carry = mica_full(graph, (mica_type){MICA_F32, MICA_DIMS(3)}, 0.5), last, rows, out[3];
  mica_region each = mica_scan_begin(&carry, 1, in, 1);
  mica_value h =
      mica_tanh(mica_add(mica_matmul(mica_argument(each, 0), in[1]), mica_argument(each, 1)));
  mica_scan_end(each, &h, &h, 1, &last, &rows);
  mica_gradients(mica_reduce_sum(rows, MICA_ALL), in, 2, out); /* the final carry is not used */
  out[2] = rows;
  mica_graph_set_outputs(graph, out, 3);
  mica_error error = {0};
  CHECK_OK_ERROR(mica_pass_drop(graph, to, &error), &error);
  CHECK_OK_ERROR(mica_graph_verify(to, &error), &error);
  CHECK_EQ_INT(count_nodes(to, MICA_OP_SCAN), 2);
  mica_graph_destroy(graph);
  mica_graph_destroy(to);
}

TEST_MAIN(TEST_CASE(recurrent_net), TEST_CASE(while_loop), TEST_CASE(nested_blocks),
          TEST_CASE(inlined_blocks), TEST_CASE(marked_values), TEST_CASE(products_and_windows),
          TEST_CASE(loops_run_once))
