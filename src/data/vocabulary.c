/* SPDX-License-Identifier: Apache-2.0 */
/* vocabulary.c: words and their numbers, in a crit-bit tree (Bernstein, "Crit-bit trees", 2004): an inner node has
 * the first bit in which the words below it differ, so that a look-up reads the word once and compares once. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "mica/data.h"

/* A reference: even numbers are inner nodes, odd ones words, each times two. */
typedef struct {
  uint32_t child[2];
  uint32_t byte;
  uint8_t mask; /* the bit */
} crit_node;

typedef struct {
  const char *text;
  uint32_t size;
  int64_t uses;
} vocabulary_word;

struct mica_vocabulary {
  mica_arena arena;
  crit_node *nodes;
  vocabulary_word *words;
  uint32_t node_capacity, word_capacity, node_count, root;
  int64_t count;
};

mica_vocabulary *mica_vocabulary_create(void) {
  mica_vocabulary *vocabulary = mica_allocate_zeroed(NULL, 1, sizeof *vocabulary);
  if (vocabulary != NULL) mica_arena_init(&vocabulary->arena, NULL);
  return vocabulary;
}

void mica_vocabulary_destroy(mica_vocabulary *vocabulary) {
  if (vocabulary == NULL) return;
  if (vocabulary->nodes != NULL)
    mica_free(NULL, vocabulary->nodes, vocabulary->node_capacity * sizeof *vocabulary->nodes);
  if (vocabulary->words != NULL)
    mica_free(NULL, vocabulary->words, vocabulary->word_capacity * sizeof *vocabulary->words);
  mica_arena_deinit(&vocabulary->arena);
  mica_free(NULL, vocabulary, sizeof *vocabulary);
}

/* The byte of a word that is followed by zeros. */
static uint8_t byte_of(const char *word, size_t size, uint32_t at) {
  return at < size ? (uint8_t)word[at] : 0;
}

static int branch(const crit_node *node, const char *word, size_t size) {
  return (byte_of(word, size, node->byte) & node->mask) != 0;
}

/* The word with which the tree would answer. */
static uint32_t nearest(const mica_vocabulary *v, const char *word, size_t size) {
  uint32_t at = v->root;
  while ((at & 1) == 0) at = v->nodes[at / 2].child[branch(&v->nodes[at / 2], word, size)];
  return at / 2;
}

int64_t mica_vocabulary_find(const mica_vocabulary *vocabulary, const char *word, size_t size) {
  if (vocabulary == NULL || word == NULL || vocabulary->count == 0) return -1;
  uint32_t index = nearest(vocabulary, word, size);
  const vocabulary_word *found = &vocabulary->words[index];
  return found->size == size && memcmp(found->text, word, size) == 0 ? (int64_t)index : -1;
}

static mica_status vocabulary_memory(mica_error *error) {
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "vocabulary: out of memory");
}

mica_status mica_vocabulary_add(mica_vocabulary *vocabulary, const char *word, size_t size,
                                int64_t *out_index, mica_error *error) {
  mica_vocabulary *v = vocabulary;
  if (v == NULL || (word == NULL && size > 0) || size > UINT32_MAX / 4 ||
      (size > 0 && memchr(word, 0, size) != NULL))
    return mica_error_set(error, MICA_INVALID, "vocabulary: a word without zero bytes is needed");
  uint32_t other = v->count > 0 ? nearest(v, word, size) : 0, byte = 0;
  uint8_t difference = 0;
  if (v->count > 0) {
    const vocabulary_word *found = &v->words[other];
    size_t longest = found->size > size ? found->size : size;
    while (byte < longest) {
      difference = byte_of(found->text, found->size, byte) ^ byte_of(word, size, byte);
      if (difference != 0) break;
      byte++;
    }
    if (difference == 0) {
      v->words[other].uses++;
      if (out_index != NULL) *out_index = other;
      return MICA_OK;
    }
  }
  char *copy = mica_arena_allocate(&v->arena, size + 1);
  if (copy == NULL || v->count >= INT32_MAX ||
      !mica_grow(NULL, &v->words, &v->word_capacity, (size_t)v->count + 1, sizeof *v->words) ||
      !mica_grow(NULL, &v->nodes, &v->node_capacity, (size_t)v->node_count + 1, sizeof *v->nodes))
    return vocabulary_memory(error);
  if (size > 0) memcpy(copy, word, size);
  copy[size] = 0;
  uint32_t leaf = (uint32_t)v->count * 2 + 1;
  if (v->count == 0) {
    v->root = leaf;
  } else {
    uint8_t mask = 0x80;
    while ((difference & mask) == 0) mask >>= 1;
    crit_node made = {.byte = byte, .mask = mask};
    int side = branch(&made, word, size);
    uint32_t *place = &v->root; /* the first node below which the new bit is the earliest */
    while ((*place & 1) == 0) {
      crit_node *node = &v->nodes[*place / 2];
      if (node->byte > byte || (node->byte == byte && node->mask < mask)) break;
      place = &node->child[branch(node, word, size)];
    }
    made.child[side] = leaf;
    made.child[1 - side] = *place;
    *place = v->node_count * 2;
    v->nodes[v->node_count++] = made;
  }
  v->words[v->count] = (vocabulary_word){copy, (uint32_t)size, 1};
  if (out_index != NULL) *out_index = v->count;
  v->count++;
  return MICA_OK;
}

int64_t mica_vocabulary_count(const mica_vocabulary *vocabulary) {
  return vocabulary == NULL ? 0 : vocabulary->count;
}
const char *mica_vocabulary_word(const mica_vocabulary *vocabulary, int64_t index) {
  if (vocabulary == NULL || index < 0 || index >= vocabulary->count) return NULL;
  return vocabulary->words[index].text;
}
int64_t mica_vocabulary_uses(const mica_vocabulary *vocabulary, int64_t index) {
  if (vocabulary == NULL || index < 0 || index >= vocabulary->count) return 0;
  return vocabulary->words[index].uses;
}

typedef struct {
  int64_t uses, index;
} word_rank;

static int compare_ranks(const void *a, const void *b) {
  const word_rank *x = a, *y = b;
  if (x->uses != y->uses) return x->uses > y->uses ? -1 : 1;
  return (x->index > y->index) - (x->index < y->index);
}

mica_status mica_vocabulary_prune(const mica_vocabulary *vocabulary, int64_t most, int64_t least,
                                  mica_vocabulary **out_vocabulary, mica_error *error) {
  *out_vocabulary = NULL;
  if (vocabulary == NULL || most < 0)
    return mica_error_set(error, MICA_INVALID, "vocabulary: it is NULL or the size negative");
  size_t size = ((size_t)vocabulary->count + 1) * sizeof(word_rank);
  word_rank *ranks = mica_allocate(NULL, size);
  mica_vocabulary *pruned = mica_vocabulary_create();
  mica_status status = ranks != NULL && pruned != NULL ? MICA_OK : vocabulary_memory(error);
  for (int64_t i = 0; i < vocabulary->count && status == MICA_OK; i++)
    ranks[i] = (word_rank){vocabulary->words[i].uses, i};
  if (status == MICA_OK && vocabulary->count > 1)
    qsort(ranks, (size_t)vocabulary->count, sizeof *ranks, compare_ranks);
  for (int64_t i = 0; i < vocabulary->count && status == MICA_OK; i++) {
    if (ranks[i].uses < least || (most > 0 && i >= most)) break;
    const vocabulary_word *word = &vocabulary->words[ranks[i].index];
    status = mica_vocabulary_add(pruned, word->text, word->size, NULL, error);
    if (status == MICA_OK) pruned->words[pruned->count - 1].uses = word->uses;
  }
  if (ranks != NULL) mica_free(NULL, ranks, size);
  if (status == MICA_OK)
    *out_vocabulary = pruned;
  else
    mica_vocabulary_destroy(pruned);
  return status;
}

/* ---- quantiles ------------------------------------------------------------------------------- */

static int compare_values(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

mica_status mica_quantiles(const mica_tensor *values, int32_t count, bool distinct,
                           mica_tensor **out_quantiles, mica_error *error) {
  *out_quantiles = NULL;
  int64_t total = values != NULL ? mica_shape_count(mica_tensor_type(values).shape) : 0, kept = 0;
  if (values == NULL || count < 2 || mica_dtype_is_complex(mica_tensor_type(values).dtype))
    return mica_error_set(error, MICA_INVALID,
                          "quantiles: real numbers and a count of at least 2 are needed");
  size_t size = 0, result_size = (size_t)count * sizeof(double);
  double *numbers = mica_size_multiply((size_t)total + 1, sizeof *numbers, &size)
                        ? mica_allocate(NULL, size)
                        : NULL;
  double *result = mica_allocate(NULL, result_size);
  mica_status status = numbers != NULL && result != NULL
                           ? mica_tensor_read_doubles(values, numbers, total, error)
                           : vocabulary_memory(error);
  for (int64_t i = 0; i < total && status == MICA_OK; i++)
    if (numbers[i] == numbers[i]) numbers[kept++] = numbers[i];
  if (status == MICA_OK && kept == 0)
    status = mica_error_set(error, MICA_INVALID, "quantiles: there is no number");
  int64_t given = 0;
  if (status == MICA_OK) {
    qsort(numbers, (size_t)kept, sizeof *numbers, compare_values);
    for (int32_t i = 0; i < count; i++) {
      double place = (double)(kept - 1) * i / (count - 1);
      int64_t low = (int64_t)place, high = low + 1 < kept ? low + 1 : low;
      double part = place - (double)low;
      double value = numbers[low] == numbers[high] || part == 0
                         ? numbers[low]
                         : numbers[low] + (numbers[high] - numbers[low]) * part;
      value = (double)(float)value;
      if (!distinct || given == 0 || value > result[given - 1]) result[given++] = value;
    }
    *out_quantiles = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(given), result);
    if (*out_quantiles == NULL) status = vocabulary_memory(error);
  }
  if (numbers != NULL) mica_free(NULL, numbers, size);
  if (result != NULL) mica_free(NULL, result, result_size);
  return status;
}
