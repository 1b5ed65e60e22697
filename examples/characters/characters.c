/* SPDX-License-Identifier: Apache-2.0 */
/* characters.c: a transformer learns to write like Jane Austen, character by character, and then does. README.md beside
 * it tells more. */
#include "../characters.h"

static int run(int count, char **arguments) {
  const char *validate = NULL, *sample = NULL, *temperature = NULL, *prompt = NULL;
  const example_option options[] = {
      {"--validate", NULL, "evaluate on the validation set, for trying settings", &validate},
      {"--sample", "N", "how many characters it writes at the end (400)", &sample},
      {"--temperature", "T", "how freely: 1 as it has learned, less: safer (0.8)", &temperature},
      {"--prompt", "TEXT", "how the text begins", &prompt},
      {0}};
  example ex = {.name = "characters",
                .summary = "a transformer over characters, and texts of its own",
                .steps = 2000,
                .options = options,
                .measures = character_measure_names,
                .measure_count = 1};
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  character_settings(&ex);
  if (!example_settings(&ex)) return example_end(&ex);

  char folder[600];
  character_text text = {.rows = 0};
  if (!example_find(&ex, "MICA_AUSTEN", NULL, "austen", "train.txt", folder, sizeof folder))
    mica_error_set(&ex.error, MICA_NOT_FOUND,
                   "the novels are not there: tools/fetch_data austen gets them");
  else
    character_read(&ex, folder, validate ? "valid" : "test", &text);
  example_batches(&ex, text.rows, CHARACTERS_BATCH);
  mica_schedule *rate = character_trainer(&ex);
  if (example_train(&ex, text.training) &&
      example_evaluate(&ex, text.testing, validate ? "valid" : "test")) {
    printf("characters: %s %.4f bits a character after %.0f s, %lld parameters\n\n",
           validate ? "validation" : "test", character_bits(&ex), ex.seconds,
           (long long)mica_store_parameter_count(ex.store, true));
    character_sample(&ex, prompt ? prompt : "It was a truth", sample ? atoll(sample) : 400,
                     temperature ? atof(temperature) : 0.8);
  }

  int code = example_end(&ex);
  mica_schedule_destroy(rate);
  character_free(&text);
  return code;
}

EXAMPLE(characters, "a transformer over characters, and texts of its own", run)
