/* SPDX-License-Identifier: Apache-2.0 */
/* mica.c: the command-line tool: finds the sub-command, checks its options, prints help. One sub-command is one file
 * in cmd/mica/. */
#include <string.h>

#include "mica/command.h"

const cli_command *const cli_commands[] = {
    &cli_checkpoint, &cli_completion, &cli_data, &cli_info,  &cli_manual,
    &cli_plot,       &cli_plugin,     &cli_run,  &cli_train, NULL};

static const cli_command *find_command(const char *name) {
  for (int i = 0; cli_commands[i] != NULL; i++)
    if (strcmp(cli_commands[i]->name, name) == 0) return cli_commands[i];
  return NULL;
}

static int print_help(void) {
  puts("mica COMMAND [arguments]\n");
  for (int i = 0; cli_commands[i] != NULL; i++)
    printf("  %-12s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
  puts(
      "\n  mica COMMAND --help   what it takes\n"
      "  mica --version        the version\n\n"
      "Every command takes --json and prints JSON then. Exit codes: 0 good, 1 failed, 2 wrongly "
      "called.");
  return 0;
}

static int print_command_help(const cli_command *command) {
  printf("mica %s [options] %s\n\n%s.\n%s\n\n", command->name, command->operands, command->summary,
         command->details);
  for (const cli_option *option = command->options; option->name != NULL; option++) {
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", option->name, option->value != NULL ? " " : "",
             option->value != NULL ? option->value : "");
    printf("  %-24s %s\n", left, option->help);
  }
  printf("  %-24s %s\n", "--json", "print JSON");
  return 0;
}

static const cli_option *find_option(const cli_command *command, const char *name, size_t size) {
  for (const cli_option *option = command->options; option->name != NULL; option++)
    if (strlen(option->name) == size && strncmp(option->name, name, size) == 0) return option;
  return NULL;
}

static const char *nearest_option(const cli_command *command, const char *name) {
  const char *words[64] = {"json", "help"};
  int count = 2;
  for (const cli_option *o = command->options; o->name != NULL && count < 63; o++)
    words[count++] = o->name;
  return cli_nearest(name, words);
}

static int no_command(const char *name) {
  const char *words[32] = {0};
  for (int i = 0; cli_commands[i] != NULL && i < 31; i++) words[i] = cli_commands[i]->name;
  const char *meant = cli_nearest(name, words);
  return cli_usage("there is no command '%s'%s%s%s; mica --help lists them", name,
                   meant != NULL ? "; is '" : "", meant != NULL ? meant : "",
                   meant != NULL ? "' meant?" : "");
}

/* 0, or the exit code; *out_help when help is asked for. */
static int parse(const cli_command *command, int argc, char **argv, cli_arguments *out,
                 bool *out_help) {
  bool options = true;
  for (int i = 0; i < argc; i++) {
    const char *text = argv[i];
    if (!options || text[0] != '-' || text[1] == 0) {
      if (out->operand_count == CLI_VALUES) return cli_usage("too many arguments");
      out->operand[out->operand_count++] = text;
      if (command->forwards) options = false;
      continue;
    }
    if (strcmp(text, "--") == 0) {
      options = false;
    } else if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
      *out_help = true;
    } else if (strcmp(text, "--json") == 0) {
      out->json = true;
    } else {
      const char *name = text[1] == '-' ? text + 2 : "", *equals = strchr(name, '=');
      size_t size = equals != NULL ? (size_t)(equals - name) : strlen(name);
      const cli_option *option = find_option(command, name, size);
      if (option == NULL) {
        const char *meant = nearest_option(command, name);
        return cli_usage("%s: unknown%s%s%s; mica %s --help lists the options", text,
                         meant != NULL ? "; is --" : "", meant != NULL ? meant : "",
                         meant != NULL ? " meant?" : "", command->name);
      }
      const char *value = equals != NULL          ? equals + 1
                          : option->value == NULL ? ""
                          : i + 1 < argc          ? argv[++i]
                                                  : NULL;
      if (value == NULL)
        return cli_usage("--%s needs a value: --%s %s", option->name, option->name, option->value);
      if (option->value == NULL && equals != NULL)
        return cli_usage("--%s takes no value", option->name);
      if (out->option_count == CLI_VALUES) return cli_usage("too many options");
      out->option[out->option_count].name = option->name;
      out->option[out->option_count++].value = value;
    }
  }
  return 0;
}

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "--help";
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
      (strcmp(name, "help") == 0 && argc < 3)) {
    print_help();
    return argc > 1 ? 0 : 2;
  }
  if (strcmp(name, "--version") == 0) return printf("mica %s\n", mica_version()) < 0;
  if (strcmp(name, "help") == 0) name = argv[2];
  const cli_command *command = find_command(name);
  if (command == NULL) return no_command(name);
  static cli_arguments arguments;
  bool help = strcmp(argv[1], "help") == 0;
  int code = help ? 0 : parse(command, argc - 2, argv + 2, &arguments, &help);
  if (code != 0) return code;
  if (help) return print_command_help(command);
  code = command->run(&arguments);
  if (fflush(stdout) != 0 || ferror(stdout)) return cli_fail("the output cannot be written");
  return code;
}
