/* SPDX-License-Identifier: Apache-2.0 */
/* test_custom.c: operators of the host's: their life, errors and order, the text form, callbacks in loops and
 * under vmap, and assertions. What they compute is in the conformance table. */
#include "unit/backend/support.h"

#include <stdio.h>
#include <string.h>

#include "mica/custom.h"

typedef struct {
  int runs, releases;
  char order[32];
} record;

static mica_status count_run(void *user, const mica_custom_call *call, mica_error *error) {
  record *r = user;
  (void)error;
  r->runs++;
  if (strlen(r->order) + 1 < sizeof r->order) strcat(r->order, *call->config ? call->config : ".");
  memcpy(call->out[0], call->in[0], (size_t)mica_shape_count(call->in_types[0].shape) * 4);
  return MICA_OK;
}
static void count_release(void *user) { ((record *)user)->releases++; }
static mica_status failing_run(void *user, const mica_custom_call *call, mica_error *error) {
  (void)user, (void)call;
  if (error) snprintf(error->message, sizeof error->message, "the disk is full");
  return MICA_IO;
}
static mica_status picky_types(void *user, const mica_type *in, size_t in_count, const char *config,
                               mica_type *out, size_t out_count, mica_error *error) {
  (void)user, (void)in, (void)in_count, (void)config, (void)out, (void)out_count;
  if (error) snprintf(error->message, sizeof error->message, "expected a square");
  return MICA_INVALID;
}

static mica_custom_operator *make(const char *name, record *r, bool effect) {
  return mica_custom_create(&(mica_custom_options){.struct_size = sizeof(mica_custom_options),
                                                   .name = name,
                                                   .user = r,
                                                   .release = count_release,
                                                   .run = count_run,
                                                   .effect = effect},
                            NULL);
}

static const mica_type row = {MICA_F32, {1, {3}}};

static mica_status run_graph(mica_graph *graph, const mica_value *out, size_t count,
                             mica_tensor *in, mica_error *error) {
  mica_graph_set_outputs(graph, out, count);
  mica_device *device = open_device();
  mica_executable *executable = NULL;
  mica_tensor *got[4] = {NULL};
  mica_status status = mica_compile(device, graph, 0, &executable, error);
  if (status == MICA_OK) status = mica_executable_run(executable, &in, 1, got, count, error);
  for (size_t i = 0; i < count; i++) mica_tensor_release(got[i]);
  mica_executable_release(executable), mica_device_release(device);
  return status;
}

static mica_tensor *numbers(void) {
  return mica_tensor_from(MICA_F32, row.shape, (float[]){1, 2, 3});
}

TEST(options_are_checked) {
  mica_error error = {0};
  CHECK(!mica_custom_create(NULL, &error));
  CHECK_STR_CONTAINS(error.message, "the name is \"\": expected letters");
  error = (mica_error){0};
  CHECK(!mica_custom_create(
      &(mica_custom_options){
          .struct_size = sizeof(mica_custom_options), .name = "two words", .run = count_run},
      &error));
  CHECK_STR_CONTAINS(error.message, "two words");
  error = (mica_error){0};
  CHECK(!mica_custom_create(
      &(mica_custom_options){.struct_size = sizeof(mica_custom_options), .name = "idle"}, &error));
  CHECK_STR_CONTAINS(error.message, "idle has no `run`");
  mica_custom_release(NULL);
}

TEST(the_graph_keeps_it_alive) {
  record r = {0};
  mica_custom_operator *custom = make("copy", &r, false);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, row), y;
  mica_custom(custom, &x, 1, NULL, &y, 1);
  mica_custom_release(custom);
  CHECK_EQ_INT(r.releases, 0);
  mica_graph_set_outputs(graph, &y, 1);
  mica_device *device = open_device();
  mica_executable *executable = NULL;
  CHECK_OK(mica_compile(device, graph, 0, &executable, NULL));
  mica_graph_destroy(graph);
  CHECK_EQ_INT(r.releases, 0);
  mica_tensor *in = numbers(), *out = NULL;
  CHECK_OK(mica_executable_run(executable, &in, 1, &out, 1, NULL));
  CHECK(mica_tensor_equal(in, out));
  CHECK_EQ_INT(r.runs, 1);
  mica_tensor_release(in), mica_tensor_release(out);
  mica_executable_release(executable), mica_device_release(device);
  CHECK_EQ_INT(r.releases, 1);
}

TEST(only_effects_run_unused_and_in_order) {
  record r = {0};
  mica_custom_operator *plain = make("plain", &r, false), *effect = make("effect", &r, true);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, row), y = mica_neg(x), unused;
  mica_custom(plain, &x, 1, "p", &unused, 1);
  mica_custom(effect, &y, 1, "a", &unused, 1);
  mica_custom(effect, &x, 1, "b", &unused, 1);
  mica_custom(effect, &x, 1, "b", &unused, 1);
  mica_tensor *in = numbers();
  CHECK_OK(run_graph(graph, &y, 1, in, NULL));
  CHECK_EQ_STR(r.order, "abb");
  mica_tensor_release(in), mica_graph_destroy(graph);
  mica_custom_release(plain), mica_custom_release(effect);
  CHECK_EQ_INT(r.releases, 2);
}

TEST(errors_name_the_operator) {
  mica_error error = {0};
  mica_custom_options options = {
      .struct_size = sizeof options, .name = "writer", .run = failing_run};
  mica_custom_operator *writer = mica_custom_create(&options, &error);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, row), y;
  mica_scope_push(graph, "saving");
  mica_custom(writer, &x, 1, NULL, &y, 1);
  mica_scope_pop(graph, "saving");
  mica_tensor *in = numbers();
  CHECK_EQ_INT(run_graph(graph, &y, 1, in, &error), MICA_IO);
  CHECK_EQ_STR(error.message, "custom operator writer: the disk is full, in scope saving");
  mica_value gradient, loss = mica_reduce_sum(y, MICA_ALL);
  mica_gradients(loss, &x, 1, &gradient);
  error = (mica_error){0};
  CHECK_EQ_INT(mica_graph_status(graph, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "custom operator writer has no gradient");
  CHECK_STR_CONTAINS(error.message, "in scope saving");
  mica_graph_destroy(graph);

  graph = mica_graph_create(NULL);
  x = mica_parameter(graph, row);
  options.name = "picky", options.infer = picky_types;
  mica_custom_operator *picky = mica_custom_create(&options, &error);
  mica_custom(picky, &x, 1, NULL, &y, 1);
  error = (mica_error){0};
  CHECK_EQ_INT(mica_graph_status(graph, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message, "picky(f32[3]): expected a square");
  mica_custom(NULL, &x, 1, NULL, &y, 1); /* the first failure stays, nothing crashes */
  mica_graph_destroy(graph), mica_tensor_release(in);
  mica_custom_release(writer), mica_custom_release(picky);
}

TEST(text_binds_by_name) {
  record r = {0};
  mica_custom_operator *custom = make("copy", &r, false), *other = make("other", &r, false);
  mica_graph *graph = mica_graph_create(NULL), *parsed = NULL;
  mica_value x = mica_parameter(graph, row), y;
  mica_custom(custom, &x, 1, "mode=1", &y, 1);
  mica_graph_set_outputs(graph, &y, 1);
  char text[1024];
  int64_t size = mica_graph_format(graph, text, sizeof text);
  CHECK_STR_CONTAINS(text, "name=\"copy\", config=\"mode=1\", results=\"f32[3]\"");
  CHECK_OK(mica_graph_parse(NULL, text, (size_t)size, &parsed, NULL));
  mica_error error = {0};
  mica_device *device = open_device();
  mica_executable *executable = NULL;
  CHECK_EQ_INT(mica_compile(device, parsed, 0, &executable, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message,
               "custom operator 'copy' is not bound: give it by mica_graph_bind_custom");
  CHECK_EQ_INT(mica_graph_bind_custom(parsed, other, NULL), MICA_NOT_FOUND);
  CHECK_OK(mica_graph_bind_custom(parsed, custom, NULL));
  CHECK_OK(mica_compile(device, parsed, 0, &executable, NULL));
  mica_executable_release(executable), mica_device_release(device);
  mica_graph_destroy(graph), mica_graph_destroy(parsed);
  mica_custom_release(custom), mica_custom_release(other);
  CHECK_EQ_INT(r.releases, 2);
}

/* ---- callbacks and assertions ---------------------------------------------------------------- */

static mica_status add_up(void *user, const mica_custom_call *call, mica_error *error) {
  (void)error;
  *(double *)user = *(double *)user * 10 + (double)*(const float *)call->in[0];
  return MICA_OK;
}

TEST(callbacks_see_each_step_and_example) {
  double seen = 0;
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, row), zero = mica_scalar(graph, MICA_F32, 0), sum;
  mica_region scan = mica_scan_begin(&zero, 1, &x, 1);
  mica_value next = mica_add(mica_argument(scan, 0), mica_argument(scan, 1));
  mica_host_callback(&next, 1, add_up, &seen);
  mica_scan_end(scan, &next, NULL, 0, &sum, NULL);
  mica_tensor *in = numbers();
  CHECK_OK(run_graph(graph, &sum, 1, in, NULL));
  CHECK_NEAR(seen, 136, 0); /* 1, 3, 6 */
  mica_graph_destroy(graph);

  seen = 0;
  graph = mica_graph_create(NULL);
  x = mica_parameter(graph, row);
  mica_region each = mica_vmap_begin(graph, &x, NULL, 1);
  mica_value one = mica_argument(each, 0), twice = mica_mul(one, 2);
  mica_host_callback(&one, 1, add_up, &seen);
  mica_value all;
  mica_vmap_end(each, &twice, 1, &all);
  CHECK_OK(run_graph(graph, &all, 1, in, NULL));
  CHECK_NEAR(seen, 123, 0);
  mica_graph_destroy(graph), mica_tensor_release(in);
}

TEST(assertions_end_the_call) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, row), y = mica_neg(x);
  mica_scope_push(graph, "checks");
  mica_assert(mica_less(x, 3), "x is below three");
  mica_scope_pop(graph, "checks");
  mica_tensor *in = numbers(), *small = mica_tensor_from(MICA_F32, row.shape, (float[]){0, 1, 2});
  mica_error error = {0};
  CHECK_EQ_INT(run_graph(graph, &y, 1, in, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message, "assertion failed at [2]: x is below three, in scope checks");
  CHECK_OK(run_graph(graph, &y, 1, small, NULL));
  mica_graph_destroy(graph);

  /* Only the branch that is taken asserts. */
  graph = mica_graph_create(NULL);
  x = mica_parameter(graph, row);
  mica_region region = mica_if_begin(mica_reduce_and(mica_less(x, 3), MICA_ALL));
  y = mica_mul(x, 2);
  mica_if_else(region, &y, 1);
  mica_value never = mica_assert(mica_scalar(graph, MICA_BOOL, 0), "the large branch");
  y = mica_select(never, x, mica_neg(x));
  mica_value picked;
  mica_if_end(region, &y, 1, &picked);
  error = (mica_error){0};
  CHECK_EQ_INT(run_graph(graph, &picked, 1, in, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message, "assertion failed: the large branch");
  CHECK_OK(run_graph(graph, &picked, 1, small, NULL));
  mica_graph_destroy(graph), mica_tensor_release(in), mica_tensor_release(small);
}

/* ---- derivatives through blocks ------------------------------------------------------------------------- */

typedef enum { IN_CALL, IN_SWITCH, IN_WHILE, IN_SCAN, IN_CALL_OF_SCAN, BLOCKS } block_kind;
static const char *const block_names[] = {"call", "switch", "while", "scan", "scan in a call"};

/* x sin(x) once (in a while and scan: three times), with an effect beside it, or one whose result it takes. */
static mica_value effective_step(mica_custom_operator *custom, mica_value x, bool read) {
  mica_value seen;
  mica_custom(custom, &x, 1, NULL, &seen, 1);
  mica_assert(mica_less_number(x, 1e6), "x is small");
  return mica_mul(mica_sin(x), read ? mica_add(mica_mul_number(seen, 0), x) : x);
}
static mica_value in_scan(mica_custom_operator *custom, mica_value x, bool read) {
  mica_region each = mica_scan_begin_count(x.graph, &x, 1, NULL, 0, 3, false);
  mica_value y = effective_step(custom, mica_argument(each, 0), read), out = {0};
  mica_scan_end(each, &y, NULL, 0, &out, NULL);
  return out;
}
static mica_value in_block(block_kind kind, mica_custom_operator *custom, mica_value x, bool read) {
  mica_value y, out = {0};
  if (kind == IN_CALL || kind == IN_CALL_OF_SCAN) {
    mica_region body = mica_call_begin(x.graph, &x, 1);
    mica_value inside = mica_argument(body, 0);
    y = kind == IN_CALL ? effective_step(custom, inside, read) : in_scan(custom, inside, read);
    mica_call_end(body, &y, 1, &out);
  } else if (kind == IN_SWITCH) {
    mica_region cases = mica_switch_begin(mica_scalar(x.graph, MICA_I32, 1));
    mica_switch_next(cases, &x, 1);
    y = effective_step(custom, x, read);
    mica_switch_end(cases, &y, 1, &out);
  } else if (kind == IN_WHILE) {
    mica_value state[2] = {x, mica_scalar(x.graph, MICA_I32, 0)}, last[2];
    mica_region loop = mica_while_begin(x.graph, state, 2, 3);
    mica_while_body(loop, mica_less_number(mica_argument(loop, 1), 3));
    mica_value next[2] = {effective_step(custom, mica_argument(loop, 0), read),
                          mica_add_number(mica_argument(loop, 1), 1)};
    mica_while_end(loop, next, last);
    out = last[0];
  } else {
    out = in_scan(custom, x, read);
  }
  return out;
}

typedef enum { FORWARD, REVERSE, FORWARD_TWICE, OF_ITSELF, ORDERS } derivative_order;
static const char *const order_names[] = {"forward", "reverse", "forward twice", "of its tangent"};

/* How often the effect of one block runs in a program that gives the block's result and its derivative. */
static int runs_of(block_kind kind, derivative_order order, bool read) {
  record r = {0};
  mica_custom_operator *custom = make("watch", &r, true);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, row), y = in_block(kind, custom, x, read), out[3] = {y};
  mica_value one = mica_ones_like(x);
  mica_error error = {0};
  mica_tensor *in = numbers();
  if (order == REVERSE)
    mica_vjp(&y, &one, 1, &x, 1, &out[1]);
  else if (order == OF_ITSELF) /* a tangent that is made of the block's result */
    mica_jvp(&y, 1, &x, &y, 1, &out[1]);
  else
    mica_jvp(&y, 1, &x, &one, 1, &out[1]);
  out[2] = out[1];
  if (order == FORWARD_TWICE) mica_jvp(&out[1], 1, &x, &one, 1, &out[2]);
  mica_status status = run_graph(graph, out, 3, in, &error);
  if (status != MICA_OK)
    CHECK_FAIL("%s, %s: %s", block_names[kind], order_names[order], error.message);
  mica_tensor_release(in);
  mica_graph_destroy(graph);
  mica_custom_release(custom);
  return r.runs;
}

TEST(derivatives_do_not_run_effects_again) {
  for (int kind = 0; kind < BLOCKS; kind++)
    for (int order = 0; order < ORDERS; order++) {
      int once = kind == IN_CALL || kind == IN_SWITCH ? 1 : 3;
      int unread = runs_of((block_kind)kind, (derivative_order)order, false);
      int read = runs_of((block_kind)kind, (derivative_order)order, true);
      if (unread != once)
        CHECK_FAIL("%s, %s: %d runs of an effect, expected %d", block_names[kind],
                   order_names[order], unread, once);
      if (order == FORWARD ? read != once : read < once)
        CHECK_FAIL("%s, %s: %d runs of an effect whose result is read, expected %d",
                   block_names[kind], order_names[order], read, once);
    }
}

TEST_MAIN(TEST_CASE(options_are_checked), TEST_CASE(derivatives_do_not_run_effects_again),
          TEST_CASE(the_graph_keeps_it_alive), TEST_CASE(only_effects_run_unused_and_in_order),
          TEST_CASE(errors_name_the_operator), TEST_CASE(text_binds_by_name),
          TEST_CASE(callbacks_see_each_step_and_example), TEST_CASE(assertions_end_the_call))
