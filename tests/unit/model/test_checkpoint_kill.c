/* SPDX-License-Identifier: Apache-2.0 */
/* A program that saves again and again is killed at random moments: the newest checkpoint always loads, is never
 * torn, and is at least as new as the last one that a save reported. 300 kills with MICA_TEST_ALL=1, else 40. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "mica/model.h"

enum { ELEMENTS = 3000 };

static void save_for_ever(const char *folder, int64_t step, int report) {
  static int64_t values[ELEMENTS];
  for (;; step++) {
    for (int i = 0; i < ELEMENTS; i++) values[i] = step;
    mica_tensor *tensor = mica_tensor_from(MICA_I64, MICA_DIMS(ELEMENTS), values);
    const mica_named_tensor named[] = {{"weights", tensor}}, more[] = {{"moment", tensor}};
    const mica_checkpoint_part parts[] = {
        {.tensors = named, .tensor_count = 1},
        {.file = "optimizer", .tensors = more, .tensor_count = 1}};
    char state[64];
    snprintf(state, sizeof state, "{\"step\":%lld}", (long long)step);
    mica_error error = {0};
    /* every third step twice, so that replacing is killed too */
    for (int turn = 0; turn < 1 + (step % 3 == 0); turn++)
      if (mica_checkpoint_save(
              &(mica_checkpoint_save_options){.struct_size = sizeof(mica_checkpoint_save_options),
                                              .folder = folder,
                                              .step = step,
                                              .parts = parts,
                                              .part_count = 2,
                                              .state = state,
                                              .keep = 2},
              &error) != MICA_OK) {
        fprintf(stderr, "%s\n", error.message);
        _exit(1);
      }
    mica_tensor_release(tensor);
    if (write(report, &step, sizeof step) != sizeof step) _exit(1);
  }
}

/* How long two steps with three saves take here, in microseconds. */
static uint32_t time_of_saving(const char *folder) {
  int report[2];
  int64_t said;
  struct timespec begin, end;
  if (!CHECK(pipe(report) == 0)) return 1;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  pid_t child = fork();
  if (child == 0) save_for_ever(folder, 0, report[1]);
  close(report[1]);
  for (int i = 0; i < 2; i++) CHECK(read(report[0], &said, sizeof said) == sizeof said);
  clock_gettime(CLOCK_MONOTONIC, &end);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  close(report[0]);
  int64_t microseconds =
      (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000;
  return microseconds < 1000 ? 1000 : microseconds > 400000 ? 400000 : (uint32_t)microseconds;
}

static void check_newest(const char *folder, int64_t reported, int64_t *step) {
  mica_checkpoint *checkpoint = NULL;
  mica_error error = {0};
  mica_status status = mica_checkpoint_open(folder, MICA_CHECKPOINT_NEWEST, &checkpoint, &error);
  if (reported < 0 && status == MICA_NOT_FOUND) return;
  if (!CHECK_OK_ERROR(status, &error)) return;
  CHECK_EQ_STR(mica_checkpoint_warning(checkpoint), "");
  *step = mica_checkpoint_step(checkpoint);
  CHECK(*step >= reported);
  char state[64];
  snprintf(state, sizeof state, "{\"step\":%lld}", (long long)*step);
  CHECK_EQ_STR(mica_checkpoint_state(checkpoint), state);
  static const char *const names[] = {"weights", "moment"};
  for (int n = 0; n < 2; n++) {
    const int64_t *values = mica_tensor_data(mica_checkpoint_find(checkpoint, names[n]));
    if (!CHECK(values != NULL)) continue;
    bool same = true;
    for (int i = 0; i < ELEMENTS; i++) same = same && values[i] == *step;
    CHECK(same);
  }
  mica_checkpoint_destroy(checkpoint);
}

TEST(killed_at_random) {
  char folder[1024], command[1200];
  snprintf(folder, sizeof folder, "%s", check_temporary_path("killed"));
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  CHECK_EQ_INT(system(command), 0);
  int kills = check_all() ? 300 : 40;
  int64_t reported = -1, step = -1;
  uint32_t random = 12345, longest = time_of_saving(folder);
  for (int k = 0; k < kills; k++) {
    int report[2];
    if (!CHECK(pipe(report) == 0)) return;
    pid_t child = fork();
    if (child == 0) {
      close(report[0]);
      save_for_ever(folder, step + 1, report[1]);
    }
    close(report[1]);
    random = random * 1664525 + 1013904223;
    struct timespec pause = {0, (long)((random >> 8) % longest) * 1000};
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    int result;
    waitpid(child, &result, 0);
    CHECK(WIFSIGNALED(result));
    for (int64_t said; read(report[0], &said, sizeof said) == sizeof said;) reported = said;
    close(report[0]);
    check_newest(folder, reported, &step);
  }
  CHECK(step > kills / 20); /* it did get to save */
  printf("%d kills, newest step %lld\n", kills, (long long)step);
}

TEST_MAIN(TEST_CASE(killed_at_random))
