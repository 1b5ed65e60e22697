/* SPDX-License-Identifier: Apache-2.0 */
/* spam.c: which mail is spam? A bag of words and pairs of words, a convolution over words and a transformer, one of them or
 * all three, whose probabilities are then multiplied. README.md beside it tells more. */
#include "../ensemble.h"

enum { BATCH = 32, MODELS = 3, SHUFFLE = 8192 };

/* ---- the models: a bag f32 [batch, words] and the first words i32 [batch, length] -> logits [batch, models, 2] --- */

/* Several small networks side by side, each with a few units of its own: logits [batch, members, 2]. */
static mica_value bag_model(mica_scope *scope, mica_value bag) {
  int64_t units = mica_scope_get_integer(scope, "units", 0),
          members = mica_scope_get_integer(scope, "members", 0), rows = mica_dim_of(bag, 0);
  mica_value x = mica_mul(bag, 10.0); /* bags have length 1, which is little for so many numbers */
  x = mica_relu(mica_nn_dense(mica_scope_in(scope, "hidden"), x, .units = members * units));
  x = mica_nn_dropout(mica_scope_in(scope, "dropout"), x,
                      mica_scope_get_number(scope, "dropout", 0));
  x = mica_swap_axes(mica_reshape(x, MICA_DIMS(rows, members, units)), 0, 1);
  mica_scope *out = mica_scope_in(scope, "out");
  mica_value kernel =
      mica_scope_variable(out, "kernel", (mica_type){MICA_F32, MICA_DIMS(members, units, 2)},
                          mica_init_normal(0, sqrt(2.0 / (double)units)));
  mica_value bias = mica_scope_variable(
      out, "bias", (mica_type){MICA_F32, MICA_DIMS(members, 1, 2)}, mica_init_zeros());
  return mica_swap_axes(mica_add(mica_matmul(x, kernel), bias), 0, 1);
}

static mica_value words_of(mica_scope *scope, mica_value ids) {
  double rate = mica_scope_get_number(scope, "dropout", 0);
  int64_t words = mica_scope_get_integer(scope, "words", 0);
  mica_value x = mica_nn_embedding(mica_scope_in(scope, "words"), ids, .count = words + 2,
                                   .units = mica_scope_get_integer(scope, "width", 0));
  return mica_nn_dropout(mica_scope_in(scope, "word_dropout"), x, rate);
}

/* What words of a kind are next to each other, wherever that is: convolutions of 1 to 3 words, and the largest of each channel. */
static mica_value cnn_model(mica_scope *scope, mica_value ids) {
  mica_value x = words_of(scope, ids), found[3];
  mica_value behind = mica_expand_dims(mica_equal(ids, mica_zeros_like(ids)), -1);
  for (int i = 0; i < 3; i++) {
    mica_value y = mica_relu(mica_nn_conv(mica_scope_in_index(scope, "conv", i), x,
                                          .channels = mica_scope_get_integer(scope, "channels", 0),
                                          .kernel = {i + 1}));
    y = mica_select(behind, mica_zeros_like(y), y);
    found[i] = mica_reduce_max(y, MICA_AXES(1));
  }
  x = mica_nn_dropout(mica_scope_in(scope, "dropout"), mica_concatenate(found, 3, -1),
                      mica_scope_get_number(scope, "dropout", 0));
  return mica_nn_dense(mica_scope_in(scope, "out"), x, .units = 2);
}

static mica_value transformer_model(mica_scope *scope, mica_value ids) {
  mica_value x = words_of(scope, ids), there = mica_not_equal(ids, mica_zeros_like(ids));
  int64_t layers = mica_scope_get_integer(scope, "layers", 0);
  for (int64_t i = 0; i < layers; i++)
    x = mica_nn_transformer_block(mica_scope_in_index(scope, "block", i), x,
                                  .attention = {.heads = mica_scope_get_integer(scope, "heads", 0),
                                                .key_mask = there,
                                                .rope = {.use = true}},
                                  .hidden = 2 * mica_dim_of(x, -1),
                                  .dropout = mica_scope_get_number(scope, "dropout", 0));
  /* The mean over the words that are there. */
  mica_value weight = mica_expand_dims(mica_convert(there, MICA_F32), -1);
  mica_value sum = mica_reduce_sum(mica_mul(x, weight), MICA_AXES(1)),
             count = mica_add(mica_reduce_sum(weight, MICA_AXES(1)), 1e-6);
  x = mica_nn_layer_norm(mica_scope_in(scope, "norm"), mica_div(sum, count));
  return mica_nn_dense(mica_scope_in(scope, "out"), x, .units = 2);
}

static mica_value model(mica_scope *scope, const mica_value *inputs, void *user) {
  const char *kind = mica_scope_get_text(scope, "model", "bag");
  bool all = !strcmp(kind, "all");
  mica_value logits[MODELS];
  size_t count = 0;
  (void)user;
  if (all || !strcmp(kind, "bag"))
    logits[count++] = bag_model(mica_scope_in(scope, "bag"), inputs[0]);
  if (all || !strcmp(kind, "cnn"))
    logits[count++] = mica_expand_dims(cnn_model(mica_scope_in(scope, "cnn"), inputs[1]), 1);
  if (all || !strcmp(kind, "transformer"))
    logits[count++] =
        mica_expand_dims(transformer_model(mica_scope_in(scope, "transformer"), inputs[1]), 1);
  return mica_concatenate(logits, count, 1);
}

/* ---- the data: a mail a line, "spam" or "ham", a tab, the text --------------------------------------- */

/* [line] -> [text, text, label]: one text becomes a bag, the other numbers of words. */
static mica_status split_line(void *user, mica_map_position position, const mica_batch *in,
                              mica_batch *out, mica_error *error) {
  (void)user;
  size_t size = mica_tensor_byte_size(in->tensor[0]);
  const char *line = mica_tensor_data(in->tensor[0]), *tab = memchr(line, '\t', size);
  int32_t label = size > 0 && line[0] == 's';
  if (!tab)
    return mica_error_set(error, MICA_DATA_LOSS, "line %lld has no tab",
                          (long long)position.index + 1);
  size_t from = (size_t)(tab + 1 - line);
  out->count = 3;
  out->tensor[0] = mica_tensor_from(MICA_U8, MICA_DIMS((int64_t)(size - from)), tab + 1);
  out->tensor[1] = mica_tensor_retain(out->tensor[0]);
  out->tensor[2] = mica_tensor_from(MICA_I32, MICA_SCALAR, &label);
  if (out->tensor[0] && out->tensor[2]) return MICA_OK;
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
}

typedef struct {
  mica_vocabulary *words, *runs; /* runs: words, and pairs of them */
  mica_text_options bag, ids;
  int64_t mails; /* that the vocabularies were made of */
} reading;

static mica_dataset *lines_of(example *ex, const char *folder, const char *part) {
  char path[700];
  snprintf(path, sizeof path, "%.600s/%s.tsv", folder, part);
  mica_dataset *d = mica_dataset_from_lines(path, 0, &ex->error);
  if (ex->limit) d = mica_dataset_take(d, ex->limit, &ex->error);
  return mica_dataset_map(d, split_line, NULL, &ex->error);
}

/* The most frequent words and runs of the training's mails, by the number of mails that they are in. */
static bool read_words(example *ex, const char *folder, reading *r) {
  mica_vocabulary *all[2] = {mica_vocabulary_create(), mica_vocabulary_create()};
  mica_dataset *mails = lines_of(ex, folder, "train");
  mica_batch batch = {0};
  while (example_good(ex) && mica_dataset_next(mails, &batch, &ex->error) == MICA_OK &&
         batch.count) {
    for (int i = 0; i < 2; i++)
      mica_vocabulary_add_text(all[i], mica_tensor_data(batch.tensor[0]),
                               mica_tensor_byte_size(batch.tensor[0]), i + 1, true, &ex->error);
    r->mails++;
  }
  if (example_good(ex))
    mica_vocabulary_prune(all[0], mica_store_get_integer(ex->store, "words", 0), 2, &r->words,
                          &ex->error);
  if (example_good(ex))
    mica_vocabulary_prune(all[1], mica_store_get_integer(ex->store, "runs", 0), 2, &r->runs,
                          &ex->error);
  /* The embedding has as many rows as there are words. */
  if (example_good(ex))
    mica_store_set_integer(ex->store, "words", mica_vocabulary_count(r->words), &ex->error);
  mica_batch_clear(&batch);
  mica_dataset_destroy(mails);
  mica_vocabulary_destroy(all[0]), mica_vocabulary_destroy(all[1]);
  r->bag = (mica_text_options){.struct_size = sizeof r->bag,
                               .key = 0,
                               .vocabulary = r->runs,
                               .longest = 2,
                               .texts = r->mails,
                               .logarithm = true,
                               .normalize = true};
  r->ids = (mica_text_options){.struct_size = sizeof r->ids,
                               .key = 1,
                               .vocabulary = r->words,
                               .length = mica_store_get_integer(ex->store, "length", 0)};
  return example_good(ex);
}

static mica_dataset *mails_of(example *ex, const char *folder, const char *part, reading *r,
                              bool training) {
  if (!example_good(ex)) return NULL;
  mica_dataset *d = lines_of(ex, folder, part);
  d = mica_dataset_map(d, mica_text_ids, &r->ids, &ex->error);
  d = mica_dataset_cache(d, &ex->error);
  if (training) d = mica_dataset_shuffle(d, SHUFFLE, ex->seed, &ex->error);
  d = mica_dataset_map(d, mica_text_bag, &r->bag, &ex->error);
  mica_batch_options options = {
      .struct_size = sizeof options, .size = BATCH, .drop_last = training};
  d = mica_dataset_batch(d, &options, &ex->error);
  return mica_dataset_prefetch(d, 4, &ex->error);
}

/* ---- the program --------------------------------------------------------------------------------------- */

static int run(int count, char **arguments) {
  const char *validate = NULL;
  const example_option options[] = {
      {"--validate", NULL, "evaluate on the validation set, for trying settings", &validate}, {0}};
  example ex = {.name = "spam",
                .summary = "mails: a bag of words, a CNN, a transformer",
                .epochs = 8,
                .options = options,
                .measures = ensemble_accuracy_names,
                .measure_count = 1};
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  mica_store_set_choice(ex.store, "model", "bag", "bag, cnn, transformer, all", &ex.error);
  mica_store_set_number(ex.store, "lr", 2e-3, &ex.error);
  mica_store_set_integer(ex.store, "words", 20000, &ex.error);
  mica_store_set_integer(ex.store, "runs", 60000, &ex.error);
  mica_store_set_integer(ex.store, "length", 128, &ex.error);
  mica_store_set_integer(ex.store, "units", 8, &ex.error);
  mica_store_set_integer(ex.store, "members", 8, &ex.error);
  mica_store_set_integer(ex.store, "width", 64, &ex.error);
  mica_store_set_integer(ex.store, "channels", 64, &ex.error);
  mica_store_set_integer(ex.store, "layers", 2, &ex.error);
  mica_store_set_integer(ex.store, "heads", 4, &ex.error);
  mica_store_set_number(ex.store, "dropout", 0.5, &ex.error);
  mica_store_set_number(ex.store, "transformer/dropout", 0.1, &ex.error);
  if (!example_settings(&ex)) return example_end(&ex);

  char folder[600];
  if (!example_find(&ex, "MICA_SPAM", NULL, "spam", "train.tsv", folder, sizeof folder)) {
    mica_error_set(&ex.error, MICA_NOT_FOUND,
                   "there are no mails: tools/fetch_data spam gets them");
    return example_end(&ex);
  }
  reading r = {.mails = 0};
  read_words(&ex, folder, &r);
  mica_dataset *training = mails_of(&ex, folder, "train", &r, true),
               *testing = mails_of(&ex, folder, validate ? "valid" : "test", &r, false);
  example_batches(&ex, r.mails, BATCH);
  mica_schedule *rate =
      mica_schedule_one_cycle(.start = mica_store_get_number(ex.store, "lr", 0),
                              .steps = example_total_steps(&ex), .error = &ex.error);
  ex.trainer = mica_trainer_create(ex.store, model, ensemble_loss, .inputs = 2,
                                   .optimizer = mica_optimizer_adam(), .rate = mica_schedule_rate,
                                   .rate_user = rate, .clip_norm = 1, .measures = ensemble_accuracy,
                                   .measure_count = 1);
  if (example_train(&ex, training) && example_evaluate(&ex, testing, validate ? "valid" : "test"))
    printf("spam: %s accuracy %.2f %% after %.0f s\n", validate ? "validation" : "test",
           100 * mica_trainer_evaluation(ex.trainer).measures[0], ex.seconds);

  int code = example_end(&ex);
  mica_schedule_destroy(rate);
  mica_dataset_destroy(training), mica_dataset_destroy(testing);
  mica_vocabulary_destroy(r.words), mica_vocabulary_destroy(r.runs);
  return code;
}

EXAMPLE(spam, "mails: a bag of words, a CNN, a transformer", run)
