/* SPDX-License-Identifier: Apache-2.0 */
/* golden.h: small programs against arrays that another framework made: <case>.in0.., <case>.out0.. in an .npz
 * file of tests/golden. Types are the file's, values within the case's tolerance; 0 is exact. */
#ifndef GOLDEN_H
#define GOLDEN_H
#include <stdio.h>

#include "check.h"
#include "mica/jit.h"

enum { GOLDEN_MOST = 6 };

typedef struct {
  const char *name;
  mica_build *build;
  size_t in_count, out_count;
  double tolerance;
} golden_case;

#define GOLDEN(name, ...)                                                                      \
  static void build_##name(mica_graph *g, const mica_value *in, mica_value *out, void *user) { \
    (void)g, (void)in, (void)user;                                                             \
    __VA_ARGS__;                                                                               \
  }

static inline mica_tensor *golden_array(const mica_npz *npz, const char *name, const char *kind,
                                        size_t i) {
  char key[96];
  snprintf(key, sizeof key, "%s.%s%zu", name, kind, i);
  mica_tensor *tensor = mica_tensor_retain(mica_npz_find(npz, key));
  if (!tensor) CHECK_FAIL("no array %s", key);
  return tensor;
}

static inline void check_golden(const mica_npz *npz, const golden_case *c, mica_device *device) {
  mica_tensor *in[GOLDEN_MOST] = {NULL}, *out[GOLDEN_MOST] = {NULL};
  mica_error error = {0};
  bool there = true;
  for (size_t i = 0; i < c->in_count; i++)
    there = (in[i] = golden_array(npz, c->name, "in", i)) != NULL && there;
  if (there && mica_call_once(device, c->build, NULL, in, c->in_count, out, c->out_count, &error))
    CHECK_FAIL("%s: %s", c->name, error.message);
  for (size_t i = 0; i < c->out_count && out[i]; i++) {
    mica_tensor *wanted = golden_array(npz, c->name, "out", i);
    mica_closeness closeness = {0};
    bool same = wanted && mica_type_equal(mica_tensor_type(out[i]), mica_tensor_type(wanted));
    if (wanted && !same) CHECK_FAIL("%s, output %zu has another type", c->name, i);
    if (same &&
        (mica_tensor_compare(out[i], wanted, c->tolerance, c->tolerance, &closeness, &error) ||
         !closeness.close)) {
      char text[256] = "";
      mica_closeness_format(&closeness, mica_tensor_type(wanted).shape, text, sizeof text);
      CHECK_FAIL("%s, output %zu: %s%s", c->name, i, text, error.message);
    }
    mica_tensor_release(wanted);
  }
  for (size_t i = 0; i < GOLDEN_MOST; i++) mica_tensor_release(in[i]), mica_tensor_release(out[i]);
}

static inline mica_npz *golden_open(const char *file) {
  char path[64];
  mica_npz *npz = NULL;
  mica_error error = {0};
  snprintf(path, sizeof path, "tests/golden/%s", file);
  CHECK_OK_ERROR(mica_npz_load(check_source_path(path), &npz, &error), &error);
  return npz;
}

static inline void check_golden_file(const char *backend, const char *file,
                                     const golden_case *cases, size_t count) {
  mica_error error = {0};
  mica_npz *npz = golden_open(file);
  mica_device_options options = {.struct_size = sizeof options, .backend = backend, .threads = 2};
  mica_device *device = mica_device_open(&options, &error);
  if (!device) CHECK_FAIL("%s", error.message);
  for (size_t k = 0; npz && device && k < count; k++) check_golden(npz, &cases[k], device);
  mica_device_release(device);
  mica_npz_destroy(npz);
}

#endif
