/* SPDX-License-Identifier: Apache-2.0 */
/* images.h: what the examples of images share: the two sets in MNIST's format, batches with or without augmentation, the loss and
 * accuracy of classifiers, and the table of what was taken for what. */
#ifndef EXAMPLES_IMAGES_H
#define EXAMPLES_IMAGES_H
#include "common.h"
#ifdef MICA_HAVE_IMAGE
#include "mica/image.h"
#endif

/* images u8 [count, height, width, channels], labels i32 [count] */
typedef struct {
  mica_tensor *images, *labels;
  int64_t count;
} example_images;

static inline void example_release_images(example_images *set) {
  mica_tensor_release(set->images), mica_tensor_release(set->labels);
  *set = (example_images){0};
}

/* The first `count` rows as a tensor of their own. */
static inline mica_tensor *example_first_rows(const mica_tensor *tensor, int64_t count) {
  mica_type type = mica_tensor_type(tensor);
  type.shape.dim[0] = count;
  return mica_tensor_from(type.dtype, type.shape, mica_tensor_data(tensor));
}

/* u8 [height, width, channels of 1 or 3] as PNG; without libmica_image in Netpbm's format, at the same place with another
 * ending. */
static inline bool example_save_image(example *ex, const char *path, mica_tensor *image) {
  if (!example_good(ex)) return false;
#ifdef MICA_HAVE_IMAGE
  if (mica_image_save(path, image, 0, &ex->error) != MICA_OK) return false;
  printf("%s: %s\n", ex->name, path);
#else
  char other[1100];
  mica_type type = mica_tensor_type(image);
  const char *end = strrchr(path, '.');
  bool color = type.shape.dim[2] == 3;
  snprintf(other, sizeof other, "%.*s.%s", (int)(end ? end - path : (long)strlen(path)), path,
           color ? "ppm" : "pgm");
  FILE *file = fopen(other, "wb");
  size_t size = (size_t)mica_shape_count(type.shape);
  bool good = file &&
              fprintf(file, "P%d\n%lld %lld\n255\n", color ? 6 : 5, (long long)type.shape.dim[1],
                      (long long)type.shape.dim[0]) > 0 &&
              fwrite(mica_tensor_data(image), 1, size, file) == size;
  if (file && fclose(file) != 0) good = false;
  if (!good) return mica_error_set(&ex->error, MICA_IO, "%s cannot be written", other) == MICA_OK;
  printf("%s: %s\n", ex->name, other);
#endif
  return true;
}

/* ---- MNIST and Fashion-MNIST -------------------------------------------------------------------------- */

enum { EXAMPLE_TRAIN, EXAMPLE_TEST };

typedef struct {
  const char *name, *variable; /* of the folder in the cache, of the environment */
  const char *places[2];
  const char *advice;
  const char *sha256[2][2]; /* of train and test: images, labels, uncompressed */
} example_idx_set;

/* Of Yann LeCun, Corinna Cortes and Christopher Burges, 1998. */
static const example_idx_set example_mnist = {
    .name = "mnist",
    .variable = "MICA_MNIST",
    .advice = "tools/fetch_data mnist brings them",
    .sha256 = {{"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
               {"0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}}};

/* Xiao et al. 2017, arXiv 1708.07747. */
static const example_idx_set example_fashion_mnist = {
    .name = "fashion-mnist",
    .variable = "MICA_FASHION_MNIST",
    .places = {"/usr/share/datasets/fashion-mnist"},
    .advice = "install Debian's dataset-fashion-mnist, or run tools/fetch_fashion_mnist",
    .sha256 = {{"c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
               {"5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}}};
static const char *const example_fashion_classes[10] = {
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"};

/* One file, with or without .gz, checked to be the published one. */
static inline mica_tensor *example_load_idx(example *ex, const example_idx_set *set, int part,
                                            bool labels) {
  char file[64], folder[1024], path[1200], found[65];
  mica_tensor *tensor = NULL;
  snprintf(file, sizeof file, "%s-%s.gz", part == EXAMPLE_TRAIN ? "train" : "t10k",
           labels ? "labels-idx1-ubyte" : "images-idx3-ubyte");
  if (ex->urls) {
    if (!example_fetch(ex, set->name, file, path, sizeof path)) return NULL;
  } else {
    bool there =
        example_find(ex, set->variable, set->places, set->name, file, folder, sizeof folder);
    if (!there) {
      file[strlen(file) - 3] = 0;
      there = example_find(ex, set->variable, set->places, set->name, file, folder, sizeof folder);
    }
    if (!there) {
      mica_error_set(&ex->error, MICA_NOT_FOUND,
                     "the images are missing: %s%s%s; --data DIR says where they are", file,
                     ex->data ? " is not in " : "; ", ex->data ? ex->data : set->advice);
      return NULL;
    }
    snprintf(path, sizeof path, "%s/%s", folder, file);
  }
  if (mica_idx_load_checked(path, found, &tensor, &ex->error) != MICA_OK) return NULL;
  const char *expected = set->sha256[part][labels];
  if (!strcmp(found, expected)) return tensor;
  mica_error_set(&ex->error, MICA_DATA_LOSS, "%s: the SHA-256 of its contents is %s, expected %s",
                 path, found, expected);
  if (ex->urls) remove(path); /* it was fetched just now */
  mica_tensor_release(tensor);
  return NULL;
}

/* Training images 60,000, test images 10,000, or as many as --limit allows. */
static inline bool example_load_images(example *ex, const example_idx_set *set, int part,
                                       example_images *out) {
  *out = (example_images){0};
  if (!example_good(ex)) return false;
  mica_tensor *images = example_load_idx(ex, set, part, false);
  mica_tensor *labels = images ? example_load_idx(ex, set, part, true) : NULL;
  if (labels) {
    int64_t count = mica_tensor_type(labels).shape.dim[0];
    if (ex->limit && ex->limit < count) count = ex->limit;
    out->count = count;
    out->images = mica_tensor_from(MICA_U8, MICA_DIMS(count, 28, 28, 1), mica_tensor_data(images));
    int32_t *wide = malloc((size_t)count * sizeof *wide);
    if (wide) {
      mica_convert_elements(MICA_I32, wide, MICA_U8, mica_tensor_data(labels), count);
      out->labels = mica_tensor_from(MICA_I32, MICA_DIMS(count), wide);
    }
    free(wide);
    if (!out->images || !out->labels)
      mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  }
  mica_tensor_release(images), mica_tensor_release(labels);
  return example_good(ex);
}

/* ---- batches ------------------------------------------------------------------------------------------- */

/* Batches for training: shuffled, whole ones only; with `augment`, each image is changed on its way, on all cores. */
static inline mica_dataset *example_training_batches(example *ex, const example_images *set,
                                                     int64_t batch, mica_augment_options *augment) {
  mica_tensor *tensors[2] = {set->images, set->labels};
  mica_memory_options rows = {.struct_size = sizeof rows,
                              .tensors = tensors,
                              .count = 2,
                              .batch = augment ? 0 : batch,
                              .shuffle = true,
                              .drop_last = true,
                              .seed = ex->seed};
  mica_batch_options whole = {.struct_size = sizeof whole, .size = batch, .drop_last = true};
  if (!example_batches(ex, set->count, batch)) return NULL;
  mica_dataset *data = mica_dataset_from_tensors(&rows, &ex->error);
  if (augment) {
    data = mica_dataset_parallel_map(data, mica_augment, augment, ex->threads, true, &ex->error);
    data = mica_dataset_batch(data, &whole, &ex->error);
  }
  return mica_dataset_prefetch(data, 2, &ex->error);
}

static inline mica_dataset *example_test_batches(example *ex, const example_images *set,
                                                 int64_t batch) {
  mica_tensor *tensors[2] = {set->images, set->labels};
  mica_memory_options rows = {
      .struct_size = sizeof rows, .tensors = tensors, .count = 2, .batch = batch};
  return example_good(ex) ? mica_dataset_from_tensors(&rows, &ex->error) : NULL;
}

/* ---- classifiers ---------------------------------------------------------------------------------------- */

/* Labels i32 [batch]: the mean cross-entropy of logits [batch, classes], smoothed by the number `user` points to. */
static inline mica_value example_cross_entropy(mica_value logits, const mica_value *targets,
                                               void *user) {
  const double *smoothing = user;
  return mica_loss_cross_entropy_logits(logits, targets[0],
                                        .label_smoothing = smoothing ? *smoothing : 0);
}

/* The part of right answers. */
static inline void example_accuracy(mica_value logits, const mica_value *targets, mica_value *out,
                                    void *user) {
  (void)user;
  mica_value right = mica_equal(mica_arg_max(logits, -1), targets[0]);
  out[0] = mica_reduce_mean(mica_convert(right, MICA_F32), MICA_ALL);
}
static const char *const example_accuracy_names[] = {"accuracy"};

/* Predicts all rows of a data set in their order and counts: confusion [classes, classes], row: true class. The accuracy in percent,
 * or NaN. */
static inline double example_confusion(example *ex, mica_dataset *data, const example_images *set,
                                       int64_t classes, int64_t *confusion) {
  int64_t right = 0;
  mica_tensor *logits = NULL;
  if (!example_good(ex) || ex->interrupted || !data) return NAN;
  memset(confusion, 0, sizeof *confusion * (size_t)(classes * classes));
  double *scores = malloc(sizeof *scores * (size_t)(set->count * classes));
  mica_status status = scores ? mica_trainer_predict_dataset(ex->trainer, data, &logits, &ex->error)
                              : mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  if (status == MICA_OK)
    status = mica_tensor_read_doubles(logits, scores, set->count * classes, &ex->error);
  const int32_t *labels = mica_tensor_data(set->labels);
  for (int64_t i = 0; status == MICA_OK && i < set->count; i++) {
    int64_t best = 0;
    for (int64_t c = 1; c < classes; c++)
      if (scores[i * classes + c] > scores[i * classes + best]) best = c;
    confusion[labels[i] * classes + best]++;
    right += labels[i] == best;
  }
  free(scores);
  mica_tensor_release(logits);
  return status == MICA_OK && set->count ? 100.0 * (double)right / (double)set->count : NAN;
}

#endif
