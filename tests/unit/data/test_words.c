/* SPDX-License-Identifier: Apache-2.0 */
/* Words of texts, their numbers and bags, against Python's re and scikit-learn (tests/golden/words.py); misuse. */
#include <string.h>

#include "check.h"
#include "mica/data.h"

static mica_npz *golden;

static const void *data_of(const char *name) {
  return mica_tensor_data(mica_npz_find(golden, name));
}

static bool open_golden(void) {
  mica_error error = {0};
  return CHECK_OK_ERROR(mica_npz_load(check_source_path("tests/golden/words.npz"), &golden, &error),
                        &error);
}

static mica_tensor *text_at(const char *texts, const char *places, int i) {
  const int64_t *place = data_of(places);
  return mica_tensor_from(MICA_U8, MICA_DIMS(place[i + 1] - place[i]),
                          (const uint8_t *)data_of(texts) + place[i]);
}

static int64_t text_count(void) {
  return mica_tensor_type(mica_npz_find(golden, "places")).shape.dim[0] - 1;
}

/* Of all texts, each word once a text. */
static mica_vocabulary *count_words(int32_t longest) {
  mica_vocabulary *v = mica_vocabulary_create();
  for (int i = 0; i < text_count(); i++) {
    mica_tensor *text = text_at("texts", "places", i);
    CHECK_OK(mica_vocabulary_add_text(v, mica_tensor_data(text), mica_tensor_byte_size(text),
                                      longest, true, NULL));
    mica_tensor_release(text);
  }
  return v;
}

static void check_vocabulary(int32_t longest, const char *words, const char *uses_name) {
  mica_vocabulary *v = count_words(longest);
  const char *word = data_of(words);
  size_t left = mica_tensor_byte_size(mica_npz_find(golden, words));
  const int64_t *uses = data_of(uses_name);
  int64_t count = mica_tensor_type(mica_npz_find(golden, uses_name)).shape.dim[0];
  CHECK_EQ_INT(mica_vocabulary_count(v), count);
  for (int64_t i = 0; i < count && i < mica_vocabulary_count(v); i++) {
    const char *end = memchr(word, '\n', left);
    size_t size = end ? (size_t)(end - word) : left;
    CHECK_EQ_INT(strlen(mica_vocabulary_word(v, i)), size);
    CHECK(strncmp(mica_vocabulary_word(v, i), word, size) == 0);
    CHECK_EQ_INT(mica_vocabulary_uses(v, i), uses[i]);
    word += size + 1;
    left -= end ? size + 1 : size;
  }
  mica_vocabulary_destroy(v);
}

TEST(words_of_texts) {
  if (!open_golden()) return;
  check_vocabulary(1, "words", "uses");
  check_vocabulary(2, "pairs", "pair_uses");
  /* each time it stands there */
  mica_vocabulary *all = mica_vocabulary_create();
  CHECK_OK(mica_vocabulary_add_text(all, "a b a, A", 8, 1, false, NULL));
  CHECK_EQ_INT(mica_vocabulary_count(all), 3);
  CHECK_EQ_INT(mica_vocabulary_uses(all, 0), 3);
  CHECK_OK(
      mica_vocabulary_add_text(all, "b a, b", 6, 3, false, NULL)); /* b a; b a ,; a ,; a , b; , b */
  CHECK_EQ_INT(mica_vocabulary_count(all), 8);
  CHECK_EQ_INT(mica_vocabulary_uses(all, mica_vocabulary_find(all, "a , b", 5)), 1);
  CHECK_STATUS(mica_vocabulary_add_text(all, "a", 1, 9, false, NULL), MICA_INVALID);
  CHECK_OK(mica_vocabulary_add_text(all, NULL, 0, 1, true, NULL));
  mica_error error = {0};
  CHECK_STATUS(mica_vocabulary_add_text(NULL, "a", 1, 1, true, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "vocabulary");
  mica_vocabulary_destroy(all);
  mica_npz_destroy(golden);
}

static void check_map(mica_map_callback *map, mica_text_options *options, const char *name) {
  mica_tensor *expected = mica_npz_find(golden, name);
  mica_type type = mica_tensor_type(expected);
  int64_t width = type.shape.dim[1];
  for (int i = 0; i < type.shape.dim[0]; i++) {
    mica_tensor *text = text_at("asked", "asked_places", i),
                *other = mica_tensor_scalar(MICA_I32, i);
    mica_batch in = {2, {other, text}}, out = {0};
    mica_error error = {0};
    if (CHECK_OK_ERROR(map(options, (mica_map_position){0, i}, &in, &out, &error), &error)) {
      mica_tensor *row = mica_tensor_from(type.dtype, MICA_DIMS(width),
                                          (const char *)mica_tensor_data(expected) + 4 * width * i);
      mica_closeness close = {0};
      CHECK_EQ_INT(out.count, 2);
      CHECK(out.tensor[0] == other);
      CHECK_OK_ERROR(mica_tensor_compare(out.tensor[1], row, 1e-6, 1e-7, &close, &error), &error);
      CHECK(close.close);
      CHECK_EQ_INT(mica_tensor_type(out.tensor[1]).dtype, type.dtype);
      mica_tensor_release(row);
    }
    mica_batch_clear(&out), mica_batch_clear(&in);
  }
}

TEST(numbers_and_bags) {
  if (!open_golden()) return;
  mica_vocabulary *v = count_words(1), *pairs = count_words(2);
  mica_text_options options = {
      .struct_size = sizeof options, .key = 1, .vocabulary = v, .length = 12};
  check_map(mica_text_ids, &options, "ids");
  check_map(mica_text_bag, &options, "counts");
  options.texts = text_count();
  options.logarithm = options.normalize = true;
  check_map(mica_text_bag, &options, "tfidf");
  options.vocabulary = pairs, options.longest = 2;
  check_map(mica_text_bag, &options, "pair_tfidf");
  options.vocabulary = v, options.longest = 1;
  /* as long as the text */
  options.key = 0, options.length = 0;
  mica_batch in = {1, {mica_tensor_from(MICA_U8, MICA_DIMS(9), "a cat, so")}}, out = {0};
  CHECK_OK(mica_text_ids(&options, (mica_map_position){0, 0}, &in, &out, NULL));
  CHECK(mica_shape_equal(mica_tensor_type(out.tensor[0]).shape, MICA_DIMS(4)));
  const int32_t *ids = mica_tensor_data(out.tensor[0]);
  CHECK(ids[0] > 1 && ids[1] == mica_vocabulary_find(v, "cat", 3) + 2 && ids[2] > 1 && ids[3] == 1);
  mica_batch_clear(&out);
  /* misuse */
  mica_error error = {0};
  options.key = 1;
  CHECK_STATUS(mica_text_ids(&options, (mica_map_position){0, 0}, &in, &out, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "text_ids: a vocabulary and a tensor");
  options.key = 0, options.vocabulary = NULL;
  CHECK_STATUS(mica_text_bag(&options, (mica_map_position){0, 0}, &in, &out, NULL), MICA_INVALID);
  options.vocabulary = v;
  mica_batch_clear(&in);
  in = (mica_batch){1, {mica_tensor_scalar(MICA_F32, 1)}}, error = (mica_error){0};
  CHECK_STATUS(mica_text_bag(&options, (mica_map_position){0, 0}, &in, &out, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "expected a text u8 [bytes], not f32[]");
  mica_batch_clear(&in);
  mica_vocabulary_destroy(v), mica_vocabulary_destroy(pairs);
  mica_npz_destroy(golden);
}

TEST_MAIN(TEST_CASE(words_of_texts), TEST_CASE(numbers_and_bags))
