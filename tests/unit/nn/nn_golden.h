/* SPDX-License-Identifier: Apache-2.0 */
/* nn_golden.h: layers against an .npz file of tests/golden that another framework made: <case>.in0.. (inputs), .p.<path>
 * (parameters), .t.<path> (states before), .out, .w (its cotangent), .gin0.. and .g.<path> (gradients of sum(out w)),
 * .s.<path> (states afterwards). */
#ifndef NN_GOLDEN_H
#define NN_GOLDEN_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/jit.h"
#include "mica/nn.h"

enum { NN_GOLDEN_MOST = 40 };

typedef mica_value nn_golden_layer(mica_scope *scope, const mica_value *in);
typedef struct {
  const char *name;
  nn_golden_layer *build;
  size_t in_count;
  bool training;
  const char *settings; /* of the store; NULL: none */
  double tolerance;     /* 0: 1e-10 */
} nn_golden_case;

typedef struct {
  const nn_golden_case *c;
  mica_store *store;
  size_t out_count;               /* what the trace gives */
  char names[NN_GOLDEN_MOST][96]; /* of the golden array of each output */
} nn_golden_run;

/* in: inputs, w. out: y, the gradients of inputs of floats, the gradients of the parameters. */
static inline void nn_golden_build(mica_graph *graph, const mica_value *in, mica_value *out,
                                   void *user) {
  nn_golden_run *run = user;
  const nn_golden_case *c = run->c;
  mica_scope *scope = mica_scope_open(run->store, graph, c->training);
  mica_value wanted[NN_GOLDEN_MOST], grads[NN_GOLDEN_MOST];
  mica_store_entry entries[NN_GOLDEN_MOST];
  mica_value y = c->build(scope, in);
  mica_value loss = mica_reduce_sum(mica_mul(y, in[c->in_count]), MICA_ALL);
  size_t count = 0, made = 1;
  out[0] = y;
  snprintf(run->names[0], 96, "%s.out", c->name);
  for (size_t i = 0; i < c->in_count; i++)
    if (mica_dtype_is_float(mica_dtype_of(in[i]))) {
      snprintf(run->names[made++], 96, "%s.gin%zu", c->name, i);
      wanted[count++] = in[i];
    }
  size_t first = count;
  count += mica_scope_trainable(scope, NN_GOLDEN_MOST - count, wanted + count, NULL, entries);
  for (size_t i = first; i < count; i++)
    snprintf(run->names[made++], 96, "%s.g.%.70s", c->name, entries[i - first].path);
  mica_gradients(loss, wanted, count, grads);
  for (size_t i = 0; i < count; i++) out[1 + i] = grads[i];
  for (size_t i = 1 + count; i < run->out_count; i++) out[i] = y;
  mica_scope_close(scope);
}

static inline void nn_golden_compare(const nn_golden_case *c, const char *name, mica_tensor *got,
                                     const mica_tensor *wanted) {
  mica_closeness closeness = {0};
  mica_error error = {0};
  double tolerance = c->tolerance == 0 ? 1e-10 : c->tolerance;
  if (!wanted) {
    CHECK_FAIL("no array %s", name);
    return;
  }
  if (mica_tensor_compare(got, wanted, tolerance, tolerance, &closeness, &error) ||
      !closeness.close) {
    char text[256] = "";
    mica_closeness_format(&closeness, mica_tensor_type(wanted).shape, text, sizeof text);
    CHECK_FAIL("%s: %s%s", name, text, error.message);
  }
}

/* Every array <case>.<kind>.<path> goes into the store; returns how many. */
static inline size_t nn_golden_put(const mica_npz *npz, const nn_golden_case *c, char kind,
                                   mica_store *store) {
  char prefix[96];
  size_t count = 0;
  mica_error error = {0};
  int length = snprintf(prefix, sizeof prefix, "%s.%c.", c->name, kind);
  for (int64_t i = 0; i < mica_npz_count(npz); i++) {
    const char *name = mica_npz_name(npz, i);
    if (strncmp(name, prefix, (size_t)length) != 0) continue;
    CHECK_OK_ERROR(mica_store_put(store, name + length, mica_npz_tensor(npz, i), true, &error),
                   &error);
    count++;
  }
  return count;
}

static inline void nn_golden_check(const mica_npz *npz, const nn_golden_case *c,
                                   mica_device *device) {
  nn_golden_run run = {.c = c, .store = mica_store_create(device, 1)};
  mica_tensor *in[NN_GOLDEN_MOST] = {NULL}, *out[NN_GOLDEN_MOST] = {NULL};
  mica_error error = {0};
  char key[128];
  /* The settings of these tests, declared. */
  mica_store_set_integer(run.store, "lora_rank", 0, NULL);
  mica_store_set_number(run.store, "lora_alpha", 0, NULL);
  mica_store_set_integer(run.store, "fnn_units", 64, NULL);
  mica_store_set_integer(run.store, "fnn_layers", 2, NULL);
  if (c->settings) CHECK_OK_ERROR(mica_store_set(run.store, c->settings, &error), &error);
  nn_golden_put(npz, c, 't', run.store);
  size_t parameters = nn_golden_put(npz, c, 'p', run.store), floats = 0;
  bool there = true;
  for (size_t i = 0; i <= c->in_count; i++) {
    snprintf(key, sizeof key, i < c->in_count ? "%s.in%zu" : "%s.w", c->name, i);
    in[i] = mica_npz_find(npz, key);
    if (!in[i]) CHECK_FAIL("no array %s", key);
    there = there && in[i];
    floats += in[i] && i < c->in_count && mica_dtype_is_float(mica_tensor_type(in[i]).dtype);
  }
  run.out_count = 1 + floats + parameters;
  mica_status status = there ? mica_call_once(device, nn_golden_build, &run, in, c->in_count + 1,
                                              out, run.out_count, &error)
                             : MICA_INVALID;
  if (status != MICA_OK) CHECK_FAIL("%s: %s", c->name, error.message);
  for (size_t i = 0; i < run.out_count && status == MICA_OK; i++)
    nn_golden_compare(c, run.names[i], out[i], mica_npz_find(npz, run.names[i]));
  int length = snprintf(key, sizeof key, "%s.s.", c->name);
  for (int64_t i = 0; i < mica_npz_count(npz) && status == MICA_OK; i++) {
    const char *name = mica_npz_name(npz, i);
    mica_store_entry entry;
    if (strncmp(name, key, (size_t)length) != 0) continue;
    if (!CHECK(mica_store_find(run.store, name + length, &entry))) continue;
    mica_tensor *now = mica_variable_snapshot(entry.variable);
    nn_golden_compare(c, name, now, mica_npz_tensor(npz, i));
    mica_tensor_release(now);
  }
  for (size_t i = 0; i < NN_GOLDEN_MOST; i++) mica_tensor_release(out[i]);
  mica_store_destroy(run.store);
}

static inline void nn_golden_file(const char *file, const nn_golden_case *cases, size_t count) {
  char path[256];
  mica_error error = {0};
  mica_npz *npz = NULL;
  snprintf(path, sizeof path, "tests/golden/%s", file);
  CHECK_OK_ERROR(mica_npz_load(check_source_path(path), &npz, &error), &error);
  mica_device_options options = {.struct_size = sizeof options, .threads = check_threads(2)};
  mica_device *device = mica_device_open(&options, &error);
  if (!device) CHECK_FAIL("%s", error.message);
  for (size_t k = 0; npz && device && k < count; k++) nn_golden_check(npz, &cases[k], device);
  mica_device_release(device);
  mica_npz_destroy(npz);
}

#endif
