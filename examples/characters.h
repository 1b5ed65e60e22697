/* SPDX-License-Identifier: Apache-2.0 */
/* characters.h: a transformer that says which character comes next, for the examples characters and lora: text as numbers,
 * the model, its loss, its trainer, sampling with a cache of keys and values. */
#ifndef EXAMPLES_CHARACTERS_H
#define EXAMPLES_CHARACTERS_H
#include "common.h"

/* A line end, then the printable characters of ASCII. */
enum { CHARACTERS = 96, CHARACTERS_BATCH = 32 };

static inline int32_t character_number(int c) {
  return c >= 32 && c < 127 ? c - 31 : c == '\n' ? 0 : '?' - 31;
}
static inline int character_of(int32_t number) {
  return number <= 0 || number >= CHARACTERS ? '\n' : number + 31;
}

static inline void character_settings(example *ex) {
  mica_store_set_integer(ex->store, "context", 128, &ex->error);
  mica_store_set_integer(ex->store, "layers", 3, &ex->error);
  mica_store_set_integer(ex->store, "width", 128, &ex->error);
  mica_store_set_integer(ex->store, "heads", 4, &ex->error);
  mica_store_set_number(ex->store, "dropout", 0, &ex->error);
  mica_store_set_number(ex->store, "lr", 3e-3, &ex->error);
  mica_store_set_number(ex->store, "weight_decay", 0.01, &ex->error);
}

/* ---- the model ------------------------------------------------------------------------------------- */

/* Numbers of characters, integers [batch, time] -> logits [batch, time, 96]: blocks with rotary positions, and the
 * embedding's table once more at the end. With a position, keys and values of earlier calls are remembered. */
static inline mica_value character_logits(mica_scope *scope, mica_value ids, mica_value position) {
  int64_t layers = mica_scope_get_integer(scope, "layers", 0),
          heads = mica_scope_get_integer(scope, "heads", 0),
          context = mica_scope_get_integer(scope, "context", 0);
  mica_scope *table = mica_scope_shared(scope, "characters");
  mica_value x = mica_nn_embedding(table, mica_convert(ids, MICA_I32), .count = CHARACTERS,
                                   .units = mica_scope_get_integer(scope, "width", 0),
                                   .initializer = mica_init_normal(0, 0.02));
  for (int64_t i = 0; i < layers; i++)
    x = mica_nn_transformer_block(mica_scope_in_index(scope, "block", i), x,
                                  .attention = {.heads = heads,
                                                .causal = true,
                                                .rope = {.use = true},
                                                .no_bias = true,
                                                .cache = position.graph ? context : 0,
                                                .position = position},
                                  .norm = "rms", .no_bias = true,
                                  .dropout = mica_scope_get_number(scope, "dropout", 0));
  x = mica_nn_rms_norm(mica_scope_in(scope, "norm"), x);
  return mica_nn_embedding_logits(table, x, CHARACTERS);
}

static inline mica_value character_model(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  return character_logits(scope, inputs[0], (mica_value){0});
}

/* The mean of -log p(next character): nats a character; by log 2: bits. */
static inline mica_value character_loss(mica_value prediction, const mica_value *targets,
                                        void *user) {
  (void)user;
  return mica_loss_cross_entropy_logits(prediction, mica_convert(targets[0], MICA_I32));
}

static inline void character_measures(mica_value prediction, const mica_value *targets,
                                      mica_value *out, void *user) {
  (void)user;
  mica_value right = mica_equal(mica_arg_max(prediction, -1), mica_convert(targets[0], MICA_I32));
  out[0] = mica_reduce_mean(mica_convert(right, MICA_F32), MICA_ALL);
}
static const char *const character_measure_names[] = {"accuracy"};

/* Makes ex's trainer: AdamW under a one-cycle schedule that rises for a tenth of the steps, gradients no longer than 1. The
 * schedule is the caller's to destroy, after the trainer. */
static inline mica_schedule *character_trainer(example *ex) {
  mica_schedule *rate =
      mica_schedule_one_cycle(.start = mica_store_get_number(ex->store, "lr", 0),
                              .warmup_part = 0.1, .steps = example_total_steps(ex),
                              .error = &ex->error);
  ex->trainer = mica_trainer_create(
      ex->store, character_model, character_loss,
      .optimizer =
          mica_optimizer_adamw(.weight_decay = mica_store_get_number(ex->store, "weight_decay", 0)),
      .rate = mica_schedule_rate, .rate_user = rate, .clip_norm = 1, .measures = character_measures,
      .measure_count = 1);
  return rate;
}

/* ---- text -------------------------------------------------------------------------------------------- */

/* A file as rows u8 [rows, context] and the same one character further, both retained. */
static inline bool character_rows(example *ex, const char *path, int64_t context,
                                  mica_tensor *out[2]) {
  FILE *file = example_good(ex) ? fopen(path, "rb") : NULL;
  long size = -1;
  if (file && fseek(file, 0, SEEK_END) == 0) size = ftell(file);
  if (size < 0 || fseek(file, 0, SEEK_SET) != 0) {
    if (example_good(ex)) mica_error_set(&ex->error, MICA_NOT_FOUND, "%s cannot be read", path);
    if (file) fclose(file);
    return false;
  }
  int64_t rows = ((int64_t)size - 1) / context;
  if (ex->limit && rows > ex->limit) rows = ex->limit;
  uint8_t *text = malloc((size_t)size + 1);
  size_t read = text ? fread(text, 1, (size_t)size, file) : 0;
  fclose(file);
  for (size_t i = 0; i < read; i++) text[i] = (uint8_t)character_number(text[i]);
  if (rows > 0 && read == (size_t)size) {
    out[0] = mica_tensor_from(MICA_U8, MICA_DIMS(rows, context), text);
    out[1] = mica_tensor_from(MICA_U8, MICA_DIMS(rows, context), text + 1);
  }
  free(text);
  if (!out[0] || !out[1])
    mica_error_set(&ex->error, MICA_DATA_LOSS, "%s is too short, or there is no memory", path);
  return example_good(ex);
}

typedef struct {
  mica_tensor *train[2], *test[2];
  mica_dataset *training, *testing;
  int64_t rows;
} character_text;

/* train.txt and test.txt (or valid.txt) of a folder. */
static inline bool character_read(example *ex, const char *folder, const char *test,
                                  character_text *text) {
  char path[700];
  int64_t context = mica_store_get_integer(ex->store, "context", 0);
  snprintf(path, sizeof path, "%.600s/train.txt", folder);
  if (!character_rows(ex, path, context, text->train)) return false;
  snprintf(path, sizeof path, "%.600s/%s.txt", folder, test);
  if (!character_rows(ex, path, context, text->test)) return false;
  mica_memory_options options = {.struct_size = sizeof options,
                                 .tensors = text->train,
                                 .count = 2,
                                 .batch = CHARACTERS_BATCH,
                                 .shuffle = true,
                                 .drop_last = true,
                                 .seed = ex->seed};
  text->training = mica_dataset_from_tensors(&options, &ex->error);
  options.tensors = text->test, options.shuffle = options.drop_last = false;
  text->testing = mica_dataset_from_tensors(&options, &ex->error);
  text->rows = mica_tensor_type(text->train[0]).shape.dim[0];
  return example_good(ex);
}

static inline void character_free(character_text *text) {
  mica_dataset_destroy(text->training), mica_dataset_destroy(text->testing);
  for (int i = 0; i < 2; i++)
    mica_tensor_release(text->train[i]), mica_tensor_release(text->test[i]);
}

/* Bits a character on a data set. */
static inline double character_bits(const example *ex) {
  return mica_trainer_evaluation(ex->trainer).loss / 0.6931471805599453;
}

/* ---- sampling ---------------------------------------------------------------------------------------- */

/* in: a character i32 [1, 1], its position i32 [], the temperature f32 [] -> the next one i32 [1, 1]. */
static inline void character_step(mica_graph *graph, const mica_value *in, mica_value *out,
                                  void *user) {
  const example *ex = user;
  mica_scope *scope = mica_scope_open(ex->store, graph, false);
  mica_value logits = character_logits(scope, in[0], in[1]);
  mica_value key = mica_random_fold(mica_random_key(graph, ex->seed), in[1]);
  out[0] = mica_random_categorical(key, mica_div(logits, in[2]));
  mica_scope_close(scope);
}

/* Prints `prompt` and what the model makes of it. A temperature below 1 makes likely characters likelier. */
static inline bool character_sample(example *ex, const char *prompt, int64_t count,
                                    double temperature) {
  mica_jit *step =
      mica_jit_create(ex->device, character_step, .inputs = 3, .outputs = 1, .user = ex);
  size_t given = strlen(prompt);
  int32_t next = 0;
  mica_status status = ex->error.status;
  mica_tensor *heat = mica_tensor_scalar(MICA_F32, temperature > 1e-3 ? temperature : 1e-3),
              *out = NULL;
  printf("%s", prompt);
  for (int64_t i = 0; i + 1 < (int64_t)given + count && status == MICA_OK; i++) {
    int32_t at = (int32_t)i,
            now = i < (int64_t)given ? character_number((unsigned char)prompt[i]) : next;
    mica_tensor *in[3] = {mica_tensor_from(MICA_I32, MICA_DIMS(1, 1), &now),
                          mica_tensor_from(MICA_I32, MICA_SCALAR, &at), heat};
    status = mica_jit_call(step, in, 3, &out, 1, &ex->error);
    if (status == MICA_OK) status = mica_tensor_read(out, &next, sizeof next, &ex->error);
    mica_tensor_release(in[0]), mica_tensor_release(in[1]);
    if (status == MICA_OK && i + 1 >= (int64_t)given) putchar(character_of(next));
  }
  putchar('\n');
  mica_tensor_release(heat), mica_tensor_release(out);
  mica_jit_destroy(step);
  return status == MICA_OK;
}

#endif
