/* SPDX-License-Identifier: Apache-2.0 */
/* data.h: data sets: sources, stages that change their batches, formats of files.
 *
 * Every parser treats its file as hostile and takes memory in proportion to it. Ownership: what is created is
 * destroyed; tensors are reference-counted. docs/data.md tells more; example: examples/data_pipeline.c. */
#ifndef MICA_DATA_H
#define MICA_DATA_H
#include "mica/backend.h"
#include "mica/mesh.h"
#ifdef __cplusplus
extern "C" {
#endif

/* An IDX file (the format of MNIST and Fashion-MNIST), plain or gzip-compressed, as a tensor:
 * types u8, i8, i16, i32, f32, f64, big-endian, rank 1 to 8. Refuses what does not add up, and
 * never allocates more than the file justifies. */
MICA_API mica_status mica_idx_load(const char *path, mica_tensor **out_tensor, mica_error *error);
MICA_API mica_status mica_idx_parse(const void *bytes, size_t byte_size, mica_tensor **out_tensor,
                                    mica_error *error);
/* As mica_idx_load, and the SHA-256 of the uncompressed file, by which a data set is pinned. */
MICA_API mica_status mica_idx_load_checked(const char *path, char out_sha256[65],
                                           mica_tensor **out_tensor, mica_error *error);

/* A permutation of 0 .. count - 1 that depends on seed and epoch only (Fisher-Yates on Philox
 * words); the same on every platform. out_order [count]. */
MICA_API void mica_shuffle(uint64_t seed, uint64_t epoch, int64_t count, int64_t *out_order);
/* Copies the rows order[0 .. count) of `source` [n, ...] into `batch` [count, ...], converting
 * the dtype. */
MICA_API mica_status mica_gather_rows(const mica_tensor *source, const int64_t *order,
                                      int64_t count, mica_tensor *batch, mica_error *error);

/* ---- batches and data sets ---------------------------------------------------------------------- */

/* What a data set gives in one piece: tensors in a fixed order, such as inputs, then labels. The holder owns a
 * reference to each. */
enum { MICA_BATCH_TENSORS = 16 };
typedef struct {
  int32_t count;
  mica_tensor *tensor[MICA_BATCH_TENSORS];
} mica_batch;
MICA_API void mica_batch_clear(mica_batch *batch); /* releases them; NULL and {0} are fine */

/* A source of batches, epoch after epoch. Sources and stages nest:
 *
 *   mica_dataset *d = mica_dataset_from_tensors(&(mica_memory_options){...}, &error);
 *   d = mica_dataset_map(d, scale, NULL, &error);
 *   d = mica_dataset_prefetch(d, 4, &error);
 *
 * A stage owns its source, also when making the stage fails: it is then destroyed, the result is NULL, and
 * NULL passes through the further stages, so that one check at the end is enough. Everything random is a function
 * of seed, epoch and index: the same on every machine and for every number of threads. Threads: one thread
 * at a time uses a data set; its stages start threads of their own, and do without where there are none. */
typedef struct mica_dataset mica_dataset;
MICA_API void mica_dataset_destroy(mica_dataset *dataset);
MICA_API const char *mica_dataset_name(const mica_dataset *dataset); /* of the last stage: "map" */

/* The next batch; count 0 is the end of the epoch, and the call after that begins the next one. `batch` is {0}
 * or what an earlier call gave: tensors in it that nobody else holds are written anew, so that a loop over one
 * mica_batch allocates little. After an error the position is undefined until begin or restore. */
MICA_API mica_status mica_dataset_next(mica_dataset *dataset, mica_batch *batch, mica_error *error);
/* Goes to the start of an epoch; 0 is the first and where a new data set stands. */
MICA_API mica_status mica_dataset_begin(mica_dataset *dataset, int64_t epoch, mica_error *error);
MICA_API int64_t mica_dataset_epoch(const mica_dataset *dataset);
/* The position as JSON into text[size], always terminated; returns the length it needs, -1 without memory. What
 * stages read ahead does not count: restored in a data set that is made in the same way, exactly the batches that
 * had not been given out follow. Stages say where this takes time. */
MICA_API int64_t mica_dataset_save(mica_dataset *dataset, char *text, size_t size);
MICA_API mica_status mica_dataset_restore(mica_dataset *dataset, const char *text,
                                          mica_error *error);

/* A data set of the caller's. `self` belongs to it from here on, and is destroyed when making it fails. */
typedef struct mica_dataset_state mica_dataset_state;
typedef struct {
  size_t struct_size;
  const char *name; /* static */
  /* Fills *batch, which holds something already (reuse it or mica_batch_clear it); count 0 at the end of the
   * epoch. Not called again until begin. */
  mica_status (*next)(void *self, mica_batch *batch, mica_error *error);
  mica_status (*begin)(void *self, int64_t epoch, mica_error *error);
  /* The position within an epoch as integers; NULL: restoring begins the epoch and skips what was given. */
  void (*save)(void *self, mica_dataset_state *state);
  mica_status (*restore)(void *self, mica_dataset_state *state, mica_error *error);
  void (*destroy)(void *self); /* may be NULL */
} mica_dataset_methods;
MICA_API mica_dataset *mica_dataset_create(const mica_dataset_methods *methods, void *self,
                                           mica_error *error);
MICA_API void mica_dataset_state_put(mica_dataset_state *state, int64_t value);
MICA_API int64_t mica_dataset_state_take(mica_dataset_state *state); /* 0 when there is no more */

/* ---- sources ---- */

/* Rows of tensors [rows, ...] that lie in memory; tensor i of a batch has rows of tensors[i], which are
 * retained. */
typedef struct {
  size_t struct_size;
  mica_tensor *const *tensors; /* of 8-bit dtypes and wider */
  int32_t count;
  int64_t batch;    /* rows in a batch; 0: single rows, without the axis of rows */
  bool shuffle;     /* another order in each epoch, by mica_shuffle(seed, epoch) */
  bool replacement; /* each row is drawn by itself; as many as there are rows make an epoch */
  bool infinite;    /* no end: orders follow each other, also within a batch */
  bool drop_last;   /* a last batch with fewer rows is left out */
  uint64_t seed;
  const int64_t *rows; /* only these rows, such as a part of a split; copied. NULL: all */
  int64_t row_count;
} mica_memory_options;
MICA_API mica_dataset *mica_dataset_from_tensors(const mica_memory_options *options,
                                                 mica_error *error);
/* A random split of `count` rows: order [count] is a permutation by seed, of which part i is
 * order[begin[i] .. begin[i + 1]); begin [parts + 1]. Fractions are at least 0 and add up to at most 1. */
MICA_API mica_status mica_split_rows(uint64_t seed, int64_t count, const double *fractions,
                                     int32_t parts, int64_t *out_order, int64_t *out_begin,
                                     mica_error *error);

/* ---- stages ---- */

MICA_API mica_dataset *mica_dataset_take(mica_dataset *source, int64_t count, mica_error *error);
MICA_API mica_dataset *mica_dataset_skip(mica_dataset *source, int64_t count, mica_error *error);
/* `times` epochs of the source as one; 0: without end. Epoch e, round r is the source's epoch e * times + r. */
MICA_API mica_dataset *mica_dataset_repeat(mica_dataset *source, int64_t times, mica_error *error);

/* A function of one element: `in` is borrowed, *out is {0} and gets references. It may be called from many threads
 * by a parallel map; randomness comes from epoch and index, as in mica_map_random. */
typedef struct {
  int64_t epoch, index; /* of the element within its epoch */
} mica_map_position;
typedef mica_status mica_map_callback(void *user, mica_map_position position, const mica_batch *in,
                                      mica_batch *out, mica_error *error);
MICA_API mica_dataset *mica_dataset_map(mica_dataset *source, mica_map_callback *map, void *user,
                                        mica_error *error);
/* The same on `threads` threads (0: one for each core). ordered: elements come as from mica_dataset_map;
 * otherwise as they are ready, each once. */
MICA_API mica_dataset *mica_dataset_parallel_map(mica_dataset *source, mica_map_callback *map,
                                                 void *user, int32_t threads, bool ordered,
                                                 mica_error *error);
/* Four words of random bits for a seed, a position and a draw 0, 1, ... */
MICA_API void mica_map_random(uint64_t seed, mica_map_position position, uint32_t draw,
                              uint32_t out_words[4]);

/* Reads up to `depth` batches ahead on a thread. */
MICA_API mica_dataset *mica_dataset_prefetch(mica_dataset *source, int32_t depth,
                                             mica_error *error);
/* The same, and brings what it reads to the device's memory (mica_tensor_to_device) on that thread, so that a step finds
 * its inputs there. Retains the device. */
MICA_API mica_dataset *mica_dataset_upload(mica_dataset *source, mica_device *device, int32_t depth,
                                           mica_error *error);
/* Keeps the first epoch that is begun in memory and gives it in all later ones; an epoch that was left early is read
 * to its end first. Restoring into an empty cache reads it again. */
MICA_API mica_dataset *mica_dataset_cache(mica_dataset *source, mica_error *error);
/* `block` elements of each source in turn until all have ended. Owns the sources. */
MICA_API mica_dataset *mica_dataset_interleave(mica_dataset *const *sources, int32_t count,
                                               int64_t block, mica_error *error);
/* Through a buffer of `size` elements, for sources that cannot be shuffled as a whole. Restoring begins the epoch
 * and reads up to the position. */
MICA_API mica_dataset *mica_dataset_shuffle(mica_dataset *source, int64_t size, uint64_t seed,
                                            mica_error *error);

/* Elements stacked along a new axis 0. */
typedef struct {
  size_t struct_size;
  int64_t size; /* elements in a batch */
  bool drop_last;
  /* Shapes may differ: each tensor is padded behind its end to the largest of its batch. Otherwise they must be
   * equal. */
  bool pad;
  double pad_value;
} mica_batch_options;
MICA_API mica_dataset *mica_dataset_batch(mica_dataset *source, const mica_batch_options *options,
                                          mica_error *error);
/* Batches for devices that share them (mica/mesh.h): of each batch as many rows as divide among the devices along
 * `batch_axes` (NULL: the mesh's first axis), the others of it are left out; batches that are too small, as a whole. */
MICA_API mica_dataset *mica_dataset_divide(mica_dataset *source, const mica_mesh *mesh,
                                           const char *batch_axes, mica_error *error);
/* Elements of like length batched together, padded: an element goes to the first bucket whose boundary its length
 * (axis 0 of tensor `key`) does not exceed, or to the one behind the last; a bucket that has its size is a batch, and
 * at the end of the epoch what is left, shortest first. Restoring begins the epoch and reads up to the position. */
typedef struct {
  size_t struct_size;
  int32_t key;
  const int64_t *boundaries; /* rising; copied */
  int32_t boundary_count;    /* at most 64 */
  const int64_t *sizes;      /* [boundary_count + 1] elements in a batch of each bucket; copied */
  bool
      pad_to_boundary; /* axis 0 of all tensors to the boundary, so that there are few shapes; longer ones as they are */
  bool drop_last;
  double pad_value;
} mica_bucket_options;
MICA_API mica_dataset *mica_dataset_bucket(mica_dataset *source, const mica_bucket_options *options,
                                           mica_error *error);

/* All batches of epoch 0, joined along their axis 0, as tensors [rows, ...] in *out, which the caller clears: to shuffle them freely
 * (mica_dataset_from_tensors), to keep them (mica_npz_save), to look at. Batches are alike but for their rows. */
MICA_API mica_status mica_dataset_collect(mica_dataset *dataset, mica_batch *out,
                                          mica_error *error);
/* Mean and standard deviation (of all elements, by n) of tensor `index` over the rest of the epoch, in f64 by Chan's
 * update, as f32 tensors: for each entry of the last axis [c], or with `whole` of everything []. NaN, which stands
 * for what is missing in a table, is left out; of nothing but NaN they are NaN. A standard deviation of 0 is given as 1, so that
 * one can divide by it. */
MICA_API mica_status mica_dataset_statistics(mica_dataset *dataset, int32_t index, bool whole,
                                             mica_tensor **out_mean, mica_tensor **out_deviation,
                                             mica_error *error);

/* ---- CIFAR ---------------------------------------------------------------------------------------- */

/* CIFAR's binary files (Krizhevsky, "Learning multiple layers of features from tiny images", 2009): rows of
 * label bytes, 1 for CIFAR-10, 2 for CIFAR-100 (coarse, fine), then 3072 bytes, red, green, blue. Images come as
 * u8 [n, 32, 32, 3], labels as i32 [n] or [n, 2]. Several files follow each other. A file that is no whole number of
 * rows, or with a label above 9 (19 and 99), is MICA_DATA_LOSS. */
MICA_API mica_status mica_cifar_load(const char *const *paths, int32_t path_count,
                                     int32_t label_bytes, mica_tensor **out_images,
                                     mica_tensor **out_labels, mica_error *error);
MICA_API mica_status mica_cifar_parse(const void *bytes, size_t byte_size, int32_t label_bytes,
                                      mica_tensor **out_images, mica_tensor **out_labels,
                                      mica_error *error);

/* ---- vocabularies and quantiles ------------------------------------------------------------------- */

/* Words, numbered in the order in which they came first, with counts. Look-ups take time in proportion to the word,
 * whatever words an opponent chose (a crit-bit tree). Threads: many may look up, one adds. */
typedef struct mica_vocabulary mica_vocabulary;
MICA_API mica_vocabulary *mica_vocabulary_create(void); /* NULL without memory */
MICA_API void mica_vocabulary_destroy(mica_vocabulary *vocabulary);
/* Counts the word, adding it when it is new; *out_index, if wanted, is its number. No zero bytes inside. */
MICA_API mica_status mica_vocabulary_add(mica_vocabulary *vocabulary, const char *word, size_t size,
                                         int64_t *out_index, mica_error *error);
MICA_API int64_t mica_vocabulary_find(const mica_vocabulary *vocabulary, const char *word,
                                      size_t size); /* -1: not in it */
MICA_API int64_t mica_vocabulary_count(const mica_vocabulary *vocabulary);
MICA_API const char *mica_vocabulary_word(const mica_vocabulary *vocabulary, int64_t index);
MICA_API int64_t mica_vocabulary_uses(const mica_vocabulary *vocabulary, int64_t index);
/* The `most` words (0: all) that were added at least `least` times, most frequent first, equal ones by first use. */
MICA_API mica_status mica_vocabulary_prune(const mica_vocabulary *vocabulary, int64_t most,
                                           int64_t least, mica_vocabulary **out_vocabulary,
                                           mica_error *error);

/* The values below which 0, 1 / (count - 1), .. 1 of the numbers lie, between two of them by linear interpolation
 * (as numpy's default), NaN left out: f32 [count], count at least 2. With `distinct` equal ones are given once, and the
 * result may be shorter. From them piecewise-linear calibration takes its points. */
MICA_API mica_status mica_quantiles(const mica_tensor *values, int32_t count, bool distinct,
                                    mica_tensor **out_quantiles, mica_error *error);

/* ---- CSV ------------------------------------------------------------------------------------------ */

/* auto: i64 when all fields are whole numbers and none is missing, f32 when all are numbers, else category. */
typedef enum {
  MICA_CSV_AUTO,
  MICA_CSV_FLOAT,   /* f32; missing: NaN */
  MICA_CSV_DOUBLE,  /* f64; missing: NaN */
  MICA_CSV_INTEGER, /* i64; a missing one is an error */
  MICA_CSV_CATEGORY, /* i32, the number of the word in the column's vocabulary; missing or not in a given one: -1 */
  MICA_CSV_SKIP
} mica_csv_kind;

typedef struct {
  const char *name; /* of the header */
  mica_csv_kind kind;
  /* Numbers by this one instead of a new one, so that a test set gets the training set's; borrowed. */
  const mica_vocabulary *vocabulary;
} mica_csv_column;

/* Text in rows and fields (RFC 4180: fields in quotes may hold separators, line ends and doubled quotes; CR LF
 * or LF). */
typedef struct {
  size_t struct_size;
  char separator;           /* 0: ',' */
  bool no_header;           /* names are then those below, or "0", "1", ... */
  const char *const *names; /* with no_header: as many as the first row has fields */
  int32_t name_count;
  const mica_csv_column *columns; /* of those that are not auto */
  int32_t column_count;
  const char
      *missing; /* a field of this text is missing, as an empty one is ("?", "NA"); NULL: none */
  char comment; /* lines that begin with it are left out; 0: none */
  bool keep_blanks; /* blanks around fields are part of them */
  bool no_quotes;   /* a quote is a character like others, as in tables with tabs */
  const char *
      strip; /* characters taken off the end of fields, such as the "." of UCI Adult's test labels; NULL: none */
} mica_csv_options;

typedef struct mica_csv mica_csv;
/* NULL options mean defaults. Rows with another number of fields, quotes that do not end, zero bytes and numbers
 * that are none are MICA_DATA_LOSS with line and column. Empty lines are left out. */
MICA_API mica_status mica_csv_load(const char *path, const mica_csv_options *options,
                                   mica_csv **out_csv, mica_error *error);
MICA_API mica_status mica_csv_parse(const void *bytes, size_t byte_size,
                                    const mica_csv_options *options, mica_csv **out_csv,
                                    mica_error *error);
MICA_API void mica_csv_destroy(mica_csv *csv);
MICA_API int64_t mica_csv_row_count(const mica_csv *csv);
MICA_API int32_t mica_csv_column_count(const mica_csv *csv); /* all of the file */
MICA_API const char *mica_csv_name(const mica_csv *csv, int32_t column);
MICA_API int32_t mica_csv_index(const mica_csv *csv, const char *name);           /* -1: missing */
MICA_API mica_csv_kind mica_csv_column_kind(const mica_csv *csv, int32_t column); /* never auto */
MICA_API mica_tensor *mica_csv_tensor(const mica_csv *csv,
                                      int32_t column); /* [rows], borrowed; NULL if skipped */
/* Of a category, borrowed; NULL otherwise. */
MICA_API const mica_vocabulary *mica_csv_vocabulary(const mica_csv *csv, int32_t column);
/* Columns side by side, f32 [rows, count], converted. */
MICA_API mica_status mica_csv_features(const mica_csv *csv, const int32_t *columns, int32_t count,
                                       mica_tensor **out_features, mica_error *error);

/* ---- text, npz ------------------------------------------------------------------------------------ */

/* The lines of a file, each as u8 [bytes] without its end (LF or CR LF), read piece by piece. Empty lines are left
 * out. A line above `longest` bytes (0: 1 MiB) is MICA_DATA_LOSS. */
MICA_API mica_dataset *mica_dataset_from_lines(const char *path, int64_t longest,
                                               mica_error *error);
/* As mica_dataset_from_tensors with the arrays of an .npz file, in the order of the names; options->tensors and count
 * are not read. */
MICA_API mica_dataset *mica_dataset_from_npz(const char *path, const char *const *names,
                                             int32_t count, const mica_memory_options *options,
                                             mica_error *error);

/* ---- words of texts -------------------------------------------------------------------------------- */

enum { MICA_TEXT_WORD = 64, MICA_TEXT_RUN = 8 };
/* The next word of a text from byte *at on (0 first), which moves on; false at the end. A word is a run of ASCII letters,
 * digits and bytes above 127, in lower case (of ASCII), cut after 64 bytes; or one other byte that is no blank and no
 * control character. */
MICA_API bool mica_text_next(const void *text, size_t size, size_t *at,
                             char word[MICA_TEXT_WORD + 1], size_t *out_size);
/* Adds the words of a text to a vocabulary, and runs of up to `longest` (1 to 8) of them, joined by blanks; `once`: each of
 * them once, so that uses count texts. */
MICA_API mica_status mica_vocabulary_add_text(mica_vocabulary *vocabulary, const void *text,
                                              size_t size, int32_t longest, bool once,
                                              mica_error *error);

/* Callbacks for maps whose user is a mica_text_options * that outlives the data set: tensor `key`, a text u8 [bytes] as
 * mica_dataset_from_lines gives it, becomes numbers; the others are passed on. Threads: a vocabulary that is not
 * changed may be read by many. */
typedef struct {
  size_t struct_size;
  int32_t key;
  const mica_vocabulary *vocabulary; /* borrowed */
  int64_t length;                    /* ids: cut or padded to it; 0: as long as the text */
  /* Of bags. texts: how many the vocabulary has counted, each word once a text: numbers are then multiplied by the
   * word's inverse frequency 1 + log((1 + texts) / (1 + uses)) (Sparck Jones 1972; as scikit-learn). 0: not. */
  int64_t texts;
  bool logarithm;  /* 1 + log of how often a word is there, in place of that */
  bool normalize;  /* to a sum of squares of 1 */
  int32_t longest; /* runs of up to so many words (8 at most) are looked up too; 0: 1 */
} mica_text_options;
/* i32 [length]: 2 + the number of each word, 1 for one that is not in the vocabulary, 0 behind the end. */
MICA_API mica_status mica_text_ids(void *user, mica_map_position position, const mica_batch *in,
                                   mica_batch *out, mica_error *error);
/* f32 [words of the vocabulary]: how often each word or run is in the text. */
MICA_API mica_status mica_text_bag(void *user, mica_map_position position, const mica_batch *in,
                                   mica_batch *out, mica_error *error);

/* ---- images --------------------------------------------------------------------------------------- */

/* Augmentations of images on the host: elements [h, w, c] of u8 or f32, c at most 4. What is drawn depends on
 * seed, epoch and index only. mica_augment is a mica_map_callback for maps, whose user is a mica_augment_options *
 * that outlives the data set: it changes tensor `key` and passes the others on. In this order: */
typedef struct {
  size_t struct_size;
  int32_t key;
  uint64_t seed;
  double rotate;    /* by up to so many degrees either way, bilinear, with zeros around */
  int32_t pad;      /* zeros on each side first; then */
  int32_t crop[2];  /* a place for [height, width] is drawn; {0, 0}: no crop */
  bool crop_center; /* the middle instead: for evaluation */
  double flip_horizontal, flip_vertical; /* probabilities */
  /* Factors drawn from [1 - x, 1 + x]: brightness scales, contrast moves away from the image's mean, saturation from
   * the pixel's gray (luma of BT.601); hue turns by up to x of a full turn in YIQ. c must be 3 for the last two. u8
   * stays within 0 .. 255. */
  double brightness, contrast, saturation, hue;
  int32_t
      cutout; /* a square of this size is 0, cut off at the borders (DeVries and Taylor, 2017); 0: none */
} mica_augment_options;
MICA_API mica_status mica_augment(void *user, mica_map_position position, const mica_batch *in,
                                  mica_batch *out, mica_error *error);

/* mixup (Zhang and others, 2018) of batches: tensor `images` [n, ...] and tensor `labels` [n, classes], f32, become
 * l x + (1 - l) x' with x' the row before and l drawn for the batch from the symmetric beta distribution of `alpha`
 * above 0. A callback for maps as mica_augment. */
typedef struct {
  size_t struct_size;
  int32_t images, labels;
  uint64_t seed;
  double alpha;
} mica_mixup_options;
MICA_API mica_status mica_mixup(void *user, mica_map_position position, const mica_batch *in,
                                mica_batch *out, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
