/* SPDX-License-Identifier: Apache-2.0 */
/* words.c: texts as words, as numbers of words, and as bags of words, without their order.
 *
 * Words are found byte by byte, without tables of Unicode: bytes above 127 belong to words, so that those of UTF-8
 * stay whole. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "data/dataset.h"

enum { TEXT_BLANK, TEXT_LETTER, TEXT_SIGN };

static int text_class(uint8_t byte) {
  if (byte <= ' ' || byte == 127) return TEXT_BLANK;
  bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                (byte >= '0' && byte <= '9') || byte > 127;
  return letter ? TEXT_LETTER : TEXT_SIGN;
}

bool mica_text_next(const void *text, size_t size, size_t *at, char word[MICA_TEXT_WORD + 1],
                    size_t *out_size) {
  const uint8_t *bytes = text;
  size_t place = *at, used = 0;
  while (place < size && text_class(bytes[place]) == TEXT_BLANK) place++;
  if (place < size && text_class(bytes[place]) == TEXT_SIGN) {
    word[used++] = (char)bytes[place++];
  } else {
    for (; place < size && text_class(bytes[place]) == TEXT_LETTER; place++) {
      uint8_t byte = bytes[place];
      if (byte >= 'A' && byte <= 'Z') byte = (uint8_t)(byte + ('a' - 'A'));
      if (used < MICA_TEXT_WORD) word[used++] = (char)byte;
    }
  }
  word[used] = 0;
  *at = place, *out_size = used;
  return used > 0;
}

/* The runs of words that end with the next one: 1 to `longest` words, joined by blanks. */
typedef struct {
  const void *text;
  size_t size, at, used,
      begin[MICA_TEXT_RUN]; /* begin: of the last words in `words`, oldest first */
  int32_t longest, count;
  char words[MICA_TEXT_RUN * (MICA_TEXT_WORD + 1) + 1];
} word_runs;

/* Takes the next word in; run k of `count` is words + begin[k], to the end. */
static bool next_runs(word_runs *r) {
  if (r->count == r->longest) { /* the oldest word goes */
    size_t gone = r->count > 1 ? r->begin[1] : r->used;
    memmove(r->words, r->words + gone, r->used - gone);
    r->used -= gone, r->count--;
    for (int32_t i = 0; i < r->count; i++) r->begin[i] = r->begin[i + 1] - gone;
  }
  char word[MICA_TEXT_WORD + 1];
  size_t size = 0;
  if (!mica_text_next(r->text, r->size, &r->at, word, &size)) return false;
  if (r->count > 0) r->words[r->used++] = ' ';
  r->begin[r->count++] = r->used;
  memcpy(r->words + r->used, word, size);
  r->used += size;
  return true;
}

mica_status mica_vocabulary_add_text(mica_vocabulary *vocabulary, const void *text, size_t size,
                                     int32_t longest, bool once, mica_error *error) {
  if (vocabulary == NULL || (text == NULL && size > 0) || longest < 1 || longest > MICA_TEXT_RUN)
    return mica_error_set(error, MICA_INVALID,
                          "vocabulary: it is NULL, or the text, or runs are not of 1 to %d words",
                          MICA_TEXT_RUN);
  mica_vocabulary *to = once ? mica_vocabulary_create() : vocabulary;
  if (to == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "vocabulary: out of memory");
  mica_status status = MICA_OK;
  word_runs runs = {.text = text, .size = size, .longest = longest};
  while (status == MICA_OK && next_runs(&runs))
    for (int32_t k = 0; k < runs.count && status == MICA_OK; k++)
      status = mica_vocabulary_add(to, runs.words + runs.begin[k], runs.used - runs.begin[k], NULL,
                                   error);
  if (!once) return status;
  for (int64_t i = 0; status == MICA_OK && i < mica_vocabulary_count(to); i++) {
    const char *found = mica_vocabulary_word(to, i);
    status = mica_vocabulary_add(vocabulary, found, strlen(found), NULL, error);
  }
  mica_vocabulary_destroy(to);
  return status;
}

/* ---- maps ------------------------------------------------------------------------------------ */

/* The text of a map, or an error. */
static mica_status text_of(const mica_text_options *o, const mica_batch *in, const char *who,
                           const uint8_t **out_text, size_t *out_size, mica_error *error) {
  if (o == NULL || o->vocabulary == NULL || o->length < 0 || o->texts < 0 || o->longest < 0 ||
      o->longest > MICA_TEXT_RUN || o->key < 0 || o->key >= in->count)
    return mica_error_set(error, MICA_INVALID,
                          "%s: a vocabulary and a tensor of the batch are needed", who);
  mica_type type = mica_tensor_type(in->tensor[o->key]);
  if (type.dtype != MICA_U8 || type.shape.rank != 1) {
    char text[160];
    mica_type_format(type, text, sizeof text);
    return mica_error_set(error, MICA_INVALID, "%s: expected a text u8 [bytes], not %s", who, text);
  }
  *out_text = mica_tensor_data(in->tensor[o->key]);
  *out_size = (size_t)type.shape.dim[0];
  return MICA_OK;
}

static mica_status text_deliver(const mica_text_options *o, const mica_batch *in, mica_tensor *made,
                                mica_batch *out, const char *who, mica_error *error) {
  if (made == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "%s: out of memory", who);
  out->count = in->count;
  for (int32_t i = 0; i < in->count; i++)
    out->tensor[i] = i == o->key ? made : mica_tensor_retain(in->tensor[i]);
  return MICA_OK;
}

mica_status mica_text_ids(void *user, mica_map_position position, const mica_batch *in,
                          mica_batch *out, mica_error *error) {
  const mica_text_options *o = user;
  const uint8_t *text = NULL;
  size_t size = 0, at = 0, length = 0;
  (void)position;
  mica_status status = text_of(o, in, "text_ids", &text, &size, error);
  if (status != MICA_OK) return status;
  char word[MICA_TEXT_WORD + 1];
  int64_t count = o->length;
  if (count == 0)
    while (mica_text_next(text, size, &at, word, &length)) count++;
  mica_tensor *made = mica_tensor_from(MICA_I32, MICA_DIMS(count), NULL);
  int32_t *ids = made != NULL ? mica_tensor_mutable_data(made) : NULL;
  at = 0;
  for (int64_t i = 0; ids != NULL && i < count; i++) {
    if (!mica_text_next(text, size, &at, word, &length)) break;
    ids[i] = (int32_t)mica_vocabulary_find(o->vocabulary, word, length) + 2;
  }
  return text_deliver(o, in, made, out, "text_ids", error);
}

mica_status mica_text_bag(void *user, mica_map_position position, const mica_batch *in,
                          mica_batch *out, mica_error *error) {
  const mica_text_options *o = user;
  const uint8_t *text = NULL;
  size_t size = 0;
  (void)position;
  mica_status status = text_of(o, in, "text_bag", &text, &size, error);
  if (status != MICA_OK) return status;
  int64_t count = mica_vocabulary_count(o->vocabulary);
  mica_tensor *made = mica_tensor_from(MICA_F32, MICA_DIMS(count), NULL);
  float *bag = made != NULL ? mica_tensor_mutable_data(made) : NULL;
  word_runs runs = {.text = text, .size = size, .longest = o->longest == 0 ? 1 : o->longest};
  while (bag != NULL && next_runs(&runs))
    for (int32_t k = 0; k < runs.count; k++) {
      int64_t id = mica_vocabulary_find(o->vocabulary, runs.words + runs.begin[k],
                                        runs.used - runs.begin[k]);
      if (id >= 0) bag[id]++;
    }
  double squares = 0;
  for (int64_t i = 0; bag != NULL && i < count; i++) {
    if (bag[i] == 0) continue;
    double x = o->logarithm ? 1 + log((double)bag[i]) : (double)bag[i];
    if (o->texts > 0)
      x *= 1 +
           log((1.0 + (double)o->texts) / (1.0 + (double)mica_vocabulary_uses(o->vocabulary, i)));
    bag[i] = (float)x;
    squares += x * x;
  }
  for (int64_t i = 0; bag != NULL && o->normalize && squares > 0 && i < count; i++)
    bag[i] = (float)((double)bag[i] / sqrt(squares));
  return text_deliver(o, in, made, out, "text_bag", error);
}
