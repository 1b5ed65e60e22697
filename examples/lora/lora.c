/* SPDX-License-Identifier: Apache-2.0 */
/* lora.c: the model that writes like Jane Austen (examples/characters) learns the King James Bible by small adapters; its own
 * parameters rest, and have the adapters added at the end. README.md beside it tells more. */
#include "../characters.h"

/* The parameters of a checkpoint of examples/characters become the store's. */
static bool load_base(example *ex, const char *folder) {
  mica_checkpoint *checkpoint = NULL;
  mica_status status =
      mica_checkpoint_open(folder, MICA_CHECKPOINT_NEWEST, &checkpoint, &ex->error);
  for (int64_t i = 0; status == MICA_OK && i < mica_checkpoint_count(checkpoint); i++) {
    char path[256];
    if (strcmp(mica_checkpoint_file(checkpoint, i), "model") != 0) continue;
    snprintf(path, sizeof path, "%s", mica_checkpoint_name(checkpoint, i));
    for (char *at = path; *at; at++)
      if (*at == '.') *at = '/';
    mica_type type = mica_tensor_type(mica_checkpoint_tensor(checkpoint, i));
    mica_tensor *copy = mica_tensor_from(type.dtype, type.shape,
                                         mica_tensor_data(mica_checkpoint_tensor(checkpoint, i)));
    status = mica_store_put(ex->store, path, copy, mica_dtype_is_float(type.dtype), &ex->error);
    mica_tensor_release(copy);
  }
  mica_checkpoint_destroy(checkpoint);
  return status == MICA_OK;
}

/* Bits a character of both texts, a line. */
static bool report(example *ex, const char *when, character_text *old, character_text *new) {
  double bits[2] = {0};
  character_text *texts[] = {new, old};
  if (!example_good(ex)) return false;
  for (int i = 0; i < 2; i++) {
    if (!example_evaluate(ex, texts[i]->testing, i ? "austen" : "bible")) return false;
    bits[i] = character_bits(ex);
  }
  printf("lora: %s: bible %.4f, austen %.4f bits a character\n", when, bits[0], bits[1]);
  return true;
}

static bool find_text(example *ex, const char *name, const char *test, character_text *text) {
  char folder[600], variable[32];
  snprintf(variable, sizeof variable, "MICA_%s", !strcmp(name, "bible") ? "BIBLE" : "AUSTEN");
  if (!example_good(ex)) return false;
  if (example_find(ex, variable, NULL, name, "train.txt", folder, sizeof folder))
    return character_read(ex, folder, test, text);
  mica_error_set(&ex->error, MICA_NOT_FOUND, "the text is not there: tools/fetch_data %s gets it",
                 name);
  return false;
}

static int run(int count, char **arguments) {
  const char *base = NULL, *sample = NULL;
  const example_option options[] = {
      {"--base", "DIR", "checkpoints of examples/characters", &base},
      {"--sample", "N", "how many characters it writes at the end (400)", &sample},
      {0}};
  example ex = {.name = "lora",
                .summary = "another author for the model of characters, by adapters",
                .steps = 500,
                .options = options,
                .measures = character_measure_names,
                .measure_count = 1};
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  character_settings(&ex);
  mica_store_set_integer(ex.store, "lora_rank", 8, &ex.error);
  mica_store_set_number(ex.store, "lora_alpha", 16, &ex.error);
  mica_store_set_number(ex.store, "lr", 5e-3, &ex.error);
  mica_store_set_number(ex.store, "weight_decay", 0, &ex.error);
  if (!example_settings(&ex)) return example_end(&ex);
  if (!base)
    mica_error_set(&ex.error, MICA_INVALID,
                   "--base is missing: characters --checkpoint runs/austen makes one");
  if (example_good(&ex)) load_base(&ex, base);
  int64_t all = mica_store_parameter_count(ex.store, true);

  /* Only adapters learn; without them (lora_rank=0) everything does. */
  int64_t rank = mica_store_get_integer(ex.store, "lora_rank", 0);
  double alpha = mica_store_get_number(ex.store, "lora_alpha", 0);
  if (rank > 0) {
    mica_store_group(ex.store, "**", .frozen = true);
    mica_store_group(ex.store, "**_lora_*", .trained = true);
  }
  character_text bible = {.rows = 0}, austen = {.rows = 0};
  const char *said = ex.data;
  find_text(&ex, "bible", "test", &bible);
  ex.data = NULL; /* --data is the new text's */
  find_text(&ex, "austen", "test", &austen);
  ex.data = said;
  example_batches(&ex, bible.rows, CHARACTERS_BATCH);
  mica_schedule *rate = character_trainer(&ex);
  size_t merged = 0;
  if (report(&ex, "before", &austen, &bible) && example_train(&ex, bible.training) &&
      report(&ex, "after", &austen, &bible)) {
    int64_t trained = mica_store_parameter_count(ex.store, true);
    printf("lora: %lld of %lld parameters trained, %.2f %%, in %.0f s\n", (long long)trained,
           (long long)all, 100 * (double)trained / (double)all, ex.seconds);
    if (rank > 0 && mica_store_lora_merge(ex.store, alpha, &merged, &ex.error) == MICA_OK) {
      printf("lora: %lld adapters added to their kernels\n", (long long)merged);
      report(&ex, "merged", &austen, &bible);
    }
    character_sample(&ex, "And the LORD", sample ? atoll(sample) : 400, 0.8);
    if (rank > 0 && example_good(&ex) &&
        mica_store_lora_unmerge(ex.store, alpha, &merged, &ex.error) == MICA_OK)
      printf("lora: %lld adapters taken back\n", (long long)merged);
  }

  int code = example_end(&ex);
  mica_schedule_destroy(rate);
  character_free(&bible), character_free(&austen);
  return code;
}

EXAMPLE(lora, "another author for the model of characters, by adapters", run)
