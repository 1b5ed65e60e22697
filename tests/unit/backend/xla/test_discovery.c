/* SPDX-License-Identifier: Apache-2.0 */
/* Names and options of plugins, where they are looked for, files for other machines, and which one fits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/xla/xla_internal.h"
#include "check.h"
#include "mica/xla.h"
#include "unit/backend/xla/fake.h"

static void expect_open_error(const char *name, mica_status wanted, const char *part) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name}, &error);
  CHECK(device == NULL);
  CHECK_EQ_INT(error.status, wanted);
  CHECK_STR_CONTAINS(error.message, part);
  mica_device_release(device);
}

TEST(names_and_options) {
  char path[1100], name[1300], backend[1200];
  fake_control *f = fake_open(path);
  if (f == NULL) return;
  snprintf(backend, sizeof backend, "xla:%s", path);
  expect_open_error("xla:abacus", MICA_NOT_FOUND, "there are: cuda, rocm, oneapi, tpu, cpu");
  expect_open_error("xla:/no/such/plugin.so", MICA_NOT_FOUND, "does not load: /no/such/plugin.so");
  expect_open_error("xla:/dev/null", MICA_NOT_FOUND, "does not load");
  expect_open_error("cpu:fast", MICA_INVALID, "':fast'");
  setenv("MICA_XLA_CACHE", "off", 1);
  setenv("MICA_XLA_PLUGIN_DIR", "/none/one:/none/two", 1);
  setenv("XDG_DATA_HOME", "/none/data", 1);
  expect_open_error("xla:tpu", MICA_NOT_FOUND,
                    "no plugin in $MICA_XLA_PLUGIN_DIR=/none/one:/none/two nor in "
                    "/none/data/mica/plugins; install it by `mica plugin install tpu`");
  snprintf(name, sizeof name, "%s,speed=11", backend);
  expect_open_error(name, MICA_INVALID, "there is no option 'speed=11'");
  snprintf(name, sizeof name, "%s,device=2", backend);
  expect_open_error(name, MICA_NOT_FOUND, "there is no device 2: there are 2");
  snprintf(name, sizeof name, "%s,memory_fraction=2", backend);
  expect_open_error(name, MICA_INVALID, "expected a number in (0, 1]");
  snprintf(name, sizeof name, "%s,preallocate=maybe", backend);
  expect_open_error(name, MICA_INVALID, "expected true or false");
  snprintf(name, sizeof name, "%s,find_nan", backend);
  expect_open_error(name, MICA_UNSUPPORTED, "find_nan");
  CHECK_EQ_INT(fake_alive(f), 0);
}

/* Files of ELF for other machines, which the system's loader says are not there. */
TEST(other_machines) {
  static const struct {
    unsigned char machine, bits;
    const char *message;
  } rows[] = {
    {62, 1, "for another kind of machine"},
    {183, 1, "for another kind of machine"},
    {243, 2, "neither x86-64 nor aarch64"},
#if defined(__x86_64__)
    {183, 2, "(aarch64, and this is x86-64)"},
    {62, 2, "does not load"}
  };
#elif defined(__aarch64__)
    {62, 2, "(x86-64, and this is aarch64)"},
    {183, 2, "does not load"}
  };
#else
    {243, 2, "kind of machine"}
  };
  CHECK_SKIP("the machine is not asked for here");
  return;
#endif
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    unsigned char head[64] = {0x7f, 'E', 'L', 'F', rows[i].bits, 1, 1};
    char name[1300];
    head[16] = 3, head[18] = rows[i].machine;
    const char *path = check_temporary_path("other.so");
    FILE *file = fopen(path, "wb");
    fwrite(head, 1, sizeof head, file);
    fclose(file);
    snprintf(name, sizeof name, "xla:%s%s", path[0] == '/' ? "" : "./", path);
    mica_error error = {0};
    mica_device *device = mica_device_open(
        &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name},
        &error);
    CHECK(device == NULL);
    CHECK_STR_CONTAINS(error.message, rows[i].message);
  }
}

static void make_file(const char *root, const char *path, bool folder) {
  char whole[1400];
  snprintf(whole, sizeof whole, "mkdir -p '%s/%s'", root, path);
  if (!folder) *strrchr(whole, '/') = 0, strcat(whole, "'");
  CHECK_EQ_INT(system(whole), 0);
  snprintf(whole, sizeof whole, "%s/%s", root, path);
  FILE *file = folder ? NULL : fopen(whole, "w");
  if (file != NULL) fputs("x", file), fclose(file);
}

/* What "xla" alone means: the accelerator whose driver and plugin are there. */
TEST(chooses_what_fits) {
  char root[1100], plugins[1200];
  snprintf(root, sizeof root, "%s", check_temporary_path("machine"));
  snprintf(plugins, sizeof plugins, "rm -rf '%s'", root);
  CHECK_EQ_INT(system(plugins), 0);
  snprintf(plugins, sizeof plugins, "%s/data/mica/plugins", root);
  unsetenv("MICA_XLA_PLUGIN_DIR");
  char data[1200];
  snprintf(data, sizeof data, "%s/data", root);
  setenv("XDG_DATA_HOME", root[0] == '/' ? data : "/none", 1);
  if (root[0] != '/') setenv("MICA_XLA_PLUGIN_DIR", plugins, 1);
  CHECK_EQ_STR(mica_xla_fitting_plugin(root), "cpu");
  make_file(root, "data/mica/plugins/cuda/jax_plugins/xla_cuda13/xla_cuda_plugin.so", false);
  CHECK_EQ_STR(mica_xla_fitting_plugin(root), "cpu"); /* no driver */
  make_file(root, "sys/class/kfd", true);
  CHECK_EQ_STR(mica_xla_fitting_plugin(root), "cpu"); /* no plugin for it */
  make_file(root, "data/mica/plugins/rocm/jax_plugins/xla_rocm7/xla_rocm_plugin.so", false);
  CHECK_EQ_STR(mica_xla_fitting_plugin(root), "rocm");
  make_file(root, "proc/driver/nvidia", true);
  CHECK_EQ_STR(mica_xla_fitting_plugin(root), "cuda");
  char path[1300];
  CHECK_OK(mica_xla_plugin_file("cuda", NULL, path, sizeof path, NULL));
  CHECK_STR_CONTAINS(path, "mica/plugins/cuda/jax_plugins/xla_cuda13/xla_cuda_plugin.so");
  CHECK_STATUS(mica_xla_plugin_file("cuda", NULL, path, 10, NULL), MICA_INVALID);
  CHECK_STATUS(mica_xla_plugin_file("cpu", plugins, path, sizeof path, NULL), MICA_NOT_FOUND);
  expect_open_error("xla:help", MICA_INVALID,
                    "xla:cuda (installed), xla:rocm (installed), xla:oneapi,");
  expect_open_error("xla:help", MICA_INVALID, "memory_fraction=X");
  unsetenv("MICA_XLA_PLUGIN_DIR");
}

TEST_MAIN(TEST_CASE(names_and_options), TEST_CASE(other_machines), TEST_CASE(chooses_what_fits))
