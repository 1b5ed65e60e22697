/* SPDX-License-Identifier: Apache-2.0 */
/* shrink.c: a smaller tape on which the same check fails: statements are cut out, then words become 0 or
 * small. After each success all is tried again, as long as the patience lasts. */
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "random/checks.h"

enum { SHRINK_TRIES = 4000, SHRINK_SECONDS = 60 };
typedef struct {
  random_tape *best;
  random_failure *failure;
  int tries;
  int64_t deadline;
} shrinking;

static bool is_patient(const shrinking *s) {
  return s->tries < SHRINK_TRIES && mica_clock_nanoseconds() < s->deadline;
}

static bool accept(shrinking *s, const random_tape *candidate) {
  random_failure failure;
  if (!is_patient(s)) return false;
  s->tries++;
  random_tape *tape = malloc(sizeof *tape);
  *tape = *candidate;
  bool failed = !random_check(tape, &failure, NULL) && !strcmp(failure.check, s->failure->check);
  if (failed) {
    *s->best = *tape;
    *s->failure = failure;
  }
  free(tape);
  return failed;
}

static random_program *program_of(random_tape *tape) {
  random_plan plan;
  random_failure failure;
  random_program *program = calloc(1, sizeof *program);
  mica_graph_destroy(random_graph(tape, &plan, program, &failure));
  return program;
}

static bool cut_statements(shrinking *s, random_tape *candidate) {
  random_program *p = program_of(s->best);
  bool smaller = false;
  for (size_t i = p->span_count; i > 0 && !smaller; i--) {
    tape_span span = p->span[i - 1];
    if (span.end > s->best->count) span.end = s->best->count;
    if (span.begin >= span.end) continue;
    *candidate = *s->best;
    memmove(candidate->word + span.begin, candidate->word + span.end,
            (candidate->count - span.end) * sizeof *candidate->word);
    candidate->count -= span.end - span.begin;
    smaller = accept(s, candidate);
  }
  free(p);
  return smaller;
}

static bool zero_words(shrinking *s, random_tape *candidate, size_t length) {
  bool any = false;
  for (size_t i = 0; i < s->best->count; i += length) {
    size_t end = i + length < s->best->count ? i + length : s->best->count;
    bool zero = true;
    for (size_t k = i; k < end; k++) zero = zero && s->best->word[k] == 0;
    if (zero) continue;
    *candidate = *s->best;
    memset(candidate->word + i, 0, (end - i) * sizeof *candidate->word);
    any = accept(s, candidate) || any;
  }
  return any;
}

/* Words are drawn from by remainders: small ones say most. */
static bool shorten_words(shrinking *s, random_tape *candidate) {
  bool any = false;
  for (size_t i = 0; i < s->best->count; i++) {
    uint32_t word = s->best->word[i], low = word % 32;
    const uint32_t smaller[] = {1, 2, 3, low / 2, low > 0 ? low - 1 : 0, low};
    for (size_t k = 0; k < sizeof smaller / sizeof *smaller; k++) {
      if (word <= smaller[k]) continue;
      *candidate = *s->best;
      candidate->word[i] = smaller[k];
      if (!accept(s, candidate)) continue;
      any = true;
      break;
    }
  }
  return any;
}

void random_shrink(random_tape *tape, random_failure *failure) {
  shrinking s = {tape, failure, 0, mica_clock_nanoseconds() + SHRINK_SECONDS * INT64_C(1000000000)};
  random_tape *candidate = malloc(sizeof *candidate);
  random_program *p = program_of(tape);
  if (p->tape_end && p->tape_end < tape->count) tape->count = p->tape_end;
  free(p);
  tape->seed = 0; /* now it ends */
  *candidate = *tape;
  if (accept(&s, candidate)) {
    bool smaller = true;
    while (smaller && is_patient(&s)) {
      smaller = false;
      while (cut_statements(&s, candidate)) smaller = true;
      for (size_t length = 64; length >= 1; length /= 4)
        smaller = zero_words(&s, candidate, length) || smaller;
      smaller = shorten_words(&s, candidate) || smaller;
    }
  }
  free(candidate);
}
