/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets and parsers with every allocation, map and thread failing in turn, alone and with all that come after it:
 * either it works all the same (a stage does without threads) or the error says that memory ran out, and nothing is
 * left behind. */
#include "check.h"
#include "interpose.h"
#include "mica/data.h"

#include <stdio.h>
#include <string.h>

typedef mica_status work(mica_error *error);

static mica_status add_one(void *user, mica_map_position position, const mica_batch *in,
                           mica_batch *out, mica_error *error) {
  (void)user;
  uint32_t words[4];
  mica_map_random(1, position, 0, words);
  out->count = 1;
  out->tensor[0] = mica_tensor_scalar(MICA_F32, words[0]);
  if (out->tensor[0] == NULL || in->count < 1)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "add_one: out of memory");
  return MICA_OK;
}

/* Two epochs, a position saved and restored between. */
static mica_status run_dataset(mica_dataset *dataset, mica_error *error) {
  mica_batch batch = {0};
  char position[2048];
  mica_status status = dataset == NULL ? MICA_OUT_OF_MEMORY : MICA_OK;
  for (int i = 0; i < 9 && status == MICA_OK; i++) {
    status = mica_dataset_next(dataset, &batch, error);
    if (i != 4 || status != MICA_OK) continue;
    int64_t size = mica_dataset_save(dataset, position, sizeof position);
    status = size < 0 ? mica_error_set(error, MICA_OUT_OF_MEMORY, "save: out of memory")
                      : mica_dataset_restore(dataset, position, error);
  }
  mica_batch_clear(&batch);
  mica_dataset_destroy(dataset);
  return status;
}

static mica_dataset *small_rows(int64_t batch, mica_error *error) {
  mica_tensor *tensor = mica_tensor_from(MICA_F32, MICA_DIMS(7, 3), NULL);
  if (tensor == NULL) {
    mica_error_set(error, MICA_OUT_OF_MEMORY, "rows: out of memory");
    return NULL;
  }
  mica_memory_options options = {.struct_size = sizeof options,
                                 .tensors = &tensor,
                                 .count = 1,
                                 .batch = batch,
                                 .shuffle = true};
  mica_dataset *dataset = mica_dataset_from_tensors(&options, error);
  mica_tensor_release(tensor);
  return dataset;
}

static mica_status plain_stages(mica_error *error) {
  static const int64_t boundaries[] = {2}, sizes[] = {2, 2};
  mica_dataset *parts[] = {small_rows(2, error), small_rows(2, error)};
  mica_dataset *d = mica_dataset_interleave(parts, 2, 1, error);
  d = mica_dataset_skip(mica_dataset_take(d, 6, error), 1, error);
  d = mica_dataset_repeat(mica_dataset_cache(d, error), 2, error);
  d = mica_dataset_shuffle(d, 3, 1, error);
  d = mica_dataset_bucket(d,
                          &(mica_bucket_options){.struct_size = sizeof(mica_bucket_options),
                                                 .boundaries = boundaries,
                                                 .boundary_count = 1,
                                                 .sizes = sizes},
                          error);
  return run_dataset(d, error);
}

static mica_status threaded_stages(mica_error *error) {
  mica_dataset *d = mica_dataset_parallel_map(small_rows(0, error), add_one, NULL, 2, true, error);
  d = mica_dataset_batch(
      d, &(mica_batch_options){.struct_size = sizeof(mica_batch_options), .size = 2}, error);
  return run_dataset(mica_dataset_prefetch(d, 2, error), error);
}

static mica_status tables(mica_error *error) {
  static const char text[] = "a,b,c\n1,x,\"y \"\"z\"\"\"\n2.5,w,\n";
  mica_csv *csv = NULL;
  mica_tensor *features = NULL, *quantiles = NULL;
  mica_vocabulary *pruned = NULL;
  mica_status status = mica_csv_parse(text, sizeof text - 1, NULL, &csv, error);
  if (status == MICA_OK) status = mica_csv_features(csv, (int32_t[]){0, 1}, 2, &features, error);
  if (status == MICA_OK) status = mica_quantiles(features, 3, true, &quantiles, error);
  if (status == MICA_OK)
    status = mica_vocabulary_prune(mica_csv_vocabulary(csv, 1), 1, 1, &pruned, error);
  mica_vocabulary_destroy(pruned);
  mica_tensor_release(features), mica_tensor_release(quantiles);
  mica_csv_destroy(csv);
  return status;
}

static mica_status pictures(mica_error *error) {
  static unsigned char row[3073];
  mica_tensor *images = NULL, *labels = NULL;
  mica_batch in = {.count = 1}, out = {0};
  mica_augment_options o = {
      .struct_size = sizeof o, .pad = 2, .crop = {30, 30}, .rotate = 10, .hue = 0.1};
  mica_status status = mica_cifar_parse(row, sizeof row, 1, &images, &labels, error);
  if (status == MICA_OK) {
    in.tensor[0] = mica_tensor_from(MICA_U8, MICA_DIMS(32, 32, 3), mica_tensor_data(images));
    status = in.tensor[0] == NULL
                 ? mica_error_set(error, MICA_OUT_OF_MEMORY, "image: out of memory")
                 : mica_augment(&o, (mica_map_position){0, 0}, &in, &out, error);
  }
  mica_batch_clear(&in), mica_batch_clear(&out);
  mica_tensor_release(images), mica_tensor_release(labels);
  return status;
}

static void sweep(const char *name, work *body, bool threads) {
  mica_error error = {0};
  CHECK_OK(body(&error)); /* the C library keeps what the first threads had */
  fault_begin(FAULT_NONE, 0);
  mica_status status = body(&error);
  fault_end();
  if (!CHECK_OK_ERROR(status, &error)) return;
  CHECK_EQ_INT(fault_live_blocks(), 0);
  /* threads make the count of calls vary: some more, so that the last ones are met too */
  int64_t total = fault_count() + (threads ? 10 : 0);
  for (int64_t n = 1; n <= total; n++)
    for (fault_mode mode = FAULT_ONE; mode <= FAULT_FROM; mode++) {
      error = (mica_error){0};
      fault_begin(mode, n);
      status = body(&error);
      fault_end();
      if (status != MICA_OK && (status != MICA_OUT_OF_MEMORY || error.status != status))
        CHECK_FAIL("%s, call %lld of %lld: status %d, '%s'", name, (long long)n, (long long)total,
                   (int)status, error.message);
      if (fault_live_blocks() != 0)
        CHECK_FAIL("%s, call %lld leaves %lld blocks", name, (long long)n,
                   (long long)fault_live_blocks());
    }
}

TEST(data_sets) { sweep("plain", plain_stages, false); }
TEST(threads) { sweep("threaded", threaded_stages, true); }
TEST(parsers) {
  sweep("tables", tables, false);
  sweep("pictures", pictures, false);
}

TEST_MAIN(TEST_CASE(data_sets), TEST_CASE(threads), TEST_CASE(parsers))
