/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled programs on the disk, with a real CPU plugin: taken from there by the next device, written anew when a
 * file is cut short, changed or another one's, kept within a limit, shared by processes, and turned off. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mica/xla.h"
#include "unit/backend/xla/real.h"

static char folder[1100];

static mica_device *open_cached(const char *more) {
  char options[1300];
  snprintf(options, sizeof options, ",cache=%s%s", folder, more);
  return open_xla(options);
}

static void empty_folder(const char *name) {
  char command[1200];
  snprintf(folder, sizeof folder, "%s", check_temporary_path(name));
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  CHECK_EQ_INT(system(command), 0);
}

/* The number of entries; the path of the last one seen. */
static int entries(char path[1400]) {
  int count = 0;
  DIR *stream = opendir(folder);
  for (struct dirent *entry; stream && (entry = readdir(stream));)
    if (strstr(entry->d_name, ".xla"))
      count++, snprintf(path, 1400, "%s/%.200s", folder, entry->d_name);
  if (stream) closedir(stream);
  return count;
}

/* x * factor on 4 numbers: each factor is a program of its own. */
static void run_program(mica_device *device, double factor) {
  mica_error error = {0};
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, real_four), y = mica_mul(x, factor);
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  CHECK_OK_ERROR(mica_compile(device, graph, 0, &executable, &error), &error);
  mica_tensor *in = four_numbers(1, 2, 3, 4), *out = NULL;
  CHECK_OK_ERROR(mica_executable_run(executable, &in, 1, &out, 1, &error), &error);
  CHECK_NEAR(((const float *)mica_tensor_data(out))[3], 4 * factor, 0);
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
}

static void expect_counts(mica_device *device, int compiled, int loaded, int stored) {
  mica_error error = {0};
  mica_xla_counts counts = {.struct_size = sizeof counts};
  CHECK_OK_ERROR(mica_xla_device_counts(device, &counts, &error), &error);
  CHECK_EQ_INT(counts.compiled, compiled);
  CHECK_EQ_INT(counts.loaded, loaded);
  CHECK_EQ_INT(counts.stored, stored);
}

static bool opened(const char *more, double factor, int compiled, int loaded, int stored) {
  mica_device *device = open_cached(more);
  if (!device) return false;
  run_program(device, factor);
  expect_counts(device, compiled, loaded, stored);
  mica_device_release(device);
  return true;
}

TEST(the_second_device_compiles_nothing) {
  char path[1400];
  empty_folder("cache");
  if (!opened("", 3, 1, 0, 1)) return;
  opened("", 3, 0, 1, 0);
  opened("", 4, 1, 0, 1);
  CHECK_EQ_INT(entries(path), 2);
  /* Other options of the compiler, another client: other programs. */
  opened(",devices=2,device=1", 3, 1, 0, 1);
  opened(",devices=2,device=1", 3, 0, 1, 0);
  CHECK_EQ_INT(entries(path), 3);
}

static void overwrite(const char *path, long at, const char *bytes, size_t size) {
  FILE *stream = fopen(path, "r+b");
  if (!CHECK(stream != NULL)) return;
  CHECK_EQ_INT(fseek(stream, at, at < 0 ? SEEK_END : SEEK_SET), 0);
  CHECK_EQ_INT(fwrite(bytes, 1, size, stream), size);
  fclose(stream);
}

TEST(a_damaged_entry_is_replaced) {
  char path[1400], other[1400];
  empty_folder("damaged");
  if (!opened("", 3, 1, 0, 1)) return;
  CHECK_EQ_INT(entries(path), 1);
  for (int damage = 0; damage < 6; damage++) {
    struct stat status;
    CHECK_EQ_INT(stat(path, &status), 0);
    switch (damage) {
      case 0: overwrite(path, -5, "?", 1); break; /* another byte of the program */
      case 1: overwrite(path, 0, "ELF", 3); break;
      case 2: CHECK_EQ_INT(truncate(path, status.st_size / 2), 0); break;
      case 3: CHECK_EQ_INT(truncate(path, 0), 0); break;
      case 4: CHECK_EQ_INT(truncate(path, status.st_size + 1), 0); break;
      default: /* a sound entry of another program under this name */
        opened("", 5, 1, 0, 1);
        CHECK_EQ_INT(rename(path, check_temporary_path("kept")), 0);
        CHECK_EQ_INT(entries(other), 1);
        CHECK_EQ_INT(rename(other, path), 0);
    }
    opened("", 3, 1, 0, 1);
    opened("", 3, 0, 1, 0);
  }
}

/* Nothing can be written where the folder should be: everything is compiled, and no error. */
TEST(without_a_folder) {
  empty_folder("plain");
  FILE *stream = fopen(folder, "w");
  if (CHECK(stream != NULL)) fclose(stream);
  if (!opened("", 3, 1, 0, 0)) return;
  remove(folder);
  mica_device *device = open_xla(",cache=off");
  run_program(device, 3);
  expect_counts(device, 1, 0, 0);
  mica_device_release(device);
  setenv("MICA_XLA_CACHE", folder, 1);
  for (int i = 0; i < 2; i++) {
    device = open_xla("");
    run_program(device, 3);
    expect_counts(device, i == 0, i == 1, i == 0);
    mica_device_release(device);
  }
  setenv("MICA_XLA_CACHE", "off", 1);
}

/* A limit of 1 MiB, and files of 300 KiB that are older than what is stored then. */
TEST(the_oldest_go_first) {
  char path[1400], big[3][1400];
  static char zeros[300 << 10];
  empty_folder("limit");
  if (!opened("", 2, 1, 0, 1)) return;
  for (int i = 0; i < 3; i++) {
    snprintf(big[i], sizeof big[i], "%s/%064d.xla", folder, i);
    FILE *stream = fopen(big[i], "wb");
    if (CHECK(stream != NULL)) fwrite(zeros, 1, sizeof zeros, stream), fclose(stream);
    struct timespec times[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
    CHECK_EQ_INT(utimensat(AT_FDCWD, big[i], times, 0), 0);
  }
  snprintf(path, sizeof path, "%s/x.tmp", folder); /* of a process that ended long ago */
  FILE *stream = fopen(path, "wb");
  if (stream) fclose(stream);
  struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
  CHECK_EQ_INT(utimensat(AT_FDCWD, path, old, 0), 0);
  opened(",cache_limit=1", 3, 1, 0, 1); /* 900 KiB and a little */
  CHECK(access(path, F_OK) != 0);
  CHECK(access(big[0], F_OK) == 0);
  snprintf(path, sizeof path, "%s/%064d.xla", folder, 9);
  stream = fopen(path, "wb");
  if (CHECK(stream != NULL)) fwrite(zeros, 1, sizeof zeros, stream), fclose(stream);
  opened(",cache_limit=1", 4, 1, 0, 1);
  CHECK(access(big[0], F_OK) != 0);
  CHECK(access(big[1], F_OK) == 0 && access(path, F_OK) == 0);
  opened(",cache_limit=0", 6, 1, 0, 0); /* nothing fits: nothing is stored */
  opened("", 3, 0, 1, 0);
}

TEST(processes_share_it) {
  enum { PROCESSES = 4, PROGRAMS = 6 };
  empty_folder("shared");
  mica_device *device = open_cached("");
  if (!device) return;
  mica_device_release(device);
  pid_t child[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) {
    char number[8];
    snprintf(number, sizeof number, "%d", PROGRAMS);
    child[i] = fork();
    if (child[i] == 0) { /* anew: the plugin's threads do not live on */
      setenv("XLA_TEST_CACHE", folder, 1);
      execl("/proc/self/exe", "cache", "one_of_many", (char *)NULL);
      _exit(9);
    }
  }
  for (int i = 0; i < PROCESSES; i++) {
    int status = -1;
    CHECK(waitpid(child[i], &status, 0) == child[i]);
    CHECK_EQ_INT(status, 0);
  }
  char path[1400];
  CHECK_EQ_INT(entries(path), PROGRAMS);
}

/* What such a process does; nothing when it runs as a test of its own. */
TEST(one_of_many) {
  const char *given = getenv("XLA_TEST_CACHE");
  if (!given) {
    CHECK_SKIP("it is started by processes_share_it");
    return;
  }
  snprintf(folder, sizeof folder, "%s", given);
  mica_device *device = open_cached("");
  for (int round = 0; device && round < 2; round++)
    for (int i = 0; i < 6; i++) run_program(device, 10 + i);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(the_second_device_compiles_nothing), TEST_CASE(a_damaged_entry_is_replaced),
          TEST_CASE(without_a_folder), TEST_CASE(the_oldest_go_first),
          TEST_CASE(processes_share_it), TEST_CASE(one_of_many))
