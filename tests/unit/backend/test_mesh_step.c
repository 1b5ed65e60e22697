/* SPDX-License-Identifier: Apache-2.0 */
/* A training step of a transformer block on several devices is that of one device, whichever way it is cut:
 * on the native engine, whose devices are engines in this process, and on the reference, which stacks them. */
#include "check.h"
#include "mesh_transformer.h"

static const struct {
  const char *name, *mesh;
  step_way way;
} step_ways[] = {{"data-parallel", "data=4", STEP_DATA},
                 {"tensor-parallel", "model=4", STEP_TENSOR},
                 {"cut parameters", "data=4", STEP_FSDP},
                 {"data- and tensor-parallel", "data=2, model=2", STEP_BOTH}};

static void compare_ways(const char *backend, mica_dtype dtype, double tolerance, bool automatic) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = backend},
      &error);
  mica_tensor *alone[STEP_OUTPUTS] = {0};
  if (!CHECK(device != NULL)) return;
  CHECK_OK_ERROR(run_step(device, (step_plan){.way = STEP_ALONE}, dtype, alone, NULL, &error),
                 &error);
  for (size_t w = 0; w < sizeof step_ways / sizeof step_ways[0]; w++) {
    mica_tensor *out[STEP_OUTPUTS] = {0};
    mica_mesh *mesh = mica_mesh_create(step_ways[w].mesh, &error);
    step_plan plan = {.way = step_ways[w].way, .mesh = mesh, .automatic = automatic};
    mica_status status = run_step(device, plan, dtype, out, NULL, &error);
    if (CHECK_OK_ERROR(status, &error)) {
      double distance = step_distance(out, alone);
      if (!(distance <= tolerance))
        CHECK_FAIL("%s on %s: %g away from one device", step_ways[w].name, backend, distance);
    }
    for (int i = 0; i < STEP_OUTPUTS; i++) mica_tensor_release(out[i]);
    mica_mesh_release(mesh);
    error = (mica_error){0};
  }
  for (int i = 0; i < STEP_OUTPUTS; i++) mica_tensor_release(alone[i]);
  mica_device_release(device);
}

TEST(cpu_f64) { compare_ways("cpu", MICA_F64, 1e-13, false); }
TEST(cpu_f32) { compare_ways("cpu", MICA_F32, 1e-5, false); }
TEST(cpu_one_thread) { compare_ways("cpu, threads=1", MICA_F32, 1e-5, false); }
TEST(cpu_stacked) { compare_ways("cpu, expand", MICA_F64, 1e-13, false); }
TEST(reference_f64) { compare_ways("reference", MICA_F64, 1e-13, false); }
/* Shardings as wishes change no bit where one engine computes all. */
TEST(cpu_automatic) { compare_ways("cpu", MICA_F32, 0, true); }

TEST_MAIN(TEST_CASE(cpu_f64), TEST_CASE(cpu_f32), TEST_CASE(cpu_one_thread), TEST_CASE(cpu_stacked),
          TEST_CASE(reference_f64), TEST_CASE(cpu_automatic))
