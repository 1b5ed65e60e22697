/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: many programs, what they were made of, and programs as files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "random/checks.h"

static void report(uint64_t seed, random_tape *tape, random_failure *failure) {
  printf("seed %llu, %s: %s\nshrinking ...\n", (unsigned long long)seed, failure->check,
         failure->message);
  fflush(stdout);
  random_shrink(tape, failure);
  char *text = random_text(tape);
  printf("%s\n", text ? text : "(the program does not build)");
  CHECK_FAIL("MICA_RANDOM_SEED=%llu MICA_RANDOM_COUNT=1: %s: %s", (unsigned long long)seed,
             failure->check, failure->message);
  free(text);
}

static int64_t median_size(const random_statistics *s) {
  int64_t below = 0;
  for (int64_t size = 0; size < RANDOM_SIZES; size++)
    if ((below += s->size[size]) * 2 > s->programs) return size;
  return 0;
}

/* Blocks and derivatives are counted where they were made: they leave other nodes. */
static bool is_operator(const char *name) { return mica_op_find(name) != MICA_OP_NONE; }

static void check_histogram(const random_statistics *s, bool complete) {
  printf("programs with each operator:");
  int column = 0;
  for (int op = 1; op < MICA_OP_COUNT; op++) {
    if (op == MICA_OP_RESULT) continue;
    printf("%s%s %lld", column++ % 8 ? ", " : "\n  ", mica_op_definition((mica_op)op)->name,
           (long long)s->with[op]);
    if (complete && s->with[op] < 50)
      CHECK_FAIL("operator %s is in %lld programs: expected 50",
                 mica_op_definition((mica_op)op)->name, (long long)s->with[op]);
  }
  printf("\nuses of blocks and derivatives:");
  for (size_t i = 0; i < random_statement_count(); i++) {
    const char *name = random_statement_name(i);
    int64_t uses = random_statement_uses(name);
    if (!is_operator(name)) printf(" %s %lld", name, (long long)uses);
    if (complete && uses < 50)
      CHECK_FAIL("%s is used %lld times: expected 50", name, (long long)uses);
  }
  printf("\nmedian size %lld nodes; %lld outputs of floats, %lld with a tolerance above 1e-3\n",
         (long long)median_size(s), (long long)s->floats, (long long)s->weak);
  printf(
      "derivatives: %lld outputs against differences (%lld rough, %lld not finite), %lld programs "
      "forward against reverse, %lld too large; vmap: %lld programs\n",
      (long long)s->slopes, (long long)s->rough, (long long)s->not_finite, (long long)s->transposed,
      (long long)s->large, (long long)s->batched);
}

void random_run(uint64_t first, int64_t count, bool complete) {
  random_statistics *s = calloc(1, sizeof *s);
  random_tape *tape = malloc(sizeof *tape);
  const char *seed = getenv("MICA_RANDOM_SEED"), *wanted = getenv("MICA_RANDOM_COUNT");
  if (seed && *seed) first = strtoull(seed, NULL, 10);
  if (wanted && *wanted) count = strtoll(wanted, NULL, 10);
  int failures = 0;
  bool trace = getenv("MICA_RANDOM_TRACE") != NULL;
  for (int64_t i = 0; i < count && failures < 5; i++) {
    random_failure failure;
    random_tape_begin(tape, first + (uint64_t)i + 1);
    if (trace) fprintf(stderr, "%llu\n", (unsigned long long)(first + (uint64_t)i));
    if (random_check(tape, &failure, s)) continue;
    failures++;
    report(first + (uint64_t)i, tape, &failure);
  }
  check_histogram(s, complete && !(seed && *seed) && !(wanted && *wanted));
  if (s->programs > 100) {
    CHECK(median_size(s) >= 12);
    /* A tolerance that is wide tests little: most are not. */
    CHECK(s->weak * 5 <= s->floats);
    CHECK(s->slopes > s->programs / 4);
  }
  free(tape), free(s);
}

/* ---- files for to_jax.py --------------------------------------------------------------------------------- */

static bool write_program(const char *folder, uint64_t seed, random_tape *tape) {
  random_plan plan;
  random_program program;
  random_failure failure;
  mica_error error = {0};
  char path[1024], names[3 * NOISE_OUTPUTS][16];
  const char *name[3 * NOISE_OUTPUTS];
  mica_tensor *tensor[3 * NOISE_OUTPUTS], *in[PROGRAM_INPUTS];
  int64_t count = 0;
  noise_probe probe = {0};
  noise_result result = {0};
  random_tape_begin(tape, seed + 1);
  mica_graph *graph = random_graph(tape, &plan, &program, &failure);
  if (!graph) return false;
  for (size_t i = 0; i < plan.in_count; i++) in[i] = random_input(&plan, i, 0);
  bool ok = noise_compile(random_reference(), graph, &probe, &error) == MICA_OK &&
            noise_run(&probe, in, plan.in_count, &result, &error) == MICA_OK;
  for (size_t i = 0; i < plan.in_count && ok; i++) {
    snprintf(names[count], sizeof names[0], "in%zu", i);
    tensor[count++] = mica_tensor_retain(in[i]);
  }
  for (size_t j = 0; j < result.count && ok; j++) {
    noise_output *o = &result.out[j];
    snprintf(names[count], sizeof names[0], "out%zu", j);
    tensor[count++] = mica_tensor_retain(o->tensor);
    snprintf(names[count], sizeof names[0], "tolerance%zu", j);
    tensor[count++] = mica_tensor_from_doubles(MICA_F64, MICA_DIMS(o->count), o->tolerance);
  }
  for (int64_t i = 0; i < count; i++) name[i] = names[i];
  snprintf(path, sizeof path, "%s/%llu.npz", folder, (unsigned long long)seed);
  ok = ok && mica_npz_save(path, name, tensor, count, &error) == MICA_OK;
  char *text = random_format(graph);
  snprintf(path, sizeof path, "%s/%llu.mica", folder, (unsigned long long)seed);
  FILE *file = fopen(path, "w");
  if (file) fputs(text, file), fclose(file);
  if (!ok || !file) fprintf(stderr, "%s: %s\n", path, error.message);
  for (int64_t i = 0; i < count; i++) mica_tensor_release(tensor[i]);
  for (size_t i = 0; i < plan.in_count; i++) mica_tensor_release(in[i]);
  noise_result_release(&result);
  noise_release(&probe);
  mica_graph_destroy(graph);
  free(text);
  return ok && file;
}

bool random_write(const char *folder, uint64_t first, int64_t count) {
  random_tape *tape = malloc(sizeof *tape);
  bool ok = true;
  for (int64_t i = 0; i < count && ok; i++) ok = write_program(folder, first + (uint64_t)i, tape);
  free(tape);
  random_end();
  return ok;
}
