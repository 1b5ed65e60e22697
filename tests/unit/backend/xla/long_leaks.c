/* SPDX-License-Identifier: Apache-2.0 */
/* Resident memory stays where it is over 10,000 cycles of tensors on the device and of executables, which come
 * from the disk so that the compiler does not take the time, and over 20 clients: within 1 % of what it was
 * when everything had been done a tenth of the times. */
#include <stdlib.h>
#include <unistd.h>

#include "mica/xla.h"
#include "unit/backend/xla/real.h"

static double resident_mib(void) {
  long pages = 0, whole;
  FILE *stream = fopen("/proc/self/statm", "r");
  if (!stream || fscanf(stream, "%ld %ld", &whole, &pages) != 2) pages = 0;
  if (stream) fclose(stream);
  return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

static mica_device *open_leaky(const char *more) {
  char options[1300];
  snprintf(options, sizeof options, ",cache=%s%s", check_temporary_path("leaks"), more);
  return open_xla(options);
}

/* One of eight programs, compiled (once in all, then from the disk), run and forgotten. */
static bool cycle(mica_device *device, int i) {
  mica_error error = {0};
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, real_four);
  mica_value y = mica_add(mica_mul(x, 2 + i % 8), 1);
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  mica_tensor *host = four_numbers(1, 2, 3, 4), *in = NULL, *out = NULL;
  float part[2] = {0};
  bool fine = mica_compile(device, graph, 0, &executable, &error) == MICA_OK &&
              mica_tensor_to_device(device, host, &in, &error) == MICA_OK;
  for (int k = 0; k < 2 && fine; k++)
    fine = mica_executable_run(executable, &in, 1, &out, 1, &error) == MICA_OK;
  fine = fine && mica_tensor_read_part(out, 8, part, sizeof part, &error) == MICA_OK &&
         part[0] == (float)(3 * (2 + i % 8) + 1);
  if (!fine) CHECK_FAIL("cycle %d: %s", i, error.message);
  mica_tensor_release(host);
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  return fine;
}

static void stays(double before, double after, const char *what) {
  printf("%s: %.1f MiB, then %.1f\n", what, before, after);
  CHECK(after <= 1.01 * before);
}

static void cycles(const char *options, const char *what) {
  enum { CYCLES = 10000 };
  mica_device *device = open_leaky(options);
  if (!device) return;
  double before = 0;
  for (int i = 0; i < CYCLES && cycle(device, i); i++)
    if (i == CYCLES / 10) before = resident_mib();
  stays(before, resident_mib(), what);
  mica_device_release(device);
}

TEST(cycles_in_host_memory) { cycles("", "10,000 executables in host memory"); }
TEST(cycles_on_the_device) { cycles(",resident=true", "10,000 executables on the device"); }

TEST(clients) {
  enum { CLIENTS = 20 };
  double before = 0;
  for (int i = 0; i < CLIENTS; i++) {
    mica_device *device = open_leaky(",resident=true,devices=2");
    if (!device) return;
    cycle(device, 0);
    mica_device_release(device);
    if (i == CLIENTS / 5) before = resident_mib();
  }
  stays(before, resident_mib(), "20 clients");
}

TEST_MAIN(TEST_CASE(cycles_in_host_memory), TEST_CASE(cycles_on_the_device), TEST_CASE(clients))
