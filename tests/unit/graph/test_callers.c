/* SPDX-License-Identifier: Apache-2.0 */
/* test_callers.c: a mistake in a graph remembers the call that made it: the return address lies in the
 * function of the caller's, and not in a builder that another builder or a rule called. */
#include "unit/graph/ops_testing.h"

#include "mica/jit.h"

#if defined(__GNUC__) && !defined(__wasm__)
#define APART __attribute__((noinline)) /* with code of its own, which the address points into */
enum { KNOWN = true };
#else
#define APART
enum { KNOWN = false };
#endif

static volatile int
    after; /* written behind each call, so that none of them is the function's last */

#define MISTAKEN(name, ...)                                           \
  static APART void name(mica_graph *g, mica_value x, mica_value y) { \
    mica_value out[2] = {{0}};                                        \
    mica_region block = {0};                                          \
    (void)g, (void)x, (void)y, (void)out, (void)block;                \
    __VA_ARGS__;                                                      \
    after++;                                                          \
  }
/* x f32[2], y f32[3] */
MISTAKEN(add_shapes, mica_add(x, y))
MISTAKEN(add_nothing, mica_add((mica_value){0}, y))
MISTAKEN(compare_shapes, mica_less(x, y))
MISTAKEN(made_of_others, mica_silu(mica_convert(x, MICA_I32)))
MISTAKEN(with_options, mica_conv(x, y, .groups = 2))
MISTAKEN(first_of_two, mica_tanh(mica_matmul(x, y)))
MISTAKEN(gradient, mica_gradients(x, &y, 1, out))
MISTAKEN(rule_of_a_gradient, mica_region loop = mica_while_begin(g, &x, 1, 0);
         mica_while_body(loop, mica_scalar(g, MICA_BOOL, 0));
         out[0] = mica_sin(mica_argument(loop, 0)); mica_while_end(loop, out, out);
         mica_gradients(mica_reduce_sum(out[0], MICA_ALL), &x, 1, out))
MISTAKEN(end_of_a_block, block = mica_call_begin(g, &x, 1); mica_vmap_end(block, &x, 1, out))
MISTAKEN(block_left_open, mica_call_begin(g, &x, 1))
MISTAKEN(scope_name, mica_scope_push(g, "a b"))
MISTAKEN(outputs, out[0] = mica_no_value(g); mica_graph_set_outputs(g, out, 1))
MISTAKEN(own_message, mica_fail(g, MICA_INVALID, "my layer: expected more"))
MISTAKEN(by_name, mica_build_operator(g, "adder", &x, 1, ""))

typedef void mistaken(mica_graph *g, mica_value x, mica_value y);

static void check_caller(const char *name, uintptr_t function, const mica_error *error) {
  if (!KNOWN) {
    CHECK(error->caller == NULL);
    return;
  }
  uintptr_t caller = (uintptr_t)error->caller;
  if (caller <= function || caller - function > 4096) /* sanitizers make much code of one line */
    CHECK_FAIL("%s at %#llx: the caller is %#llx (%s)", name, (unsigned long long)function,
               (unsigned long long)caller, error->message);
}

TEST(mistakes_know_their_callers) {
  static const struct {
    const char *name;
    mistaken *make;
  } mistakes[] = {{"add_shapes", add_shapes},
                  {"add_nothing", add_nothing},
                  {"compare_shapes", compare_shapes},
                  {"made_of_others", made_of_others},
                  {"with_options", with_options},
                  {"first_of_two", first_of_two},
                  {"gradient", gradient},
                  {"rule_of_a_gradient", rule_of_a_gradient},
                  {"end_of_a_block", end_of_a_block},
                  {"block_left_open", block_left_open},
                  {"scope_name", scope_name},
                  {"outputs", outputs},
                  {"own_message", own_message},
                  {"by_name", by_name}};
  for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
    mica_graph *g = mica_graph_create(NULL);
    mica_value x = F32(2), y = F32(3);
    mica_error error = {0}, again = {0};
    mistakes[i].make(g, x, y);
    CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
    check_caller(mistakes[i].name, (uintptr_t)mistakes[i].make, &error);
    bool stays = g->status != MICA_OK; /* an open block is no failure yet */
    add_shapes(g, x, y);
    mica_graph_status(g, &again);
    CHECK(!stays || again.caller == error.caller);
    mica_graph_destroy(g);
  }
}

/* A graph that is used again knows nothing of its last mistake, and other failures have no caller. */
TEST(callers_end_with_the_trace) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value x = F32(2), y = F32(3);
  mica_error error = {0};
  add_shapes(g, x, y);
  mica_graph_reset(g);
  CHECK_OK(mica_graph_status(g, &error));
  CHECK(error.caller == NULL);
  mica_scope_push(g, "fine");
  x = F32(2), y = F32(3);
  made_of_others(g, x, y);
  mica_graph_status(g, &error);
  check_caller("made_of_others", (uintptr_t)made_of_others, &error);
  mica_graph_destroy(g);
  error = (mica_error){0};
  CHECK_STATUS(mica_graph_status(NULL, &error), MICA_INVALID);
  CHECK(error.caller == NULL);
}

/* Through a jit: the mistake of the build function, and an output that it forgets. */
static APART void build_mistake(mica_graph *graph, const mica_value *in, mica_value *out,
                                void *user) {
  (void)graph;
  if (user) out[0] = mica_add(in[0], in[1]);
  after++;
}
TEST(build_functions_are_found) {
  mica_device *device = mica_device_open(NULL, NULL);
  mica_tensor *in[2] = {mica_tensor_from(MICA_F32, MICA_DIMS(2), NULL),
                        mica_tensor_from(MICA_F32, MICA_DIMS(3), NULL)},
              *out = NULL;
  for (int which = 0; which < 2; which++) {
    mica_error error = {0};
    CHECK_STATUS(mica_call_once(device, build_mistake, which ? in : NULL, in, 2, &out, 1, &error),
                 MICA_INVALID);
    if (which) {
      check_caller("build_mistake", (uintptr_t)build_mistake, &error);
    } else if (KNOWN) {
      CHECK((uintptr_t)error.caller == (uintptr_t)build_mistake);
    }
  }
  mica_tensor_release(in[0]);
  mica_tensor_release(in[1]);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(mistakes_know_their_callers), TEST_CASE(callers_end_with_the_trace),
          TEST_CASE(build_functions_are_found))
