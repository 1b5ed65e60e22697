/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: many programs, what they were made of, and programs as files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "random/checks.h"

static void report(uint64_t seed, random_tape *tape, random_failure *failure) {
  printf("seed %llu, %s: %s\n", (unsigned long long)seed, failure->check, failure->message);
  fflush(stdout);
  if (getenv("MICA_RANDOM_UNSHRUNK")) {
    CHECK_FAIL("seed %llu fails", (unsigned long long)seed);
    return;
  }
  printf("shrinking ...\n");
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

/* ---- what the programs were like --------------------------------------------------------------------------- */

/* Blocks and derivatives are counted where they were made: they leave other nodes. */
static bool is_operator(const char *name) { return mica_op_find(name) != MICA_OP_NONE; }

typedef struct {
  const char *name;
  int64_t count;
} tally;
static int compare_tallies(const void *left, const void *right) {
  const tally *a = left, *b = right;
  if (a->count != b->count) return a->count < b->count ? -1 : 1;
  return strcmp(a->name, b->name);
}
/* The rarest first, six in a line. */
static void print_tallies(const char *title, tally *list, size_t count, bool complete) {
  qsort(list, count, sizeof *list, compare_tallies);
  printf("%s:", title);
  for (size_t i = 0; i < count; i++) {
    printf("%s%30s %5lld", i % 4 ? "" : "\n", list[i].name, (long long)list[i].count);
    if (complete && list[i].count < 50)
      CHECK_FAIL("%s is in %lld programs: expected 50", list[i].name, (long long)list[i].count);
  }
  printf("\n");
}
static void print_histogram(const random_statistics *s, bool complete) {
  static tally list[MICA_OP_COUNT + 512];
  size_t count = 0;
  for (int op = 1; op < MICA_OP_COUNT; op++)
    if (op != MICA_OP_RESULT && !random_leaves_out((mica_op)op))
      list[count++] = (tally){mica_op_definition((mica_op)op)->name, s->with[op]};
  print_tallies("programs with each operator", list, count, complete);
  count = 0;
  for (size_t i = 0; i < random_statement_count(); i++) {
    const char *name = random_statement_name(i);
    if (!is_operator(name) || mica_op_definition(mica_op_find(name))->kind == MICA_KIND_REGION)
      list[count++] = (tally){name, random_statement_uses(name)};
  }
  print_tallies("uses of blocks and derivatives", list, count, complete);
}

/* One sum a line: kind, name, count. */
static void write_tally(const random_statistics *s, const char *path) {
  FILE *file = fopen(path, "w");
  if (!file) {
    CHECK_FAIL("cannot write %s", path);
    return;
  }
  for (int op = 1; op < MICA_OP_COUNT; op++)
    if (op != MICA_OP_RESULT && !random_leaves_out((mica_op)op))
      fprintf(file, "operator %s %lld\n", mica_op_definition((mica_op)op)->name,
              (long long)s->with[op]);
  for (size_t i = 0; i < random_statement_count(); i++) {
    const char *name = random_statement_name(i);
    if (!is_operator(name) || mica_op_definition(mica_op_find(name))->kind == MICA_KIND_REGION)
      fprintf(file, "block %s %lld\n", name, (long long)random_statement_uses(name));
  }
  for (int d = 0; d <= PROGRAM_DEPTH; d++)
    fprintf(file, "depth %d %lld\n", d, (long long)s->depth[d]);
  for (int size = 0; size < RANDOM_SIZES; size++)
    if (s->size[size]) fprintf(file, "size %d %lld\n", size, (long long)s->size[size]);
  const struct {
    const char *name;
    int64_t count;
  } sums[] = {{"programs", s->programs}, {"failures", s->failures},
              {"floats", s->floats},     {"weak", s->weak},
              {"slopes", s->slopes},     {"rough", s->rough},
              {"batched", s->batched},   {"not_finite", s->not_finite},
              {"large", s->large},       {"transposed", s->transposed}};
  for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
    fprintf(file, "all %s %lld\n", sums[i].name, (long long)sums[i].count);
  if (fclose(file)) CHECK_FAIL("cannot write %s", path);
}

void random_report(const random_statistics *s, bool complete) {
  static const char *const phases[] = {"build", "reference", "cpu", "derivatives", "vmap"};
  double programs = s->programs ? (double)s->programs : 1, all = 0;
  const char *tally_path = getenv("MICA_RANDOM_TALLY");
  if (tally_path && *tally_path) write_tally(s, tally_path);
  print_histogram(s, complete);
  printf("programs by depth of blocks:");
  for (int d = 0; d <= PROGRAM_DEPTH; d++) printf(" %d: %lld", d, (long long)s->depth[d]);
  printf("\nmedian size %lld nodes; %lld outputs of floats, %lld with a tolerance above 1e-3\n",
         (long long)median_size(s), (long long)s->floats, (long long)s->weak);
  printf(
      "derivatives: %lld outputs against differences (%lld rough, %lld not finite), %lld programs "
      "forward against reverse, %lld too large; vmap: %lld programs\n",
      (long long)s->slopes, (long long)s->rough, (long long)s->not_finite, (long long)s->transposed,
      (long long)s->large, (long long)s->batched);
  printf("milliseconds a program:");
  for (int i = 0; i < RANDOM_PHASES; i++) {
    all += (double)s->nanoseconds[i] * 1e-9;
    printf(" %s %.1f", phases[i], (double)s->nanoseconds[i] * 1e-6 / programs);
  }
  printf("; the slowest:");
  for (int i = 0; i < RANDOM_SLOWEST; i++)
    printf(" %llu (%.1f s)", (unsigned long long)s->slowest[i].seed,
           (double)s->slowest[i].nanoseconds * 1e-9);
  printf("\n%lld programs in %.0f s\n", (long long)s->programs, all);
  if (s->programs <= 100) return;
  CHECK(median_size(s) >= 12);
  CHECK(s->depth[PROGRAM_DEPTH] >= (complete ? 50 : 1));
  /* A tolerance that is wide tests little: most are not. */
  CHECK(s->weak * 5 <= s->floats);
  CHECK(s->slopes > s->programs / 4);
}

/* ---- many programs ------------------------------------------------------------------------------------------ */

static int64_t spent(const random_statistics *s) {
  int64_t sum = 0;
  for (int i = 0; i < RANDOM_PHASES; i++) sum += s->nanoseconds[i];
  return sum;
}
static void note_slow(random_statistics *s, uint64_t seed, int64_t nanoseconds) {
  int at = RANDOM_SLOWEST;
  while (at > 0 && s->slowest[at - 1].nanoseconds < nanoseconds) at--;
  for (int i = RANDOM_SLOWEST - 1; i > at; i--) s->slowest[i] = s->slowest[i - 1];
  if (at == RANDOM_SLOWEST) return;
  s->slowest[at].seed = seed;
  s->slowest[at].nanoseconds = nanoseconds;
}

static const char *setting(const char *name) {
  const char *text = getenv(name);
  return text && *text ? text : NULL;
}
bool random_chosen(void) { return setting("MICA_RANDOM_SEED") || setting("MICA_RANDOM_COUNT"); }

void random_run(uint64_t first, int64_t count, uint64_t step, random_statistics *s) {
  random_tape *tape = malloc(sizeof *tape);
  const char *seed = setting("MICA_RANDOM_SEED"), *wanted = setting("MICA_RANDOM_COUNT"),
             *patience = setting("MICA_RANDOM_FAILURES");
  if (seed) first = strtoull(seed, NULL, 10);
  if (wanted) count = strtoll(wanted, NULL, 10);
  int64_t left = patience ? strtoll(patience, NULL, 10) : 5;
  bool trace = setting("MICA_RANDOM_TRACE") != NULL;
  for (int64_t i = 0; i < count && left > 0; i++) {
    random_failure failure;
    uint64_t at = first + (uint64_t)i * step;
    int64_t before = spent(s);
    random_tape_begin(tape, at + 1);
    if (trace) fprintf(stderr, "%llu\n", (unsigned long long)at);
    bool ok = random_check(tape, &failure, s);
    note_slow(s, at, spent(s) - before);
    if (ok) continue;
    left--;
    s->failures++;
    report(at, tape, &failure);
  }
  free(tape);
}

/* ---- files for to_jax.py --------------------------------------------------------------------------------- */

static bool write_program(const char *folder, uint64_t seed, random_tape *tape, int64_t most,
                          bool *out_written) {
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
  *out_written = graph && graph->count <= most;
  if (!*out_written) {
    mica_graph_destroy(graph);
    return graph != NULL;
  }
  for (size_t i = 0; i < plan.in_count; i++) in[i] = random_input(&plan, i, 0);
  bool ok = noise_compile(random_reference(), graph, NOISE_GRAPHS, &probe, &error) == MICA_OK &&
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

bool random_write(const char *folder, uint64_t first, int64_t count, int64_t most) {
  random_tape *tape = malloc(sizeof *tape);
  bool ok = true, written;
  for (uint64_t seed = first; count > 0 && ok; seed++) {
    ok = write_program(folder, seed, tape, most, &written);
    count -= written;
  }
  free(tape);
  random_end();
  return ok;
}
