/* SPDX-License-Identifier: Apache-2.0 */
/* completion.c: `mica completion` and `mica manual`: shell completions and a manual page, made from the rows of the
 * commands. */
#include <string.h>

#include "command.h"

/* Commands whose first operand is one of some words; of the others it is a file. */
static bool takes_words(const cli_command *command) {
  return command == &cli_train || command == &cli_completion || command == &cli_plugin;
}
static void print_words(const cli_command *command) {
  if (command == &cli_completion) fputs("bash zsh fish", stdout);
  if (command == &cli_plugin) fputs("list install remove which check", stdout);
  for (int i = 0; command == &cli_train && cli_example_name(i) != NULL; i++)
    printf("%s%s", i > 0 ? " " : "", cli_example_name(i));
}
/* What all examples take (examples/common.h). */
static const char example_words[] =
    " --steps --epochs --stop --limit --seed --threads --data --url --set --checkpoint --resume "
    "--log --summary --quiet";

static void bash(void) {
  puts(
      "_mica() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} words operands=\n"
      "  case ${COMP_WORDS[1]} in");
  for (int i = 0; cli_commands[i] != NULL; i++) {
    printf("    %s) words='--json --help", cli_commands[i]->name);
    for (const cli_option *o = cli_commands[i]->options; o->name != NULL; o++)
      printf(" --%s", o->name);
    if (cli_commands[i] == &cli_train) fputs(example_words, stdout);
    printf("' operands='");
    print_words(cli_commands[i]);
    puts("' ;;");
  }
  printf("    *) words='--help --version");
  for (int i = 0; cli_commands[i] != NULL; i++) printf(" %s", cli_commands[i]->name);
  puts(
      "' ;;\n"
      "  esac\n"
      "  if [[ $COMP_CWORD -eq 2 && $word != -* && $operands ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$operands\" -- \"$word\"))\n"
      "  elif [[ $COMP_CWORD -gt 1 && $word != -* ]]; then\n"
      "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
      "  else\n"
      "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
      "  fi\n"
      "}\n"
      "complete -o filenames -F _mica mica");
}

/* Text between single quotes of a shell, without what ends them there or means something to zsh. */
static void quoted(const char *text) {
  for (; *text; text++)
    if (strchr("'[]:\\`", *text) == NULL) putchar(*text);
}

static void zsh(void) {
  puts("#compdef mica\n_mica() {\n  local -a commands\n  commands=(");
  for (int i = 0; cli_commands[i] != NULL; i++) {
    printf("    '%s:", cli_commands[i]->name);
    quoted(cli_commands[i]->summary);
    puts("'");
  }
  puts(
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  case $words[2] in");
  for (int i = 0; cli_commands[i] != NULL; i++) {
    printf(
        "    %s) shift words; (( CURRENT-- )); _arguments '--json[print JSON]' '--help[what it "
        "takes]'",
        cli_commands[i]->name);
    for (const cli_option *o = cli_commands[i]->options; o->name != NULL; o++) {
      printf(" '*--%s[", o->name);
      quoted(o->help);
      printf("]%s'", o->value == NULL ? "" : ":value:_files");
    }
    if (takes_words(cli_commands[i])) {
      printf(" '1:what:(");
      print_words(cli_commands[i]);
      printf(")'");
    }
    puts(" '*:file:_files' ;;");
  }
  puts("  esac\n}\n_mica \"$@\"");
}

static void fish(void) {
  for (int i = 0; cli_commands[i] != NULL; i++) {
    printf("complete -c mica -n __fish_use_subcommand -a %s -d '", cli_commands[i]->name);
    quoted(cli_commands[i]->summary);
    puts("'");
    for (const cli_option *o = cli_commands[i]->options; o->name != NULL; o++) {
      printf("complete -c mica -n '__fish_seen_subcommand_from %s' -l %s%s -d '",
             cli_commands[i]->name, o->name, o->value != NULL ? " -r" : "");
      quoted(o->help);
      puts("'");
    }
    printf("complete -c mica -n '__fish_seen_subcommand_from %s' -l json -d 'print JSON'\n",
           cli_commands[i]->name);
    if (!takes_words(cli_commands[i])) continue;
    printf("complete -c mica -f -n '__fish_seen_subcommand_from %s' -a '", cli_commands[i]->name);
    print_words(cli_commands[i]);
    puts("'");
  }
}

/* All commands with what they take, for programs. */
static int print_commands(void) {
  printf("{\"version\": \"%s\", \"commands\": [", mica_version());
  for (int i = 0; cli_commands[i] != NULL; i++) {
    const cli_command *command = cli_commands[i];
    printf("%s{\"name\": \"%s\", \"operands\": ", i > 0 ? ", " : "", command->name);
    cli_json_text(command->operands);
    printf(", \"summary\": ");
    cli_json_text(command->summary);
    printf(", \"options\": [");
    for (const cli_option *o = command->options; o->name != NULL; o++) {
      printf("%s{\"name\": \"--%s\", \"value\": ", o == command->options ? "" : ", ", o->name);
      if (o->value != NULL)
        cli_json_text(o->value);
      else
        printf("null");
      printf(", \"help\": ");
      cli_json_text(o->help);
      putchar('}');
    }
    printf("]}");
  }
  puts("]}");
  return 0;
}

static int run_completion(const cli_arguments *arguments) {
  const char *shell = arguments->operand_count == 1 ? arguments->operand[0] : "";
  if (arguments->json) return print_commands();
  if (strcmp(shell, "bash") == 0)
    bash();
  else if (strcmp(shell, "zsh") == 0)
    zsh();
  else if (strcmp(shell, "fish") == 0)
    fish();
  else
    return cli_usage("completion: bash, zsh or fish is expected");
  return 0;
}

/* A line for troff: dots and quotes at its start mean something there. */
static void troff(const char *text) {
  for (bool start = true; *text; text++) {
    if (start && (*text == '.' || *text == '\'')) printf("\\&");
    if (*text == '-' || *text == '\\')
      printf(*text == '-' ? "\\-" : "\\e");
    else
      putchar(*text);
    start = *text == '\n';
  }
  putchar('\n');
}

/* What is given line by line stays so: details are paragraphs, but for lines that are commands to type. */
static void troff_details(const char *text) {
  bool typed = false;
  while (*text) {
    char line[512];
    size_t size = strcspn(text, "\n");
    bool command = strncmp(text, "mica ", 5) == 0 || strncmp(text, "source ", 7) == 0;
    snprintf(line, sizeof line, "%.*s", (int)(size < 500 ? size : 500), text);
    if (command != typed) puts(command ? ".PP\n.nf" : ".fi\n.PP");
    typed = command;
    troff(line);
    text += size + (text[size] == '\n');
  }
  if (typed) puts(".fi");
}

static const char manual_end[] =
    ".SH OPTIONS\n"
    ".TP\n.B \\-\\-json\nEvery command prints JSON with it.\n"
    ".TP\n.B \\-\\-help\nWhat a command takes.\n"
    ".SH EXIT STATUS\n"
    "0 good, 1 failed, 2 wrongly called, 130 stopped by Ctrl\\-C.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n.B MICA_BACKEND\nWhat computes: cpu, reference, xla:cpu, xla:cuda, ...; with options "
    "behind it.\n"
    ".TP\n.B MICA_THREADS\nThreads of a backend; by default one for each core.\n"
    ".TP\n.B MICA_XLA_PLUGIN_DIR\nWhere plugins of XLA are, before those that mica plugin "
    "installs.\n"
    ".TP\n.B MICA_CACHE, XDG_CACHE_HOME\nWhere data of the examples, plugins and compiled programs "
    "are kept;\n"
    "by default ~/.cache/mica.\n"
    ".TP\n.B MICA_OFFLINE\n1 forbids downloads.\n"
    ".TP\n.B NO_COLOR, COLUMNS\nNo colors; how wide a terminal is that does not say so.\n"
    ".SH FILES\n"
    ".TP\n.B metrics.jsonl, plot.html, model.html, events.out.tfevents.*\nin the folder of "
    "\\-\\-log of a run:\n"
    "its log, pages that follow it and show the model, and the same for TensorBoard.\n"
    ".TP\n.B step-000000001200\nin a folder of checkpoints: one of them. A further save of a step "
    "gets .1, .2, ...\n"
    "behind its name.\n"
    ".SH EXAMPLES\n.nf\n"
    "mica train mnist \\-\\-epochs 2 \\-\\-log runs/a \\-\\-checkpoint saved/a\n"
    "mica plot runs \\-\\-html runs.html\n"
    "mica checkpoint saved/a \\-\\-variables\n"
    "mica run model.mica \\-\\-input x.npy \\-\\-output y.npy\n"
    ".fi";

static int run_manual(const cli_arguments *arguments) {
  if (arguments->json) return print_commands();
  printf(".TH MICA 1 \"\" \"Mica %s\" \"Mica\"\n.SH NAME\nmica \\- look at, run and train models\n",
         mica_version());
  puts(".SH SYNOPSIS\n.B mica\n.I COMMAND\n[\\fIoptions\\fR] [\\fIarguments\\fR]\n.SH COMMANDS");
  for (int i = 0; cli_commands[i] != NULL; i++) {
    const cli_command *command = cli_commands[i];
    printf(".SS \"mica %s %s\"\n", command->name, command->operands);
    troff(command->summary);
    puts(".PP");
    troff_details(command->details);
    for (const cli_option *o = command->options; o->name != NULL; o++) {
      printf(".TP\n.B \\-\\-%s%s%s\n", o->name, o->value != NULL ? " " : "",
             o->value != NULL ? o->value : "");
      troff(o->help);
    }
  }
  puts(manual_end);
  return 0;
}

static const cli_option no_options[] = {{NULL, NULL, NULL}};
const cli_command cli_completion = {.name = "completion",
                                    .operands = "bash|zsh|fish",
                                    .summary = "print completions for a shell",
                                    .details = "source <(mica completion bash)",
                                    .options = no_options,
                                    .run = run_completion};
const cli_command cli_manual = {.name = "manual",
                                .operands = "",
                                .summary = "print the manual page",
                                .details = "mica manual > mica.1, or mica manual | man -l -",
                                .options = no_options,
                                .run = run_manual};
