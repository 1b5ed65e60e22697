/* SPDX-License-Identifier: Apache-2.0 */
/* Programs on four devices of a CPU plugin: a transformer's training step by manual regions and by automatic
 * sharding is that of one device, and the optimized program has the collectives that are expected; every
 * collective's values; variables; what goes wrong. */
#include <stdlib.h>

#include "check.h"
#include "mesh_transformer.h"
#include "mica/xla.h"

static mica_device *open_devices(const char *name) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name}, &error);
  if (!device && error.status == MICA_NOT_FOUND)
    CHECK_SKIP("no plugin is installed");
  else if (!device)
    CHECK_FAIL("%s: %s", name, error.message);
  return device;
}

/* ---- the step --------------------------------------------------------------------------------- */

static const struct {
  const char *name, *mesh;
  step_way way;
  const char *manual[2], *automatic[2]; /* collectives that have to be there */
} ways[] = {
    {"data-parallel", "data=4", STEP_DATA, {"all-reduce"}, {"all-reduce"}},
    {"tensor-parallel", "model=4", STEP_TENSOR, {"all-reduce"}, {"all-reduce"}},
    {"cut parameters",
     "data=4",
     STEP_FSDP,
     {"all-gather", "reduce-scatter"},
     {"all-gather",
      "all-reduce"}}, /* and no reduce-scatter, as in JAX (bench/peers/check_xla_meshes.py) */
    {"data- and tensor-parallel", "data=2, model=2", STEP_BOTH, {"all-reduce"}, {"all-reduce"}}};

static int times_in(const char *text, const char *word) {
  int count = 0;
  for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word)) count++;
  return count;
}

/* "cut parameters, automatic: all-gather 11, .." for bench/peers/check_xla_meshes.py, which shows JAX's beside it. */
static void print_collectives(const char *text, const char *name, bool automatic) {
  static const char *const kinds[] = {"all-gather", "all-reduce", "reduce-scatter", "all-to-all"};
  printf("%s, %s:", name, automatic ? "automatic" : "manual");
  for (int k = 0; k < 4; k++) {
    char call[32];
    snprintf(call, sizeof call, " %s(", kinds[k]);
    printf(" %s %d", kinds[k], times_in(text, call));
  }
  printf("\n");
}

static void check_collectives(mica_executable *executable, const char *name, bool automatic,
                              const char *const *wanted) {
  size_t length = 0;
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_xla_optimized_format(executable, NULL, 0, &length, &error), &error))
    return;
  char *text = malloc(length + 1);
  mica_xla_optimized_format(executable, text, length + 1, &length, NULL);
  print_collectives(text, name, automatic);
  for (int i = 0; i < 2 && wanted[i]; i++)
    if (!strstr(text, wanted[i])) CHECK_FAIL("%s: the program has no %s", name, wanted[i]);
  free(text);
}

static void compare_ways(bool automatic) {
  mica_error error = {0};
  mica_device *cpu = open_devices("cpu"), *device = open_devices("xla:cpu,devices=4");
  mica_tensor *alone[STEP_OUTPUTS] = {0};
  if (!device) {
    mica_device_release(cpu);
    return;
  }
  CHECK_OK_ERROR(run_step(cpu, (step_plan){.way = STEP_ALONE}, MICA_F32, alone, NULL, &error),
                 &error);
  for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
    mica_tensor *out[STEP_OUTPUTS] = {0};
    mica_executable *executable = NULL;
    mica_mesh *mesh = mica_mesh_create(ways[w].mesh, &error);
    step_plan plan = {.way = ways[w].way, .mesh = mesh, .automatic = automatic};
    if (CHECK_OK_ERROR(run_step(device, plan, MICA_F32, out, &executable, &error), &error)) {
      double distance = step_distance(out, alone);
      if (!(distance <= 1e-5)) CHECK_FAIL("%s: %g away from one device", ways[w].name, distance);
      check_collectives(executable, ways[w].name, automatic,
                        automatic ? ways[w].automatic : ways[w].manual);
    }
    for (int i = 0; i < STEP_OUTPUTS; i++) mica_tensor_release(out[i]);
    mica_executable_release(executable);
    mica_mesh_release(mesh);
    error = (mica_error){0};
  }
  for (int i = 0; i < STEP_OUTPUTS; i++) mica_tensor_release(alone[i]);
  mica_device_release(device);
  mica_device_release(cpu);
}

TEST(manual_step) { compare_ways(false); }
TEST(automatic_step) { compare_ways(true); }

/* ---- values ----------------------------------------------------------------------------------- */

static void collectives(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  static const char *const results[] = {"a, -", "",     "a, -", "a, b", "b, a",
                                        "a, b", "a, b", "a+b",  ""};
  mica_value made[9];
  (void)user;
  mica_mesh *mesh = mica_mesh_create("a=2, b=2", NULL);
  mica_region region = mica_manual_begin(graph, mesh, in, (const char *const[]){"a, b"}, 1);
  mica_value x = mica_argument(region, 0);
  made[0] = mica_all_reduce_sum(x, "b");
  made[1] = mica_all_reduce_max(mica_mul(x, in[1]), NULL); /* in[1] is captured */
  made[2] = mica_all_gather(x, "b", 1);
  made[3] = mica_reduce_scatter(x, "a", 0);
  made[4] = mica_all_to_all(x, "b+a", 0, 0);
  made[5] = mica_collective_permute(x, NULL, (const int64_t[][2]){{0, 3}, {3, 1}}, 2);
  made[6] = mica_all_to_all(x, "b", 0, 1);
  made[7] = mica_reshape(mica_axis_index(graph, "b+a"), MICA_DIMS(1));
  made[8] = mica_all_reduce_prod(mica_reduce_min(x, MICA_ALL), NULL);
  mica_manual_end(region, made, results, 9, out);
  mica_mesh_release(mesh);
}

static void repeated(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_value all[9];
  collectives(graph, in, all, user);
  memcpy(out, all, sizeof all);
}

TEST(collectives_give_the_reference_s_values) {
  static const mica_dtype dtypes[] = {MICA_F32, MICA_F64, MICA_I32, MICA_I64};
  mica_device *reference = open_devices("reference"), *device = open_devices("xla:cpu,devices=4");
  for (size_t t = 0; device && t < sizeof dtypes / sizeof dtypes[0]; t++) {
    double values[64];
    for (int i = 0; i < 64; i++) values[i] = i % 7 + 1;
    mica_tensor *in[2] = {mica_tensor_from_doubles(dtypes[t], MICA_DIMS(8, 8), values),
                          mica_tensor_scalar(dtypes[t], 3)},
                *out[9] = {NULL}, *wanted[9] = {NULL};
    mica_error error = {0};
    CHECK_OK_ERROR(mica_call_once(reference, repeated, NULL, in, 2, wanted, 9, &error), &error);
    if (CHECK_OK_ERROR(mica_call_once(device, repeated, NULL, in, 2, out, 9, &error), &error))
      for (int i = 0; i < 9; i++)
        if (!mica_tensor_equal(out[i], wanted[i]))
          CHECK_FAIL("result %d on %s differs", i, mica_dtype_name(dtypes[t]));
    for (int i = 0; i < 9; i++) mica_tensor_release(out[i]), mica_tensor_release(wanted[i]);
    mica_tensor_release(in[0]), mica_tensor_release(in[1]);
  }
  mica_device_release(device);
  mica_device_release(reference);
}

/* ---- what goes wrong --------------------------------------------------------------------------- */

TEST(too_few_devices) {
  mica_device *device = open_devices("xla:cpu,devices=2");
  mica_error error = {0};
  mica_tensor *in[2] = {mica_tensor_from(MICA_F32, MICA_DIMS(8, 8), NULL),
                        mica_tensor_scalar(MICA_F32, 1)},
              *out[9] = {NULL};
  if (device) {
    CHECK_STATUS(mica_call_once(device, repeated, NULL, in, 2, out, 9, &error), MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, "the mesh \"a=2, b=2\" needs 4 devices, and there are 2");
    CHECK_STR_CONTAINS(error.message, "devices=N");
  }
  mica_tensor_release(in[0]), mica_tensor_release(in[1]);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(manual_step), TEST_CASE(automatic_step),
          TEST_CASE(collectives_give_the_reference_s_values), TEST_CASE(too_few_devices))
