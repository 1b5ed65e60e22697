/* SPDX-License-Identifier: Apache-2.0 */
/* custom.c: nodes of custom operators, host callbacks and assertions. A node keeps its results' types as
 * text ("f32[2, 3], i32[]"), so that a graph can be read, checked and printed without the operator. */
#include "graph/custom.h"

#include <string.h>

#include "core/tensor.h"
#include "graph/ops/rules.h"

/* ---- types as text --------------------------------------------------------------------------- */

/* One type from the front of *at; false when there is none. */
static bool read_type(const char **at, mica_type *out) {
  char name[16];
  const char *c = *at;
  size_t length = strcspn(c, "[");
  if (length == 0 || length >= sizeof name || c[length] != '[') return false;
  memcpy(name, c, length);
  name[length] = 0;
  *out = (mica_type){.dtype = mica_dtype_from_name(name)};
  for (c += length + 1; *c != ']'; c += strspn(c, ", ")) {
    int64_t size = 0;
    if (*c < '0' || *c > '9' || out->shape.rank == MICA_MAX_RANK) return false;
    for (; *c >= '0' && *c <= '9'; c++) {
      if (size > (INT64_MAX - 9) / 10) return false;
      size = size * 10 + (*c - '0');
    }
    out->shape.dim[out->shape.rank++] = size;
  }
  *at = c + 1;
  return out->dtype != MICA_DTYPE_NONE;
}

static bool infer_custom(mica_infer *infer) {
  const mica_custom_attr *attr = infer->attr;
  const char *at = attr->results ? attr->results : "";
  size_t count = 0, room = infer->out_count ? infer->out_count : 1;
  if (!attr->name || !*attr->name) return mica_infer_fail(infer, "the name is empty");
  if (!mica_infer_operand_count(infer, 1, MICA_CUSTOM_MOST)) return false;
  for (; *at; at += strspn(at, ", ")) {
    mica_type type;
    mica_error error = {0};
    if (!read_type(&at, &type) || mica_type_check(type, NULL, &error) != MICA_OK)
      return mica_infer_fail(infer, "results=\"%s\": expected types such as f32[2, 3], i32[]",
                             attr->results);
    if (count == room) return mica_infer_fail(infer, "more results than expected (%zu)", room);
    infer->out[count++] = type;
  }
  if (count == 0 || (infer->out_count && count != infer->out_count))
    return mica_infer_fail(infer, "%zu results: expected %zu", count, infer->out_count);
  infer->out_count = count;
  return true;
}

/* ---- building -------------------------------------------------------------------------------- */

static void fail_customs(mica_graph *graph, mica_value *out, size_t out_count) {
  for (size_t i = 0; out && i < out_count; i++) out[i] = mica_no_value(graph);
}

void mica_custom(mica_custom_operator *custom, const mica_value *in, size_t in_count,
                 const char *config, mica_value *out, size_t out_count) {
  mica_graph *graph = mica_graph_of(in, in_count);
  fail_customs(graph, out, out_count);
  if (!graph || graph->status != MICA_OK) return;
  if (!custom) {
    mica_fail_operator(graph, "custom", in, in_count,
                       "the operator is NULL: expected one that was created");
    return;
  }
  const mica_custom_options *o = &custom->options;
  if (!mica_operands_usable(o->name, in, in_count)) return;
  if (in_count > MICA_CUSTOM_MOST || !out || out_count == 0 || out_count > MICA_CUSTOM_MOST) {
    mica_fail_operator(graph, o->name, in, in_count < 4 ? in_count : 4,
                       "%zu operands and %zu results: expected 1 to %d of each", in_count,
                       out_count, MICA_CUSTOM_MOST);
    return;
  }
  mica_type types[MICA_CUSTOM_MOST], results[MICA_CUSTOM_MOST] = {{0}};
  for (size_t i = 0; i < in_count; i++) types[i] = mica_type_of(in[i]);
  mica_error error = {0};
  if (!config) config = "";
  if (!o->infer)
    for (size_t i = 0; i < out_count; i++) results[i] = types[0];
  else if (o->infer(o->user, types, in_count, config, results, out_count, &error) != MICA_OK) {
    mica_fail_operator(graph, o->name, in, in_count, "%s",
                       *error.message ? error.message : "the operands do not fit");
    return;
  }
  char text[MICA_CUSTOM_MOST * 176] = "";
  size_t used = 0;
  for (size_t i = 0; i < out_count; i++) {
    if (mica_type_check(results[i], NULL, &error) != MICA_OK) {
      mica_fail_operator(graph, o->name, in, in_count, "its shape rule: result %zu: %s", i,
                         error.message);
      return;
    }
    if (i) text[used++] = ',', text[used++] = ' ';
    used += (size_t)mica_type_format(results[i], text + used, sizeof text - used);
  }
  mica_custom_attr attr = {.custom = custom, .name = o->name, .config = config, .results = text};
  mica_emit_results(graph, o->effect ? MICA_OP_CUSTOM_EFFECT : MICA_OP_CUSTOM, in, in_count, &attr,
                    out, out_count);
}

static mica_status infer_callback(void *user, const mica_type *in, size_t in_count,
                                  const char *config, mica_type *out, size_t out_count,
                                  mica_error *error) {
  (void)user, (void)in, (void)in_count, (void)config, (void)out_count, (void)error;
  out[0] = (mica_type){.dtype = MICA_BOOL};
  return MICA_OK;
}

typedef struct {
  mica_host_function *function;
  void *user;
} host_callback;

static mica_status run_callback(void *user, const mica_custom_call *call, mica_error *error) {
  const host_callback *callback = user;
  mica_custom_call given = *call;
  *(bool *)call->out[0] = true; /* a node has a result; nobody sees it */
  given.out_count = 0;
  return callback->function(callback->user, &given, error);
}

static void release_callback(void *user) { mica_free(NULL, user, sizeof(host_callback)); }

void mica_host_callback(const mica_value *in, size_t in_count, mica_host_function *function,
                        void *user) {
  mica_graph *graph = mica_graph_of(in, in_count);
  if (!graph || graph->status != MICA_OK) return;
  if (!function) {
    mica_fail_operator(graph, "host_callback", in, in_count, "the function is NULL");
    return;
  }
  host_callback *callback = mica_allocate(NULL, sizeof *callback);
  if (!callback) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  *callback = (host_callback){function, user};
  mica_custom_operator *custom =
      mica_custom_create(&(mica_custom_options){.struct_size = sizeof(mica_custom_options),
                                                .name = "host_callback",
                                                .user = callback,
                                                .release = release_callback,
                                                .infer = infer_callback,
                                                .run = run_callback,
                                                .effect = true},
                         NULL);
  mica_value done;
  if (custom)
    mica_custom(custom, in, in_count, NULL, &done, 1);
  else {
    release_callback(callback);
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  }
  mica_custom_release(custom);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static const mica_custom_options *options_of(const mica_rule *rule) {
  const mica_custom_attr *attr = rule->attr;
  if (attr->custom) return &attr->custom->options;
  mica_fail_operator(rule->graph, attr->name, rule->in, rule->in_count,
                     "is not bound: expected mica_graph_bind_custom first");
  return NULL;
}

/* Zeros where a rule left nothing, and a clear end where it left something else. */
static void check_derivatives(const mica_rule *rule, const char *what, const mica_value *like,
                              mica_value *values, size_t count) {
  const mica_custom_attr *attr = rule->attr;
  for (size_t i = 0; i < count && rule->graph->status == MICA_OK; i++) {
    if (!values[i].id || mica_type_equal(mica_type_of(values[i]), mica_type_of(like[i]))) continue;
    char expected[64];
    mica_type_format(mica_type_of(like[i]), expected, sizeof expected);
    mica_fail_operator(rule->graph, attr->name, &values[i], 1,
                       "its %s %zu has another type than what it belongs to: expected %s", what, i,
                       expected);
  }
}

static void vjp_custom(const mica_rule *rule, const mica_value *cotangents, mica_value *out) {
  const mica_custom_attr *attr = rule->attr;
  const mica_custom_options *o = options_of(rule);
  if (!o) return;
  if (!o->gradient) {
    mica_rule_failed(rule, "custom operator %s has no gradient", attr->name);
    return;
  }
  mica_value whole[MICA_CUSTOM_MOST];
  for (size_t i = 0; i < rule->out_count; i++)
    whole[i] =
        cotangents[i].id ? cotangents[i] : mica_zeros(rule->graph, mica_type_of(rule->out[i]));
  for (size_t i = 0; i < rule->in_count; i++) out[i] = (mica_value){0};
  o->gradient(o->user, attr->config, rule->in, rule->in_count, rule->out, whole, rule->out_count,
              out);
  check_derivatives(rule, "gradient", rule->in, out, rule->in_count);
}

static void jvp_custom(const mica_rule *rule, const mica_value *tangents, mica_value *out) {
  const mica_custom_attr *attr = rule->attr;
  const mica_custom_options *o = options_of(rule);
  if (!o) return;
  if (!o->tangent) {
    mica_rule_failed(rule, "custom operator %s has no forward mode", attr->name);
    return;
  }
  mica_value whole[MICA_CUSTOM_MOST];
  for (size_t i = 0; i < rule->in_count; i++)
    whole[i] = tangents[i].id ? tangents[i] : mica_zeros(rule->graph, mica_type_of(rule->in[i]));
  for (size_t i = 0; i < rule->out_count; i++) out[i] = (mica_value){0};
  o->tangent(o->user, attr->config, rule->in, whole, rule->in_count, rule->out, rule->out_count,
             out);
  check_derivatives(rule, "tangent", rule->out, out, rule->out_count);
}

/* One call where the kernel takes examples; otherwise a scan, since only the kernel knows its axes. */
static void batch_custom(const mica_rule *rule, const bool *batched, int64_t size,
                         mica_value *out) {
  const mica_custom_attr *attr = rule->attr;
  const mica_custom_options *o = options_of(rule);
  fail_customs(rule->graph, out, rule->out_count);
  if (!o) return;
  mica_value in[MICA_CUSTOM_MOST], items[MICA_CUSTOM_MOST];
  size_t item_count = 0;
  for (size_t i = 0; i < rule->in_count; i++) {
    in[i] = o->batched ? mica_batched(rule->in[i], batched[i], size) : rule->in[i];
    if (batched[i]) items[item_count++] = rule->in[i];
  }
  if (o->batched) {
    mica_custom(attr->custom, in, rule->in_count, attr->config, out, rule->out_count);
    return;
  }
  mica_region scan = mica_scan_begin_count(rule->graph, NULL, 0, items, item_count, size, false);
  item_count = 0;
  for (size_t i = 0; i < rule->in_count; i++)
    if (batched[i]) in[i] = mica_argument(scan, item_count++);
  mica_value one[MICA_CUSTOM_MOST];
  mica_custom(attr->custom, in, rule->in_count, attr->config, one, rule->out_count);
  mica_scan_end(scan, NULL, one, rule->out_count, NULL, out);
}

static const mica_attr_field custom_fields[] = {
    MICA_FIELD(mica_custom_attr, custom, CUSTOM), MICA_FIELD(mica_custom_attr, name, TEXT),
    MICA_FIELD(mica_custom_attr, config, TEXT), MICA_FIELD(mica_custom_attr, results, TEXT),
    MICA_FIELD_END};
const mica_op_def mica_op_custom = {
    .name = "custom",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_ANY,
    .arity = -1,
    .results = -1,
    .attr_size = sizeof(mica_custom_attr),
    .fields = custom_fields,
    .formula = "x .. -> y ..: what the operator's kernel computes",
    .infer = infer_custom,
    .jvp = jvp_custom,
    .vjp = vjp_custom,
    .batch = batch_custom,
};
const mica_op_def mica_op_custom_effect = {
    .name = "custom_effect",
    .kind = MICA_KIND_CONSTANT,
    .dtypes = MICA_CLASS_ANY,
    .arity = -1,
    .results = -1,
    .effect = true,
    .attr_size = sizeof(mica_custom_attr),
    .fields = custom_fields,
    .formula = "x .. -> y ..: what the operator's kernel does, each time, in order",
    .infer = infer_custom,
    .batch = batch_custom,
};

/* ---- assertions ------------------------------------------------------------------------------ */

static const mica_attr_field assert_fields[] = {MICA_FIELD(mica_assert_attr, message, TEXT),
                                                MICA_FIELD_END};
const mica_op_def mica_op_assert = {
    .name = "assert",
    .kind = MICA_KIND_CONSTANT,
    .dtypes = MICA_CLASS_BOOL,
    .arity = 1,
    .results = 1,
    .effect = true,
    .attr_size = sizeof(mica_assert_attr),
    .fields = assert_fields,
    .formula = "condition [a...] -> [a...]: condition; the call fails unless all of it is true",
    .infer = mica_infer_same,
};

mica_value mica_assert(mica_value condition, const char *message) {
  if (!mica_operands_usable("assert", &condition, 1)) return mica_no_value(condition.graph);
  mica_assert_attr attr = {.message = message ? message : ""};
  return mica_emit(condition.graph, MICA_OP_ASSERT, &condition, 1, &attr);
}
