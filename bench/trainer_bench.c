/* SPDX-License-Identifier: Apache-2.0 */
/* trainer_bench.c: what a step of the trainer takes beside the same maths written by hand and called through a bare jit.
 *
 *   trainer_bench [--threads N] [--rounds N] [--only TEXT]
 *
 * prints a JSON line for each case: {"case": C, "jit_ms": t, "trainer_ms": t, "ratio": r}, medians over rounds of steps that are
 * taken in turns, and the median of the rounds' ratios. The times are those of the processor, which other programs on the
 * machine disturb less than the clock. The hand-written step has the
 * loss, its gradients, the optimizer and a count of steps; the trainer has its guard against steps that are not finite,
 * its result and its checks in addition ("no guard" is without the first of them). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mica/mica.h"

enum { MOST_ROUNDS = 100000, BLOCK = 4, PARAMETERS = 8 };

/* ---- models: of the store, and on plain values ---------------------------------------------------------- */

static mica_value mlp(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  mica_value h = mica_relu(mica_nn_dense(mica_scope_in(scope, "hidden"), in[0], .units = 512));
  return mica_nn_dense(mica_scope_in(scope, "out"), h, .units = 10);
}
static mica_value mlp_by_hand(const mica_value *p, mica_value x) {
  mica_value h = mica_relu(mica_add(mica_matmul(x, p[0]), p[1]));
  return mica_add(mica_matmul(h, p[2]), p[3]);
}

static mica_value cnn(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  mica_value x = mica_relu(mica_nn_conv(mica_scope_in(scope, "one"), in[0], .channels = 32));
  x = mica_max_pool(x);
  x = mica_relu(mica_nn_conv(mica_scope_in(scope, "two"), x, .channels = 64));
  x = mica_reshape(mica_max_pool(x), MICA_DIMS(mica_dim_of(x, 0), 7 * 7 * 64));
  x = mica_relu(mica_nn_dense(mica_scope_in(scope, "hidden"), x, .units = 128));
  return mica_nn_dense(mica_scope_in(scope, "out"), x, .units = 10);
}
static mica_value cnn_by_hand(const mica_value *p, mica_value x) {
  for (int i = 0; i < 2; i++) {
    x = mica_relu(mica_add(mica_conv(x, p[2 * i]), p[2 * i + 1]));
    x = mica_max_pool(x);
  }
  x = mica_reshape(x, MICA_DIMS(mica_dim_of(x, 0), 7 * 7 * 64));
  return mlp_by_hand(p + 4, x);
}

static mica_value loss(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_cross_entropy_logits(prediction, targets[0]);
}
static mica_value loss_by_hand(mica_value logits, mica_value labels) {
  return mica_reduce_mean(mica_softmax_cross_entropy(logits, labels), MICA_ALL);
}

/* ---- cases -------------------------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  mica_trainer_model *model;
  mica_value (*by_hand)(const mica_value *p, mica_value x);
  mica_shape input;
  bool adam, no_guard;
} bench_case;

typedef struct {
  const bench_case *c;
  mica_variable *p[PARAMETERS], *first[PARAMETERS], *second[PARAMETERS], *step;
  size_t count;
} by_hand;

static void build_by_hand(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  by_hand *b = user;
  mica_value p[PARAMETERS], g[PARAMETERS], step, correct1, correct2;
  for (size_t i = 0; i < b->count; i++) p[i] = mica_variable_read(graph, b->p[i]);
  out[0] = loss_by_hand(b->c->by_hand(p, in[0]), in[1]);
  mica_gradients(out[0], p, b->count, g);
  step = mica_add(mica_variable_read(graph, b->step), 1);
  mica_variable_assign(b->step, step);
  mica_value count = mica_convert(step, MICA_F32);
  correct1 = mica_neg(mica_expm1(mica_mul(count, log(0.9))));
  correct2 = mica_neg(mica_expm1(mica_mul(count, log(0.999))));
  for (size_t i = 0; i < b->count; i++) {
    mica_value change = g[i];
    if (b->c->adam) {
      mica_value first =
          mica_add(mica_mul(mica_variable_read(graph, b->first[i]), 0.9), mica_mul(g[i], 0.1));
      mica_value second = mica_add(mica_mul(mica_variable_read(graph, b->second[i]), 0.999),
                                   mica_mul(mica_mul(g[i], g[i]), 0.001));
      mica_variable_assign(b->first[i], first), mica_variable_assign(b->second[i], second);
      change = mica_div(mica_div(first, correct1),
                        mica_add(mica_sqrt(mica_div(second, correct2)), 1e-8));
    }
    mica_variable_assign(b->p[i], mica_sub(p[i], mica_mul(change, 1e-3)));
  }
}

static mica_variable *zeros_as(mica_type type) {
  mica_tensor *zeros = mica_tensor_from(type.dtype, type.shape, NULL);
  mica_variable *made = mica_variable_create("zeros", zeros);
  mica_tensor_release(zeros);
  return made;
}

/* The parameters that the trainer's first step has made, as variables of its own. */
static void copy_parameters(by_hand *b, const mica_store *store) {
  mica_store_entry entry;
  for (size_t i = 0; i < PARAMETERS && mica_store_get(store, i, &entry); i++) {
    mica_tensor *value = mica_variable_snapshot(entry.variable);
    b->p[i] = mica_variable_create(entry.path, value);
    b->first[i] = zeros_as(entry.type), b->second[i] = zeros_as(entry.type);
    b->count = i + 1;
    mica_tensor_release(value);
  }
  b->step = zeros_as((mica_type){MICA_I64, {0}});
}
static void drop_parameters(by_hand *b) {
  for (size_t i = 0; i < b->count; i++)
    mica_variable_release(b->p[i]), mica_variable_release(b->first[i]),
        mica_variable_release(b->second[i]);
  mica_variable_release(b->step);
}

static void make_batch(mica_shape shape, mica_tensor *batch[2]) {
  int64_t count = mica_shape_count(shape), rows = shape.dim[0];
  double *x = malloc((size_t)count * sizeof *x), *y = malloc((size_t)rows * sizeof *y);
  for (int64_t i = 0; x && i < count; i++) x[i] = sin((double)i * 12.9898) * 0.5;
  for (int64_t i = 0; y && i < rows; i++) y[i] = (double)(i * 7 % 10);
  batch[0] = x ? mica_tensor_from_doubles(MICA_F32, shape, x) : NULL;
  batch[1] = y ? mica_tensor_from_doubles(MICA_I32, MICA_DIMS(rows), y) : NULL;
  free(x), free(y);
}

/* ---- timing -------------------------------------------------------------------------------------------------- */

static double clock_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}
static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
static double median(double *x, int count) {
  qsort(x, (size_t)count, sizeof *x, by_size);
  return x[count / 2];
}

static mica_status run_case(mica_device *device, const bench_case *c, int rounds,
                            mica_error *error) {
  static double hand_ms[MOST_ROUNDS], trainer_ms[MOST_ROUNDS], ratio[MOST_ROUNDS];
  mica_store *store = mica_store_create(device, 1);
  mica_trainer *trainer = mica_trainer_create(
      store, c->model, loss, .learning_rate = 1e-3,
      .optimizer = c->adam ? mica_optimizer_adam() : mica_optimizer_sgd(), .no_guard = c->no_guard);
  mica_tensor *batch[2], *out[1] = {NULL};
  by_hand b = {.c = c};
  make_batch(c->input, batch);
  mica_status status = mica_trainer_step(trainer, batch, 2, error);
  if (status == MICA_OK) copy_parameters(&b, store);
  mica_jit *jit = mica_jit_create(device, build_by_hand, .inputs = 2, .outputs = 1, .user = &b);
  for (int round = -3; round < rounds && status == MICA_OK; round++) {
    double times[2] = {0};
    for (int turn = 0; turn < 2 && status == MICA_OK; turn++) {
      int which = (turn + round) & 1; /* who goes first changes */
      double begin = clock_ms(), last = 0;
      for (int step = 0; step < BLOCK && status == MICA_OK; step++) {
        status = which ? mica_trainer_step(trainer, batch, 2, error)
                       : mica_jit_call(jit, batch, 2, out, 1, error);
        if (status == MICA_OK && !which)
          status = mica_tensor_read_doubles(out[0], &last, 1, error); /* the loss is looked at */
      }
      times[which] = (clock_ms() - begin) / BLOCK;
    }
    if (round < 0) continue;
    hand_ms[round] = times[0], trainer_ms[round] = times[1], ratio[round] = times[1] / times[0];
  }
  if (status == MICA_OK)
    printf("{\"case\": \"%s\", \"jit_ms\": %.4f, \"trainer_ms\": %.4f, \"ratio\": %.3f}\n", c->name,
           median(hand_ms, rounds), median(trainer_ms, rounds), median(ratio, rounds));
  fflush(stdout);
  mica_jit_destroy(jit), mica_tensor_release(out[0]);
  mica_tensor_release(batch[0]), mica_tensor_release(batch[1]);
  drop_parameters(&b);
  mica_trainer_destroy(trainer), mica_store_destroy(store);
  return status;
}

int main(int argc, char **argv) {
  const bench_case cases[] = {
      {"mlp sgd", mlp, mlp_by_hand, MICA_DIMS(128, 784), false, false},
      {"mlp sgd, no guard", mlp, mlp_by_hand, MICA_DIMS(128, 784), false, true},
      {"mlp adam", mlp, mlp_by_hand, MICA_DIMS(128, 784), true, false},
      {"mlp adam, no guard", mlp, mlp_by_hand, MICA_DIMS(128, 784), true, true},
      {"cnn adam", cnn, cnn_by_hand, MICA_DIMS(64, 28, 28, 1), true, false},
  };
  int rounds = 100;
  const char *only = "";
  mica_device_options options = {.struct_size = sizeof options, .threads = 1};
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--threads")) options.threads = atoi(argv[i + 1]);
    if (!strcmp(argv[i], "--rounds")) rounds = atoi(argv[i + 1]);
    if (!strcmp(argv[i], "--only")) only = argv[i + 1];
  }
  if (rounds < 1 || rounds > MOST_ROUNDS) rounds = 100;
  mica_error error = {0};
  mica_device *device = mica_device_open(&options, &error);
  mica_status status = device ? MICA_OK : MICA_INVALID;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0] && status == MICA_OK; i++)
    if (strstr(cases[i].name, only)) status = run_case(device, &cases[i], rounds, &error);
  if (status != MICA_OK) fprintf(stderr, "trainer_bench: %s\n", error.message);
  mica_device_release(device);
  return status != MICA_OK;
}
