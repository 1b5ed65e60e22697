/* SPDX-License-Identifier: Apache-2.0 */
/* test_misuse_blocks.c: blocks that are begun, left and ended in the wrong order, with the wrong types or
 * counts, or not at all, and what their ends give when they fail. */
#include "unit/graph/misuse_testing.h"

#include "mica/jit.h"
#include "mica/mesh.h"

/* ---- wrong orders and types --------------------------------------------------------------------------- */

/* while */
MISTAKE(while_condition_is_no_bool, "while_body(f32[2])", "bool []", BEGIN_WHILE;
        mica_while_body(block, x))
MISTAKE(while_condition_is_no_scalar, "while_body(bool[2])", "bool []", BEGIN_WHILE;
        mica_while_body(block, mica_greater(x, 0)))
MISTAKE(while_body_twice, "while_body(f32[2], i32[])", "open already", BEGIN_WHILE;
        mica_while_body(block, c); mica_while_body(block, c))
MISTAKE(while_without_body, "while_end(f32[2], i32[])", "mica_while_body", BEGIN_WHILE;
        mica_while_end(block, (mica_value[]){x, n}, out); CHECK(!mica_is_valid(out[1])))
MISTAKE(while_next_has_another_shape, "while(f32[2], i32[]",
        "next state 0 is f32[3]: expected f32[2]", BEGIN_WHILE;
        mica_while_body(block, c); mica_while_end(block, (mica_value[]){y, n}, out))
MISTAKE(while_next_has_another_dtype, "while(f32[2], i32[]",
        "next state 1 is f32[]: expected i32[]", BEGIN_WHILE;
        mica_while_body(block, c);
        mica_while_end(block, (mica_value[]){x, mica_convert(n, MICA_F32)}, out))
MISTAKE(while_bound_is_negative, "while(f32[2]", "max_iterations is -1",
        block = mica_while_begin(g, &x, 1, -1);
        mica_while_body(block, c); mica_while_end(block, &x, out))
MISTAKE(while_ended_twice, "while_end(f32[2], i32[])", "closed already", BEGIN_WHILE;
        mica_while_body(block, c); mica_while_end(block, (mica_value[]){x, n}, out);
        mica_while_end(block, (mica_value[]){x, n}, out))
MISTAKE(while_value_kept, "neg(f32[2])", "closed block of while", BEGIN_WHILE;
        mica_while_body(block, c); mica_value kept = mica_argument(block, 0);
        mica_while_end(block, (mica_value[]){x, n}, out); mica_neg(kept))
MISTAKE(condition_value_in_the_body, "neg(f32[2])", "closed block of while", BEGIN_WHILE;
        mica_value kept = mica_exp(mica_argument(block, 0)); mica_while_body(block, c);
        mica_neg(kept))

/* if and switch */
MISTAKE(if_of_a_number, "if_begin(i32[])", "bool []", mica_if_begin(n))
MISTAKE(if_of_an_array, "if_begin(bool[2])", "bool []", mica_if_begin(mica_greater(x, 0)))
MISTAKE(if_else_twice, "if_else(i32[])", "open already", block = mica_if_begin(c);
        mica_if_else(block, &x, 1); mica_if_else(block, &x, 1))
MISTAKE(if_without_else, "if_end(i32[])", "mica_if_else", block = mica_if_begin(c);
        mica_if_end(block, &x, 1, out))
MISTAKE(if_with_different_types, "switch(i32[]",
        "result of the second block 0 is f32[3]: expected f32[2]", block = mica_if_begin(c);
        mica_if_else(block, &x, 1); mica_if_end(block, &y, 1, out))
MISTAKE(switch_of_a_float, "switch(f32[]", "index 0 is f32[]: expected i32[]",
        block = mica_switch_begin(mica_convert(n, MICA_F32));
        mica_switch_end(block, &x, 1, out))
MISTAKE(switch_of_many, "switch(i32[2]", "expected i32[]",
        block = mica_switch_begin(mica_convert(x, MICA_I32));
        mica_switch_end(block, &x, 1, out))
MISTAKE(switch_with_another_count, "switch_next(i32[])", "1 result: expected 2",
        block = mica_switch_begin(n);
        mica_switch_next(block, (mica_value[]){x, y}, 2); mica_switch_next(block, &x, 1))
MISTAKE(switch_ends_with_another_count, "switch_end(i32[])", "2 results: expected 1",
        block = mica_switch_begin(n);
        mica_switch_next(block, &x, 1); mica_switch_end(block, (mica_value[]){x, y}, 2, out))
MISTAKE(switch_with_another_type, "switch(i32[]", "result of a block 0 is f32[3]: expected f32[2]",
        block = mica_switch_begin(n);
        mica_switch_next(block, &x, 1); mica_switch_next(block, &x, 1);
        mica_switch_end(block, &y, 1, out))

/* scan */
MISTAKE(scan_over_a_scalar, "scan_begin(f32[2], i32[])", "[time, ...]",
        mica_scan_begin(&x, 1, &n, 1))
MISTAKE(scan_over_different_lengths, "scan_begin(f32[2], f32[2], f32[3])", "length 3: expected 2",
        mica_scan_begin(&x, 1, (mica_value[]){x, y}, 2))
MISTAKE(scan_over_nothing, "scan_begin(f32[2])", "mica_scan_begin_count",
        mica_scan_begin(&x, 1, NULL, 0))
MISTAKE(scan_carry_has_another_shape, "scan(f32[2], f32[3]",
        "next carry 0 is f32[3]: expected f32[2]", block = mica_scan_begin(&x, 1, &y, 1);
        mica_scan_end(block, &y, NULL, 0, out, NULL))
MISTAKE(scan_emits_rank_8, "scan(f32[2], f32[3]", "rank 8",
        mica_value wide = F32(1, 1, 1, 1, 1, 1, 1, 1);
        block = mica_scan_begin(&x, 1, &y, 1); mica_scan_end(block, &x, &wide, 1, out, out + 1))

/* vmap */
MISTAKE(vmap_along_no_axis, "vmap(f32[2])", "has no axis 1",
        mica_vmap_begin(g, &x, (int32_t[]){1}, 1))
MISTAKE(vmap_along_a_negative_axis, "vmap(f32[2])", "has no axis -2",
        mica_vmap_begin(g, &x, (int32_t[]){-2}, 1))
MISTAKE(vmap_of_a_scalar, "vmap(i32[])", "has no axis 0", mica_vmap_begin(g, &n, NULL, 1))
MISTAKE(vmap_over_different_sizes, "vmap(f32[2], f32[3])", "3 examples along axis 0: expected 2",
        mica_vmap_begin(g, (mica_value[]){x, y}, NULL, 2))
MISTAKE(vmap_over_nothing, "vmap(f32[2])", "an axis of examples",
        mica_vmap_begin(g, &x, (int32_t[]){-1}, 1))
MISTAKE(vmap_of_rank_8, "vmap(f32[1, 1, 1, 1, 1, 1, 1, 1])", "an axis of their own",
        mica_value wide = F32(1, 1, 1, 1, 1, 1, 1, 1);
        block = mica_vmap_begin(g, &x, NULL, 1); mica_vmap_end(block, &wide, 1, out))
MISTAKE(vmap_value_kept, "neg(f32[])", "closed block of vmap",
        block = mica_vmap_begin(g, &x, NULL, 1);
        mica_value kept = mica_argument(block, 0); mica_vmap_end(block, &kept, 1, out);
        mica_neg(kept))

/* custom gradients */
MISTAKE(custom_backward_twice, "custom_gradient_backward(f32[2])", "open already",
        block = mica_custom_gradient_begin(g, &x, 1);
        mica_custom_gradient_backward(block, &x, 1); mica_custom_gradient_backward(block, &x, 1))
MISTAKE(custom_without_backward, "custom_gradient_end(f32[2])", "mica_custom_gradient_backward",
        block = mica_custom_gradient_begin(g, &x, 1);
        mica_custom_gradient_end(block, &x, out, 1))
MISTAKE(custom_gradient_of_another_type, "custom_gradient(f32[2]",
        "gradient of input 0 is f32[3]: expected f32[2]",
        block = mica_custom_gradient_begin(g, &x, 1);
        mica_custom_gradient_backward(block, &x, 1); mica_custom_gradient_end(block, &y, out, 1))

/* lists and places for results that are missing */
#define NO_LIST  "is NULL: expected 1"
#define NO_PLACE "the place for results is NULL: expected room for 1"
MISTAKE(vmap_of_no_list, "vmap()", NO_LIST, mica_vmap_begin(g, NULL, NULL, 1))
MISTAKE(vmap_without_results, "vmap()", NO_LIST, block = mica_vmap_begin(g, &x, NULL, 1);
        mica_vmap_end(block, NULL, 1, out); CHECK(!mica_is_valid(out[0])))
MISTAKE(vmap_to_no_place, "vmap_end(f32[])", NO_PLACE, block = mica_vmap_begin(g, &x, NULL, 1);
        mica_vmap_end(block, (mica_value[]){mica_argument(block, 0)}, 1, NULL))
MISTAKE(call_of_no_list, "call()", NO_LIST, mica_call_begin(g, NULL, 1))
MISTAKE(call_without_results, "call_end()", NO_LIST, block = mica_call_begin(g, &x, 1);
        mica_call_end(block, NULL, 1, out); CHECK(!mica_is_valid(out[0])))
MISTAKE(call_to_no_place, "call_end(f32[2])", NO_PLACE, block = mica_call_begin(g, &x, 1);
        mica_call_end(block, &x, 1, NULL))
MISTAKE(scan_of_no_carry, "scan_begin()", NO_LIST, mica_scan_begin(NULL, 1, &x, 1))
MISTAKE(scan_of_no_items, "scan_begin()", NO_LIST, mica_scan_begin(&x, 1, NULL, 1))
MISTAKE(scan_without_carry, "scan_end()", NO_LIST, block = mica_scan_begin(&x, 1, &y, 1);
        mica_scan_end(block, NULL, NULL, 0, out, NULL); CHECK(!mica_is_valid(out[0])))
MISTAKE(scan_without_results, "scan_end()", NO_LIST, block = mica_scan_begin(&x, 1, &y, 1);
        mica_scan_end(block, &x, NULL, 1, out, out + 1); CHECK(!mica_is_valid(out[1])))
MISTAKE(scan_to_no_carry, "scan_end(f32[2])", NO_PLACE, block = mica_scan_begin(&x, 1, &y, 1);
        mica_scan_end(block, &x, &x, 1, NULL, out))
MISTAKE(scan_to_no_place, "scan_end(f32[2])", NO_PLACE, block = mica_scan_begin(&x, 1, &y, 1);
        mica_scan_end(block, &x, &x, 1, out, NULL))
MISTAKE(while_to_no_place, "while_end(f32[2])", NO_PLACE, block = mica_while_begin(g, &x, 1, 5);
        mica_while_body(block, c); mica_while_end(block, &x, NULL))
MISTAKE(if_to_no_place, "if_end(f32[2])", NO_PLACE, block = mica_if_begin(c);
        mica_if_else(block, &x, 1); mica_if_end(block, &x, 1, NULL))
MISTAKE(custom_gradient_to_no_place, "custom_gradient_end(f32[2])", NO_PLACE,
        block = mica_custom_gradient_begin(g, &x, 1);
        mica_custom_gradient_backward(block, &x, 1); mica_custom_gradient_end(block, &x, NULL, 1))
MISTAKE(reduce_of_no_list, "reduce()", NO_LIST, mica_reduce_begin(&x, NULL, 1, MICA_ALL))
MISTAKE(reduce_to_no_place, "reduce_end(f32[])", NO_PLACE,
        mica_value zero = mica_scalar(g, MICA_F32, 0);
        block = mica_reduce_begin(&x, &zero, 1, MICA_ALL);
        mica_reduce_end(block, (mica_value[]){mica_argument(block, 0)}, NULL))
MISTAKE(sort_to_no_place, "sort_end()", NO_PLACE, block = mica_sort_begin(&x, 1, 0);
        mica_sort_end(block, mica_less(mica_argument(block, 0), mica_argument(block, 1)), NULL))
MISTAKE(manual_of_no_list, "manual_begin()", NO_LIST,
        mica_mesh *pair = mica_mesh_create("a=2", NULL);
        mica_manual_begin(g, pair, NULL, NULL, 1); mica_mesh_release(pair))
MISTAKE(manual_without_results, "manual_end()", NO_LIST,
        mica_mesh *pair = mica_mesh_create("a=2", NULL);
        block = mica_manual_begin(g, pair, &x, NULL, 1); mica_manual_end(block, NULL, NULL, 1, out);
        CHECK(!mica_is_valid(out[0])); mica_mesh_release(pair))
MISTAKE(manual_to_no_place, "manual_end(f32[2])", NO_PLACE,
        mica_mesh *pair = mica_mesh_create("a=2", NULL);
        block = mica_manual_begin(g, pair, &x, NULL, 1); mica_manual_end(block, &x, NULL, 1, NULL);
        mica_mesh_release(pair))
MISTAKE(outputs_of_no_list, "set_outputs()", NO_LIST, mica_graph_set_outputs(g, NULL, 1))

/* blocks among each other */
MISTAKE(outer_block_ended_first, "call_end(f32[2])",
        "another block inside of this call is still open", block = mica_call_begin(g, &x, 1);
        inner = mica_scan_begin(&x, 1, &y, 1); mica_call_end(block, &x, 1, out))
MISTAKE(end_of_another_kind, "while_end(f32[2])",
        "belongs to call: expected an open block of while", block = mica_call_begin(g, &x, 1);
        mica_while_end(block, &x, out))
MISTAKE(recompute_ended_as_call, "call_end(f32[2])",
        "belongs to recompute: expected an open block of call",
        block = mica_recompute_begin(g, &x, 1);
        mica_call_end(block, &x, 1, out))
MISTAKE(vmap_ended_as_scan, "scan_end(f32[2])", "belongs to vmap: expected an open block of scan",
        block = mica_vmap_begin(g, &x, NULL, 1);
        mica_scan_end(block, &x, &x, 1, out, out + 1))
MISTAKE(no_block, "while_body()", "not {0}", mica_while_body((mica_region){g, 0, 0}, c))
MISTAKE(no_block_to_end, "vmap_end()", "not {0}", mica_vmap_end((mica_region){g, 0, 0}, &x, 1, out))
MISTAKE(unknown_block, "call_end()", "a trace that has ended",
        mica_call_end((mica_region){g, 77, g->epoch}, &x, 1, out))
MISTAKE(argument_that_is_not_there, "argument(f32[2])",
        "has 1 argument: expected an index below that, not 1", block = mica_call_begin(g, &x, 1);
        mica_argument(block, 1))
MISTAKE(argument_of_a_closed_block, "argument(f32[2])", "call is closed already",
        block = mica_call_begin(g, &x, 1);
        mica_call_end(block, &x, 1, out); mica_argument(block, 0))
MISTAKE(argument_of_no_block, "argument()", "not {0}", mica_argument((mica_region){g, 0, 0}, 0))

TEST(stale_block) {
  mica_graph *g = scoped_graph();
  mica_value x = F32(2), out;
  mica_region block = mica_call_begin(g, &x, 1);
  mica_graph_reset(g);
  mica_scope_push(g, "net");
  mica_scope_push(g, "part");
  x = F32(2);
  mica_call_end(block, &x, 1, &out);
  check_message(g, "call_end()", (const char *const[]){"a trace that has ended", NULL});
  mica_graph_destroy(g);
}

/* Handles that are all zeros are ignored without a crash: there is no graph to complain to. */
TEST(zero_handles) {
  mica_region none = {0};
  mica_value zero = {0}, out[2];
  mica_while_body(none, zero);
  mica_while_end(none, &zero, out);
  mica_if_else(none, &zero, 1);
  mica_if_end(none, &zero, 1, out);
  mica_switch_next(none, &zero, 1);
  mica_switch_end(none, &zero, 1, out);
  mica_scan_end(none, &zero, &zero, 1, out, out);
  mica_vmap_end(none, &zero, 1, out);
  mica_call_end(none, &zero, 1, out);
  mica_recompute_end(none, &zero, 1, out);
  mica_custom_gradient_backward(none, &zero, 1);
  mica_custom_gradient_end(none, &zero, out, 1);
  CHECK(!mica_is_valid(mica_argument(none, 0)));
  CHECK_EQ_INT(mica_while_begin(NULL, &zero, 1, 1).id, 0);
  CHECK_EQ_INT(mica_if_begin(zero).id, 0);
  CHECK_EQ_INT(mica_switch_begin(zero).id, 0);
  CHECK_EQ_INT(mica_scan_begin(&zero, 1, &zero, 1).id, 0);
  CHECK_EQ_INT(mica_vmap_begin(NULL, &zero, NULL, 1).id, 0);
  CHECK_EQ_INT(mica_call_begin(NULL, &zero, 1).id, 0);
  CHECK_EQ_INT(mica_recompute_begin(NULL, &zero, 1).id, 0);
  CHECK_EQ_INT(mica_custom_gradient_begin(NULL, &zero, 1).id, 0);
  mica_gradients(zero, &zero, 1, out);
  mica_vjp(&zero, &zero, 1, &zero, 1, out);
  mica_jvp(&zero, 1, &zero, &zero, 1, out);
  CHECK(!mica_is_valid(mica_jacobian(zero, zero)) && !mica_is_valid(mica_hessian(zero, zero)));
  CHECK(!mica_is_valid(mica_variable_read(NULL, NULL)));
  mica_variable_assign(NULL, zero);
  mica_scope_push(NULL, "x");
  mica_scope_pop(NULL, "x");
  mica_graph_set_outputs(NULL, &zero, 1);
  CHECK(!mica_is_valid(mica_build_operator(NULL, "add", &zero, 1, NULL)));
  CHECK_STATUS(mica_graph_status(NULL, NULL), MICA_INVALID);
  CHECK_STATUS(mica_graph_verify(NULL, NULL), MICA_INVALID);
  mica_graph_destroy(NULL);
}

/* ---- what ends give when they fail -------------------------------------------------------------------------- */

enum { MANY = 4 };
typedef enum { NO_MEMORY, NO_GRAPH, FAILED_BEFORE, FAILED_INSIDE, LATE_MEMORY, FATES } block_fate;

/* Memory that ends when *left reaches 0. */
static void *ending_memory(void *self, void *old, size_t old_size, size_t new_size,
                           size_t alignment) {
  int *left = self;
  (void)old_size, (void)alignment;
  if (new_size == 0) {
    free(old);
    return NULL;
  }
  return *left > 0 ? (--*left, realloc(old, new_size)) : NULL;
}

/* Begins a block on x and condition c, fails inside of it if told to, and ends it: out[MANY]. */
static void end_with_many(int which, mica_graph *g, mica_value x, mica_value c, bool fail,
                          mica_value *out) {
  mica_value many[MANY] = {x, x, x, x};
  mica_region block;
  switch (which) {
    case 0:
      block = mica_while_begin(g, many, MANY, 3);
      if (fail) mica_fail(g, MICA_INVALID, "inside");
      mica_while_body(block, c);
      mica_while_end(block, many, out);
      return;
    case 1:
      block = mica_if_begin(c);
      if (fail) mica_fail(g, MICA_INVALID, "inside");
      mica_if_else(block, many, MANY);
      mica_if_end(block, many, MANY, out);
      return;
    case 2:
      block = mica_switch_begin(mica_convert(c, MICA_I32));
      if (fail) mica_fail(g, MICA_INVALID, "inside");
      mica_switch_end(block, many, MANY, out);
      return;
    case 3:
      block = mica_scan_begin_count(g, many, 2, NULL, 0, 3, false);
      if (fail) mica_fail(g, MICA_INVALID, "inside");
      mica_scan_end(block, many, many, 2, out, out + 2);
      return;
    case 4:
      block = mica_vmap_begin(g, many, NULL, MANY);
      if (fail) mica_fail(g, MICA_INVALID, "inside");
      mica_vmap_end(block, many, MANY, out);
      return;
    case 5:
      block = mica_call_begin(g, many, MANY);
      if (fail) mica_fail(g, MICA_INVALID, "inside");
      mica_call_end(block, many, MANY, out);
      return;
    case 6:
      block = mica_recompute_begin(g, many, MANY);
      if (fail) mica_fail(g, MICA_INVALID, "inside");
      mica_recompute_end(block, many, MANY, out);
      return;
    default:
      block = mica_custom_gradient_begin(g, many, MANY);
      if (fail) mica_fail(g, MICA_INVALID, "inside");
      mica_custom_gradient_backward(block, many, MANY);
      mica_custom_gradient_end(block, many, out, MANY);
      return;
  }
}

/* Whatever happened, each result is a value that failed and not what lay in the caller's memory. */
TEST(failed_ends_give_failed_values) {
  for (int which = 0; which < 8; which++)
    for (block_fate fate = NO_MEMORY; fate < FATES; fate++)
      for (int left = 0; left < (fate == LATE_MEMORY ? 40 : 1); left++) {
        int allocations = 1000;
        mica_allocator ending = {.allocate = ending_memory, .self = &allocations},
                       never = {.allocate = no_memory};
        mica_graph *g = mica_graph_create(fate == NO_MEMORY     ? &never
                                          : fate == LATE_MEMORY ? &ending
                                                                : NULL);
        mica_value x = F32(2), c = SCALAR(BOOL), out[MANY];
        memset(out, 0x5A, sizeof out); /* a graph, an id and an epoch that never were */
        if (fate == NO_GRAPH) x = c = (mica_value){0};
        if (fate == FAILED_BEFORE) mica_fail(g, MICA_INVALID, "before");
        if (fate == LATE_MEMORY) allocations = left;
        end_with_many(which, fate == NO_GRAPH ? NULL : g, x, c, fate == FAILED_INSIDE, out);
        bool failed = fate != LATE_MEMORY || mica_graph_status(g, NULL) == MICA_OUT_OF_MEMORY;
        for (int i = 0; i < MANY && failed; i++)
          if ((out[i].graph != g && out[i].graph != NULL) || out[i].id != 0 ||
              mica_is_valid(out[i]))
            CHECK_FAIL("block %d, fate %d: result %d is not a failed value", which, (int)fate, i);
        allocations = 1000;
        mica_graph_destroy(g);
      }
}

MISTAKE(if_ends_with_another_count, "if_end(i32[])", "2 results: expected 1 as in the first block",
        block = mica_if_begin(c);
        mica_if_else(block, &x, 1); mica_if_end(block, (mica_value[]){x, x}, 2, out);
        CHECK(!mica_is_valid(out[1])))
MISTAKE(custom_ends_with_another_count, "custom_gradient_end(f32[2])",
        "2 results: expected 1 as in the first block", block = mica_custom_gradient_begin(g, &x, 1);
        mica_custom_gradient_backward(block, &x, 1); mica_custom_gradient_end(block, &x, out, 2);
        CHECK(!mica_is_valid(out[1])))

/* ---- blocks that nobody closes -------------------------------------------------------------------------- */

/* Says so at once (status), when outputs are named, and when it is compiled. */
static void check_unclosed(mica_graph *graph, const char *name, const char *end) {
  mica_error error = {0}, compiling = {0};
  CHECK_STATUS(mica_graph_status(graph, &error), MICA_INVALID);
  if (strncmp(error.message, name, strlen(name)) ||
      !strstr(error.message, "the block is not closed: expected ") || !strstr(error.message, end) ||
      !strstr(error.message, "in scope net/part"))
    CHECK_FAIL("unclosed %s: \"%s\"", name, error.message);
  mica_device *device = mica_device_open(NULL, NULL);
  mica_executable *executable = NULL;
  CHECK_STATUS(mica_compile(device, graph, 0, &executable, &compiling), MICA_INVALID);
  CHECK_EQ_STR(compiling.message, error.message);
  CHECK_STATUS(mica_graph_verify(graph, NULL), MICA_INVALID);
  mica_device_release(device);
  mica_value none = mica_no_value(graph);
  mica_graph_set_outputs(graph, &none, 1);
  mica_error after = {0};
  mica_graph_status(graph, &after);
  CHECK_EQ_STR(after.message, error.message);
  mica_graph_destroy(graph);
}

TEST(unclosed_blocks) {
  for (int which = 0; which < 12; which++) {
    mica_graph *g = scoped_graph();
    mica_value x = F32(2), c = SCALAR(BOOL), n = SCALAR(I32);
    mica_region block;
    switch (which) {
      case 0: mica_while_begin(g, &x, 1, 3); break;
      case 1: mica_while_body(mica_while_begin(g, &x, 1, 3), c); break;
      case 2: mica_if_begin(c); break;
      case 3: mica_if_else(mica_if_begin(c), &x, 1); break;
      case 4: mica_switch_begin(n); break;
      case 5: mica_scan_begin(&x, 1, &x, 1); break;
      case 6: mica_vmap_begin(g, &x, NULL, 1); break;
      case 7: mica_call_begin(g, &x, 1); break;
      case 8: mica_recompute_begin(g, &x, 1); break;
      case 9: mica_custom_gradient_begin(g, &x, 1); break;
      case 10: mica_custom_gradient_backward(mica_custom_gradient_begin(g, &x, 1), &x, 1); break;
      default: /* the innermost one is named */
        mica_call_begin(g, &x, 1);
        block = mica_recompute_begin(g, &x, 1);
        mica_scan_begin(&x, 1, &x, 1);
        (void)block;
    }
    static const char *const names[12] = {"while(f32[2])",
                                          "while(f32[2])",
                                          "switch(i32[])",
                                          "switch(i32[])",
                                          "switch(i32[])",
                                          "scan(f32[2], f32[2])",
                                          "vmap(f32[2])",
                                          "call(f32[2])",
                                          "recompute(f32[2])",
                                          "custom_gradient(f32[2])",
                                          "custom_gradient(f32[2])",
                                          "scan(f32[2], f32[2])"};
    static const char *const ends[12] = {"mica_while_end",
                                         "mica_while_end",
                                         "mica_if_end",
                                         "mica_if_end",
                                         "mica_switch_end",
                                         "mica_scan_end",
                                         "mica_vmap_end",
                                         "mica_call_end",
                                         "mica_recompute_end",
                                         "mica_custom_gradient_end",
                                         "mica_custom_gradient_end",
                                         "mica_scan_end"};
    check_unclosed(g, names[which], ends[which]);
  }
}

/* What an end reads and what it writes may be one array. */
TEST(results_come_in_the_same_array) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value v[2], n = SCALAR(I32), x = F32(2), y = F32(2), c = SCALAR(BOOL), s = SCALAR(F32);
  mica_region block;
#define BOTH(a, b) (v[0] = (a), v[1] = (b))
#define GIVEN      CHECK(mica_is_valid(v[0]) && mica_is_valid(v[1]))
  BOTH(x, n), block = mica_while_begin(g, v, 2, 3);
  mica_while_body(block, mica_less(mica_argument(block, 1), 3));
  BOTH(mica_neg(mica_argument(block, 0)), mica_add(mica_argument(block, 1), 1));
  mica_while_end(block, v, v), GIVEN;
  block = mica_if_begin(c), BOTH(mica_neg(x), mica_exp(y)), mica_if_else(block, v, 2);
  BOTH(mica_neg(y), mica_exp(x)), mica_if_end(block, v, 2, v), GIVEN;
  block = mica_switch_begin(n), BOTH(mica_neg(x), y), mica_switch_next(block, v, 2);
  BOTH(x, mica_neg(y)), mica_switch_end(block, v, 2, v), GIVEN;
  block = mica_scan_begin(&x, 1, &y, 1);
  v[0] = mica_add(mica_argument(block, 0), mica_argument(block, 1)), v[1] = mica_neg(v[0]);
  mica_scan_end(block, &v[0], &v[1], 1, &v[0], &v[1]), GIVEN;
  BOTH(x, y), block = mica_vmap_begin(g, v, NULL, 2);
  BOTH(mica_neg(mica_argument(block, 0)), mica_argument(block, 1));
  mica_vmap_end(block, v, 2, v), GIVEN;
  BOTH(x, y), block = mica_call_begin(g, v, 2);
  BOTH(mica_neg(mica_argument(block, 0)), mica_argument(block, 1));
  mica_call_end(block, v, 2, v), GIVEN;
  BOTH(x, y), block = mica_recompute_begin(g, v, 2);
  BOTH(mica_neg(mica_argument(block, 0)), mica_argument(block, 1));
  mica_recompute_end(block, v, 2, v), GIVEN;
  BOTH(x, y), block = mica_custom_gradient_begin(g, v, 2);
  BOTH(mica_neg(mica_argument(block, 0)), mica_argument(block, 1));
  mica_custom_gradient_backward(block, v, 2);
  BOTH(mica_argument(block, 2), mica_argument(block, 3));
  mica_custom_gradient_end(block, v, v, 2), GIVEN;
  block = mica_associative_scan_begin(&x, 1, 0, false);
  v[0] = mica_add(mica_argument(block, 0), mica_mul(mica_argument(block, 1), 2));
  mica_associative_scan_end(block, v, v), GIVEN;
  block = mica_reduce_begin(&x, &s, 1, MICA_ALL);
  v[0] = mica_add(mica_argument(block, 0), mica_argument(block, 1));
  mica_reduce_end(block, v, v), GIVEN;
  BOTH(x, y), mica_barrier(v, 2, v), GIVEN;
  mica_value loss = sum_of(mica_mul(v[0], v[1])), one = mica_ones_like(loss);
  mica_value w[2] = {v[0], v[1]};
  mica_gradients(loss, w, 2, w), BOTH(w[0], w[1]), GIVEN;
  BOTH(x, y), mica_vjp(&loss, &one, 1, v, 2, v), GIVEN;
  v[0] = mica_mul(x, y), mica_jvp(v, 1, &x, &y, 1, v), GIVEN;
  mica_graph_set_outputs(g, v, 2);
  mica_error error = {0};
  CHECK_OK_ERROR(mica_graph_verify(g, &error), &error);
  mica_graph_destroy(g);
#undef BOTH
#undef GIVEN
}

TEST_MAIN(TEST_CASE(failed_ends_give_failed_values), TEST_CASE(if_ends_with_another_count),
          TEST_CASE(custom_ends_with_another_count), TEST_CASE(stale_block),
          TEST_CASE(zero_handles), TEST_CASE(unclosed_blocks),
          TEST_CASE(results_come_in_the_same_array), TEST_CASE(while_condition_is_no_bool),
          TEST_CASE(while_condition_is_no_scalar), TEST_CASE(while_body_twice),
          TEST_CASE(while_without_body), TEST_CASE(while_next_has_another_shape),
          TEST_CASE(while_next_has_another_dtype), TEST_CASE(while_bound_is_negative),
          TEST_CASE(while_ended_twice), TEST_CASE(while_value_kept),
          TEST_CASE(condition_value_in_the_body), TEST_CASE(if_of_a_number),
          TEST_CASE(if_of_an_array), TEST_CASE(if_else_twice), TEST_CASE(if_without_else),
          TEST_CASE(if_with_different_types), TEST_CASE(switch_of_a_float),
          TEST_CASE(switch_of_many), TEST_CASE(switch_with_another_count),
          TEST_CASE(switch_ends_with_another_count), TEST_CASE(switch_with_another_type),
          TEST_CASE(scan_over_a_scalar), TEST_CASE(scan_over_different_lengths),
          TEST_CASE(scan_over_nothing), TEST_CASE(scan_carry_has_another_shape),
          TEST_CASE(scan_emits_rank_8), TEST_CASE(vmap_along_no_axis),
          TEST_CASE(vmap_along_a_negative_axis), TEST_CASE(vmap_of_a_scalar),
          TEST_CASE(vmap_over_different_sizes), TEST_CASE(vmap_over_nothing),
          TEST_CASE(vmap_of_rank_8), TEST_CASE(vmap_value_kept), TEST_CASE(custom_backward_twice),
          TEST_CASE(custom_without_backward), TEST_CASE(custom_gradient_of_another_type),
          TEST_CASE(vmap_of_no_list), TEST_CASE(vmap_without_results), TEST_CASE(vmap_to_no_place),
          TEST_CASE(call_of_no_list), TEST_CASE(call_without_results), TEST_CASE(call_to_no_place),
          TEST_CASE(scan_of_no_carry), TEST_CASE(scan_of_no_items), TEST_CASE(scan_without_carry),
          TEST_CASE(scan_without_results), TEST_CASE(scan_to_no_carry), TEST_CASE(scan_to_no_place),
          TEST_CASE(while_to_no_place), TEST_CASE(if_to_no_place),
          TEST_CASE(custom_gradient_to_no_place), TEST_CASE(reduce_of_no_list),
          TEST_CASE(reduce_to_no_place), TEST_CASE(sort_to_no_place), TEST_CASE(manual_of_no_list),
          TEST_CASE(manual_without_results), TEST_CASE(manual_to_no_place),
          TEST_CASE(outputs_of_no_list), TEST_CASE(outer_block_ended_first),
          TEST_CASE(end_of_another_kind), TEST_CASE(recompute_ended_as_call),
          TEST_CASE(vmap_ended_as_scan), TEST_CASE(no_block), TEST_CASE(no_block_to_end),
          TEST_CASE(unknown_block), TEST_CASE(argument_that_is_not_there),
          TEST_CASE(argument_of_a_closed_block), TEST_CASE(argument_of_no_block))
