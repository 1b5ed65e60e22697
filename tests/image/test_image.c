/* SPDX-License-Identifier: Apache-2.0 */
/* PNG and JPEG: round trips, channels, resizing, folders as data sets; every damage of a file is an error or an image,
 * never a crash. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/image.h"

static mica_tensor *picture(int64_t height, int64_t width, int64_t channels) {
  uint8_t *pixels = malloc((size_t)(height * width * channels));
  for (int64_t y = 0; y < height; y++)
    for (int64_t x = 0; x < width; x++)
      for (int64_t c = 0; c < channels; c++)
        pixels[(y * width + x) * channels + c] =
            (uint8_t)(128 + 100 * sin((double)y / 9 + (double)c) * cos((double)x / 7));
  mica_tensor *tensor = mica_tensor_from(MICA_U8, MICA_DIMS(height, width, channels), pixels);
  free(pixels);
  return tensor;
}

static double mean_difference(const mica_tensor *a, const mica_tensor *b) {
  if (!CHECK(mica_type_equal(mica_tensor_type(a), mica_tensor_type(b)))) return 1e9;
  const uint8_t *x = mica_tensor_data(a), *y = mica_tensor_data(b);
  double sum = 0;
  size_t size = mica_tensor_byte_size(a);
  for (size_t i = 0; i < size; i++) sum += abs(x[i] - y[i]);
  return sum / (double)size;
}

TEST(round_trips) {
  for (int channels = 1; channels <= 4; channels++) {
    if (channels == 2) continue;
    mica_tensor *made = picture(37, 53, channels), *back = NULL;
    mica_error error = {0};
    char path[1024];
    snprintf(path, sizeof path, "%s", check_temporary_path("image.png"));
    CHECK_OK_ERROR(mica_image_save(path, made, 0, &error), &error);
    CHECK_OK_ERROR(mica_image_load(path, NULL, &back, &error), &error);
    CHECK(mica_tensor_equal(made, back));
    mica_tensor_release(back);
    if (channels < 4) {
      snprintf(path, sizeof path, "%s", check_temporary_path("image.jpg"));
      CHECK_OK_ERROR(mica_image_save(path, made, 95, &error), &error);
      CHECK_OK_ERROR(mica_image_load(path, NULL, &back, &error), &error);
      CHECK(mean_difference(made, back) < 2);
      mica_tensor_release(back);
    }
    for (int wanted = 1; wanted <= 4; wanted++) {
      if (wanted == 2) continue;
      mica_image_options options = {
          .struct_size = sizeof options, .channels = wanted, .size = {20, 30}};
      CHECK_OK_ERROR(mica_image_load(path, &options, &back, &error), &error);
      CHECK(mica_shape_equal(mica_tensor_type(back).shape, MICA_DIMS(20, 30, wanted)));
      mica_tensor_release(back);
    }
    mica_tensor_release(made);
  }
}

/* The mean stays when an image shrinks, and its pixels stay near what the picture has in their place. */
TEST(resizes) {
  mica_tensor *large = picture(64, 96, 3), *small = NULL;
  mica_error error = {0};
  char path[1024];
  snprintf(path, sizeof path, "%s", check_temporary_path("resized.png"));
  CHECK_OK(mica_image_save(path, large, 0, &error));
  mica_image_options options = {.struct_size = sizeof options, .size = {16, 24}};
  CHECK_OK_ERROR(mica_image_load(path, &options, &small, &error), &error);
  double sums[2] = {0, 0};
  const uint8_t *a = mica_tensor_data(large), *b = mica_tensor_data(small);
  for (int i = 0; i < 64 * 96 * 3; i++) sums[0] += a[i];
  for (int i = 0; i < 16 * 24 * 3; i++) sums[1] += b[i];
  CHECK_NEAR(sums[0] / (64 * 96 * 3), sums[1] / (16 * 24 * 3), 1);
  /* in the inside a pixel is near what the picture has at its middle */
  for (int y = 2; y < 14; y++)
    for (int x = 2; x < 22; x++)
      CHECK(abs(b[(y * 24 + x) * 3] - a[((y * 4 + 2) * 96 + x * 4 + 2) * 3]) < 12);
  mica_tensor_release(large), mica_tensor_release(small);
}

static size_t read_file(const char *path, unsigned char *bytes, size_t most) {
  FILE *file = fopen(path, "rb");
  if (!CHECK(file != NULL)) return 0;
  size_t size = fread(bytes, 1, most, file);
  fclose(file);
  return size;
}

TEST(survives_damage) {
  static unsigned char bytes[1 << 16];
  static const char *const names[] = {"damage.png", "damage.jpg"};
  for (int kind = 0; kind < 2; kind++) {
    char path[1024];
    mica_tensor *made = picture(24, 17, 3), *image = NULL;
    snprintf(path, sizeof path, "%s", check_temporary_path(names[kind]));
    CHECK_OK(mica_image_save(path, made, kind ? 80 : 0, NULL));
    size_t size = read_file(path, bytes, sizeof bytes);
    uint32_t random = 1;
    for (int i = 0; i < 3000; i++) {
      random = random * 1664525 + 1013904223;
      size_t at = (random >> 8) % size;
      unsigned char kept = bytes[at];
      bytes[at] ^= (unsigned char)(1 << i % 8);
      mica_error error = {0};
      mica_image_options options = {.struct_size = sizeof options,
                                    .channels = i % 3 == 0   ? 0
                                                : i % 3 == 1 ? 1
                                                             : 4,
                                    .largest = 1 << 16};
      mica_status status =
          mica_image_parse(bytes, i % 7 == 0 ? at : size, &options, &image, &error);
      CHECK((status == MICA_OK) == (image != NULL) && error.status == status);
      mica_tensor_release(image);
      bytes[at] = kept;
    }
    for (size_t cut = 0; cut + 30 < size; cut += 1 + size / 200)
      CHECK(mica_image_parse(bytes, cut, NULL, &image, NULL) != MICA_OK);
    mica_image_options small = {.struct_size = sizeof small, .largest = 100};
    mica_error error = {0};
    CHECK_STATUS(mica_image_parse(bytes, size, &small, &image, &error), MICA_DATA_LOSS);
    CHECK_STR_CONTAINS(error.message, "above the limit");
    mica_tensor_release(made);
  }
  mica_tensor *image;
  CHECK_STATUS(mica_image_parse("GIF89a", 6, NULL, &image, &(mica_error){0}), MICA_UNSUPPORTED);
  CHECK_STATUS(mica_image_load("no/such.png", NULL, &image, &(mica_error){0}), MICA_NOT_FOUND);
  CHECK_STATUS(
      mica_image_parse("x", 1, &(mica_image_options){.channels = 2}, &image, &(mica_error){0}),
      MICA_INVALID);
  /* a header of 2^20 by 2^6 pixels in a hundred bytes */
  static const unsigned char bomb[] = {0x89, 'P', 'N', 'G', 13,  10, 26, 10,  0,   0, 0,
                                       13,   'I', 'H', 'D', 'R', 0,  15, 255, 255, 0, 0,
                                       0,    64,  8,   2,   0,   0,  0,  0,   0,   0, 0};
  CHECK_STATUS(mica_image_parse(bomb, sizeof bomb, NULL, &image, &(mica_error){0}), MICA_DATA_LOSS);
}

void fuzz_image(const uint8_t *bytes, size_t size);

/* Files that another library wrote, of every kind, as they are and with bytes changed, through the fuzz target. */
TEST(corpus) {
  static unsigned char bytes[1 << 16];
  char folder[1024];
  snprintf(folder, sizeof folder, "%s", check_source_path("tests/image/corpus"));
  DIR *open = opendir(folder);
  int count = 0;
  if (!CHECK(open != NULL)) return;
  for (struct dirent *entry; (entry = readdir(open)) != NULL;) {
    char path[2048];
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    size_t size = read_file(path, bytes, sizeof bytes);
    mica_tensor *image = NULL;
    mica_error error = {0};
    mica_status status = mica_image_parse(bytes + 1, size - 1, NULL, &image, &error);
    if (strstr(entry->d_name, "cmyk") != NULL)
      CHECK_STATUS(status, MICA_UNSUPPORTED);
    else if (strstr(entry->d_name, "found") != NULL)
      CHECK(status != MICA_OK);
    else if (strlen(entry->d_name) != 40) /* named by its hash: the fuzzer's, whole or not */
      CHECK_OK_ERROR(status, &error);
    mica_tensor_release(image);
    fuzz_image(bytes, size);
    uint32_t random = (uint32_t)size;
    for (int i = 0; i < 300; i++) {
      random = random * 1664525 + 1013904223;
      size_t at = (random >> 8) % size;
      unsigned char kept = bytes[at];
      bytes[at] = (unsigned char)(i % 2 ? kept ^ 1u << i % 8 : random >> 24);
      fuzz_image(bytes, i % 5 == 4 ? at : size);
      bytes[at] = kept;
    }
    count++;
  }
  closedir(open);
  CHECK(count >= 9);
}

TEST(folders) {
  char root[1024], path[1400], command[5000];
  snprintf(root, sizeof root, "%s", check_temporary_path("classes"));
  snprintf(command, sizeof command, "rm -rf '%s' && mkdir -p '%s/dog' '%s/cat' '%s/empty'", root,
           root, root, root);
  CHECK_EQ_INT(system(command), 0);
  for (int i = 0; i < 7; i++) {
    mica_tensor *made = picture(20 + i, 30, 3);
    snprintf(path, sizeof path, "%s/%s/%d.%s", root, i % 2 ? "dog" : "cat", i,
             i % 3 == 0 ? "PNG" : "jpg");
    CHECK_OK(mica_image_save(path, made, i % 3 == 0 ? 0 : 90, NULL));
    mica_tensor_release(made);
  }
  snprintf(command, sizeof command, "echo notes > '%s/cat/readme.txt'; echo x > '%s/.hidden'", root,
           root);
  CHECK_EQ_INT(system(command), 0);
  mica_error error = {0};
  mica_vocabulary *classes = NULL;
  mica_image_folder_options options = {
      .struct_size = sizeof options, .path = root, .shuffle = true, .seed = 1};
  mica_image_options decoding = {.struct_size = sizeof decoding, .channels = 3, .size = {16, 16}};
  mica_dataset *d = mica_image_folder(&options, &classes, &error);
  d = mica_dataset_parallel_map(d, mica_image_map, &decoding, 2, true, &error);
  d = mica_dataset_batch(
      d, &(mica_batch_options){.struct_size = sizeof(mica_batch_options), .size = 3}, &error);
  if (!CHECK(d != NULL)) {
    printf("%s\n", error.message);
    return;
  }
  CHECK_EQ_INT(mica_vocabulary_count(classes), 3);
  CHECK_EQ_STR(mica_vocabulary_word(classes, 0), "cat");
  CHECK_EQ_STR(mica_vocabulary_word(classes, 1), "dog");
  mica_batch batch = {0};
  char position[1024];
  int counts[3] = {0}, batches = 0;
  double second[16] = {0};
  while (CHECK_OK_ERROR(mica_dataset_next(d, &batch, &error), &error) && batch.count > 0) {
    double labels[3];
    int64_t rows = mica_tensor_type(batch.tensor[0]).shape.dim[0];
    CHECK(mica_shape_equal(mica_tensor_type(batch.tensor[0]).shape, MICA_DIMS(rows, 16, 16, 3)));
    CHECK_OK(mica_tensor_read_doubles(batch.tensor[1], labels, rows, NULL));
    for (int i = 0; i < rows; i++) counts[(int)labels[i]]++;
    if (++batches == 1) CHECK(mica_dataset_save(d, position, sizeof position) > 0);
    if (batches == 2)
      second[0] = ((const uint8_t *)mica_tensor_data(batch.tensor[0]))[100], second[1] = labels[0];
  }
  CHECK(counts[0] == 4 && counts[1] == 3 && counts[2] == 0 && batches == 3);
  CHECK_OK_ERROR(mica_dataset_restore(d, position, &error), &error);
  CHECK_OK(mica_dataset_next(d, &batch, NULL));
  CHECK_NEAR(((const uint8_t *)mica_tensor_data(batch.tensor[0]))[100], second[0], 0);
  mica_batch_clear(&batch);
  mica_dataset_destroy(d);
  mica_vocabulary_destroy(classes);
  options.path = "/no/such";
  CHECK(mica_image_folder(&options, NULL, &(mica_error){0}) == NULL);
}

TEST_MAIN(TEST_CASE(round_trips), TEST_CASE(resizes), TEST_CASE(survives_damage), TEST_CASE(corpus),
          TEST_CASE(folders))
