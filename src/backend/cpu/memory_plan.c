/* SPDX-License-Identifier: Apache-2.0 */
/* memory_plan.c: which storages share an address, and where the arena's lie.
 *
 * Joining is copy coalescing as in register allocation (Chaitin 1982): two storages become one class when
 * their intervals are disjoint, or meet in one step that copies the one to the other, or may compute the
 * one in the other's place. First come those that save a copy, then those that only save memory. An output
 * may lie in the memory of the input that it is paired with (a donated input, the old value of a
 * variable), so that it also keeps clear of that input's interval.
 *
 * Placing is greedy: the largest class first, each in the smallest gap that fits among those alive at
 * the same time (Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural Net Inference",
 * greedy by size). */
#include "backend/cpu/plan_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- intervals -------------------------------------------------------------------------------- */

static void extend(mica_storage *storage, uint32_t first, uint32_t last) {
  if (storage->first > storage->last) {
    storage->first = first;
    storage->last = last;
    return;
  }
  if (first < storage->first) storage->first = first;
  if (last > storage->last) storage->last = last;
}

/* A use in a loop of what lies outside of it counts for the whole outermost such loop. */
static void extend_through_loops(mica_plan *plan, uint32_t index, uint32_t step) {
  mica_storage *storage = &plan->storages[index];
  uint32_t first = step, last = step;
  for (uint32_t nest = plan->steps[step].nest; nest != storage->nest && nest != 0;
       nest = plan->nests[nest].parent)
    if (plan->nests[nest].loop) {
      first = plan->nests[nest].first;
      last = plan->nests[nest].last;
    }
  extend(storage, first, last);
}

static void find_intervals(mica_plan *plan) {
  for (uint32_t i = 0; i < plan->step_count; i++) {
    const mica_plan_step *step = &plan->steps[i];
    for (uint32_t k = 0; k < step->reference_count; k++)
      extend_through_loops(plan, plan->references[step->reference_first + k].storage, i);
  }
  for (uint32_t i = 0; i < plan->touch_count; i++) {
    const mica_plan_touch_record *touch = &plan->touches[i];
    if (touch->step >= plan->step_count) continue;
    if (touch->exactly)
      extend(&plan->storages[touch->storage], touch->step, touch->step);
    else
      extend_through_loops(plan, touch->storage, touch->step);
  }
  /* Inputs are there from the beginning, outputs are wanted to the end. */
  for (uint32_t i = 0; i < plan->storage_count; i++) {
    mica_storage *storage = &plan->storages[i];
    if (storage->first > storage->last) continue;
    if (storage->kind == MICA_STORAGE_INPUT) storage->first = 0;
    if (storage->kind == MICA_STORAGE_OUTPUT) storage->last = plan->step_count - 1;
  }
}

/* ---- joining ---------------------------------------------------------------------------------- */

/* A step that reads a storage twice may want what it has written over: the scale of a row's kernel, the factor
 * of a product that its finish adds. */
static bool reads_once(const mica_plan *plan, const mica_plan_step *step, uint32_t reader) {
  const mica_plan_reference *references = &plan->references[step->reference_first];
  uint32_t reads = 0;
  bool in_place = true;
  for (uint32_t i = 0; i < step->reference_count; i++) {
    if (references[i].storage != reader || references[i].mode != MICA_PLAN_READ) continue;
    reads++;
    in_place = in_place && references[i].in_place && references[i].offset == 0;
  }
  return reads <= 1 || in_place;
}

/* Whether step `at` reads `reader` and writes `writer` so that both may be one place. */
static bool may_meet(const mica_plan *plan, uint32_t at, uint32_t reader, uint32_t writer) {
  const mica_plan_step *step = &plan->steps[at];
  const mica_plan_reference *references = &plan->references[step->reference_first];
  if (step->copies) return references[0].storage == reader && references[1].storage == writer;
  const mica_plan_meeting *meetings = &plan->meetings[step->meeting_first];
  for (uint32_t i = 0; i < step->meeting_count; i++)
    if (meetings[i].writer == writer && meetings[i].reader == reader)
      return reads_once(plan, step, reader);
  return false;
}

static bool storages_overlap(const mica_plan *plan, uint32_t a, uint32_t b) {
  const mica_storage *x = &plan->storages[a], *y = &plan->storages[b];
  if (x->first > x->last || y->first > y->last) return false;
  if (x->last < y->first || y->last < x->first) return false;
  if (x->last == y->first && may_meet(plan, x->last, a, b)) return false;
  if (y->last == x->first && may_meet(plan, y->last, b, a)) return false;
  return true;
}

static bool classes_overlap(const mica_plan *plan, uint32_t a, uint32_t b) {
  uint32_t i = a;
  do {
    uint32_t k = b;
    do {
      if (storages_overlap(plan, i, k)) return true;
      k = plan->storages[k].next_member;
    } while (k != b);
    i = plan->storages[i].next_member;
  } while (i != a);
  return false;
}

static bool is_read_only(mica_storage_kind kind) {
  return kind == MICA_STORAGE_INPUT || kind == MICA_STORAGE_CONSTANT || kind == MICA_STORAGE_ITEM;
}

/* The storage of input `index`, or NONE. Inputs come right behind storage 0, in order. */
static uint32_t input_storage(const mica_plan *plan, uint32_t index) {
  return index >= plan->program->in_count ? MICA_PLAN_NONE : 1 + index;
}

/* Whether all of a class lives in one iteration of the loop `nest`: what goes through a window that moves. */
static bool lives_within(const mica_plan *plan, uint32_t root, uint32_t nest) {
  uint32_t i = root;
  do {
    uint32_t at = plan->storages[i].nest;
    while (at != nest && at != 0) at = plan->nests[at].parent;
    if (at != nest) return false;
    i = plan->storages[i].next_member;
  } while (i != root);
  return true;
}

static bool join(mica_plan *plan, uint32_t first, uint32_t second) {
  uint32_t a = mica_plan_class(plan, first), b = mica_plan_class(plan, second);
  if (a == b) return true;
  mica_storage *x = &plan->storages[a], *y = &plan->storages[b];
  if (y->kind != MICA_STORAGE_ARENA) {
    uint32_t root = a;
    a = b;
    b = root;
    x = &plan->storages[a];
    y = &plan->storages[b];
  }
  /* Now x is the one with an address of its own, if any. */
  if (y->kind != MICA_STORAGE_ARENA || is_read_only(x->kind)) return false;
  if (x->kind != MICA_STORAGE_ARENA && y->size > x->size) return false;
  if (x->kind == MICA_STORAGE_EMIT && !lives_within(plan, b, x->nest)) return false;
  if (classes_overlap(plan, a, b)) return false;
  if (x->kind == MICA_STORAGE_OUTPUT) {
    uint32_t pair = input_storage(plan, plan->program->out_pair[x->index]);
    if (pair != MICA_PLAN_NONE && classes_overlap(plan, pair, b)) return false;
  }
  if (y->size > x->size) x->size = y->size;
  y->parent = a;
  uint32_t next = x->next_member;
  x->next_member = y->next_member;
  y->next_member = next;
  return true;
}

/* Whether a copy has nothing left to do. */
static bool copies_nothing(const mica_plan *plan, const mica_plan_step *step) {
  const mica_plan_reference *references = &plan->references[step->reference_first];
  return step->copies && mica_plan_class(plan, references[0].storage) ==
                             mica_plan_class(plan, references[1].storage);
}

static void join_meetings(mica_plan *plan, bool strong) {
  for (uint32_t i = 0; i < plan->step_count; i++) {
    const mica_plan_step *step = &plan->steps[i];
    const mica_plan_reference *references = &plan->references[step->reference_first];
    if (strong && step->copies) join(plan, references[0].storage, references[1].storage);
    for (uint32_t k = step->meeting_first; k < step->meeting_first + step->meeting_count; k++)
      if (plan->meetings[k].strong == strong)
        join(plan, plan->meetings[k].reader, plan->meetings[k].writer);
  }
}

void mica_plan_join(mica_plan *plan) {
  if (!mica_plan_good(plan) || plan->step_count == 0) return;
  find_intervals(plan);
  join_meetings(plan, true);
  join_meetings(plan, false);
  for (uint32_t i = 0; i < plan->step_count; i++)
    if (copies_nothing(plan, &plan->steps[i])) plan->steps[i].dropped = true;
}

/* ---- placing ---------------------------------------------------------------------------------- */

typedef struct {
  uint32_t root, first, last;
  size_t size, offset;
} arena_class;

static int compare_classes(const void *left, const void *right) {
  const arena_class *a = left, *b = right;
  if (a->size != b->size) return a->size > b->size ? -1 : 1;
  if (a->first != b->first) return a->first < b->first ? -1 : 1;
  return a->root < b->root ? -1 : 1;
}

static bool class_lifetime(const mica_plan *plan, uint32_t root, arena_class *out) {
  *out = (arena_class){.root = root, .first = UINT32_MAX};
  bool touched = false;
  uint32_t i = root;
  do {
    const mica_storage *storage = &plan->storages[i];
    if (storage->first <= storage->last) {
      touched = true;
      if (storage->first < out->first) out->first = storage->first;
      if (storage->last > out->last) out->last = storage->last;
    }
    i = storage->next_member;
  } while (i != root);
  return touched;
}

/* Puts classes[at] into the smallest gap between the placed ones that are alive with it. placed[] lists
 * them by offset. */
static void place_class(arena_class *classes, uint32_t at, uint32_t *placed) {
  arena_class *mine = &classes[at];
  size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
  for (uint32_t i = 0; i < at; i++) {
    const arena_class *other = &classes[placed[i]];
    if (other->last < mine->first || mine->last < other->first) continue;
    if (other->offset > end && other->offset - end >= mine->size &&
        other->offset - end < best_gap) {
      best = end;
      best_gap = other->offset - end;
    }
    if (other->offset + other->size > end) end = other->offset + other->size;
  }
  mine->offset = best == SIZE_MAX ? end : best;
  uint32_t i = at;
  for (; i > 0 && classes[placed[i - 1]].offset > mine->offset; i--) placed[i] = placed[i - 1];
  placed[i] = at;
}

void mica_plan_assign(mica_plan *plan) {
  if (!mica_plan_good(plan)) return;
  arena_class *classes =
      mica_arena_allocate(&plan->arena, (size_t)plan->storage_count * sizeof(*classes));
  uint32_t *placed =
      mica_arena_allocate(&plan->arena, (size_t)plan->storage_count * sizeof(*placed));
  if (classes == NULL || placed == NULL) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return;
  }
  uint32_t count = 0;
  size_t total = 0;
  for (uint32_t i = 0; i < plan->storage_count; i++) {
    const mica_storage *storage = &plan->storages[i];
    if (storage->parent != i || storage->kind != MICA_STORAGE_ARENA) continue;
    if (!class_lifetime(plan, i, &classes[count])) continue;
    /* The sum of all sizes bounds every offset. */
    if (!mica_size_align(storage->size == 0 ? 1 : storage->size, MICA_ALIGNMENT,
                         &classes[count].size) ||
        !mica_size_add(total, classes[count].size, &total)) {
      mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "the arena is too large");
      return;
    }
    count++;
  }
  qsort(classes, count, sizeof(*classes), compare_classes);
  size_t bytes = 0;
  for (uint32_t i = 0; i < count; i++) {
    place_class(classes, i, placed);
    plan->storages[classes[i].root].offset = classes[i].offset;
    size_t end = classes[i].offset + classes[i].size;
    if (end > bytes) bytes = end;
  }
  plan->program->arena_bytes = bytes;
}
