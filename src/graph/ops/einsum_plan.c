/* SPDX-License-Identifier: Apache-2.0 */
/* einsum_plan.c: in which order many terms are contracted, decided on sets of labels.
 *
 * For few terms the best order of all is found by dynamic programming over subsets: what a subset
 * costs is what its two parts cost and what contracting them does, the least over all ways to cut
 * it in two (3^n steps, 6561 for 8 terms). For more, the pair goes first whose result is smallest
 * beside what it replaces, as in Gray and Kourtis 2021 (Quantum 5, 410). Nothing depends on hashes
 * or time: an equation has one order. */
#include "graph/ops/einsum_plan.h"

#include <math.h>

static double elements(const einsum_plan *plan, uint64_t set) {
  double count = 1;
  for (int32_t label = 0; label < EINSUM_LABELS; label++)
    if (set & LABEL_BIT(label)) count *= plan->size[label];
  return count;
}

static int32_t label_count(uint64_t set) {
  int32_t count = 0;
  for (; set; set &= set - 1) count++;
  return count;
}

bool mica_einsum_order(einsum_plan *plan) {
  enum { SUBSETS = 1 << EINSUM_PLANNED };
  uint32_t whole = (1u << plan->count) - 1;
  uint64_t kept[SUBSETS]; /* the labels of a subset's product that are needed outside of it */
  double cost[SUBSETS];
  for (uint32_t subset = 1; subset <= whole; subset++) {
    uint64_t inside = 0, outside = plan->output;
    for (size_t i = 0; i < plan->count; i++) {
      if (subset >> i & 1)
        inside |= plan->terms[i].set;
      else
        outside |= plan->terms[i].set;
    }
    kept[subset] = inside & outside;
  }
  for (uint32_t subset = 1; subset <= whole; subset++) {
    plan->split[subset] = 0;
    cost[subset] = subset & (subset - 1) ? INFINITY : 0;
    if (cost[subset] == 0 || label_count(kept[subset]) > MICA_MAX_RANK) continue;
    uint32_t lowest = subset & (~subset + 1);
    for (uint32_t part = (subset - 1) & subset; part; part = (part - 1) & subset) {
      if (!(part & lowest)) continue; /* the other part of a pair that was seen */
      double parts = cost[part] + cost[subset & ~part];
      if (!(parts < cost[subset])) continue;
      double all =
          parts + elements(plan, kept[part] | kept[subset & ~part]) + elements(plan, kept[subset]);
      if (!(all < cost[subset])) continue;
      cost[subset] = all;
      plan->split[subset] = part;
    }
  }
  return cost[whole] < INFINITY;
}

bool mica_einsum_pick_pair(const einsum_plan *plan, size_t *out_i, size_t *out_j) {
  uint64_t once = plan->output, more = plan->output, many = plan->output; /* in 1, 2, 3 places */
  for (size_t i = 0; i < plan->count; i++) {
    uint64_t set = plan->terms[i].set;
    many |= more & set;
    more |= once & set;
    once |= set;
  }
  double best = INFINITY, best_work = INFINITY;
  for (size_t i = 0; i < plan->count; i++)
    for (size_t j = i + 1; j < plan->count; j++) {
      uint64_t a = plan->terms[i].set, b = plan->terms[j].set;
      /* A common label is needed elsewhere if it occurs thrice, another one always. */
      uint64_t result = (a ^ b) | (a & b & many);
      if (label_count(result) > MICA_MAX_RANK) continue;
      double gain = elements(plan, result) - elements(plan, a) - elements(plan, b);
      double work = elements(plan, a | b);
      if (!(gain < best || (gain == best && work < best_work))) continue;
      best = gain;
      best_work = work;
      *out_i = i;
      *out_j = j;
    }
  return best_work < INFINITY;
}
