/* SPDX-License-Identifier: Apache-2.0 */
/* train.c: `mica train`: runs an example. All of them are part of the command; their options are their own. */
#include <string.h>

#include "../../examples/common.h"
#include "command.h"

/* MICA_EXAMPLE_ENTRIES, from CMake: EXAMPLE_ENTRY(name) for each folder of examples/. */
#define EXAMPLE_ENTRY(name) extern const example_entry example_entry_##name;
MICA_EXAMPLE_ENTRIES
#undef EXAMPLE_ENTRY

#define EXAMPLE_ENTRY(name) &example_entry_##name,
static const example_entry *const entries[] = {MICA_EXAMPLE_ENTRIES NULL};
#undef EXAMPLE_ENTRY

const char *cli_example_name(int index) {
  int count = (int)(sizeof entries / sizeof *entries) - 1;
  return index >= 0 && index < count ? entries[index]->name : NULL;
}

static int list_examples(bool json) {
  if (json) printf("[");
  for (int i = 0; entries[i] != NULL; i++) {
    if (!json) {
      printf("  %-16s %s\n", entries[i]->name, entries[i]->summary);
      continue;
    }
    printf("%s{\"name\": ", i > 0 ? ", " : "");
    cli_json_text(entries[i]->name);
    printf(", \"summary\": ");
    cli_json_text(entries[i]->summary);
    printf("}");
  }
  if (json) puts("]");
  return 0;
}

static int run_train(const cli_arguments *arguments) {
  if (arguments->operand_count == 0) return list_examples(arguments->json);
  const char *name = arguments->operand[0];
  for (int i = 0; entries[i] != NULL; i++) {
    if (strcmp(entries[i]->name, name) != 0) continue;
    char *words[CLI_VALUES + 1];
    int count = 0;
    for (; count < arguments->operand_count; count++)
      words[count] = (char *)(uintptr_t)arguments->operand[count];
    words[count] = NULL;
    return entries[i]->run(count, words);
  }
  return cli_usage("there is no example '%s'; mica train lists them", name);
}

const cli_command cli_train = {
    .name = "train",
    .operands = "[EXAMPLE [its options]]",
    .summary = "train one of the examples, or list them",
    .details =
        "What follows the name goes to the example: mica train mnist --help lists its options and "
        "settings.\n"
        "Its source is examples/EXAMPLE/EXAMPLE.c, the README.md beside it tells what it shows.",
    .options = (const cli_option[]){{0}},
    .forwards = true,
    .run = run_train};
