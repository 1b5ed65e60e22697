/* SPDX-License-Identifier: Apache-2.0 */
/* checks.c: builds, verifies, agrees with the reference, has the same bits with 1 and 3 threads, survives
 * being printed and parsed. */
#include "random/checks.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "devices.h"
#include "platform/platform.h"

bool random_fail(random_failure *failure, const char *check, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  failure->check = check;
  vsnprintf(failure->message, sizeof failure->message, format, arguments);
  va_end(arguments);
  return false;
}

mica_device *random_reference(void) { return test_device(0); }
mica_device *random_cpu(int32_t threads) { return test_device(threads); }
void random_end(void) {
  test_devices_close();
  noise_end();
  random_release_shared();
}

char *random_format(const mica_graph *graph) {
  int64_t size = mica_graph_format(graph, NULL, 0);
  char *text = size < 0 ? NULL : malloc((size_t)size + 1);
  if (text) mica_graph_format(graph, text, (size_t)size + 1);
  return text;
}

static mica_graph *begin_graph(random_tape *tape, random_plan *plan, random_program *program) {
  size_t at;
  random_plan_read(tape, plan, &at);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in[PROGRAM_INPUTS];
  for (size_t i = 0; i < plan->in_count; i++) in[i] = mica_parameter(graph, plan->in[i]);
  random_program_build(tape, plan, graph, in, program);
  mica_graph_set_outputs(graph, program->out, program->out_count);
  return graph;
}

mica_graph *random_graph(random_tape *tape, random_plan *plan, random_program *program,
                         random_failure *failure) {
  mica_graph *graph = begin_graph(tape, plan, program);
  mica_error error = {0};
  if (mica_graph_status(graph, &error) != MICA_OK)
    random_fail(failure, "build", "%s", error.message);
  else if (mica_graph_verify(graph, &error) != MICA_OK)
    random_fail(failure, "verify", "%s", error.message);
  else
    return graph;
  mica_graph_destroy(graph);
  return NULL;
}

void random_describe(char *text, size_t size, size_t output, int64_t at, const noise_output *wanted,
                     double got) {
  char type[128];
  mica_type_format(mica_tensor_type(wanted->tensor), type, sizeof type);
  snprintf(text, size, "output %zu %s, element %lld: %.17g, wanted %.17g +- %.3g", output, type,
           (long long)at, got, wanted->value[at], wanted->tolerance[at]);
}

static void count_nodes(const mica_graph *graph, random_statistics *s) {
  bool with[MICA_OP_COUNT] = {false};
  int64_t nodes = 0;
  for (uint32_t id = 1; id < graph->count; id++) {
    mica_op op = (mica_op)graph->nodes[id].op;
    with[op] = true;
    bool abandoned = graph->regions[graph->nodes[id].region].state == MICA_REGION_ABANDONED;
    nodes +=
        !abandoned && op != MICA_OP_PARAMETER && op != MICA_OP_ARGUMENT && op != MICA_OP_RESULT;
  }
  for (int op = 0; op < MICA_OP_COUNT; op++) s->with[op] += with[op];
  s->size[nodes < RANDOM_SIZES ? nodes : RANDOM_SIZES - 1]++;
  s->programs++;
}
static void count_weak(const noise_result *result, random_statistics *s) {
  for (size_t j = 0; j < result->count; j++) {
    const noise_output *o = &result->out[j];
    if (noise_unit(mica_tensor_type(o->tensor).dtype) == 0 || !o->count) continue;
    double widest = 0;
    for (int64_t k = 0; k < o->count; k++) widest = fmax(widest, o->tolerance[k]);
    s->floats++;
    s->weak += o->chaotic ||
               (widest > 1e-3 * o->largest && noise_unit(mica_tensor_type(o->tensor).dtype) < 1e-5);
  }
}

static void release(mica_tensor **tensors, size_t count) {
  for (size_t i = 0; i < count; i++) mica_tensor_release(tensors[i]), tensors[i] = NULL;
}

/* The same text and the same bits after printing and parsing. */
static bool check_text(mica_graph *graph, mica_tensor *const *in, size_t in_count,
                       mica_tensor *const *wanted, size_t out_count, random_failure *failure) {
  mica_error error = {0};
  mica_graph *again = NULL;
  mica_executable *executable = NULL;
  mica_tensor *out[PROGRAM_OUTPUTS] = {NULL};
  char *text = random_format(graph), *second = NULL;
  bool ok = true;
  if (mica_graph_parse(NULL, text, strlen(text), &again, &error) != MICA_OK)
    ok = random_fail(failure, "parse", "%s", error.message);
  if (ok) {
    second = random_format(again);
    if (strcmp(text, second)) ok = random_fail(failure, "text", "prints another text:\n%s", second);
  }
  if (ok) {
    for (size_t i = 0; i < SHARED_VARIABLES; i++) mica_graph_bind(again, random_variable(i), NULL);
    for (size_t i = 0; i < SHARED_CUSTOMS; i++)
      mica_graph_bind_custom(again, random_custom(i), NULL);
    if (mica_graph_verify(again, &error) != MICA_OK ||
        mica_compile(random_cpu(1), again, 0, &executable, &error) != MICA_OK ||
        mica_executable_run(executable, in, in_count, out, out_count, &error) != MICA_OK)
      ok = random_fail(failure, "parsed", "%s", error.message);
  }
  for (size_t j = 0; j < out_count && ok; j++)
    if (!mica_tensor_equal(out[j], wanted[j]))
      ok = random_fail(failure, "parsed", "output %zu has other bits than before printing", j);
  release(out, out_count);
  mica_executable_release(executable);
  mica_graph_destroy(again);
  free(text), free(second);
  return ok;
}

static bool check_cpu(mica_graph *graph, const noise_result *wanted, mica_tensor *const *in,
                      size_t in_count, random_failure *failure) {
  size_t count = wanted->count;
  mica_tensor *one[PROGRAM_OUTPUTS] = {NULL}, *three[PROGRAM_OUTPUTS] = {NULL};
  mica_executable *a = NULL, *b = NULL;
  mica_error error = {0};
  bool ok = mica_compile(random_cpu(1), graph, 0, &a, &error) == MICA_OK &&
            mica_compile(random_cpu(3), graph, 0, &b, &error) == MICA_OK;
  if (!ok) random_fail(failure, "compile", "%s", error.message);
  int64_t effects = random_effect_count();
  if (ok && mica_executable_run(a, in, in_count, one, count, &error) != MICA_OK)
    ok = random_fail(failure, "run", "%s", error.message);
  effects = random_effect_count() - effects;
  if (ok && effects != wanted->effects)
    ok = random_fail(failure, "effects", "%lld calls of an operator with an effect, wanted %lld",
                     (long long)effects, (long long)wanted->effects);
  if (ok && mica_executable_run(b, in, in_count, three, count, &error) != MICA_OK)
    ok = random_fail(failure, "run", "3 threads: %s", error.message);
  for (size_t j = 0; j < count && ok; j++) {
    int64_t size, at;
    double *got = noise_doubles(one[j], &size);
    if (!mica_type_equal(mica_tensor_type(one[j]), mica_tensor_type(wanted->out[j].tensor)))
      ok = random_fail(failure, "cpu", "output %zu has another type", j);
    else if ((at = noise_compare(&wanted->out[j], got, 1)) >= 0) {
      char text[400];
      random_describe(text, sizeof text, j, at, &wanted->out[j], got[at]);
      ok = random_fail(failure, "cpu", "%s", text);
    } else if (!mica_tensor_equal(one[j], three[j])) {
      ok = random_fail(failure, "threads", "output %zu: 1 and 3 threads give different bits", j);
    }
    free(got);
  }
  if (ok) ok = check_text(graph, in, in_count, one, count, failure);
  release(one, count), release(three, count);
  mica_executable_release(a), mica_executable_release(b);
  return ok;
}

/* Adds the time since *at to a phase. */
static void end_phase(random_statistics *s, int phase, int64_t *at) {
  int64_t now = mica_clock_nanoseconds();
  s->nanoseconds[phase] += now - *at;
  *at = now;
}

bool random_check(random_tape *tape, random_failure *failure, random_statistics *statistics) {
  random_statistics ignored;
  random_plan plan;
  random_program program;
  mica_error error = {0};
  noise_probe probe = {0};
  noise_result result = {0};
  mica_tensor *in[PROGRAM_INPUTS] = {NULL};
  int64_t at = mica_clock_nanoseconds();
  random_count_uses(statistics != NULL);
  if (!statistics) memset(statistics = &ignored, 0, sizeof ignored);
  *failure = (random_failure){0};
  mica_graph *graph = random_graph(tape, &plan, &program, failure);
  random_count_uses(false);
  if (!graph) return false;
  count_nodes(graph, statistics);
  statistics->depth[program.depth]++;
  for (size_t i = 0; i < plan.in_count; i++) in[i] = random_input(&plan, i, 0);
  end_phase(statistics, PHASE_BUILD, &at);
  bool ok = true;
  if (noise_compile(random_reference(), graph, NOISE_GRAPHS, &probe, &error) != MICA_OK ||
      noise_run(&probe, in, plan.in_count, &result, &error) != MICA_OK)
    ok = random_fail(failure, "reference", "%s", error.message);
  if (ok) count_weak(&result, statistics);
  end_phase(statistics, PHASE_REFERENCE, &at);
  ok = ok && check_cpu(graph, &result, in, plan.in_count, failure);
  end_phase(statistics, PHASE_CPU, &at);
  ok = ok && random_check_derivatives(tape, &plan, &probe, &result, in, failure, statistics);
  end_phase(statistics, PHASE_DERIVATIVES, &at);
  ok = ok && random_check_vmap(tape, &plan, &probe, &result, in, failure, statistics);
  end_phase(statistics, PHASE_VMAP, &at);
  release(in, plan.in_count);
  noise_result_release(&result);
  noise_release(&probe);
  mica_graph_destroy(graph);
  return ok;
}

char *random_text(random_tape *tape) {
  random_plan plan;
  random_program program;
  mica_graph *graph = begin_graph(tape, &plan, &program); /* as far as it builds */
  mica_graph *live = mica_graph_create(NULL);             /* without what nobody reads */
  bool dropped =
      mica_graph_status(graph, NULL) == MICA_OK && mica_pass_drop(graph, live, NULL) == MICA_OK;
  char *text = random_format(dropped ? live : graph);
  mica_graph_destroy(live);
  mica_graph_destroy(graph);
  return text;
}
