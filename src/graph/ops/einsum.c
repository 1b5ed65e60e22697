/* SPDX-License-Identifier: Apache-2.0 */
/* einsum.c: Einstein's summation convention over many operands, as products of two at a time.
 *
 * A label is a number below 60, so that a set of labels is a word of 64 bits: 0 to 7 are the axes
 * that "..." stands for, aligned at the end, then come A to Z and a to z. This is the order of the
 * result when the equation names none. First every operand is brought to labels that are all
 * different, larger than 1 and needed elsewhere: axes of size 1 are dropped, diagonals taken, and
 * what occurs in one operand alone is summed. Then each contraction of two terms is one
 * dot_general, or one product of elements where nothing is summed.
 *
 * The order is planned on sets of labels. The cost of a contraction is the number of its
 * multiplications and of the elements that it writes. */
#include "graph/ops/einsum_plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "core/text.h"

/* ---- reading ----------------------------------------------------------------------------------- */

typedef struct {
  const mica_einsum_args *args;
  mica_graph *graph;
  const char *at;              /* the next character */
  int64_t size[EINSUM_LABELS]; /* -1: no operand had it yet */
  int32_t ellipsis;            /* the most axes that "..." stands for */
} einsum_text;

/* The labels of one operand or of the result as they are written. */
typedef struct {
  int32_t count;
  int32_t label[MICA_MAX_RANK];
  const char *at[MICA_MAX_RANK], *begin;
  int32_t ellipsis; /* before which of them "..." stands; -1: it does not */
} einsum_labels;

static bool einsum_failed(const einsum_text *text, const char *at, const char *format, ...)
    MICA_PRINTF(3, 4);
static bool einsum_failed(const einsum_text *text, const char *at, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const mica_einsum_args *args = text->args;
  mica_fail_in_text(text->graph, "einsum", args->x, args->count, args->equation, at, format,
                    arguments);
  va_end(arguments);
  return false;
}

static int32_t label_of_letter(char c) {
  if (c >= 'A' && c <= 'Z') return MICA_MAX_RANK + (c - 'A');
  if (c >= 'a' && c <= 'z') return MICA_MAX_RANK + 26 + (c - 'a');
  return -1;
}

/* Reads letters and "..." up to a comma, an arrow or the end. */
static bool read_labels(einsum_text *text, einsum_labels *out) {
  *out = (einsum_labels){.begin = text->at, .ellipsis = -1};
  for (;; text->at++) {
    char c = *text->at;
    if (c == ' ' || c == '\t') continue;
    if (c == ',' || c == '\0' || (c == '-' && text->at[1] == '>')) return true;
    if (c == '.' && text->at[1] == '.' && text->at[2] == '.') {
      if (out->ellipsis >= 0) return einsum_failed(text, text->at, "expected \"...\" once");
      out->ellipsis = out->count;
      text->at += 2;
      continue;
    }
    int32_t label = label_of_letter(c);
    if (label < 0)
      return einsum_failed(text, text->at, "expected a letter, \"...\", \",\" or \"->\"");
    if (out->count == MICA_MAX_RANK)
      return einsum_failed(text, text->at, "expected at most %d letters", MICA_MAX_RANK);
    out->at[out->count] = text->at;
    out->label[out->count++] = label;
  }
}

/* The labels of operand i laid on its axes. */
static bool lay_labels(einsum_text *text, size_t i, const einsum_labels *labels,
                       einsum_term *term) {
  mica_shape shape = mica_shape_of(term->value);
  int32_t missing = shape.rank - labels->count, next = 0;
  if (missing < 0 || (missing > 0 && labels->ellipsis < 0))
    return einsum_failed(text, labels->begin,
                         "operand %zu has rank %" PRId32 ": expected %s%" PRId32 ", as here", i,
                         shape.rank, labels->ellipsis < 0 ? "" : "at least ", labels->count);
  if (labels->ellipsis >= 0 && missing > text->ellipsis) text->ellipsis = missing;
  for (int32_t k = 0; k <= labels->count; k++) {
    if (k == labels->ellipsis)
      for (int32_t m = 0; m < missing; m++, next++) {
        int32_t label = MICA_MAX_RANK - missing + m;
        int64_t *size = &text->size[label], dim = shape.dim[next];
        if (*size >= 0 && *size != dim && *size != 1 && dim != 1)
          return einsum_failed(text, labels->begin,
                               "axis %" PRId32 " of operand %zu has size %" PRId64
                               ": expected 1 or %" PRId64 " in place of \"...\"",
                               next, i, dim, *size);
        if (*size < 0 || *size == 1) *size = dim;
        term->label[next] = label;
      }
    if (k == labels->count) break;
    int64_t *size = &text->size[labels->label[k]], dim = shape.dim[next];
    if (*size >= 0 && *size != dim)
      return einsum_failed(text, labels->at[k],
                           "'%c' is axis %" PRId32 " of operand %zu, of size %" PRId64
                           ": expected %" PRId64 ", as before",
                           *labels->at[k], next, i, dim, *size);
    *size = dim;
    term->label[next++] = labels->label[k];
  }
  term->rank = next;
  return true;
}

/* The result's labels: those behind "->", or those that occur once. */
static bool read_result(einsum_text *text, const int32_t *times, einsum_plan *plan) {
  const char *arrow = text->at;
  einsum_labels labels = {.ellipsis = 0};
  if (*arrow) {
    text->at += 2;
    if (!read_labels(text, &labels)) return false;
    if (*text->at) return einsum_failed(text, text->at, "expected the end of the equation");
    if (labels.ellipsis < 0 && text->ellipsis)
      return einsum_failed(
          text, arrow, "expected \"...\" in the result, for the %" PRId32 " %s that it stands for",
          text->ellipsis, mica_noun((size_t)text->ellipsis, "axis", "axes"));
  }
  int32_t rank = 0, order[EINSUM_LABELS];
  if (*arrow) {
    for (int32_t k = 0; k <= labels.count; k++) {
      for (int32_t m = 0; k == labels.ellipsis && m < text->ellipsis; m++)
        order[rank++] = MICA_MAX_RANK - text->ellipsis + m;
      if (k == labels.count) break;
      if (text->size[labels.label[k]] < 0)
        return einsum_failed(text, labels.at[k], "'%c' occurs in no operand", *labels.at[k]);
      for (int32_t j = 0; j < k; j++)
        if (labels.label[j] == labels.label[k])
          return einsum_failed(text, labels.at[k], "'%c' is in the result twice", *labels.at[k]);
      order[rank++] = labels.label[k];
    }
  } else {
    for (int32_t label = 0; label < EINSUM_LABELS; label++)
      if (label < MICA_MAX_RANK ? label >= MICA_MAX_RANK - text->ellipsis : times[label] == 1)
        order[rank++] = label;
  }
  if (rank > MICA_MAX_RANK)
    return einsum_failed(text, arrow, "the result has rank %" PRId32 ": expected at most %d", rank,
                         MICA_MAX_RANK);
  for (int32_t k = 0; k < rank; k++) {
    int64_t size = text->size[order[k]];
    plan->shape.dim[plan->shape.rank++] = size;
    if (size == 1) continue;
    plan->order[plan->rank++] = order[k];
    plan->output |= LABEL_BIT(order[k]);
  }
  return true;
}

static bool read_equation(einsum_text *text, einsum_plan *plan) {
  int32_t times[EINSUM_LABELS] = {0};
  for (int32_t label = 0; label < EINSUM_LABELS; label++) text->size[label] = -1;
  for (size_t i = 0;; i++) {
    einsum_labels labels;
    if (!read_labels(text, &labels)) return false;
    if (i == plan->count)
      return einsum_failed(text, labels.begin, "%s %zu %s: expected one more",
                           i == 1 ? "there is" : "there are", i,
                           mica_noun(i, "operand", "operands"));
    if (!lay_labels(text, i, &labels, &plan->terms[i])) return false;
    for (int32_t k = 0; k < labels.count; k++) times[labels.label[k]]++;
    if (*text->at == ',') {
      text->at++;
      continue;
    }
    if (i + 1 < plan->count)
      return einsum_failed(text, text->at,
                           "there are %zu operands: expected \",\" and the next one's letters",
                           plan->count);
    break;
  }
  if (!read_result(text, times, plan)) return false;
  for (int32_t label = 0; label < EINSUM_LABELS; label++)
    plan->size[label] = text->size[label] > 1 ? (double)text->size[label] : 1;
  return true;
}

/* ---- one term ---------------------------------------------------------------------------------- */

static uint64_t labels_of(const einsum_term *term) {
  uint64_t set = 0;
  for (int32_t axis = 0; axis < term->rank; axis++) set |= LABEL_BIT(term->label[axis]);
  return set;
}

static void remove_label(einsum_term *term, int32_t axis) {
  for (int32_t i = axis; i + 1 < term->rank; i++) term->label[i] = term->label[i + 1];
  term->rank--;
}

/* Drops axes of size 1 and takes diagonals, until all labels are different. */
static void separate_labels(einsum_term *term) {
  mica_shape shape = mica_shape_of(term->value), kept = {0};
  int32_t rank = 0;
  for (int32_t axis = 0; axis < term->rank; axis++)
    if (shape.dim[axis] != 1) {
      kept.dim[kept.rank++] = shape.dim[axis];
      term->label[rank++] = term->label[axis];
    }
  term->rank = rank;
  term->value = mica_reshape_if_needed(term->value, kept);
  for (int32_t b = term->rank - 1; b > 0; b--)
    for (int32_t a = 0; a < b; a++)
      if (term->label[a] == term->label[b]) {
        int32_t label = term->label[a];
        term->value = mica_diagonal(term->value, 0, a, b); /* its axis is the last one */
        remove_label(term, b);
        remove_label(term, a);
        term->label[term->rank++] = label;
        b = term->rank;
        break;
      }
}

static void einsum_convert(einsum_term *term, mica_dtype dtype) {
  if (mica_dtype_of(term->value) != dtype) term->value = mica_convert(term->value, dtype);
}

/* Sums what nobody else needs. */
static void sum_alone(const einsum_plan *plan, einsum_term *term, uint64_t needed) {
  mica_axes alone = {0};
  for (int32_t axis = term->rank - 1; axis >= 0; axis--)
    if (!(needed & LABEL_BIT(term->label[axis]))) {
      alone.axis[alone.count++] = axis;
      remove_label(term, axis);
    }
  term->set = labels_of(term);
  if (!alone.count) return;
  einsum_convert(term, plan->dtype);
  term->value = mica_reduce_sum(term->value, alone);
}

/* The term's axes in the order of a list that has all of them, with size 1 for the others. */
static mica_value spread_term(const einsum_term *term, const int32_t *order, int32_t rank) {
  mica_ints permutation = {0};
  mica_shape shape = {.rank = rank}, own = mica_shape_of(term->value);
  for (int32_t i = 0; i < rank; i++) {
    shape.dim[i] = 1;
    for (int32_t axis = 0; axis < term->rank; axis++)
      if (term->label[axis] == order[i]) {
        shape.dim[i] = own.dim[axis];
        permutation.at[permutation.count++] = axis;
      }
  }
  return mica_reshape_if_needed(mica_transpose_if_needed(term->value, &permutation), shape);
}

/* ---- two terms --------------------------------------------------------------------------------- */

static void append_labels(einsum_term *out, const int32_t *labels, int32_t count, uint64_t which) {
  for (int32_t i = 0; i < count && out->rank < MICA_MAX_RANK; i++)
    if (which & LABEL_BIT(labels[i])) {
      out->label[out->rank++] = labels[i];
      out->set |= LABEL_BIT(labels[i]);
    }
}

static einsum_term multiply_terms(const einsum_plan *plan, einsum_term a, einsum_term b,
                                  bool last) {
  einsum_term out = {0};
  if (last) {
    append_labels(&out, plan->order, plan->rank, a.set | b.set);
  } else {
    append_labels(&out, a.label, a.rank, a.set);
    append_labels(&out, b.label, b.rank, b.set & ~a.set);
  }
  einsum_convert(&a, plan->dtype);
  einsum_convert(&b, plan->dtype);
  out.value =
      (mica_mul)(spread_term(&a, out.label, out.rank), spread_term(&b, out.label, out.rank));
  return out;
}

/* Where each of the labels stands in the term. */
static mica_axes axes_of_labels(const einsum_term *term, const int32_t *labels, int32_t count) {
  mica_axes axes = {.count = count};
  for (int32_t i = 0; i < count; i++)
    for (int32_t axis = 0; axis < term->rank; axis++)
      if (term->label[axis] == labels[i]) axes.axis[i] = axis;
  return axes;
}

/* What dot_general of the two gives: batch axes, a's free ones, b's free ones. */
static einsum_term dot_labels(const einsum_plan *plan, const einsum_term *a, const einsum_term *b,
                              uint64_t batch, uint64_t contract, bool last) {
  einsum_term out = {0};
  if (last)
    append_labels(&out, plan->order, plan->rank, batch);
  else
    append_labels(&out, a->label, a->rank, batch);
  append_labels(&out, a->label, a->rank, a->set & ~batch & ~contract);
  append_labels(&out, b->label, b->rank, b->set & ~batch & ~contract);
  return out;
}

static bool in_result_order(const einsum_plan *plan, const einsum_term *term) {
  return !memcmp(term->label, plan->order, (size_t)term->rank * sizeof(term->label[0]));
}

/* Whether a product of these operands can have the plan's dtype as it is. */
static bool multiplies_into(mica_dtype from, mica_dtype to) {
  bool small_float =
      from == MICA_F8E4M3FN || from == MICA_F8E5M2 || from == MICA_F16 || from == MICA_BF16;
  bool small_integer = from == MICA_I8 || from == MICA_U8 || from == MICA_I4 || from == MICA_U4;
  return from == to || (small_float && to == MICA_F32) || (small_integer && to == MICA_I32);
}

/* Where no label is free there is nothing that a matrix product could use twice: elements are
 * multiplied and summed, wide. */
static einsum_term sum_products(const einsum_plan *plan, einsum_term a, einsum_term b,
                                uint64_t keep) {
  einsum_convert(&a, mica_wide_dtype(plan->dtype));
  einsum_convert(&b, mica_wide_dtype(plan->dtype));
  einsum_term out = a;
  out.value = (mica_mul)(a.value, spread_term(&b, a.label, a.rank));
  mica_axes summed = {0};
  for (int32_t axis = a.rank - 1; axis >= 0; axis--)
    if (!(keep & LABEL_BIT(a.label[axis]))) {
      summed.axis[summed.count++] = axis;
      remove_label(&out, axis);
    }
  out.set = labels_of(&out);
  out.value = mica_reduce_sum(out.value, summed);
  einsum_convert(&out, plan->dtype);
  return out;
}

/* The product of two terms, summed over the labels that are not in `keep`. */
static einsum_term contract_terms(const einsum_plan *plan, einsum_term a, einsum_term b,
                                  uint64_t keep, bool last) {
  uint64_t common = a.set & b.set, batch = common & keep, contract = common & ~keep;
  const char *expected = "";
  if (!contract) return multiply_terms(plan, a, b, last);
  if (a.set == b.set && mica_class_accepts(MICA_CLASS_NUMBER, plan->dtype, &expected))
    return sum_products(plan, a, b, keep);
  einsum_term out = dot_labels(plan, &a, &b, batch, contract, last);
  if (last && !in_result_order(plan, &out)) {
    einsum_term other = dot_labels(plan, &b, &a, batch, contract, last);
    if (in_result_order(plan, &other)) {
      einsum_term kept = a;
      a = b;
      b = kept;
      out = other;
    }
  }
  if (mica_dtype_of(a.value) != mica_dtype_of(b.value) ||
      !multiplies_into(mica_dtype_of(a.value), plan->dtype)) {
    einsum_convert(&a, plan->dtype);
    einsum_convert(&b, plan->dtype);
  }
  einsum_term summed = {0};
  append_labels(&summed, a.label, a.rank, contract);
  int32_t batch_count = 0;
  while (batch_count < out.rank && (batch & LABEL_BIT(out.label[batch_count]))) batch_count++;
  out.value = mica_dot_general(
      a.value, b.value, .x_batch = axes_of_labels(&a, out.label, batch_count),
      .y_batch = axes_of_labels(&b, out.label, batch_count),
      .x_contract = axes_of_labels(&a, summed.label, summed.rank),
      .y_contract = axes_of_labels(&b, summed.label, summed.rank), .dtype = plan->dtype);
  return out;
}

/* ---- carrying the plan out --------------------------------------------------------------------- */

/* The terms of a set, contracted as planned; as deep as the plan is, at most 8. */
static einsum_term contract_subset(const einsum_plan *plan, uint32_t subset, bool last) {
  uint32_t part = plan->split[subset];
  if (!part) {
    size_t i = 0;
    while (!(subset >> i & 1)) i++;
    return plan->terms[i];
  }
  einsum_term a = contract_subset(plan, part, false),
              b = contract_subset(plan, subset & ~part, false);
  uint64_t keep = plan->output;
  for (size_t i = 0; i < plan->count; i++)
    if (!(subset >> i & 1)) keep |= plan->terms[i].set;
  return contract_terms(plan, a, b, keep, last);
}

static mica_value contract_all(einsum_plan *plan) {
  for (size_t i = 0; i < plan->count; i++) separate_labels(&plan->terms[i]);
  for (size_t i = 0; i < plan->count; i++) plan->terms[i].set = labels_of(&plan->terms[i]);
  for (size_t i = 0; i < plan->count; i++) {
    uint64_t needed = plan->output;
    for (size_t j = 0; j < plan->count; j++)
      if (j != i) needed |= plan->terms[j].set;
    sum_alone(plan, &plan->terms[i], needed);
  }
  size_t i, j;
  while (plan->count > EINSUM_PLANNED && mica_einsum_pick_pair(plan, &i, &j)) {
    uint64_t keep = plan->output;
    for (size_t k = 0; k < plan->count; k++)
      if (k != i && k != j) keep |= plan->terms[k].set;
    plan->terms[i] = contract_terms(plan, plan->terms[i], plan->terms[j], keep, false);
    plan->terms[j] = plan->terms[--plan->count];
  }
  if (plan->count > EINSUM_PLANNED || !mica_einsum_order(plan))
    return mica_fail_operator(plan->graph, "einsum", plan->x, plan->operand_count,
                              "every order has an intermediate of more than %d axes",
                              MICA_MAX_RANK);
  einsum_term whole = contract_subset(plan, (1u << plan->count) - 1, true);
  einsum_convert(&whole, plan->dtype);
  return mica_reshape_if_needed(spread_term(&whole, plan->order, plan->rank), plan->shape);
}

mica_value mica_einsum_with(const mica_einsum_args *args) {
  mica_einsum_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  mica_graph *graph = mica_graph_of(a.x, a.count);
  MICA_ENTRY(graph);
  if (!graph || !mica_operands_usable("einsum", a.x, a.count)) return mica_no_value(graph);
  if (!a.equation)
    return mica_fail_operator(graph, "einsum", a.x, a.count,
                              "the equation is NULL: expected text as \"ij,jk->ik\"");
  if (a.count > EINSUM_OPERANDS)
    return mica_fail_operator(graph, "einsum", a.x, a.count, "%zu operands: expected 1 to %d",
                              a.count, EINSUM_OPERANDS);
  mica_dtype own = mica_dtype_of(a.x[0]), wanted = a.dtype ? a.dtype : own;
  const char *expected = "";
  for (size_t i = 0; i < a.count; i++)
    if (mica_dtype_of(a.x[i]) != own)
      return mica_fail_operator(graph, "einsum", a.x, a.count,
                                "operands 0 and %zu have dtypes %s and %s: expected one dtype "
                                "(mica_convert(x, MICA_...) makes it)",
                                i, mica_dtype_name(own), mica_dtype_name(mica_dtype_of(a.x[i])));
  mica_dtype both[2] = {own, wanted};
  for (int i = 0; i < 2; i++)
    if (!mica_class_accepts(MICA_CLASS_DOT, both[i], &expected))
      return mica_fail_operator(graph, "einsum", a.x, a.count,
                                "dtype %s is not supported: expected %s", mica_dtype_name(both[i]),
                                expected);
  if (mica_dtype_is_complex(own) && !mica_dtype_is_complex(wanted))
    return mica_fail_operator(graph, "einsum", a.x, a.count,
                              "dtype %s has no imaginary part: expected a complex dtype",
                              mica_dtype_name(wanted));
  einsum_plan *plan = mica_arena_allocate_zeroed(&graph->arena, 1, sizeof(*plan));
  if (!plan) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  *plan = (einsum_plan){
      .graph = graph, .x = a.x, .operand_count = a.count, .count = a.count, .dtype = wanted};
  for (size_t i = 0; i < a.count; i++) plan->terms[i].value = a.x[i];
  einsum_text text = {.args = &a, .graph = graph, .at = a.equation};
  if (!read_equation(&text, plan)) return mica_no_value(graph);
  return contract_all(plan);
}
