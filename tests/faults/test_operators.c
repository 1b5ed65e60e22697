/* SPDX-License-Identifier: Apache-2.0 */
/* Every case of the conformance table is built, differentiated, compiled and run while one of its
 * allocations or memory maps fails, or all from one on. Either all of it works, or an error comes back
 * that says so; nothing crashes, nothing is left behind, and what worked gave the same bits as ever.
 *
 * A few requests of each case are tried, others every day; each one with MICA_TEST_ALL=1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conformance/conformance.h"
#include "interpose.h"

extern mica_dtype case_now;

enum { LIFE_OUTPUTS = CASE_OUTPUTS + CASE_INPUTS, DAILY_REQUESTS = 3 };

/* What one life under faults came to. Nothing is checked inside, since checks allocate. */
typedef struct {
  int64_t count, failed, live;
  mica_status status;
  mica_error error;
  uint64_t bits; /* of all results */
} outcome;

/* Outputs, then the gradients of their sum by what can be differentiated; how many. */
static size_t build_case(const conformance_case *c, mica_dtype dtype, mica_graph *graph,
                         mica_value *out) {
  mica_value in[CASE_INPUTS] = {{0}}, x[CASE_INPUTS];
  size_t count = (size_t)c->output_count, inputs = 0;
  case_now = dtype;
  for (int32_t i = 0; i < c->input_count; i++) {
    mica_type type;
    case_input_type(c, i, dtype, &type);
    in[i] = mica_parameter(graph, type);
    if (c->in[i].kind == RANGE || c->in[i].kind == SPACED) x[inputs++] = in[i];
  }
  c->build(graph, in, out);
  if (!(c->flags & (SMOOTH | FLAT | FIRST))) return count;
  mica_value sum = mica_scalar(graph, MICA_F64, 0);
  for (size_t i = 0; i < count; i++)
    if (mica_dtype_is_float(mica_dtype_of(out[i])))
      sum = mica_add(sum, mica_convert(mica_reduce_sum(out[i], MICA_ALL), MICA_F64));
  mica_gradients(sum, x, inputs, out + count);
  return count + inputs;
}

static uint64_t mixed_bits(uint64_t bits, const mica_tensor *tensor) { /* FNV-1a */
  const unsigned char *data = mica_tensor_data(tensor);
  for (size_t i = 0; tensor && i < mica_tensor_byte_size(tensor); i++)
    bits = (bits ^ data[i]) * 1099511628211u;
  return bits;
}

static outcome live(const conformance_case *c, mica_dtype dtype, mica_device *device,
                    mica_tensor *const *in, fault_mode mode, int64_t n) {
  outcome o = {.bits = 14695981039346656037u};
  mica_tensor *results[LIFE_OUTPUTS] = {NULL};
  mica_value out[LIFE_OUTPUTS] = {{0}};
  mica_executable *executable = NULL;
  fault_begin_kinds(mode, n, FAULT_MEMORY | FAULT_MAP);
  mica_graph *graph = mica_graph_create(NULL);
  size_t count = build_case(c, dtype, graph, out);
  mica_graph_set_outputs(graph, out, count);
  o.status = mica_compile(device, graph, 0, &executable, &o.error);
  if (o.status == MICA_OK)
    o.status =
        mica_executable_run(executable, in, (size_t)c->input_count, results, count, &o.error);
  for (size_t i = 0; i < count; i++) {
    if (o.status == MICA_OK) o.bits = mixed_bits(o.bits, results[i]);
    mica_tensor_release(results[i]);
  }
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  fault_end();
  o.count = fault_count(), o.failed = fault_failed_count(), o.live = fault_live_blocks();
  return o;
}

/* Whether the sweep of this case goes on. */
static bool check_life(const conformance_case *c, const outcome *o, const outcome *clean,
                       fault_mode mode, int64_t n) {
  bool told = o->status != MICA_OK && o->error.status == o->status && o->error.message[0];
  bool same = o->status != MICA_OK || o->bits == clean->bits;
  if (o->live == 0 && same &&
      (o->failed == 0 ? o->status == MICA_OK : told || o->status == MICA_OK))
    return true;
  CHECK_FAIL("%s, request %lld of %lld%s: status %d (\"%s\"), %s results, %lld blocks left",
             c->name, (long long)n, (long long)clean->count,
             mode == FAULT_FROM ? " and all after it" : "", (int)o->status, o->error.message,
             same ? "the same" : "other", (long long)o->live);
  return false;
}

static int64_t tried, refused;

static void sweep_case(const conformance_case *c, mica_device *device) {
  mica_dtype dtype = case_dtype(c->dtypes & -c->dtypes);
  mica_tensor *in[CASE_INPUTS] = {NULL};
  for (int32_t i = 0; i < c->input_count; i++) in[i] = case_values(c, i, dtype, 1);
  live(c, dtype, device, in, FAULT_NONE, 0); /* what is kept from a first use is there afterwards */
  outcome clean = live(c, dtype, device, in, FAULT_NONE, 0);
  bool goes_on = check_life(c, &clean, &clean, FAULT_NONE, 0);
  int64_t step = check_all() ? 1 : clean.count / DAILY_REQUESTS + 1;
  int64_t first = 1 + (check_all() ? 0 : (check_rotation() * 7 + (c - conformance_cases)) % step);
  for (int mode = FAULT_ONE; mode <= FAULT_FROM; mode++)
    for (int64_t n = first; goes_on && n <= clean.count; n += step, tried++) {
      outcome o = live(c, dtype, device, in, (fault_mode)mode, n);
      refused += o.status != MICA_OK;
      goes_on = check_life(c, &o, &clean, (fault_mode)mode, n);
    }
  for (int32_t i = 0; i < c->input_count; i++) mica_tensor_release(in[i]);
}

static void sweep_cases(mica_device *device) {
  tried = refused = 0;
  for (int32_t k = 0; k < conformance_case_count; k++)
    if (case_wanted(&conformance_cases[k])) sweep_case(&conformance_cases[k], device);
  printf("  %lld requests failed, %lld of them an error\n", (long long)tried, (long long)refused);
  CHECK(refused > 0);
  check_case_filter();
  close_devices();
}

TEST(cases_survive_on_cpu) { sweep_cases(cpu_device(1)); }
TEST(cases_survive_on_reference) { sweep_cases(reference_device()); }

TEST_MAIN(TEST_CASE(cases_survive_on_cpu), TEST_CASE(cases_survive_on_reference))
