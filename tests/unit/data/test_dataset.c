/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets: every stage against what it should give, epoch by epoch; positions saved at every batch of many
 * pipelines and restored in fresh ones, which then give exactly the rest; errors, ends, threads. */
#include <math.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/data.h"

enum { ROWS = 23 };

static mica_tensor *numbers(int64_t count, int64_t width) {
  mica_tensor *tensor = NULL;
  double *values = calloc((size_t)(count * width) + 1, sizeof *values);
  for (int64_t i = 0; i < count * width; i++) values[i] = (double)i;
  tensor = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(count, width), values);
  free(values);
  return tensor;
}

static mica_dataset *rows_with(mica_memory_options options) {
  mica_error error = {0};
  mica_tensor *tensors[2] = {numbers(ROWS, 3), numbers(ROWS, 1)};
  options.struct_size = sizeof options;
  options.tensors = tensors, options.count = 2;
  mica_dataset *dataset = mica_dataset_from_tensors(&options, &error);
  if (dataset == NULL) CHECK_FAIL("%s", error.message);
  mica_tensor_release(tensors[0]), mica_tensor_release(tensors[1]);
  return dataset;
}

/* The last tensor's elements of one batch, appended to a list; false at the end of the epoch. */
typedef struct {
  double values[4096];
  int64_t count, batches;
} listing;

static bool list_next(mica_dataset *dataset, listing *list) {
  mica_batch batch = {0};
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_dataset_next(dataset, &batch, &error), &error)) return false;
  bool more = batch.count > 0;
  if (more) {
    const mica_tensor *tensor = batch.tensor[batch.count - 1];
    int64_t count = mica_shape_count(mica_tensor_type(tensor).shape);
    if (CHECK(list->count + count <= 4096))
      CHECK_OK(mica_tensor_read_doubles(tensor, list->values + list->count, count, NULL));
    list->count += count, list->batches++;
  }
  mica_batch_clear(&batch);
  return more;
}

static void list_epoch(mica_dataset *dataset, listing *list) {
  list->count = list->batches = 0;
  while (list_next(dataset, list) && list->batches < 1000) {}
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static bool is_permutation(const listing *list, int64_t count) {
  static double sorted[4096];
  memcpy(sorted, list->values, sizeof sorted);
  qsort(sorted, (size_t)list->count, sizeof *sorted, compare_doubles);
  for (int64_t i = 0; i < count && i < list->count; i++)
    if (sorted[i] != (double)i) return false;
  return list->count == count;
}

TEST(rows_of_tensors) {
  static listing a, b;
  mica_dataset *plain = rows_with((mica_memory_options){.batch = 5});
  list_epoch(plain, &a);
  CHECK(a.count == ROWS && a.batches == 5 && a.values[22] == 22);
  list_epoch(plain, &b);
  CHECK_EQ_INT(mica_dataset_epoch(plain), 1);
  CHECK_EQ_BYTES(a.values, b.values, ROWS * sizeof(double));
  mica_dataset_destroy(plain);
  mica_dataset *shuffled =
      rows_with((mica_memory_options){.batch = 5, .shuffle = true, .seed = 3, .drop_last = true});
  list_epoch(shuffled, &a);
  CHECK(a.count == 20 && a.batches == 4);
  list_epoch(shuffled, &b);
  CHECK(memcmp(a.values, b.values, 20 * sizeof(double)) != 0);
  CHECK_OK(mica_dataset_begin(shuffled, 0, NULL));
  list_epoch(shuffled, &b);
  CHECK_EQ_BYTES(a.values, b.values, 20 * sizeof(double));
  mica_dataset_destroy(shuffled);
  /* each row by itself: single tensors without the axis of rows */
  mica_dataset *single = rows_with((mica_memory_options){.batch = 0});
  mica_batch batch = {0};
  CHECK_OK(mica_dataset_next(single, &batch, NULL));
  CHECK(mica_shape_equal(mica_tensor_type(batch.tensor[0]).shape, MICA_DIMS(3)));
  mica_batch_clear(&batch);
  mica_dataset_destroy(single);
  /* without an end: orders follow each other, also within a batch */
  mica_dataset *infinite =
      rows_with((mica_memory_options){.batch = 7, .shuffle = true, .infinite = true});
  a.count = 0;
  for (int i = 0; i < 46; i++) CHECK(list_next(infinite, &a));
  for (int k = 0; k < 14; k++) {
    b.count = ROWS;
    memcpy(b.values, a.values + k * ROWS, ROWS * sizeof(double));
    CHECK(is_permutation(&b, ROWS));
  }
  mica_dataset_destroy(infinite);
  mica_dataset *drawn =
      rows_with((mica_memory_options){.batch = 5, .replacement = true, .seed = 9});
  int counts[ROWS] = {0};
  for (int e = 0; e < 100; e++) {
    list_epoch(drawn, &a);
    CHECK_EQ_INT(a.count, ROWS);
    for (int i = 0; i < ROWS; i++) counts[(int)a.values[i]]++;
  }
  /* 2300 draws: a row has 100, with a standard deviation of 10 */
  for (int i = 0; i < ROWS; i++) CHECK(counts[i] > 50 && counts[i] < 150);
  mica_dataset_destroy(drawn);
}

TEST(batches_are_reused) {
  mica_dataset *plain = rows_with((mica_memory_options){.batch = 5, .drop_last = true});
  mica_batch batch = {0};
  CHECK_OK(mica_dataset_next(plain, &batch, NULL));
  const mica_tensor *first = batch.tensor[0];
  CHECK_OK(mica_dataset_next(plain, &batch, NULL));
  CHECK(batch.tensor[0] == first);
  mica_tensor *kept = mica_tensor_retain(batch.tensor[0]);
  double before[15], after[15];
  CHECK_OK(mica_tensor_read_doubles(kept, before, 15, NULL));
  CHECK_OK(mica_dataset_next(plain, &batch, NULL));
  CHECK(batch.tensor[0] != kept); /* somebody else holds it */
  CHECK_OK(mica_tensor_read_doubles(kept, after, 15, NULL));
  CHECK_EQ_BYTES(before, after, sizeof before);
  mica_tensor_release(kept);
  mica_batch_clear(&batch);
  mica_dataset_destroy(plain);
}

TEST(splits) {
  int64_t order[ROWS], begin[4], seen[ROWS] = {0};
  CHECK_OK(mica_split_rows(5, ROWS, (double[]){0.5, 0.25, 0.25}, 3, order, begin, NULL));
  CHECK(begin[0] == 0 && begin[1] == 12 && begin[2] == 17 && begin[3] == 23);
  for (int i = 0; i < ROWS; i++) seen[order[i]]++;
  for (int i = 0; i < ROWS; i++) CHECK_EQ_INT(seen[i], 1);
  static listing list;
  mica_dataset *part = rows_with((mica_memory_options){
      .batch = 4, .rows = order + begin[1], .row_count = begin[2] - begin[1]});
  list_epoch(part, &list);
  for (int i = 0; i < 5; i++) CHECK_NEAR(list.values[i], (double)order[12 + i], 0);
  mica_dataset_destroy(part);
  CHECK_STATUS(mica_split_rows(5, ROWS, (double[]){0.8, 0.4}, 2, order, begin, &(mica_error){0}),
               MICA_INVALID);
}

/* ---- maps ---- */

static mica_status add_random(void *user, mica_map_position position, const mica_batch *in,
                              mica_batch *out, mica_error *error) {
  uint32_t words[4];
  double values[64];
  mica_map_random(*(const uint64_t *)user, position, 0, words);
  mica_type type = mica_tensor_type(in->tensor[1]);
  int64_t count = mica_shape_count(type.shape);
  mica_status status = mica_tensor_read_doubles(in->tensor[1], values, count, error);
  for (int64_t i = 0; i < count; i++) values[i] += (words[0] % 16) / 16.0;
  /* uneven work, so that threads finish out of order */
  volatile uint32_t spin = words[1] % 30000;
  while (spin > 0) spin--;
  out->count = 2;
  out->tensor[0] = mica_tensor_retain(in->tensor[0]);
  out->tensor[1] = mica_tensor_from_doubles(MICA_F64, type.shape, values);
  return status;
}

static mica_status fail_at_seven(void *user, mica_map_position position, const mica_batch *in,
                                 mica_batch *out, mica_error *error) {
  if (position.index == 7) return mica_error_set(error, MICA_DATA_LOSS, "the seventh");
  out->count = 1;
  out->tensor[0] = mica_tensor_retain(in->tensor[in->count - 1]);
  (void)user;
  return MICA_OK;
}

static const uint64_t map_seed = 77;

/* ---- pipelines ---- */

static mica_status sequence_next(void *self, mica_batch *batch, mica_error *error) {
  int64_t *at = self;
  double values[8];
  mica_batch_clear(batch);
  if (*at >= 19) return MICA_OK;
  int64_t length = (*at * 5) % 7 + 1;
  for (int i = 0; i < 8; i++) values[i] = (double)*at;
  batch->count = 1;
  batch->tensor[0] = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(length), values);
  ++*at;
  return batch->tensor[0] ? MICA_OK : mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
}
static mica_status sequence_begin(void *self, int64_t epoch, mica_error *error) {
  (void)epoch, (void)error;
  *(int64_t *)self = 0;
  return MICA_OK;
}
static void sequence_save(void *self, mica_dataset_state *state) {
  mica_dataset_state_put(state, *(int64_t *)self);
}
static mica_status sequence_restore(void *self, mica_dataset_state *state, mica_error *error) {
  (void)error;
  *(int64_t *)self = mica_dataset_state_take(state);
  return MICA_OK;
}

/* Elements [length], of 1 to 7 numbers that are all the index. */
static mica_dataset *sequences(void) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "sequences",
                                               .next = sequence_next,
                                               .begin = sequence_begin,
                                               .save = sequence_save,
                                               .restore = sequence_restore,
                                               .destroy = free};
  return mica_dataset_create(&methods, calloc(1, sizeof(int64_t)), NULL);
}

static mica_dataset *pipeline(int kind, mica_error *error) {
  mica_dataset *s =
      rows_with((mica_memory_options){.batch = kind == 8 ? 0 : 3, .shuffle = true, .seed = 1});
  static const int64_t boundaries[] = {2, 5}, sizes[] = {3, 2, 2};
  switch (kind) {
    case 0: return s;
    case 1: return mica_dataset_take(s, 5, error);
    case 2: return mica_dataset_skip(s, 3, error);
    case 3: return mica_dataset_repeat(s, 2, error);
    case 4: return mica_dataset_map(s, add_random, (void *)(uintptr_t)&map_seed, error);
    case 5:
      return mica_dataset_parallel_map(s, add_random, (void *)(uintptr_t)&map_seed, 3, true, error);
    case 6: return mica_dataset_prefetch(mica_dataset_prefetch(s, 1, error), 3, error);
    case 7: return mica_dataset_cache(s, error);
    case 8:
      return mica_dataset_batch(
          s, &(mica_batch_options){.struct_size = sizeof(mica_batch_options), .size = 4}, error);
    case 9: {
      mica_dataset *parts[] = {
          s, rows_with((mica_memory_options){.batch = 2}),
          mica_dataset_take(rows_with((mica_memory_options){.batch = 1}), 2, error)};
      return mica_dataset_interleave(parts, 3, 2, error);
    }
    case 10: return mica_dataset_shuffle(s, 4, 11, error);
    case 11:
      mica_dataset_destroy(s);
      return mica_dataset_bucket(sequences(),
                                 &(mica_bucket_options){.struct_size = sizeof(mica_bucket_options),
                                                        .boundaries = boundaries,
                                                        .boundary_count = 2,
                                                        .sizes = sizes,
                                                        .pad_value = -1},
                                 error);
    case 12:
      s = mica_dataset_parallel_map(s, add_random, (void *)(uintptr_t)&map_seed, 2, true, error);
      s = mica_dataset_shuffle(s, 3, 4, error);
      s = mica_dataset_repeat(s, 2, error);
      return mica_dataset_prefetch(s, 2, error);
    case 13:
      s = mica_dataset_prefetch(mica_dataset_cache(s, error), 2, error);
      return mica_dataset_take(mica_dataset_skip(s, 1, error), 6, error);
    default: mica_dataset_destroy(s); return NULL;
  }
}
enum { PIPELINES = 14 };

/* Three epochs at once; then from every position, also between epochs, the rest in a fresh pipeline. */
TEST(positions_are_restored_exactly) {
  static listing all, rest;
  for (int kind = 0; kind < PIPELINES; kind++) {
    mica_error error = {0};
    static char positions[256][2048];
    static int64_t starts[256];
    int64_t count = 0;
    mica_dataset *whole = pipeline(kind, &error);
    if (whole == NULL) {
      CHECK_FAIL("pipeline %d: %s", kind, error.message);
      continue;
    }
    all.count = all.batches = 0;
    for (int ends = 0; ends < 3 && count < 256; count++) {
      starts[count] = all.count;
      int64_t size = mica_dataset_save(whole, positions[count], sizeof positions[count]);
      CHECK(size > 0 && size < (int64_t)sizeof positions[count]);
      if (!list_next(whole, &all)) ends++;
    }
    mica_dataset_destroy(whole);
    CHECK(all.count > 10);
    mica_dataset *other = pipeline(kind, &error);
    for (int64_t i = 0; i < count; i += 1 + (kind > 8)) {
      /* fresh, or one that stands elsewhere */
      mica_dataset *fresh = i % 2 == 0 ? pipeline(kind, &error) : other;
      rest.count = 0;
      if (!CHECK_OK_ERROR(mica_dataset_restore(fresh, positions[i], &error), &error)) return;
      int64_t wanted = all.count - starts[i];
      for (int calls = 0; rest.count < wanted && calls < 300; calls++) list_next(fresh, &rest);
      if (rest.count < wanted ||
          memcmp(rest.values, all.values + starts[i], (size_t)wanted * sizeof(double)) != 0)
        CHECK_FAIL("pipeline %d differs after position %" PRId64 ": %s", kind, i, positions[i]);
      if (i % 2 == 0) mica_dataset_destroy(fresh);
    }
    mica_dataset_destroy(other);
  }
}

TEST(foreign_positions_are_refused) {
  mica_error error = {0};
  char text[2048];
  mica_dataset *one = pipeline(12, &error), *two = pipeline(13, &error);
  mica_dataset_save(one, text, sizeof text);
  CHECK_STATUS(mica_dataset_restore(two, text, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "another data set");
  static const char *const texts[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"mica_dataset\":1,\"position\":[]}",
                                      "{\"mica_dataset\":1,\"position\":[1.5]}",
                                      "{\"mica_dataset\":2,\"position\":[1]}"};
  for (int i = 0; i < 6; i++)
    CHECK(mica_dataset_restore(two, texts[i], &(mica_error){0}) != MICA_OK);
  CHECK_STATUS(mica_dataset_restore(NULL, "{}", &(mica_error){0}), MICA_INVALID);
  mica_dataset_destroy(one), mica_dataset_destroy(two);
  /* a hostile position of the right shape: no crash */
  uint32_t random = 5;
  for (int i = 0; i < 300; i++) {
    mica_dataset *d = pipeline(i % PIPELINES, &error);
    mica_dataset_save(d, text, sizeof text);
    for (char *c = text + 30; *c; c++) {
      random = random * 1664525 + 1013904223;
      if (*c >= '0' && *c <= '9' && (random >> 24) < 30) *c = (char)('0' + random / 65536 % 10);
    }
    mica_batch batch = {0};
    if (mica_dataset_restore(d, text, NULL) == MICA_OK) (void)mica_dataset_next(d, &batch, NULL);
    mica_batch_clear(&batch);
    mica_dataset_destroy(d);
  }
}

TEST(parallel_maps) {
  static listing serial, parallel, one_thread;
  mica_error error = {0};
  mica_dataset *a = pipeline(4, &error), *b = pipeline(5, &error),
               *c = mica_dataset_parallel_map(pipeline(0, &error), add_random,
                                              (void *)(uintptr_t)&map_seed, 1, true, &error),
               *d = mica_dataset_parallel_map(rows_with((mica_memory_options){.batch = 1}),
                                              fail_at_seven, NULL, 4, true, &error),
               *e = mica_dataset_map(rows_with((mica_memory_options){.batch = 1}), fail_at_seven,
                                     NULL, &error);
  for (int epoch = 0; epoch < 3; epoch++) {
    list_epoch(a, &serial), list_epoch(b, &parallel), list_epoch(c, &one_thread);
    CHECK_EQ_INT(serial.count, ROWS);
    CHECK_EQ_BYTES(serial.values, parallel.values, ROWS * sizeof(double));
    CHECK_EQ_BYTES(serial.values, one_thread.values, ROWS * sizeof(double));
  }
  mica_dataset *both[] = {d, e};
  for (int k = 0; k < 2; k++) { /* the error comes in its turn, and again until a new start */
    mica_batch batch = {0};
    error = (mica_error){0};
    for (int i = 0; i < 7; i++) CHECK_OK_ERROR(mica_dataset_next(both[k], &batch, &error), &error);
    CHECK_STATUS(mica_dataset_next(both[k], &batch, &error), MICA_DATA_LOSS);
    CHECK_STR_CONTAINS(error.message, "the seventh");
    CHECK_EQ_INT(batch.count, 0);
    CHECK_OK(mica_dataset_begin(both[k], 0, NULL));
    CHECK_OK(mica_dataset_next(both[k], &batch, NULL));
    mica_batch_clear(&batch);
  }
  mica_dataset_destroy(a), mica_dataset_destroy(b), mica_dataset_destroy(c),
      mica_dataset_destroy(d), mica_dataset_destroy(e);
}

/* Not in order: each element once, over a save and a restore at every place too. */
TEST(unordered_maps_lose_nothing) {
  static listing list;
  mica_error error = {0};
  for (int cut = 0; cut <= ROWS; cut++) {
    mica_dataset *d =
        mica_dataset_parallel_map(rows_with((mica_memory_options){.batch = 1}), add_random,
                                  (void *)(uintptr_t)&map_seed, 4, false, &error);
    list.count = list.batches = 0;
    for (int i = 0; i < cut; i++) CHECK(list_next(d, &list));
    char text[2048];
    CHECK(mica_dataset_save(d, text, sizeof text) > 0);
    mica_dataset_destroy(d);
    d = mica_dataset_parallel_map(rows_with((mica_memory_options){.batch = 1}), add_random,
                                  (void *)(uintptr_t)&map_seed, 3, false, &error);
    error = (mica_error){0};
    CHECK_OK_ERROR(mica_dataset_restore(d, text, &error), &error);
    while (list_next(d, &list)) {}
    for (int64_t i = 0; i < list.count; i++) list.values[i] = (double)(int64_t)list.values[i];
    if (!CHECK(is_permutation(&list, ROWS))) printf("cut %d\n", cut);
    mica_dataset_destroy(d);
  }
}

TEST(pads_and_buckets) {
  mica_error error = {0};
  mica_batch batch = {0};
  static const int64_t boundaries[] = {2, 5}, sizes[] = {3, 2, 2};
  mica_dataset *d =
      mica_dataset_bucket(sequences(),
                          &(mica_bucket_options){.struct_size = sizeof(mica_bucket_options),
                                                 .boundaries = boundaries,
                                                 .boundary_count = 2,
                                                 .sizes = sizes,
                                                 .pad_to_boundary = true,
                                                 .pad_value = -1},
                          &error);
  int64_t elements = 0;
  while (mica_dataset_next(d, &batch, &error) == MICA_OK && batch.count > 0) {
    mica_shape shape = mica_tensor_type(batch.tensor[0]).shape;
    int64_t width = shape.dim[1];
    CHECK(shape.rank == 2 && (width == 2 || width == 5 || width == 6 || width == 7));
    double values[64];
    CHECK_OK(mica_tensor_read_doubles(batch.tensor[0], values, mica_shape_count(shape), NULL));
    for (int64_t r = 0; r < shape.dim[0]; r++) {
      int64_t index = (int64_t)values[r * width], length = index * 5 % 7 + 1;
      for (int64_t i = 0; i < width; i++)
        CHECK_NEAR(values[r * width + i], i < length ? (double)index : -1, 0);
    }
    elements += shape.dim[0];
  }
  CHECK_EQ_INT(elements, 19);
  mica_dataset_destroy(d);
  d = mica_dataset_batch(
      sequences(),
      &(mica_batch_options){.struct_size = sizeof(mica_batch_options), .size = 19, .pad = true},
      &error);
  CHECK_OK_ERROR(mica_dataset_next(d, &batch, &error), &error);
  CHECK(mica_shape_equal(mica_tensor_type(batch.tensor[0]).shape, MICA_DIMS(19, 7)));
  mica_dataset_destroy(d);
  d = mica_dataset_batch(
      sequences(), &(mica_batch_options){.struct_size = sizeof(mica_batch_options), .size = 3},
      &error);
  CHECK_STATUS(mica_dataset_next(d, &batch, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "pad allows other sizes");
  mica_dataset_destroy(d);
  mica_batch_clear(&batch);
}

TEST(normalizes) {
  mica_error error = {0};
  mica_tensor *mean, *deviation;
  mica_dataset *d = rows_with((mica_memory_options){.batch = 4, .shuffle = true});
  CHECK_OK_ERROR(mica_dataset_statistics(d, 0, false, &mean, &deviation, &error), &error);
  double means[3], deviations[3];
  CHECK_OK(mica_tensor_read_doubles(mean, means, 3, NULL));
  CHECK_OK(mica_tensor_read_doubles(deviation, deviations, 3, NULL));
  /* 0, 3, .. 66: mean 33, variance 9 (23^2 - 1) / 12 = 396 */
  for (int i = 0; i < 3; i++) CHECK_NEAR(means[i], 33 + i, 1e-5);
  for (int i = 0; i < 3; i++) CHECK_NEAR(deviations[i], 19.899748742132, 1e-5);
  mica_tensor_release(mean), mica_tensor_release(deviation);
  CHECK_STATUS(mica_dataset_statistics(d, 5, true, &mean, &deviation, &(mica_error){0}),
               MICA_INVALID);
  CHECK(mean == NULL);
  mica_dataset_destroy(d);
  /* What is missing does not count: 1, 3 and 5; 2 alone; nothing. */
  const double rows[] = {1, NAN, NAN, 3, 2, NAN, NAN, NAN, NAN, 5, NAN, NAN};
  mica_tensor *table = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(4, 3), rows);
  d = mica_dataset_from_tensors(
      &(mica_memory_options){
          .struct_size = sizeof(mica_memory_options), .tensors = &table, .count = 1, .batch = 3},
      &error);
  CHECK_OK_ERROR(mica_dataset_statistics(d, 0, false, &mean, &deviation, &error), &error);
  CHECK_OK(mica_tensor_read_doubles(mean, means, 3, NULL));
  CHECK_OK(mica_tensor_read_doubles(deviation, deviations, 3, NULL));
  CHECK_NEAR(means[0], 3, 1e-6);
  CHECK_NEAR(deviations[0], sqrt(8.0 / 3), 1e-6);
  CHECK(means[1] == 2 && deviations[1] == 1);
  CHECK(isnan(means[2]) && isnan(deviations[2]));
  mica_tensor_release(mean), mica_tensor_release(deviation), mica_tensor_release(table);
  mica_dataset_destroy(d);
}

static mica_status first_number(void *user, mica_map_position position, const mica_batch *in,
                                mica_batch *out, mica_error *error) {
  (void)user, (void)position, (void)error;
  out->count = 1;
  out->tensor[0] =
      mica_tensor_scalar(MICA_F32, (double)*(const float *)mica_tensor_data(in->tensor[0]));
  return out->tensor[0] ? MICA_OK : MICA_OUT_OF_MEMORY;
}

TEST(collects) {
  mica_error error = {0};
  mica_batch all = {0}, again = {0};
  mica_dataset *d = rows_with((mica_memory_options){.batch = 5, .shuffle = true, .seed = 3});
  d = mica_dataset_prefetch(d, 2, &error);
  CHECK_OK_ERROR(mica_dataset_collect(d, &all, &error), &error);
  mica_type type = mica_tensor_type(all.tensor[0]);
  int64_t rows = type.shape.dim[0];
  const float *x = mica_tensor_data(all.tensor[0]);
  double sum = 0;
  for (int64_t i = 0; x && i < rows; i++) sum += (double)x[i * type.shape.dim[1]];
  CHECK(all.count >= 1 && rows == 23);
  CHECK_NEAR(sum, 3.0 * 22 * 23 / 2, 0);             /* each row once */
  CHECK_OK(mica_dataset_collect(d, &again, &error)); /* from the beginning, in the same order */
  CHECK_EQ_INT(again.count, all.count);
  for (int32_t i = 0; i < all.count; i++) CHECK(mica_tensor_equal(all.tensor[i], again.tensor[i]));
  /* In memory, and in a file: as any other rows. */
  const char *path = check_temporary_path("collected.npz"), *names[] = {"x"};
  CHECK_OK(mica_npz_save(path, names, all.tensor, 1, &error));
  mica_memory_options options = {.struct_size = sizeof options, .batch = 23};
  mica_dataset *back = mica_dataset_from_npz(path, names, 1, &options, &error);
  CHECK_OK_ERROR(mica_dataset_collect(back, &again, &error), &error);
  CHECK(again.count == 1 && mica_tensor_equal(all.tensor[0], again.tensor[0]));
  mica_dataset_destroy(back), mica_dataset_destroy(d);
  /* Elements have no rows; nothing gives nothing. */
  d = rows_with((mica_memory_options){.batch = 0});
  d = mica_dataset_map(d, first_number, NULL, &error);
  CHECK_STATUS(mica_dataset_collect(d, &again, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "collect: expected [rows, ...]");
  CHECK_EQ_INT(again.count, 0);
  error = (mica_error){0};
  d = mica_dataset_take(d, 0, &error);
  CHECK_STATUS(mica_dataset_collect(d, &again, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "without batches");
  CHECK_STATUS(mica_dataset_collect(NULL, &again, NULL), MICA_INVALID);
  mica_dataset_destroy(d);
  mica_batch_clear(&all), mica_batch_clear(&again);
}

TEST(misuse) {
  mica_error error = {0};
  mica_tensor *short_one = numbers(3, 1), *long_one = numbers(4, 1),
              *tensors[] = {short_one, long_one};
  mica_memory_options options = {.struct_size = sizeof options, .tensors = tensors, .count = 2};
  CHECK(mica_dataset_from_tensors(&options, &error) == NULL);
  CHECK_STR_CONTAINS(error.message, "tensor 1 is f32[4, 1]");
  options.count = 1;
  options.rows = (int64_t[]){3}, options.row_count = 1;
  error = (mica_error){0};
  CHECK(mica_dataset_from_tensors(&options, &error) == NULL);
  CHECK_STR_CONTAINS(error.message, "row 3 of 3");
  mica_tensor_release(short_one), mica_tensor_release(long_one);
  /* a failure passes through further stages, and the first message stays */
  error = (mica_error){0};
  mica_dataset *d = mica_dataset_take(rows_with((mica_memory_options){0}), -1, &error);
  d = mica_dataset_prefetch(
      mica_dataset_cache(mica_dataset_map(d, add_random, NULL, &error), &error), 2, &error);
  CHECK(d == NULL);
  CHECK_STR_CONTAINS(error.message, "take");
  CHECK(mica_dataset_batch(rows_with((mica_memory_options){0}), NULL, NULL) == NULL);
  CHECK(mica_dataset_map(rows_with((mica_memory_options){0}), NULL, NULL, NULL) == NULL);
  CHECK(mica_dataset_parallel_map(rows_with((mica_memory_options){0}), NULL, NULL, 1, true, NULL) ==
        NULL);
  CHECK(mica_dataset_prefetch(rows_with((mica_memory_options){0}), 0, NULL) == NULL);
  CHECK(mica_dataset_shuffle(rows_with((mica_memory_options){0}), 0, 0, NULL) == NULL);
  CHECK(mica_dataset_bucket(rows_with((mica_memory_options){0}), NULL, NULL) == NULL);
  CHECK(mica_dataset_interleave(NULL, 0, 1, NULL) == NULL);
  CHECK(mica_dataset_create(&(mica_dataset_methods){0}, NULL, NULL) == NULL);
  CHECK_STATUS(mica_dataset_next(NULL, &(mica_batch){0}, NULL), MICA_INVALID);
  mica_dataset_destroy(NULL);
  mica_batch_clear(NULL);
  /* ends and stops at any time, with threads at work */
  for (int kind = 0; kind < PIPELINES; kind++)
    for (int calls = 0; calls < 3; calls++) {
      mica_batch batch = {0};
      d = pipeline(kind, &error);
      for (int i = 0; i < calls; i++) CHECK_OK(mica_dataset_next(d, &batch, NULL));
      mica_dataset_destroy(d);
      mica_batch_clear(&batch);
    }
}

TEST_MAIN(TEST_CASE(rows_of_tensors), TEST_CASE(batches_are_reused), TEST_CASE(splits),
          TEST_CASE(positions_are_restored_exactly), TEST_CASE(foreign_positions_are_refused),
          TEST_CASE(parallel_maps), TEST_CASE(unordered_maps_lose_nothing),
          TEST_CASE(pads_and_buckets), TEST_CASE(normalizes), TEST_CASE(collects),
          TEST_CASE(misuse))
