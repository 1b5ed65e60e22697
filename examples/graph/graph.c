/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c: a network over a graph: a karate club splits in two, and from who is friends with whom and the sides of its two
 * leaders follows where everybody else goes. README.md beside it tells more. */
#include "../common.h"

/* ---- layers over graphs: x [nodes, width], edges as two lists of nodes i32 [edges] ------------------------- */

typedef struct {
  mica_value from, to; /* each pair in both directions, and each node to itself */
  int64_t nodes;
} edges;

static mica_value sum_over_edges(const edges *e, mica_value messages) {
  return mica_segment_reduce(messages, e->to, e->nodes, MICA_SEGMENT_SUM);
}

/* Sums over neighbours, each edge weighted by 1 / sqrt(degree degree') (Kipf and Welling 2017, arXiv 1609.02907). */
static mica_value convolution(mica_scope *scope, const edges *e, mica_value x, int64_t units) {
  x = mica_nn_dense(mica_scope_in(scope, "dense"), x, .units = units, .no_bias = true);
  mica_value degree = mica_convert(mica_bincount(e->to, (mica_value){0}, e->nodes), MICA_F32);
  mica_value factor = mica_expand_dims(mica_rsqrt(degree), 1);
  return mica_mul(sum_over_edges(e, mica_take(mica_mul(x, factor), e->from, 0)), factor);
}

/* Means over neighbours, weighted by how they fit: a softmax over the edges of each node (Velickovic et al. 2018, arXiv
 * 1710.10903). */
static mica_value attention(mica_scope *scope, const edges *e, mica_value x, int64_t units) {
  x = mica_nn_dense(mica_scope_in(scope, "dense"), x, .units = units, .no_bias = true);
  mica_value here = mica_nn_dense(mica_scope_in(scope, "here"), x, .units = 1, .no_bias = true),
             there = mica_nn_dense(mica_scope_in(scope, "there"), x, .units = 1, .no_bias = true);
  mica_value score =
      mica_nn_leaky_relu(mica_add(mica_take(here, e->to, 0), mica_take(there, e->from, 0)), 0.2);
  mica_value most = mica_segment_reduce(score, e->to, e->nodes, MICA_SEGMENT_MAX);
  mica_value weight = mica_exp(mica_sub(score, mica_take(most, e->to, 0)));
  mica_value sum = sum_over_edges(e, mica_mul(mica_take(x, e->from, 0), weight));
  return mica_div(sum, sum_over_edges(e, weight));
}

/* inputs: from, to i32 [edges], features f32 [nodes, any] -> logits [nodes, 2]. */
static mica_value model(mica_scope *scope, const mica_value *inputs, void *user) {
  const char *kind = mica_scope_get_text(scope, "model", "gcn");
  int64_t units = mica_scope_get_integer(scope, "units", 0);
  edges e = {.from = inputs[0], .to = inputs[1], .nodes = mica_dim_of(inputs[2], 0)};
  bool attend = !strcmp(kind, "gat");
  (void)user;
  mica_value x = inputs[2];
  for (int i = 0; i < 2; i++) {
    mica_scope *layer = mica_scope_in_index(scope, "layer", i);
    int64_t width = i ? 2 : units;
    x = attend ? attention(layer, &e, x, width) : convolution(layer, &e, x, width);
    if (i == 0) x = mica_tanh(x);
  }
  return x;
}

/* Of the nodes whose class is known. targets: classes i32 [nodes], known bool [nodes]. */
static mica_value loss(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_cross_entropy_logits(prediction, targets[0], .mask = targets[1]);
}

/* How many of the others are right. */
static void measures(mica_value prediction, const mica_value *targets, mica_value *out,
                     void *user) {
  (void)user;
  mica_value asked = mica_not(targets[1]);
  mica_value right = mica_and(mica_equal(mica_arg_max(prediction, -1), targets[0]), asked);
  out[0] = mica_div(mica_reduce_sum(mica_convert(right, MICA_F32), MICA_ALL),
                    mica_reduce_sum(mica_convert(asked, MICA_F32), MICA_ALL));
}

/* ---- the data ------------------------------------------------------------------------------------------ */

/* The graph as a batch: from, to [edges], features [nodes, nodes], classes and known [nodes], each behind an axis of size 1.
 * Nothing is told of a member: the features are the identity matrix. Asked are those that are not known. */
static mica_dataset *read_graph(example *ex, const char *folder, int64_t *out_asked) {
  char path[700];
  mica_csv *friends = NULL, *members = NULL;
  mica_csv_options options = {.struct_size = sizeof options, .comment = '#'};
  snprintf(path, sizeof path, "%.600s/friends.csv", folder);
  mica_csv_load(path, &options, &friends, &ex->error);
  snprintf(path, sizeof path, "%.600s/members.csv", folder);
  if (example_good(ex)) mica_csv_load(path, &options, &members, &ex->error);
  mica_tensor *made[5] = {NULL};
  mica_dataset *dataset = NULL;
  if (example_good(ex) && (mica_csv_column_kind(friends, 0) != MICA_CSV_INTEGER ||
                           mica_csv_column_kind(friends, 1) != MICA_CSV_INTEGER ||
                           mica_csv_column_kind(members, 1) != MICA_CSV_CATEGORY ||
                           mica_csv_column_kind(members, 2) != MICA_CSV_INTEGER))
    mica_error_set(&ex->error, MICA_DATA_LOSS, "%s: unexpected columns", path);
  if (example_good(ex)) {
    int64_t pairs = mica_csv_row_count(friends), nodes = mica_csv_row_count(members),
            count = 2 * pairs + nodes;
    const int64_t *one = mica_tensor_data(mica_csv_tensor(friends, 0)),
                  *other = mica_tensor_data(mica_csv_tensor(friends, 1)),
                  *known = mica_tensor_data(mica_csv_tensor(members, 2));
    int32_t *from = calloc((size_t)count, sizeof *from), *to = calloc((size_t)count, sizeof *to);
    double *told = calloc((size_t)nodes + 1, sizeof *told),
           *identity = calloc((size_t)(nodes * nodes) + 1, sizeof *identity);
    for (int64_t i = 0; from && to && i < count; i++) {
      int64_t pair = i % pairs;
      from[i] = (int32_t)(i < pairs ? one[pair] : i < 2 * pairs ? other[pair] : i - 2 * pairs);
      to[i] = (int32_t)(i < pairs ? other[pair] : i < 2 * pairs ? one[pair] : i - 2 * pairs);
    }
    for (int64_t i = 0; told && identity && i < nodes; i++)
      told[i] = (double)known[i], identity[i * nodes + i] = 1, *out_asked += !known[i];
    if (from && to && told && identity) {
      made[0] = mica_tensor_from(MICA_I32, MICA_DIMS(1, count), from);
      made[1] = mica_tensor_from(MICA_I32, MICA_DIMS(1, count), to);
      made[2] = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(1, nodes, nodes), identity);
      made[3] = mica_tensor_from(MICA_I32, MICA_DIMS(1, nodes),
                                 mica_tensor_data(mica_csv_tensor(members, 1)));
      made[4] = mica_tensor_from_doubles(MICA_BOOL, MICA_DIMS(1, nodes), told);
    }
    free(from), free(to), free(told), free(identity);
    mica_memory_options memory = {.struct_size = sizeof memory, .tensors = made, .count = 5};
    dataset = mica_dataset_from_tensors(&memory, &ex->error);
  }
  for (int i = 0; i < 5; i++) mica_tensor_release(made[i]);
  mica_csv_destroy(friends), mica_csv_destroy(members);
  return dataset;
}

/* The folder of this file, where the data is. */
static const char *here(char *folder, size_t size) {
  const char *end = strrchr(__FILE__, '/');
  snprintf(folder, size, "%.*s", end ? (int)(end - __FILE__) : 0, __FILE__);
  return folder;
}

/* ---- the program ---------------------------------------------------------------------------------------- */

static int run(int count, char **arguments) {
  static const char *const names[] = {"accuracy"};
  example ex = {.name = "graph",
                .summary = "a network over a graph: who goes where when a club splits",
                .steps = 100,
                .measures = names,
                .measure_count = 1};
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  mica_store_set_choice(ex.store, "model", "gcn", "gcn, gat", &ex.error);
  mica_store_set_number(ex.store, "lr", 0.02, &ex.error);
  mica_store_set_integer(ex.store, "units", 16, &ex.error);
  if (!example_settings(&ex)) return example_end(&ex);

  char folder[600], own[600];
  const char *const places[] = {"examples/graph", here(own, sizeof own), NULL};
  mica_dataset *data = NULL;
  int64_t asked = 0;
  if (example_find(&ex, "MICA_KARATE", places, "karate", "friends.csv", folder, sizeof folder))
    data = read_graph(&ex, folder, &asked);
  else
    mica_error_set(&ex.error, MICA_NOT_FOUND,
                   "friends.csv is not there: run this in Mica's tree, or say --data DIR");
  example_batches(&ex, 1, 1);
  ex.trainer = mica_trainer_create(ex.store, model, loss, .inputs = 3, .targets = 2,
                                   .optimizer = mica_optimizer_adam(.weight_decay = 1e-3),
                                   .learning_rate = mica_store_get_number(ex.store, "lr", 0),
                                   .measures = measures, .measure_count = 1);
  if (example_train(&ex, data) && example_evaluate(&ex, data, "test"))
    printf("graph: %.0f of %lld members right\n",
           (double)asked * mica_trainer_evaluation(ex.trainer).measures[0], (long long)asked);

  int code = example_end(&ex);
  mica_dataset_destroy(data);
  return code;
}

EXAMPLE(graph, "a network over a graph: who goes where when a club splits", run)
