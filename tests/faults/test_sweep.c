/* SPDX-License-Identifier: Apache-2.0 */
/* Two small programs live their whole lives while allocations, memory maps and thread creation fail: the n-th
 * request alone, and all from the n-th on, for every n. Each time an error comes back with a message, nothing
 * crashes, nothing is left behind, and the next call works and gives the same bits as ever.
 *
 * A tenth of the numbers is tried, by day; all of them with MICA_TEST_ALL=1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "interpose.h"
#include "mica/mica.h"

/* ---- a training step of a small CNN ------------------------------------------------------------------- */

enum {
  IMAGES = 4,
  SIDE = 6,
  CHANNELS = 2,
  CLASSES = 3,
  FEATURES = 3 * 3 * CHANNELS,
  PARAMETERS = 4
};

/* Kernel, its bias, dense weights, their bias: each with Adam's two moments. */
typedef struct {
  mica_variable *value[PARAMETERS], *first[PARAMETERS], *second[PARAMETERS], *time;
} network;

static mica_variable *variable_of(const char *name, mica_shape shape, double size) {
  double values[64];
  int64_t count = mica_shape_count(shape);
  for (int64_t i = 0; i < count && i < 64; i++)
    values[i] = size * (double)((i * 7 + 3) % 11 - 5) / 5;
  mica_tensor *start = mica_tensor_from_doubles(MICA_F32, shape, values);
  mica_variable *variable = mica_variable_create(name, start);
  mica_tensor_release(start);
  return variable;
}

static void begin_network(network *net) {
  const mica_shape shapes[PARAMETERS] = {MICA_DIMS(3, 3, 1, CHANNELS), MICA_DIMS(CHANNELS),
                                         MICA_DIMS(FEATURES, CLASSES), MICA_DIMS(CLASSES)};
  for (int i = 0; i < PARAMETERS; i++) {
    net->value[i] = variable_of("value", shapes[i], 0.3);
    net->first[i] = variable_of("first", shapes[i], 0);
    net->second[i] = variable_of("second", shapes[i], 0);
  }
  net->time = variable_of("time", MICA_SCALAR, 0);
}

static void end_network(network *net) {
  for (int i = 0; i < PARAMETERS; i++) {
    mica_variable_release(net->value[i]);
    mica_variable_release(net->first[i]);
    mica_variable_release(net->second[i]);
  }
  mica_variable_release(net->time);
}

/* Kingma and Ba 2015 (arXiv 1412.6980), algorithm 1. */
static void adam(network *net, int i, mica_value value, mica_value gradient, mica_value time) {
  mica_graph *graph = value.graph;
  mica_value m =
      mica_add(mica_mul(mica_variable_read(graph, net->first[i]), 0.9), mica_mul(gradient, 0.1));
  mica_value v = mica_add(mica_mul(mica_variable_read(graph, net->second[i]), 0.99),
                          mica_mul(mica_square(gradient), 0.01));
  mica_value one = mica_ones_like(time);
  mica_value m_hat = mica_div(m, mica_sub(one, mica_pow(mica_full_like(time, 0.9), time)));
  mica_value v_hat = mica_div(v, mica_sub(one, mica_pow(mica_full_like(time, 0.99), time)));
  mica_variable_assign(net->first[i], m);
  mica_variable_assign(net->second[i], v);
  mica_variable_assign(
      net->value[i],
      mica_sub(value, mica_mul(mica_div(m_hat, mica_add(mica_sqrt(v_hat), 1e-8)), 0.01)));
}

/* in: images [4, 6, 6, 1], labels [4]; out: the loss. */
static void build_training(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  network *net = user;
  mica_value p[PARAMETERS], d[PARAMETERS];
  for (int i = 0; i < PARAMETERS; i++) p[i] = mica_variable_read(graph, net->value[i]);
  mica_scope_push(graph, "net");
  mica_value h = mica_max_pool(mica_relu(mica_add(mica_conv(in[0], p[0]), p[1])));
  mica_value logits = mica_add(mica_matmul(mica_flatten(h, 1), p[2]), p[3]);
  mica_scope_pop(graph, "net");
  out[0] = mica_reduce_mean(mica_softmax_cross_entropy(logits, in[1]), MICA_ALL);
  mica_gradients(out[0], p, PARAMETERS, d);
  mica_value time = mica_add(mica_variable_read(graph, net->time), 1);
  mica_variable_assign(net->time, time);
  for (int i = 0; i < PARAMETERS; i++) adam(net, i, p[i], d[i], time);
}

/* ---- loops and their gradients ---------------------------------------------------------------------------- */

/* in: x [3], items [4, 3]; out: a sum over a scan whose steps run a while, and its gradient by items. */
static void build_loops(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)user;
  mica_value last, all, final[2];
  mica_region scan = mica_scan_begin(&in[0], 1, &in[1], 1);
  mica_value state[2] = {mica_add(mica_argument(scan, 0), mica_argument(scan, 1)),
                         mica_scalar(graph, MICA_I32, 0)};
  mica_region loop = mica_while_begin(graph, state, 2, 3);
  mica_while_body(loop, mica_less(mica_argument(loop, 1), 2));
  mica_value next[2] = {mica_tanh(mica_mul(mica_argument(loop, 0), in[0])),
                        mica_add(mica_argument(loop, 1), 1)};
  mica_while_end(loop, next, final);
  mica_scan_end(scan, &final[0], &final[0], 1, &last, &all);
  out[0] = mica_reduce_sum(mica_mul(all, last), MICA_ALL);
  mica_gradients(out[0], &in[1], 1, &out[1]);
}

/* ---- one life ------------------------------------------------------------------------------------------------ */

typedef enum { TRAINING, LOOPS, PROGRAMS } program;
enum { RESULT_BYTES = 256 };

typedef struct {
  mica_device *device;
  mica_jit *jit;
  network net;
  mica_tensor *in[2], *out[2];
} life;

static const char *backend; /* under test */

static void begin_life(life *l, program which, mica_error *error) {
  *l = (life){0};
  mica_device_options options = {.struct_size = sizeof options, .backend = backend, .threads = 2};
  l->device = mica_device_open(&options, error);
  if (which == TRAINING) {
    double images[IMAGES * SIDE * SIDE];
    for (int i = 0; i < IMAGES * SIDE * SIDE; i++) images[i] = (double)(i * 5 % 17) / 8 - 1;
    begin_network(&l->net);
    l->in[0] = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(IMAGES, SIDE, SIDE, 1), images);
    l->in[1] = mica_tensor_from(MICA_I32, MICA_DIMS(IMAGES), (int32_t[]){0, 2, 1, 1});
    l->jit = mica_jit_create(l->device, build_training, .inputs = 2, .outputs = 1, .user = &l->net);
  } else {
    l->in[0] = mica_tensor_from(MICA_F32, MICA_DIMS(3), (float[]){0.5f, -0.25f, 0.75f});
    l->in[1] = mica_tensor_from(MICA_F32, MICA_DIMS(4, 3),
                                (float[]){1, 2, 3, 4, 5, 6, -1, -2, -3, .5f, .25f, 0});
    l->jit = mica_jit_create(l->device, build_loops, .inputs = 2, .outputs = 2);
  }
}

static mica_status step(life *l, program which, mica_error *error) {
  return mica_jit_call(l->jit, l->in, 2, l->out, which == TRAINING ? 1 : 2, error);
}

/* What there is to compare: outputs, and the parameters after the step. */
static void read_life(life *l, program which, char result[RESULT_BYTES]) {
  memset(result, 0, RESULT_BYTES);
  size_t at = 0;
  for (int i = 0; i < 2; i++)
    if (l->out[i]) {
      memcpy(result + at, mica_tensor_data(l->out[i]), mica_tensor_byte_size(l->out[i]));
      at += mica_tensor_byte_size(l->out[i]);
    }
  for (int i = 0; i < 2 && which == TRAINING; i++) {
    mica_tensor *now = mica_variable_snapshot(l->net.value[i]);
    if (now) memcpy(result + at, mica_tensor_data(now), mica_tensor_byte_size(now));
    at += mica_tensor_byte_size(now);
    mica_tensor_release(now);
  }
}

static void end_life(life *l) {
  for (int i = 0; i < 2; i++) mica_tensor_release(l->in[i]), mica_tensor_release(l->out[i]);
  mica_jit_destroy(l->jit);
  end_network(&l->net);
  mica_device_release(l->device);
}

/* What one life under faults came to. Nothing is checked inside, since checks allocate. */
typedef struct {
  int64_t count, failed, live;
  mica_status status, next;
  mica_error error;
  char result[RESULT_BYTES];
} outcome;

/* Everything from the opening of the device to the second step. */
static outcome live_whole(program which, fault_mode mode, int64_t n, int kinds) {
  outcome o = {0};
  life l;
  fault_begin_kinds(mode, n, kinds);
  begin_life(&l, which, &o.error);
  o.status = step(&l, which, &o.error);
  if (o.status == MICA_OK) o.status = step(&l, which, &o.error);
  if (o.status == MICA_OK) read_life(&l, which, o.result);
  end_life(&l);
  fault_end();
  o.count = fault_count(), o.failed = fault_failed_count(), o.live = fault_live_blocks();
  return o;
}

/* Only the first step, which traces, differentiates, compiles and runs; the same objects are used after it. */
static outcome live_step(program which, fault_mode mode, int64_t n, int kinds) {
  outcome o = {0};
  life l;
  mica_error later = {0};
  fault_begin_kinds(FAULT_NONE, 0, kinds);
  begin_life(&l, which, &o.error);
  fault_again(mode, n);
  o.status = step(&l, which, &o.error);
  o.count = fault_count(), o.failed = fault_failed_count();
  fault_again(FAULT_NONE, 0);
  if (o.status != MICA_OK) o.next = step(&l, which, &later);
  if (o.next == MICA_OK) o.next = step(&l, which, &later);
  if (o.next == MICA_OK) read_life(&l, which, o.result);
  end_life(&l);
  fault_end();
  o.live = fault_live_blocks();
  return o;
}

typedef outcome life_of(program which, fault_mode mode, int64_t n, int kinds);

static bool check_outcome(const outcome *o, const outcome *clean, bool whole, mica_status expected,
                          const char *what) {
  bool told = o->status != MICA_OK && o->error.status != MICA_OK && o->error.message[0];
  bool right = expected == MICA_OK || o->status == expected;
  bool same = whole ? o->status != MICA_OK || !memcmp(o->result, clean->result, RESULT_BYTES)
                    : o->next == MICA_OK && !memcmp(o->result, clean->result, RESULT_BYTES);
  bool fine = o->live == 0 && same && (o->failed == 0 ? o->status == MICA_OK : told && right);
  if (!fine)
    CHECK_FAIL(
        "%s: %lld requests failed, status %d (\"%s\"), next call %d, %s results, %lld blocks left",
        what, (long long)o->failed, (int)o->status, o->error.message, (int)o->next,
        same ? "the same" : "other", (long long)o->live);
  return fine;
}

/* expected: MICA_OK means any failure. */
static void sweep(life_of *run, program which, int kinds, mica_status expected) {
  bool whole = run == live_whole;
  const char *name = which == TRAINING ? "training" : "loops", *part = whole ? "life" : "step";
  char what[160];
  run(which, FAULT_NONE, 0,
      kinds); /* what the C library keeps from its first use is there afterwards */
  outcome clean = run(which, FAULT_NONE, 0, kinds);
  snprintf(what, sizeof what, "%s, %s on %s, nothing fails", name, part, backend);
  if (!check_outcome(&clean, &clean, whole, expected, what)) return;
  int64_t step_size = check_all() || kinds == FAULT_THREAD ? 1 : 10,
          first = 1 + (step_size > 1 ? check_rotation() % 10 : 0);
  int64_t tried = 0;
  for (int mode = FAULT_ONE; mode <= FAULT_FROM; mode++)
    for (int64_t n = first; n <= clean.count; n += step_size, tried++) {
      outcome o = run(which, (fault_mode)mode, n, kinds);
      snprintf(what, sizeof what, "%s, %s on %s, request %lld of %lld%s", name, part, backend,
               (long long)n, (long long)clean.count, mode == FAULT_FROM ? " and all after it" : "");
      if (!check_outcome(&o, &clean, whole, expected, what)) return;
    }
  printf("  %s, %s on %s: %lld of %lld requests\n", name, part, backend, (long long)tried,
         (long long)(2 * clean.count));
}

static void sweep_backend(const char *name) {
  backend = name;
  for (program which = 0; which < PROGRAMS; which++) {
    sweep(live_whole, which, FAULT_MEMORY | FAULT_MAP, MICA_OK);
    sweep(live_step, which, FAULT_MEMORY | FAULT_MAP, MICA_OUT_OF_MEMORY);
    sweep(live_whole, which, FAULT_THREAD, MICA_OK);
  }
}

TEST(reference_survives) { sweep_backend("reference"); }
TEST(cpu_survives) {
  const char *tested = getenv("MICA_TEST_BACKEND");
  sweep_backend(tested && *tested ? tested : "cpu");
}

/* A sweep over nothing would pass: the programs ask for memory, and on cpu for threads. */
TEST(there_is_something_to_fail) {
  backend = "cpu";
  outcome memory = live_whole(TRAINING, FAULT_NONE, 0, FAULT_MEMORY | FAULT_MAP);
  outcome threads = live_whole(TRAINING, FAULT_NONE, 0, FAULT_THREAD);
  CHECK(memory.count > 100);
  CHECK(threads.count >= 1);
}

TEST_MAIN(TEST_CASE(reference_survives), TEST_CASE(cpu_survives),
          TEST_CASE(there_is_something_to_fail))
