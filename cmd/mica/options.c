/* SPDX-License-Identifier: Apache-2.0 */
/* options.c: values of options, messages, and the small printers that commands share. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/prepare.h"
#include "command.h"

const char *cli_value(const cli_arguments *arguments, const char *name, int index) {
  for (int i = 0; i < arguments->option_count; i++)
    if (strcmp(arguments->option[i].name, name) == 0 && index-- == 0)
      return arguments->option[i].value;
  return NULL;
}

long cli_number(const cli_arguments *arguments, const char *name, long least, long missing) {
  const char *text = cli_value(arguments, name, 0);
  if (text == NULL) return missing;
  char *end;
  errno = 0;
  long number = strtol(text, &end, 10);
  if (errno == 0 && *text != 0 && *end == 0 && number >= least) return number;
  cli_usage("--%s %s: expected a whole number of at least %ld", name, text, least);
  return -1;
}

static void say(const char *format, va_list list) {
  fputs("mica: ", stderr);
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
}

int cli_fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  say(format, list);
  va_end(list);
  return 1;
}

int cli_usage(const char *format, ...) {
  va_list list;
  va_start(list, format);
  say(format, list);
  va_end(list);
  return 2;
}

mica_device *cli_device(const cli_arguments *arguments) {
  mica_error error = {0};
  long threads = cli_number(arguments, "threads", 1, 0);
  if (threads < 0 || threads > INT32_MAX) return NULL;
  mica_device_options options = {.struct_size = sizeof options,
                                 .backend = cli_value(arguments, "backend", 0),
                                 .threads = (int32_t)threads};
  if (prepare_device(options.backend, &error) != MICA_OK) {
    cli_fail("%s", error.message);
    return NULL;
  }
  mica_device *device = mica_device_open(&options, &error);
  if (device == NULL) cli_fail("%s", error.message);
  return device;
}

void cli_json_text(const char *text) {
  putchar('"');
  for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
    if (*c == '"' || *c == '\\')
      printf("\\%c", *c);
    else if (*c < 0x20)
      printf("\\u%04x", *c);
    else
      putchar(*c);
  }
  putchar('"');
}

void cli_json_type(mica_type type) {
  printf("{\"dtype\": \"%s\", \"shape\": [", mica_dtype_name(type.dtype));
  for (int32_t i = 0; i < type.shape.rank; i++)
    printf("%s%" PRId64, i > 0 ? ", " : "", type.shape.dim[i]);
  printf("]}");
}

void cli_json_number(const char *name, double value) {
  if (value - value == 0)
    printf(", \"%s\": %.17g", name, value);
  else
    printf(", \"%s\": null", name);
}

void cli_print_type(mica_type type) {
  char text[256];
  mica_type_format(type, text, sizeof text);
  fputs(text, stdout);
}

void cli_print_count(const char *before, int64_t count, const char *one, const char *after) {
  printf("%s%" PRId64 " %s%s%s", before, count, one, count == 1 ? "" : "s", after);
}

/* How many letters have to be put in, taken out or exchanged. */
static int distance_of(const char *a, const char *b) {
  int row[64], width = (int)strlen(b);
  if (width > 60) return INT_MAX;
  for (int j = 0; j <= width; j++) row[j] = j;
  for (; *a; a++) {
    int corner = row[0];
    row[0]++;
    for (int j = 1; j <= width; j++) {
      int above = row[j], change = corner + (*a != b[j - 1]);
      int least = above < row[j - 1] ? above + 1 : row[j - 1] + 1;
      row[j] = change < least ? change : least;
      corner = above;
    }
  }
  return row[width];
}

const char *cli_nearest(const char *text, const char *const *words) {
  const char *best = NULL;
  int least = strlen(text) < 4 ? 2 : 3; /* less than that */
  for (; *words != NULL; words++) {
    int distance = distance_of(text, *words);
    if (distance < least) least = distance, best = *words;
  }
  return best;
}
