/* SPDX-License-Identifier: Apache-2.0 */
/* command.h: what a sub-command is made of: a row that names it and its options, and a function. A new one is a file
 * cmd/mica/<name>.c that defines its row, and a line in cmd/mica.c. Help, the check of options, completions and the
 * manual page come from the rows. */
#ifndef MICA_COMMAND_H
#define MICA_COMMAND_H
#include <stdbool.h>
#include <stdio.h>

#include "mica/mica.h"

typedef struct {
  const char *name;  /* "input": given as --input */
  const char *value; /* what it takes, for the help: "FILE"; NULL: nothing */
  const char *help;
} cli_option;

enum { CLI_VALUES = 256 };
typedef struct {
  struct {
    const char *name, *value;
  } option[CLI_VALUES];
  int option_count;
  const char *operand[CLI_VALUES]; /* what is no option */
  int operand_count;
  bool json; /* --json, which every command takes */
} cli_arguments;

typedef struct {
  const char *name, *operands, *summary, *details;
  const cli_option *options; /* up to one without a name */
  bool forwards; /* what follows the first operand is not parsed: operands, as they are */
  int (*run)(const cli_arguments *arguments);
} cli_command;

/* The i-th value of an option, or NULL; "" for one that takes none. */
const char *cli_value(const cli_arguments *arguments, const char *name, int index);
/* A whole number of at least `least`; `missing` if it is not given; -1 after a message. */
long cli_number(const cli_arguments *arguments, const char *name, long least, long missing);

/* "mica: ..." on the error stream; exit codes: 0 good, 1 failed, 2 wrongly called. */
int cli_fail(const char *format, ...) MICA_PRINTF(1, 2);
int cli_usage(const char *format, ...) MICA_PRINTF(1, 2);

/* A device as --backend and --threads ask for it; NULL after a message. */
mica_device *cli_device(const cli_arguments *arguments);
#define CLI_DEVICE_OPTIONS                                                                \
  {"backend", "NAME", "cpu, reference, ...; default: $MICA_BACKEND, else the fastest"}, { \
    "threads", "N", "threads of the backend; default: all cores"                          \
  }

/* Opens a backend in a process of its own, which has `seconds` for it; its description, or why not, in text[size]. */
bool cli_probe(const char *backend, int seconds, char *text, size_t size);

/* Text as a JSON string; a type as {"dtype": "f32", "shape": [2, 3]}; a further member, null where it is not finite. */
void cli_json_text(const char *text);
void cli_json_type(mica_type type);
void cli_json_number(const char *name, double value);
void cli_print_type(mica_type type); /* f32[2, 3] */
/* "1 row" or "2 rows" between two texts. */
void cli_print_count(const char *before, int64_t count, const char *one, const char *after);
/* The word among words[] (up to NULL) that `text` may have been meant to be; NULL: none is near. */
const char *cli_nearest(const char *text, const char *const *words);

/* Of all elements, of complex ones the real parts; least, greatest, mean and deviation of the finite ones, NaN without. */
enum { CLI_CLASSES = 256 };
typedef struct {
  int64_t count, nan, infinite, zero;
  double least, greatest, mean, deviation;
  int64_t classes[CLI_CLASSES]; /* how often each small whole number occurs */
  bool whole;                   /* integers, and only such numbers */
} cli_statistics;
void cli_find_statistics(const mica_tensor *tensor, cli_statistics *out);

/* The names of the examples that `mica train` knows; NULL behind the last. */
const char *cli_example_name(int index);

extern const cli_command cli_run, cli_info, cli_checkpoint, cli_completion, cli_data, cli_manual,
    cli_plot, cli_plugin, cli_train;
extern const cli_command *const cli_commands[]; /* up to NULL */

#endif
