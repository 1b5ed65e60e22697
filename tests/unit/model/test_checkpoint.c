/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: what is saved comes back bit by bit; keeping, averaging, partial and renamed loading, transfer from
 * several; damage is noticed, and failures lose nothing. */
#include <dirent.h>
#include <errno.h>
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
#include "mica/model.h"
#include "model/checkpoint.h"
#include "platform/platform.h"

/* A folder of its own for each test, emptied. */
static const char *fresh_folder(const char *name) {
  static char path[1024];
  char command[1200];
  snprintf(path, sizeof path, "%s", check_temporary_path(name));
  snprintf(command, sizeof command, "rm -rf '%s'", path);
  if (system(command) != 0) CHECK_FAIL("cannot empty %s", path);
  return path;
}

static mica_tensor *filled(mica_dtype dtype, int64_t count, double value) {
  double values[64];
  for (int i = 0; i < 64; i++) values[i] = value + i;
  return mica_tensor_from_doubles(dtype, MICA_DIMS(count), values);
}

static mica_variable *variable(const char *name, mica_dtype dtype, int64_t count, double value) {
  mica_tensor *initial = filled(dtype, count, value);
  mica_variable *made = mica_variable_create(name, initial);
  mica_tensor_release(initial);
  return made;
}

static double first_of(mica_variable *v) {
  mica_tensor *value = mica_variable_snapshot(v);
  double values[64] = {0};
  CHECK_OK(mica_tensor_read_doubles(value, values, mica_shape_count(mica_tensor_type(value).shape),
                                    NULL));
  mica_tensor_release(value);
  return values[0];
}

static mica_status save(const char *folder, int64_t step, double value, double metric, int32_t keep,
                        int32_t keep_best, mica_error *error) {
  mica_tensor *weights = filled(MICA_F32, 33, value), *moment = filled(MICA_F64, 5, -value),
              *counter = mica_tensor_scalar(MICA_I64, (double)step);
  const mica_named_tensor model[] = {{"encoder/dense/weights", weights}, {"counter", counter}},
                          optimizer[] = {{"adam/m", moment}};
  char state[64];
  snprintf(state, sizeof state, "{\"step\": %lld}", (long long)step);
  const mica_checkpoint_part parts[] = {
      {.tensors = model, .tensor_count = 2},
      {.file = "optimizer", .tensors = optimizer, .tensor_count = 1}};
  mica_status status = mica_checkpoint_save(
      &(mica_checkpoint_save_options){.struct_size = sizeof(mica_checkpoint_save_options),
                                      .folder = folder,
                                      .step = step,
                                      .parts = parts,
                                      .part_count = 2,
                                      .state = state,
                                      .metric_name = metric == metric ? "loss" : NULL,
                                      .metric = metric,
                                      .keep = keep,
                                      .keep_best = keep_best},
      error);
  mica_tensor_release(weights), mica_tensor_release(moment), mica_tensor_release(counter);
  return status;
}

static int64_t newest_step(const char *folder) {
  mica_checkpoint *checkpoint = NULL;
  mica_error error = {0};
  int64_t step = -1;
  if (CHECK_OK_ERROR(mica_checkpoint_open(folder, MICA_CHECKPOINT_NEWEST, &checkpoint, &error),
                     &error))
    step = mica_checkpoint_step(checkpoint);
  mica_checkpoint_destroy(checkpoint);
  return step;
}

TEST(comes_back) {
  const char *folder = fresh_folder("plain");
  mica_error error = {0};
  mica_checkpoint *checkpoint = NULL;
  CHECK_STATUS(mica_checkpoint_open(folder, MICA_CHECKPOINT_NEWEST, &checkpoint, &(mica_error){0}),
               MICA_NOT_FOUND);
  CHECK_OK_ERROR(save(folder, 7, 1.5, 0.25, 0, 0, &error), &error);
  CHECK_OK_ERROR(save(folder, 9, 2.5, NAN, 0, 0, &error), &error);
  CHECK_EQ_INT(newest_step(folder), 9);
  if (!CHECK_OK_ERROR(mica_checkpoint_open(folder, 7, &checkpoint, &error), &error)) return;
  CHECK_EQ_STR(mica_checkpoint_state(checkpoint), "{\"step\": 7}");
  CHECK_EQ_STR(mica_checkpoint_warning(checkpoint), "");
  CHECK_EQ_INT(mica_checkpoint_count(checkpoint), 3);
  const char *name;
  double metric;
  CHECK(mica_checkpoint_metric(checkpoint, &name, &metric, NULL));
  CHECK_EQ_STR(name, "loss");
  CHECK_NEAR(metric, 0.25, 0);
  mica_tensor *wanted = filled(MICA_F32, 33, 1.5), *moment = filled(MICA_F64, 5, -1.5);
  CHECK(mica_tensor_equal(mica_checkpoint_find(checkpoint, "encoder.dense.weights"), wanted));
  CHECK(mica_tensor_equal(mica_checkpoint_find(checkpoint, "encoder/dense/weights"), wanted));
  CHECK(mica_tensor_equal(mica_checkpoint_find(checkpoint, "adam/m"), moment));
  CHECK(mica_checkpoint_find(checkpoint, "adam") == NULL);
  for (int64_t i = 0; i < 3; i++)
    CHECK_EQ_STR(
        mica_checkpoint_file(checkpoint, i),
        strcmp(mica_checkpoint_name(checkpoint, i), "adam.m") == 0 ? "optimizer" : "model");
  CHECK(mica_checkpoint_name(checkpoint, 3) == NULL);
  /* one file, from disk and from memory */
  char path[1100];
  snprintf(path, sizeof path, "%s.safetensors", folder);
  CHECK_OK_ERROR(mica_checkpoint_export(checkpoint, path, &error), &error);
  mica_checkpoint_destroy(checkpoint);
  const void *bytes;
  size_t size;
  if (!CHECK_EQ_INT(mica_file_map(path, &bytes, &size), 0)) return;
  for (int memory = 0; memory < 2; memory++) {
    mica_status status = memory ? mica_checkpoint_parse(bytes, size, &checkpoint, &error)
                                : mica_checkpoint_open(path, 0, &checkpoint, &error);
    if (!CHECK_OK_ERROR(status, &error)) break;
    CHECK_EQ_INT(mica_checkpoint_step(checkpoint), 7);
    CHECK_EQ_STR(mica_checkpoint_state(checkpoint), "{\"step\": 7}");
    CHECK(mica_checkpoint_metric(checkpoint, &name, &metric, NULL) && metric == 0.25);
    CHECK(mica_tensor_equal(mica_checkpoint_find(checkpoint, "encoder.dense.weights"), wanted));
    mica_checkpoint_destroy(checkpoint);
  }
  mica_file_unmap(bytes, size);
  mica_tensor_release(wanted), mica_tensor_release(moment);
}

TEST(keeps_what_is_asked_for) {
  const char *folder = fresh_folder("keep");
  static const double losses[] = {5, 1, 4, 0.5, 3, 2};
  mica_error error = {0};
  int64_t steps[8];
  size_t count;
  for (int i = 0; i < 6; i++) CHECK_OK_ERROR(save(folder, i, i, losses[i], 2, 1, &error), &error);
  CHECK_OK(mica_checkpoint_list(folder, steps, 8, &count, &error));
  CHECK_EQ_INT(count, 3);
  CHECK(steps[0] == 3 && steps[1] == 4 && steps[2] == 5);
  mica_checkpoint *best = NULL;
  if (CHECK_OK_ERROR(mica_checkpoint_open(folder, MICA_CHECKPOINT_BEST, &best, &error), &error))
    CHECK_EQ_INT(mica_checkpoint_step(best), 3);
  mica_checkpoint_destroy(best);
  /* the same step again replaces it */
  CHECK_OK_ERROR(save(folder, 5, 99, 7, 2, 1, &error), &error);
  CHECK_OK_ERROR(save(folder, 5, 100, 7, 2, 1, &error), &error);
  CHECK_OK(mica_checkpoint_list(folder, steps, 8, &count, &error));
  CHECK_EQ_INT(count, 3);
  mica_checkpoint *last = NULL;
  if (CHECK_OK_ERROR(mica_checkpoint_open(folder, 5, &last, &error), &error)) {
    mica_tensor *wanted = filled(MICA_F32, 33, 100);
    CHECK(mica_tensor_equal(mica_checkpoint_find(last, "encoder.dense.weights"), wanted));
    mica_tensor_release(wanted);
  }
  mica_checkpoint_destroy(last);
  /* Another run begins in the same folder: what it has just saved stays, whatever steps are there. */
  CHECK_OK_ERROR(save(folder, 1, 7, 9, 2, 1, &error), &error);
  CHECK_OK(mica_checkpoint_list(folder, steps, 8, &count, &error));
  CHECK(count == 4 && steps[0] == 1 && steps[3] == 5);
  CHECK_OK_ERROR(save(folder, 2, 7, 9, 2, 1, &error), &error);
  CHECK_OK(mica_checkpoint_list(folder, steps, 8, &count, &error));
  CHECK(count == 4 && steps[0] == 2);
  CHECK_OK(mica_checkpoint_delete(folder, 2, &error));
  /* Whether one could save there is known before. */
  CHECK_OK_ERROR(mica_checkpoint_prepare(folder, &error), &error);
  CHECK_STATUS(mica_checkpoint_prepare("/dev/null/there", &error), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "cannot make '/dev/null/there'");
  error = (mica_error){0};
  CHECK_OK(mica_checkpoint_delete(folder, 5, &error));
  CHECK_STATUS(mica_checkpoint_delete(folder, 5, &(mica_error){0}), MICA_NOT_FOUND);
  CHECK_EQ_INT(newest_step(folder), 4);
  /* The largest is the best where that is said. */
  folder = fresh_folder("largest");
  for (int i = 0; i < 4; i++) {
    mica_tensor *one = mica_tensor_scalar(MICA_F32, i);
    const mica_named_tensor named[] = {{"w", one}};
    const mica_checkpoint_part part = {.tensors = named, .tensor_count = 1};
    CHECK_OK_ERROR(
        mica_checkpoint_save(
            &(mica_checkpoint_save_options){.struct_size = sizeof(mica_checkpoint_save_options),
                                            .folder = folder,
                                            .step = i,
                                            .parts = &part,
                                            .part_count = 1,
                                            .metric_name = "accuracy",
                                            .metric = losses[i],
                                            .larger_is_better = true,
                                            .keep = 1,
                                            .keep_best = 1},
            &error),
        &error);
    mica_tensor_release(one);
  }
  CHECK_OK(mica_checkpoint_list(folder, steps, 8, &count, &error));
  CHECK(count == 2 && steps[0] == 0 && steps[1] == 3);
  if (CHECK_OK_ERROR(mica_checkpoint_open(folder, MICA_CHECKPOINT_BEST, &best, &error), &error))
    CHECK_EQ_INT(mica_checkpoint_step(best), 0);
  mica_checkpoint_destroy(best);
  CHECK_OK(mica_checkpoint_list("/no/such", steps, 8, &count, &error));
  CHECK_EQ_INT(count, 0);
}

TEST(averages) {
  const char *folder = fresh_folder("average");
  mica_error error = {0};
  for (int i = 0; i < 4; i++) CHECK_OK_ERROR(save(folder, i, i * i, NAN, 0, 0, &error), &error);
  mica_checkpoint *mean = NULL;
  if (CHECK_OK_ERROR(mica_checkpoint_average(folder, 3, &mean, &error), &error)) {
    mica_tensor *wanted = filled(MICA_F32, 33, (double)(float)((1 + 4 + 9) / 3.0));
    mica_closeness closeness;
    CHECK_OK(mica_tensor_compare(mica_checkpoint_find(mean, "encoder.dense.weights"), wanted, 1e-6,
                                 0, &closeness, NULL));
    CHECK(closeness.close);
    double counter;
    CHECK_OK(mica_tensor_read_doubles(mica_checkpoint_find(mean, "counter"), &counter, 1, NULL));
    CHECK_NEAR(counter, 3, 0); /* an integer is the newest's */
    CHECK(mica_checkpoint_find(mean, "adam.m") == NULL);
    CHECK_EQ_STR(mica_checkpoint_state(mean), "{\"step\": 3}");
    mica_tensor_release(wanted);
  }
  mica_checkpoint_destroy(mean);
  CHECK_STATUS(mica_checkpoint_average(folder, 5, &mean, &(mica_error){0}), MICA_NOT_FOUND);
  CHECK_STATUS(mica_checkpoint_average(folder, 0, &mean, &(mica_error){0}), MICA_INVALID);
}

typedef struct {
  char text[4096];
} report;

static void take_line(void *user, const char *line) {
  report *all = user;
  size_t size = strlen(all->text);
  snprintf(all->text + size, sizeof all->text - size, "%s\n", line);
}

TEST(restores_in_part_and_renamed) {
  const char *folder = fresh_folder("restore");
  mica_error error = {0};
  CHECK_OK_ERROR(save(folder, 1, 10, NAN, 0, 0, &error), &error);
  mica_checkpoint *one = NULL;
  if (!CHECK_OK_ERROR(mica_checkpoint_open(folder, 1, &one, &error), &error)) return;
  mica_variable *body = variable("body/dense/kernel", MICA_F32, 33, 0),
                *head = variable("head/bias", MICA_F32, 4, 7),
                *moment = variable("adam/m", MICA_F32, 5, 0),
                *narrow = variable("counter", MICA_I64, 3, 0);
  const mica_named_variable all[] = {{NULL, body}, {NULL, head}, {NULL, moment}, {NULL, narrow}};
  const mica_rename renames[] = {{"encoder.*.weights", "body/*/kernel"}};
  const mica_checkpoint *const from[] = {one};
  mica_restore_options options = {.struct_size = sizeof options,
                                  .checkpoints = from,
                                  .checkpoint_count = 1,
                                  .variables = all,
                                  .variable_count = 4,
                                  .renames = renames,
                                  .rename_count = 1};
  mica_restore_counts counts;
  CHECK_STATUS(mica_checkpoint_restore(&options, &counts, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "no tensor for variable 'head/bias'");
  CHECK_STR_CONTAINS(error.message, "variable 'adam/m' is f32[5], the tensor for it f64[5]");
  CHECK_STR_CONTAINS(error.message, "variable 'counter' is i64[3], the tensor for it i64[]");
  CHECK_NEAR(first_of(body), 0, 0); /* none was set */
  report lines = {""};
  error = (mica_error){0};
  options.partial = options.convert = true;
  options.report = take_line, options.report_user = &lines;
  CHECK_OK_ERROR(mica_checkpoint_restore(&options, &counts, &error), &error);
  CHECK(counts.restored == 2 && counts.missing == 1 && counts.mismatched == 1 &&
        counts.unused == 0);
  CHECK_NEAR(first_of(body), 10, 0);
  CHECK_NEAR(first_of(moment), -10, 0);
  CHECK_NEAR(first_of(head), 7, 0);
  CHECK_STR_CONTAINS(lines.text, "head/bias");
  /* exclusions; what nothing asked for */
  static const char *const exclude[] = {"adam.**", "counter", "head*"};
  options.exclude = exclude, options.exclude_count = 2;
  error = (mica_error){0};
  CHECK_OK_ERROR(mica_checkpoint_restore(&options, &counts, &error), &error);
  CHECK(counts.restored == 1 && counts.excluded == 2 && counts.missing == 1 && counts.unused == 2);
  CHECK_STR_CONTAINS(lines.text, "unused: tensor 'counter'");
  /* transfer from several: the first that has a name counts */
  CHECK_OK_ERROR(save(folder, 2, 20, NAN, 0, 0, &error), &error);
  mica_tensor *bias = filled(MICA_F32, 4, 5);
  const mica_named_tensor extra[] = {{"head.bias", bias}, {"adam.m", bias}};
  char path[1100];
  snprintf(path, sizeof path, "%s/head.safetensors", folder);
  CHECK_OK(mica_safetensors_save(path, extra, 2, NULL, 0, &error));
  mica_checkpoint *two = NULL, *file = NULL;
  CHECK_OK_ERROR(mica_checkpoint_open(folder, 2, &two, &error), &error);
  CHECK_OK_ERROR(mica_checkpoint_open(path, 0, &file, &error), &error);
  const mica_checkpoint *const several[] = {two, file, one};
  options = (mica_restore_options){.struct_size = sizeof options,
                                   .checkpoints = several,
                                   .checkpoint_count = 3,
                                   .variables = all,
                                   .variable_count = 3,
                                   .renames = renames,
                                   .rename_count = 1,
                                   .convert = true};
  CHECK_OK_ERROR(mica_checkpoint_restore(&options, &counts, &error), &error);
  CHECK_NEAR(first_of(body), 20, 0);
  CHECK_NEAR(first_of(head), 5, 0);
  CHECK_NEAR(first_of(moment), -20, 0);
  mica_tensor_release(bias);
  mica_checkpoint_destroy(one), mica_checkpoint_destroy(two), mica_checkpoint_destroy(file);
  mica_variable_release(body), mica_variable_release(head), mica_variable_release(moment),
      mica_variable_release(narrow);
}

TEST(patterns) {
  static const struct {
    const char *pattern, *path, *to, *result; /* NULL: no match */
  } rows[] = {{"a.b", "a/b", "x", "x"},
              {"a.*", "a.b.c", "x", NULL},
              {"a.**", "a.b.c", "x.**", "x.b.c"},
              {"**.b", "a.a.b", "**.z", "a.a.z"},
              {"*.?x.*", "layer.1x.w", "*/?/*", "layer/1/w"},
              {"**", "", "q**", "q"},
              {"a*c", "abbc", "[*]", "[bb]"},
              {"a?", "a.", "x", NULL},
              {"**a**a**a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "x", NULL}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    mica_pattern_captures captures;
    bool match = mica_pattern_match(rows[i].pattern, rows[i].path, &captures);
    if (!CHECK(match == (rows[i].result != NULL))) printf("row %zu\n", i);
    if (!match || rows[i].result == NULL) continue;
    mica_text text;
    mica_text_init(&text, NULL);
    mica_pattern_substitute(rows[i].to, &captures, &text);
    CHECK_EQ_STR(text.data, rows[i].result);
    mica_text_deinit(&text);
  }
  CHECK_STATUS(mica_pattern_check("a", "b*", NULL), MICA_INVALID);
  CHECK_STATUS(mica_pattern_check("*********.*.*.*.*.*", NULL, NULL), MICA_INVALID);
  CHECK_STATUS(mica_pattern_check("", NULL, NULL), MICA_INVALID);
}

/* Each byte of each file of a small checkpoint changed in turn, and each file cut short: the checkpoint of before is
 * opened instead, with a warning, and asked for outright it is an error. */
TEST(damage_is_noticed) {
  const char *folder = fresh_folder("damage");
  static const char *const files[] = {"model.safetensors", "optimizer.safetensors", "state.json",
                                      "checkpoint.json"};
  mica_error error = {0};
  CHECK_OK_ERROR(save(folder, 1, 1, NAN, 0, 0, &error), &error);
  CHECK_OK_ERROR(save(folder, 2, 2, NAN, 0, 0, &error), &error);
  for (int f = 0; f < 4; f++) {
    char path[1200];
    static unsigned char bytes[4096];
    uint64_t size = 0;
    snprintf(path, sizeof path, "%s/step-000000000002/%s", folder, files[f]);
    if (!CHECK(mica_file_size(path, &size) == 0 && size < sizeof bytes)) return;
    CHECK_EQ_INT(mica_file_read(path, 0, bytes, (size_t)size), 0);
    for (size_t at = 0; at <= size; at += at < 40 || at + 40 > size ? 1 : 13) {
      FILE *file = fopen(path, "wb");
      if (!CHECK(file != NULL)) return;
      if (at < size) bytes[at] ^= 0x20;
      fwrite(bytes, 1, at == size ? (size_t)size / 2 : (size_t)size, file);
      fclose(file);
      if (at < size) bytes[at] ^= 0x20;
      mica_checkpoint *checkpoint = NULL;
      if (!CHECK_OK_ERROR(mica_checkpoint_open(folder, MICA_CHECKPOINT_NEWEST, &checkpoint, &error),
                          &error))
        break;
      /* Some bytes of checkpoint.json say nothing. */
      if (f < 3 || at == size) {
        CHECK_EQ_INT(mica_checkpoint_step(checkpoint), 1);
        CHECK(strlen(mica_checkpoint_warning(checkpoint)) > 0);
        mica_checkpoint *none = NULL;
        CHECK_STATUS(mica_checkpoint_open(folder, 2, &none, &(mica_error){0}), MICA_DATA_LOSS);
      }
      mica_checkpoint_destroy(checkpoint);
    }
    FILE *file = fopen(path, "wb");
    fwrite(bytes, 1, (size_t)size, file);
    fclose(file);
    CHECK_EQ_INT(newest_step(folder), 2);
  }
  /* a file that is missing, a manifest that points elsewhere */
  char path[1200];
  snprintf(path, sizeof path, "%s/step-000000000002/checkpoint.json", folder);
  static const char outside[] =
      "{\"mica_checkpoint\":1,\"step\":2,\"files\":[{\"name\":\"../"
      "x\",\"size\":0,\"sha256\":"
      "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}]}";
  CHECK_EQ_INT(mica_file_write_atomic(path, outside, sizeof outside - 1), 0);
  CHECK_EQ_INT(newest_step(folder), 1);
  CHECK_EQ_INT(unlink(path), 0);
  CHECK_EQ_INT(newest_step(folder), 1);
}

static int count_names(const char *folder) {
  DIR *directory = opendir(folder);
  int count = 0;
  while (directory != NULL && readdir(directory) != NULL) count++;
  if (directory != NULL) closedir(directory);
  return count;
}

/* The disk ends within each file in turn (RLIMIT_FSIZE), the folder is no folder, it may not be written, another
 * program saves: an error that says so, and what was there is there. */
TEST(failures_lose_nothing) {
  const char *folder = fresh_folder("failures");
  mica_error error = {0};
  CHECK_OK_ERROR(save(folder, 1, 1, NAN, 1, 0, &error), &error);
  int names = count_names(folder);
  struct rlimit whole, limit;
  void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
  CHECK_EQ_INT(getrlimit(RLIMIT_FSIZE, &whole), 0);
  for (rlim_t size = 0; size < 350; size += 35) {
    limit = whole;
    limit.rlim_cur = size;
    mica_error failure = {0};
    CHECK_EQ_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
    mica_status status = save(folder, 2, 2, NAN, 1, 0, &failure);
    CHECK_EQ_INT(setrlimit(RLIMIT_FSIZE, &whole), 0);
    CHECK_STATUS(status, MICA_IO);
    CHECK_STR_CONTAINS(failure.message, "too large");
    CHECK_EQ_INT(newest_step(folder), 1);
    CHECK_EQ_INT(count_names(folder), names);
  }
  signal(SIGXFSZ, old);
  char path[1200];
  snprintf(path, sizeof path, "%s/step-000000000001/state.json", folder);
  CHECK_STATUS(save(path, 2, 2, NAN, 1, 0, &error), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "Not a directory");
  snprintf(path, sizeof path, "%s/.lock", folder);
  int lock;
  CHECK_EQ_INT(mica_folder_lock(path, &lock), 0);
  error = (mica_error){0};
  CHECK_STATUS(save(folder, 2, 2, NAN, 1, 0, &error), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "another program");
  mica_folder_unlock(lock);
  if (geteuid() == 0) { /* root may write everywhere: somebody else tries */
    CHECK_EQ_INT(chmod(folder, 0555), 0);
    pid_t child = fork();
    if (child == 0) {
      mica_error failure = {0};
      if (setgid(65534) != 0 || setuid(65534) != 0) _exit(77);
      mica_status status = save(folder, 2, 2, NAN, 1, 0, &failure);
      _exit(status == MICA_IO && strstr(failure.message, "denied") != NULL ? 0 : 1);
    }
    int result = -1;
    CHECK(waitpid(child, &result, 0) == child);
    CHECK(WIFEXITED(result) && (WEXITSTATUS(result) == 0 || WEXITSTATUS(result) == 77));
  }
  CHECK_EQ_INT(newest_step(folder), 1);
  CHECK_EQ_INT(count_names(folder), names);
  chmod(folder, 0755);
}

TEST(saving_refuses) {
  const char *folder = fresh_folder("refuses");
  mica_tensor *one = mica_tensor_scalar(MICA_F32, 1);
  const mica_named_tensor same[] = {{"a/b", one}, {"a.b", one}}, null[] = {{"a", NULL}};
  const mica_named_variable lost[] = {{"v", NULL}};
  const struct {
    mica_checkpoint_part parts[2];
    size_t count;
    const char *state, *message;
  } rows[] = {{{{.tensors = same, .tensor_count = 2}}, 1, NULL, "'a.b' occurs twice"},
              {{{.tensors = null, .tensor_count = 1}}, 1, NULL, "'a' is NULL"},
              {{{.variables = lost, .variable_count = 1}}, 1, NULL, "'v' is NULL or lost"},
              {{{.file = "a/b"}}, 1, NULL, "cannot name a part"},
              {{{.file = NULL}, {.file = "model"}}, 2, NULL, "two parts"},
              {{{.file = NULL}}, 1, "[1]", "no JSON object"},
              {{{.file = NULL}}, 1, "{", "no JSON object"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    mica_error error = {0};
    mica_checkpoint_save_options options = {.struct_size = sizeof options,
                                            .folder = folder,
                                            .parts = rows[i].parts,
                                            .part_count = rows[i].count,
                                            .state = rows[i].state};
    CHECK_STATUS(mica_checkpoint_save(&options, &error), MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, rows[i].message);
    CHECK(access(folder, F_OK) != 0);
  }
  CHECK_STATUS(
      mica_checkpoint_save(&(mica_checkpoint_save_options){.folder = folder, .step = -1}, NULL),
      MICA_INVALID);
  mica_tensor_release(one);
}

TEST_MAIN(TEST_CASE(comes_back), TEST_CASE(keeps_what_is_asked_for), TEST_CASE(averages),
          TEST_CASE(restores_in_part_and_renamed), TEST_CASE(patterns),
          TEST_CASE(damage_is_noticed), TEST_CASE(failures_lose_nothing), TEST_CASE(saving_refuses))
