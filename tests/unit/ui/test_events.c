/* SPDX-License-Identifier: Apache-2.0 */
/* Event files: what Mica writes is, but for the times, the golden file that TensorBoard has read
 * (tests/golden/events.py), and what TensorBoard writes is read. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/ops.h"
#include "mica/ui.h"
#include "ui/events_internal.h"

enum { SIZE = 1 << 18 };

static size_t contents(const char *path, unsigned char *bytes) {
  FILE *file = fopen(path, "rb");
  if (!CHECK(file)) return 0;
  size_t size = fread(bytes, 1, SIZE, file);
  fclose(file);
  return size;
}

/* A small model whose names do not depend on chance. */
static mica_graph *small_graph(void) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_tensor *start = mica_tensor_from(MICA_F32, MICA_DIMS(3, 2), NULL);
  mica_variable *kernel = mica_variable_create("dense/kernel", start);
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(5, 3)});
  mica_scope_push(graph, "dense");
  x = mica_relu(mica_matmul(x, mica_variable_read(graph, kernel)));
  mica_scope_pop(graph, "dense");
  mica_graph_set_outputs(graph, &x, 1);
  mica_variable_release(kernel), mica_tensor_release(start);
  return graph;
}

/* The messages of a file without their times, one after the other with their lengths. */
static size_t timeless(const unsigned char *bytes, size_t size, unsigned char *out) {
  size_t used = 0;
  for (size_t at = 0; at + 16 <= size;) {
    size_t length = bytes[at] | (size_t)bytes[at + 1] << 8 | (size_t)bytes[at + 2] << 16;
    if (!CHECK(at + 16 + length <= size && bytes[at + 12] == 9)) return 0; /* field 1, 8 bytes */
    memcpy(out + used, bytes + at, 3);
    memcpy(out + used + 3, bytes + at + 21, length - 9);
    used += 3 + length - 9;
    at += 16 + length;
  }
  return used;
}

TEST(files_are_what_tensorboard_has_read) {
  static unsigned char written[SIZE], golden[SIZE], a[SIZE], b[SIZE];
  const char *folder = check_temporary_path("events");
  char command[4200];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (!CHECK(system(command) == 0)) return;
  mica_error error = {0};
  mica_event_log *log;
  if (!CHECK_OK_ERROR(mica_events_open(folder, &log, &error), &error)) return;
  for (int64_t step = 0; step < 3; step++) {
    CHECK_OK(mica_events_scalar(log, "train/loss", step, 1 / (double)(step + 1), &error));
    CHECK_OK(mica_events_scalar(log, "test/accuracy", step, 0.25 * (double)step, &error));
  }
  CHECK_OK(mica_events_scalar(log, "test/accuracy", (int64_t)1 << 40, -1e30, &error));
  unsigned char pixels[12] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3};
  double gray[6] = {0, 0.5, 1, -1, 2, NAN};
  mica_tensor *color = mica_tensor_from(MICA_U8, MICA_DIMS(2, 2, 3), pixels),
              *grays = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(2, 3), gray);
  CHECK_OK_ERROR(mica_events_image(log, "color", 1, color, &error), &error);
  CHECK_OK_ERROR(mica_events_image(log, "gray", 1, grays, &error), &error);
  double values[9] = {0, 0.1, 0.2, 0.3, 1, 1, NAN, INFINITY, -1};
  mica_tensor *some = mica_tensor_from_doubles(MICA_F64, MICA_DIMS(3, 3), values),
              *none = mica_tensor_from(MICA_F32, MICA_DIMS(0), NULL),
              *same = mica_tensor_from_doubles(MICA_BF16, MICA_DIMS(2), (double[]){2, 2});
  CHECK_OK_ERROR(mica_events_histogram(log, "some", 1, some, 4, &error), &error);
  CHECK_OK_ERROR(mica_events_histogram(log, "none", 1, none, 0, &error), &error);
  CHECK_OK_ERROR(mica_events_histogram(log, "same", 1, same, 0, &error), &error);
  mica_graph *graph = small_graph();
  CHECK_OK_ERROR(mica_events_graph(log, graph, &error), &error);
  char path[4200];
  snprintf(path, sizeof path, "%s", mica_events_path(log));
  CHECK_STR_CONTAINS(path, "/events.out.tfevents.");
  CHECK_OK_ERROR(mica_events_close(log, &error), &error);
  size_t size = contents(path, written),
         golden_size = contents(check_source_path("tests/golden/mica.tfevents"), golden);
  size_t a_size = timeless(written, size, a), b_size = timeless(golden, golden_size, b);
  if (!CHECK_EQ_INT(a_size, b_size) || !CHECK_EQ_BYTES(a, b, a_size)) printf("  see %s\n", folder);
  mica_graph_destroy(graph);
  mica_tensor_release(color), mica_tensor_release(grays), mica_tensor_release(some);
  mica_tensor_release(none), mica_tensor_release(same);

  mica_runs *runs;
  CHECK_OK(mica_runs_create(&runs, &error));
  CHECK_OK_ERROR(mica_runs_add(runs, folder, &error), &error);
  CHECK_EQ_STR(mica_runs_name(runs, 0), "events");
  CHECK_EQ_INT(mica_runs_curve_count(runs, 0), 2);
  mica_runs_curve loss = mica_runs_find(runs, 0, MICA_METRICS_TRAIN, NULL, "loss"),
                  test = mica_runs_find(runs, 0, MICA_METRICS_EVALUATION, "test", "accuracy");
  CHECK(loss.count == 3 && loss.step[2] == 2 && loss.value[2] == (double)(float)(1.0 / 3));
  CHECK(test.count == 4 && test.step[3] == 1099511627776 && test.value[3] == (double)-1e30f);
  CHECK(loss.count == 3 && loss.seconds[2] >= 0 && loss.seconds[2] < 60);
  mica_runs_destroy(runs);
}

TEST(files_of_tensorboard_are_read) {
  mica_error error = {0};
  mica_runs *runs;
  CHECK_OK(mica_runs_create(&runs, &error));
  if (!CHECK_OK_ERROR(
          mica_runs_add(runs, check_source_path("tests/golden/tensorboard.tfevents"), &error),
          &error))
    return;
  CHECK_EQ_STR(mica_runs_note(runs, 0), "");
  CHECK_EQ_INT(mica_runs_curve_count(runs, 0), 4);
  mica_runs_curve loss = mica_runs_find(runs, 0, MICA_METRICS_TRAIN, NULL, "loss"),
                  test = mica_runs_find(runs, 0, MICA_METRICS_EVALUATION, "test", "accuracy"),
                  rate = mica_runs_find(runs, 0, MICA_METRICS_TRAIN, NULL, "rate"),
                  deep = mica_runs_find(runs, 0, MICA_METRICS_TRAIN, NULL, "a/b/c");
  CHECK(loss.count == 3 && loss.value[1] == 0.5 && loss.seconds[1] == 2);
  CHECK(test.count == 3 && test.value[2] == 0.75 && test.step[2] == 3);
  CHECK(rate.count == 3 && rate.value[0] == 0.1 && rate.value[1] == 0.25 && rate.value[2] == 0.125);
  CHECK(deep.count == 1 && isnan(deep.value[0]));
  mica_runs_destroy(runs);
}

/* Cut anywhere it is read up to there; changed anywhere the checksums tell. */
TEST(damaged_files_are_read_as_far_as_they_go) {
  static unsigned char bytes[SIZE];
  size_t size = contents(check_source_path("tests/golden/tensorboard.tfevents"), bytes);
  int64_t most = 0;
  for (size_t cut = 0; cut <= size; cut++) {
    mica_error error = {0};
    mica_runs *runs;
    CHECK_OK(mica_runs_create(&runs, &error));
    CHECK_OK_ERROR(mica_runs_add_events(runs, "cut", bytes, cut, &error), &error);
    CHECK_EQ_STR(mica_runs_note(runs, 0), "");
    int64_t points = 0;
    for (size_t i = 0; i < mica_runs_curve_count(runs, 0); i++)
      points += mica_runs_curve_at(runs, 0, i).count;
    CHECK(points >= most);
    most = points;
    mica_runs_destroy(runs);
  }
  CHECK_EQ_INT(most, 10);
  for (size_t at = 0; at < size; at++) {
    mica_error error = {0};
    mica_runs *runs;
    CHECK_OK(mica_runs_create(&runs, &error));
    bytes[at] ^= 4;
    mica_status status = mica_runs_add_events(runs, "changed", bytes, size, &error);
    if (status == MICA_OK)
      CHECK_STR_CONTAINS(mica_runs_note(runs, 0), "damaged at byte");
    else
      CHECK_STR_CONTAINS(error.message, "no event file");
    bytes[at] ^= 4;
    mica_runs_destroy(runs);
  }
}

TEST(checksums_are_the_published_ones) {
  /* CRC-32C of "123456789" is e3069283, and masking is invertible. */
  uint32_t crc = mica_ui_masked_crc("123456789", 9) - 0xa282ead8u;
  CHECK_EQ_BITS(crc >> 17 | crc << 15, 0xe3069283u);
}

TEST(wrong_events_are_refused) {
  mica_error error = {0};
  mica_event_log *log;
  CHECK_STATUS(mica_events_open("/dev/null/folder", &log, &error), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "/dev/null/folder");
  CHECK(!log);
  CHECK_STATUS(mica_events_scalar(NULL, "a", 0, 0, NULL), MICA_INVALID);
  CHECK_STATUS(mica_events_graph(NULL, NULL, NULL), MICA_INVALID);
  if (!CHECK_OK(mica_events_open(check_temporary_path("refused"), &log, NULL))) return;
  CHECK_STATUS(mica_events_scalar(log, NULL, 0, 0, NULL), MICA_INVALID);
  CHECK_STATUS(mica_events_scalar(log, "", 0, 0, NULL), MICA_INVALID);
  mica_tensor *wrong[] = {NULL, mica_tensor_from(MICA_F32, MICA_DIMS(4), NULL),
                          mica_tensor_from(MICA_F32, MICA_DIMS(2, 2, 2), NULL),
                          mica_tensor_from(MICA_I32, MICA_DIMS(2, 2), NULL),
                          mica_tensor_from(MICA_U8, MICA_DIMS(0, 2), NULL)};
  for (int i = 0; i < 5; i++) {
    error = (mica_error){0};
    CHECK_STATUS(mica_events_image(log, "image", 0, wrong[i], &error), MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, "is no image");
  }
  error = (mica_error){0};
  CHECK_STATUS(mica_events_histogram(log, "h", 0, NULL, 0, &error), MICA_INVALID);
  CHECK_STATUS(mica_events_histogram(log, "h", 0, wrong[1], -1, NULL), MICA_INVALID);
  for (int i = 0; i < 5; i++) mica_tensor_release(wrong[i]);
  CHECK_OK(mica_events_close(log, NULL));
  CHECK_OK(mica_events_close(NULL, NULL));
}

TEST(png_holds_its_pixels) {
  const char *path = check_temporary_path("image.png");
  static unsigned char bytes[SIZE];
  mica_error error = {0};
  /* 300 x 300 x 3 bytes: several stored blocks. */
  int64_t count = 300 * 300 * 3;
  unsigned char *pixels = malloc((size_t)count);
  if (!CHECK(pixels)) return;
  for (int64_t i = 0; i < count; i++) pixels[i] = (unsigned char)(i * 7 + i / 900);
  mica_tensor *image = mica_tensor_from(MICA_U8, MICA_DIMS(300, 300, 3), pixels);
  CHECK_OK_ERROR(mica_png_save(path, image, &error), &error);
  FILE *file = fopen(path, "rb");
  if (CHECK(file)) {
    size_t size = fread(bytes, 1, sizeof bytes, file);
    CHECK(size == sizeof bytes && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8));
    fclose(file);
  }
  CHECK_STATUS(mica_png_save("no/such/folder/x.png", image, NULL), MICA_IO);
  mica_tensor_release(image);
  free(pixels);
}

TEST_MAIN(TEST_CASE(files_are_what_tensorboard_has_read), TEST_CASE(files_of_tensorboard_are_read),
          TEST_CASE(damaged_files_are_read_as_far_as_they_go),
          TEST_CASE(checksums_are_the_published_ones), TEST_CASE(wrong_events_are_refused),
          TEST_CASE(png_holds_its_pixels))
