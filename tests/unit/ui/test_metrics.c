/* SPDX-License-Identifier: Apache-2.0 */
/* The log of metrics: what is written is read, a kill leaves whole records, files of others and
 * damaged ones are read as far as they go. */
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "mica/ui.h"

static mica_runs *runs_of(const char *text, mica_error *error) {
  mica_runs *runs = NULL;
  if (mica_runs_create(&runs, error) != MICA_OK) return NULL;
  if (mica_runs_add_lines(runs, "run", text, strlen(text), error) == MICA_OK) return runs;
  mica_runs_destroy(runs);
  return NULL;
}

static void put(const char *path, const char *text) {
  FILE *file = fopen(path, "wb");
  if (!CHECK(file)) return;
  fputs(text, file);
  fclose(file);
}

static const char *all_of(const char *path) {
  static char text[65536];
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
  if (file) fclose(file);
  text[size] = 0;
  return text;
}

TEST(written_records_are_read) {
  const char *path = check_temporary_path("round.jsonl");
  mica_error error = {0};
  mica_metrics_log *log;
  remove(path);
  if (!CHECK_OK_ERROR(mica_metrics_log_open(path, NULL, &log, &error), &error)) return;
  for (int64_t step = 1; step <= 3; step++) {
    mica_metric metrics[] = {{"loss", 1.0 / (double)step}, {"a \"b\" \xc3\xa9", -0.1}};
    CHECK_OK(mica_metrics_log_write(log, MICA_METRICS_TRAIN, NULL, step, 0.5 * (double)step,
                                    metrics, 2, &error));
  }
  mica_metric odd[] = {{"nan", NAN}, {"most", INFINITY}, {"least", -INFINITY}, {"tiny", 5e-324}};
  CHECK_OK(mica_metrics_log_write(log, MICA_METRICS_EVALUATION, "test", 3, NAN, odd, 4, &error));
  CHECK(mica_metrics_log_seconds(log) >= 0);
  /* Nothing waits: the file holds all of it before the log is closed. */
  CHECK_STR_CONTAINS(all_of(path),
                     "\"kind\":\"evaluation\",\"set\":\"test\",\"metrics\":{\"nan\":\"NaN\"");
  CHECK_OK(mica_metrics_log_close(log, &error));
  CHECK_OK(mica_metrics_log_close(NULL, NULL));

  mica_runs *runs;
  CHECK_OK(mica_runs_create(&runs, &error));
  if (!CHECK_OK_ERROR(mica_runs_add(runs, path, &error), &error)) return;
  CHECK_EQ_INT(mica_runs_count(runs), 1);
  CHECK_EQ_STR(mica_runs_name(runs, 0), "round");
  CHECK_EQ_STR(mica_runs_note(runs, 0), "");
  CHECK_EQ_INT(mica_runs_curve_count(runs, 0), 6);
  mica_runs_curve loss = mica_runs_find(runs, 0, MICA_METRICS_TRAIN, NULL, "loss");
  CHECK_EQ_INT(loss.count, 3);
  for (int i = 0; i < loss.count; i++) {
    CHECK_NEAR(loss.step[i], i + 1, 0);
    CHECK_NEAR(loss.epoch[i], 0.5 * (i + 1), 0);
    CHECK_NEAR(loss.value[i], 1.0 / (i + 1), 0); /* the same double */
    CHECK(loss.seconds[i] >= 0 && loss.seconds[i] < 60);
  }
  CHECK_EQ_STR(mica_runs_curve_at(runs, 0, 1).name, "a \"b\" \xc3\xa9");
  mica_runs_curve nan = mica_runs_find(runs, 0, MICA_METRICS_EVALUATION, "test", "nan");
  CHECK(nan.count == 1 && isnan(nan.value[0]) && isnan(nan.epoch[0]));
  CHECK_NEAR(mica_runs_find(runs, 0, MICA_METRICS_EVALUATION, "test", "most").value[0], INFINITY,
             0);
  CHECK_NEAR(mica_runs_find(runs, 0, MICA_METRICS_EVALUATION, "test", "least").value[0], -INFINITY,
             0);
  CHECK_NEAR(mica_runs_find(runs, 0, MICA_METRICS_EVALUATION, "test", "tiny").value[0], 5e-324, 0);
  /* Outside of what is there nothing happens. */
  CHECK(!mica_runs_find(runs, 0, MICA_METRICS_TRAIN, "test", "loss").name);
  CHECK(!mica_runs_find(runs, 1, MICA_METRICS_TRAIN, NULL, "loss").name);
  CHECK(!mica_runs_curve_at(runs, 0, 99).name);
  CHECK_EQ_STR(mica_runs_name(runs, 7), "");
  CHECK_EQ_INT(mica_runs_count(NULL), 0);
  mica_runs_destroy(runs);
  mica_runs_destroy(NULL);
}

TEST(numbers_do_not_depend_on_the_locale) {
  static const char *const commas[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "nl_NL.UTF-8"};
  bool set = false;
  for (int i = 0; i < 4 && !set; i++) set = setlocale(LC_ALL, commas[i]) != NULL;
  if (!set) {
    CHECK_SKIP("no locale with a decimal comma is installed");
    return;
  }
  const char *path = check_temporary_path("comma.jsonl");
  mica_metrics_log *log;
  mica_error error = {0};
  remove(path);
  CHECK_OK(mica_metrics_log_open(path, NULL, &log, &error));
  CHECK_OK(mica_metrics_log_write(log, MICA_METRICS_TRAIN, NULL, 1, 0.5,
                                  &(mica_metric){"loss", 0.25}, 1, &error));
  CHECK_OK(mica_metrics_log_close(log, &error));
  CHECK_STR_CONTAINS(all_of(path), "\"loss\":0.25}");
  mica_runs *runs = runs_of(all_of(path), &error);
  if (CHECK(runs)) CHECK_NEAR(mica_runs_curve_at(runs, 0, 0).value[0], 0.25, 0);
  mica_runs_destroy(runs);
  setlocale(LC_ALL, "C");
}

TEST(wrong_records_are_refused) {
  const char *path = check_temporary_path("wrong.jsonl");
  char large[300];
  mica_metrics_log *log;
  mica_error error = {0};
  memset(large, 'x', sizeof large - 1), large[sizeof large - 1] = 0;
  remove(path);
  CHECK_OK(mica_metrics_log_open(path, NULL, &log, &error));
  const char *names[] = {NULL, "", large, "\xff", "a\nb"};
  for (int i = 0; i < 5; i++) {
    error = (mica_error){0};
    CHECK_STATUS(mica_metrics_log_write(log, MICA_METRICS_TRAIN, NULL, 1, 0,
                                        &(mica_metric){names[i], 1}, 1, &error),
                 MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, "the name of metric 0");
  }
  error = (mica_error){0};
  CHECK_STATUS(mica_metrics_log_write(log, MICA_METRICS_TRAIN, large, 1, 0, NULL, 0, &error),
               MICA_INVALID);
  error = (mica_error){0};
  CHECK_STATUS(mica_metrics_log_write(log, MICA_METRICS_TRAIN, NULL, 1, 0, NULL, 1, &error),
               MICA_INVALID);
  CHECK_OK(mica_metrics_log_close(log, NULL));
  CHECK_EQ_STR(all_of(path), "");
  error = (mica_error){0};
  CHECK_STATUS(mica_metrics_log_open("no/such/folder/m.jsonl", NULL, &log, &error), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "no/such/folder");
  CHECK(!log);
  CHECK_STATUS(mica_metrics_log_write(NULL, MICA_METRICS_TRAIN, NULL, 1, 0, NULL, 0, NULL),
               MICA_INVALID);
}

TEST(appending_cuts_a_torn_line_off_and_the_clock_goes_on) {
  const char *path = check_temporary_path("torn.jsonl");
  put(path,
      "{\"step\":5,\"seconds\":100.5,\"kind\":\"train\",\"metrics\":{\"loss\":1}}\n{\"step\":6,"
      "\"metr");
  mica_metrics_log *log;
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_metrics_log_open(path, NULL, &log, &error), &error)) return;
  CHECK(mica_metrics_log_seconds(log) >= 100.5 && mica_metrics_log_seconds(log) < 160);
  CHECK_OK(mica_metrics_log_write(log, MICA_METRICS_TRAIN, NULL, 6, NAN, &(mica_metric){"loss", 2},
                                  1, &error));
  CHECK_OK(mica_metrics_log_close(log, &error));
  mica_runs *runs = runs_of(all_of(path), &error);
  if (!CHECK(runs)) return;
  CHECK_EQ_STR(mica_runs_note(runs, 0), "");
  mica_runs_curve loss = mica_runs_curve_at(runs, 0, 0);
  CHECK_EQ_INT(loss.count, 2);
  CHECK(loss.seconds[1] >= 100.5);
  mica_runs_destroy(runs);
  put(path, "{\"step\":6,\"metr"); /* nothing but a torn line */
  CHECK_OK(mica_metrics_log_open(path, NULL, &log, &error));
  CHECK_OK(mica_metrics_log_close(log, &error));
  CHECK_EQ_STR(all_of(path), "");
  put(path, "old\n");
  mica_metrics_log_options anew = {.struct_size = sizeof anew, .replace = true, .durable = true};
  CHECK_OK(mica_metrics_log_open(path, &anew, &log, &error));
  CHECK_OK(mica_metrics_log_close(log, &error));
  CHECK_EQ_STR(all_of(path), "");
}

TEST(records_wait_only_if_asked) {
  const char *path = check_temporary_path("waits.jsonl");
  mica_metrics_log_options slow = {.struct_size = sizeof slow, .flush_seconds = 3600};
  mica_metrics_log *log;
  mica_error error = {0};
  remove(path);
  CHECK_OK(mica_metrics_log_open(path, &slow, &log, &error));
  CHECK_OK(mica_metrics_log_write(log, MICA_METRICS_TRAIN, NULL, 1, NAN, &(mica_metric){"x", 1}, 1,
                                  &error));
  CHECK_EQ_STR(all_of(path), "");
  CHECK_OK(mica_metrics_log_flush(log, &error));
  CHECK_STR_CONTAINS(all_of(path), "\"x\":1");
  CHECK_OK(mica_metrics_log_write(log, MICA_METRICS_TRAIN, NULL, 2, NAN, &(mica_metric){"y", 1}, 1,
                                  &error));
  CHECK_OK(mica_metrics_log_close(log, &error));
  CHECK_STR_CONTAINS(all_of(path), "\"y\":1");
}

/* A child writes records as fast as it can and is killed: what is there are whole records from the first on. */
TEST(a_kill_loses_no_record) {
  const char *path = check_temporary_path("killed.jsonl");
  for (int round = 0; round < (check_all() ? 100 : 10); round++) {
    remove(path);
    int ready[2];
    if (!CHECK(pipe(ready) == 0)) return;
    pid_t child = fork();
    if (!CHECK(child >= 0)) return;
    if (child == 0) {
      mica_metrics_log *log;
      if (mica_metrics_log_open(path, NULL, &log, NULL) != MICA_OK) _exit(1);
      for (int64_t step = 0;; step++) {
        if (mica_metrics_log_write(log, MICA_METRICS_TRAIN, NULL, step, NAN,
                                   &(mica_metric){"loss", (double)step}, 1, NULL) != MICA_OK)
          _exit(1);
        if (step == 20 && write(ready[1], "r", 1) != 1) _exit(1);
      }
    }
    char byte;
    close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    usleep((useconds_t)(200 * round));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    mica_runs *runs;
    mica_error error = {0};
    CHECK_OK(mica_runs_create(&runs, &error));
    CHECK_OK_ERROR(mica_runs_add(runs, path, &error), &error);
    CHECK_EQ_STR(mica_runs_note(runs, 0), "");
    mica_runs_curve loss = mica_runs_curve_at(runs, 0, 0);
    CHECK(loss.count > 20);
    for (int64_t i = 0; i < loss.count; i++)
      if (loss.value[i] != (double)i) CHECK_NEAR(loss.value[i], i, 0);
    mica_runs_destroy(runs);
  }
}

/* A full disk, played by a limit on the file's size: the record is refused as a whole, earlier ones stay. */
TEST(a_full_disk_leaves_whole_records) {
  const char *path = check_temporary_path("full.jsonl");
  remove(path);
  pid_t child = fork();
  if (!CHECK(child >= 0)) return;
  if (child == 0) {
    struct rlimit limit = {1000, 1000};
    mica_metrics_log *log;
    int refused = 0;
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
        mica_metrics_log_open(path, NULL, &log, NULL) != MICA_OK)
      _exit(1);
    for (int64_t step = 0; step < 40; step++) {
      mica_error error = {0};
      mica_status status = mica_metrics_log_write(log, MICA_METRICS_TRAIN, NULL, step, NAN,
                                                  &(mica_metric){"loss", 0.5}, 1, &error);
      if (status != MICA_OK && status != MICA_IO) _exit(2);
      refused += status == MICA_IO && strstr(error.message, "cannot be written") != NULL;
    }
    _exit(refused > 0 && mica_metrics_log_close(log, NULL) == MICA_OK ? 0 : 3);
  }
  int ended;
  waitpid(child, &ended, 0);
  CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
  const char *text = all_of(path);
  CHECK(strlen(text) > 500 && text[strlen(text) - 1] == '\n');
  mica_error error = {0};
  mica_runs *runs = runs_of(text, &error);
  if (CHECK(runs)) CHECK_EQ_STR(mica_runs_note(runs, 0), "");
  mica_runs_destroy(runs);
}

TEST(a_resumed_run_forgets_what_lay_beyond) {
  mica_error error = {0};
  mica_runs *runs = runs_of(
      "{\"step\":1,\"kind\":\"train\",\"metrics\":{\"loss\":1}}\n"
      "{\"step\":2,\"kind\":\"train\",\"metrics\":{\"loss\":2}}\n"
      "{\"step\":2,\"kind\":\"evaluation\",\"metrics\":{\"loss\":20}}\n"
      "{\"step\":3,\"kind\":\"train\",\"metrics\":{\"loss\":3}}\n"
      "{\"step\":3,\"kind\":\"evaluation\",\"metrics\":{\"loss\":30}}\n"
      "{\"step\":2,\"kind\":\"train\",\"metrics\":{\"loss\":2.5}}\n"
      "{\"step\":2,\"kind\":\"train\",\"metrics\":{\"loss\":2.75}}\n"
      "{\"step\":4,\"kind\":\"train\",\"metrics\":{\"loss\":4}}\n",
      &error);
  if (!CHECK(runs)) return;
  mica_runs_curve train = mica_runs_find(runs, 0, MICA_METRICS_TRAIN, NULL, "loss"),
                  test = mica_runs_find(runs, 0, MICA_METRICS_EVALUATION, NULL, "loss");
  CHECK_EQ_INT(train.count, 3);
  CHECK_NEAR(train.value[0], 1, 0), CHECK_NEAR(train.value[1], 2.75, 0),
      CHECK_NEAR(train.value[2], 4, 0);
  CHECK_EQ_INT(test.count, 1);
  CHECK_NEAR(test.value[0], 20, 0);
  mica_runs_destroy(runs);
}

TEST(lines_of_others_are_read) {
  mica_error error = {0};
  /* Members in any order, unknown ones of any form, blanks, escapes, null, an empty line, CRLF, no newline. */
  mica_runs *runs = runs_of(
      " { \"metrics\" : {\"\\u00e9\\ud83d\\ude00\\n\":1,\"\\u00e9\":1e-3 , \"b\":null}, "
      "\"more\":[{},[1,{\"x\":\"}\"}],true,null],"
      "\"step\":1.0e1}\r\n\n{\"step\":11}\n{\"step\":12,\"metrics\":{\"b\":2}}",
      &error);
  if (!CHECK(runs)) return;
  CHECK_EQ_STR(mica_runs_note(runs, 0), "");
  CHECK_EQ_INT(mica_runs_curve_count(runs, 0), 2); /* a name with a newline is no name */
  CHECK_EQ_STR(mica_runs_curve_at(runs, 0, 0).name, "\xc3\xa9");
  CHECK_NEAR(mica_runs_curve_at(runs, 0, 0).value[0], 1e-3, 0);
  mica_runs_curve b = mica_runs_curve_at(runs, 0, 1);
  CHECK(b.count == 2 && isnan(b.value[0]) && b.value[1] == 2);
  mica_runs_destroy(runs);
}

TEST(damaged_lines_are_left_out_and_counted) {
  static const char *const bad[] = {
      "nonsense",
      "{\"step\":1",
      "{\"step\":1,}",
      "{\"metrics\":{}}",
      "[]",
      "{\"step\":\"1\"}",
      "{\"step\":1,\"metrics\":[]}",
      "{\"step\":1,\"metrics\":{\"a\":{}}}",
      "{\"step\":1,\"kind\":\"other\"}",
      "{\"step\":1} x",
      "{\"step\":1,\"a\":\"\xff\"}",
      "{\"step\":1e999}",
      "{\"step\":0x10}",
      "{\"step\":1,\"a\":\"\\ud800\"}",
      "{\"step\":+1}",
      "{\"step\":1,\"metrics\":{\"a\":nan}}",
      "{\"step\":1,\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"};
  char text[1024];
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    mica_error error = {0};
    snprintf(text, sizeof text, "{\"step\":1,\"metrics\":{\"a\":1}}\n%s\n", bad[i]);
    mica_runs *runs = runs_of(text, &error);
    if (!CHECK(runs)) continue;
    if (!CHECK_STR_CONTAINS(mica_runs_note(runs, 0), "1 line was left out; line 2, column "))
      CHECK_FAIL("of %s", bad[i]);
    mica_runs_destroy(runs);
    snprintf(text, sizeof text, "%s\n", bad[i]);
    CHECK(!runs_of(text, &error)); /* nothing else: this is no log */
    CHECK_STATUS(error.status, MICA_DATA_LOSS);
    CHECK_STR_CONTAINS(error.message, "line 1, column");
  }
  mica_error error = {0};
  mica_runs *runs =
      runs_of("{\"step\":1,\"metrics\":{\"a\":1}}\n{\"step\":2,\"met", &error); /* torn */
  if (CHECK(runs)) CHECK_EQ_STR(mica_runs_note(runs, 0), "");
  mica_runs_destroy(runs);
}

TEST(folders_hold_runs) {
  char path[4200];
  const char *top = check_temporary_path("logs");
  snprintf(path, sizeof path,
           "rm -rf '%s'; mkdir -p '%s/adam' '%s/sgd/deep' '%s/empty' '%s/.hidden'", top, top, top,
           top, top);
  if (!CHECK(system(path) == 0)) return;
  static const char *const places[] = {"adam/metrics.jsonl", "sgd/deep/metrics.jsonl",
                                       ".hidden/metrics.jsonl", "loose.jsonl"};
  for (int i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s/%s", top, places[i]);
    put(path, "{\"step\":1,\"metrics\":{\"a\":1}}\n");
  }
  mica_runs *runs;
  mica_error error = {0};
  CHECK_OK(mica_runs_create(&runs, &error));
  CHECK_OK_ERROR(mica_runs_add(runs, top, &error), &error);
  CHECK_EQ_INT(mica_runs_count(runs), 2);
  CHECK_EQ_STR(mica_runs_name(runs, 0), "adam");
  CHECK_EQ_STR(mica_runs_name(runs, 1), "deep");
  snprintf(path, sizeof path, "%s/adam/", top);
  CHECK_OK(mica_runs_add(runs, path, &error)); /* once more: it gets a number */
  CHECK_EQ_STR(mica_runs_name(runs, 2), "adam (2)");
  snprintf(path, sizeof path, "%s/loose.jsonl", top);
  CHECK_OK(mica_runs_add(runs, path, &error));
  CHECK_EQ_STR(mica_runs_name(runs, 3), "loose");
  snprintf(path, sizeof path, "%s/empty", top);
  CHECK_STATUS(mica_runs_add(runs, path, &error), MICA_NOT_FOUND);
  CHECK_STR_CONTAINS(error.message, "holds no metrics.jsonl");
  error = (mica_error){0};
  CHECK_STATUS(mica_runs_add(runs, "no/such", &error), MICA_NOT_FOUND);
  error = (mica_error){0};
  CHECK_STATUS(mica_runs_add(runs, NULL, &error), MICA_INVALID);
  CHECK_EQ_INT(mica_runs_count(runs), 4);
  mica_runs_destroy(runs);
}

/* More names than anybody draws are refused, and the collection stays as it was. */
TEST(too_many_curves_are_refused) {
  size_t size = 1 << 18, used = 0;
  char *text = malloc(size);
  if (!CHECK(text)) return;
  used += (size_t)snprintf(text, size, "{\"step\":1,\"metrics\":{");
  for (int i = 0; i < 5000; i++)
    used += (size_t)snprintf(text + used, size - used, "%s\"m%d\":1", i ? "," : "", i);
  snprintf(text + used, size - used, "}}\n");
  mica_error error = {0};
  CHECK(!runs_of(text, &error));
  CHECK_STATUS(error.status, MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "more than 4096 curves");
  free(text);
}

TEST_MAIN(TEST_CASE(written_records_are_read), TEST_CASE(numbers_do_not_depend_on_the_locale),
          TEST_CASE(wrong_records_are_refused),
          TEST_CASE(appending_cuts_a_torn_line_off_and_the_clock_goes_on),
          TEST_CASE(records_wait_only_if_asked), TEST_CASE(a_kill_loses_no_record),
          TEST_CASE(a_full_disk_leaves_whole_records),
          TEST_CASE(a_resumed_run_forgets_what_lay_beyond), TEST_CASE(lines_of_others_are_read),
          TEST_CASE(damaged_lines_are_left_out_and_counted), TEST_CASE(folders_hold_runs),
          TEST_CASE(too_many_curves_are_refused))
