/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.c: `mica plugin`: the plugins of XLA that can be installed, installing, removing, finding and trying them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "mica/plugin.h"

enum { PLUGIN_MOST = 64, PROBE_SECONDS = 60 };

static const char *const devices[] = {"cpu", "cuda", "rocm", "oneapi", "tpu"};
enum { DEVICE_COUNT = sizeof devices / sizeof devices[0] };

static long megabytes(int64_t bytes) { return (long)((bytes + 500000) / 1000000); }

/* ---- list ------------------------------------------------------------------------------------ */

static void print_plugin(const mica_plugin *p, bool json, bool first) {
  if (!json) {
    printf("  %-10s %-24s %-10s %5ld MB  %s\n", p->name, p->project, p->version,
           megabytes(p->download_bytes),
           p->used        ? "installed, used"
           : p->installed ? "installed"
                          : "");
    return;
  }
  printf(
      "%s{\"name\": \"%s\", \"device\": \"%s\", \"project\": \"%s\", \"version\": \"%s\", "
      "\"wheels\": %d, \"download_bytes\": %" PRId64
      ", \"installed\": %s, \"used\": %s, "
      "\"file\": ",
      first ? "" : ", ", p->name, p->device, p->project, p->version, (int)p->wheels,
      p->download_bytes, p->installed ? "true" : "false", p->used ? "true" : "false");
  cli_json_text(p->file);
  putchar('}');
}

/* What "xla:DEVICE" loads, wherever it lies. */
static void print_found(bool json) {
  char path[MICA_PLUGIN_PATH];
  bool first = true;
  if (json) printf("], \"found\": [");
  for (int i = 0; i < DEVICE_COUNT; i++) {
    if (mica_plugin_file(devices[i], path, sizeof path, NULL) != MICA_OK) continue;
    if (json) {
      printf("%s{\"device\": \"xla:%s\", \"file\": ", first ? "" : ", ", devices[i]);
      cli_json_text(path);
      putchar('}');
    } else {
      printf("%sxla:%-7s %s\n", first ? "\n" : "", devices[i], path);
    }
    first = false;
  }
}

static int list_plugins(const cli_arguments *arguments) {
  mica_error error = {0};
  size_t count = 0;
  mica_plugin *plugins = calloc(PLUGIN_MOST, sizeof *plugins);
  if (plugins == NULL) return cli_fail("out of memory");
  if (mica_plugin_list(cli_value(arguments, "table", 0), plugins, PLUGIN_MOST, &count, &error) !=
      MICA_OK) {
    free(plugins);
    return cli_fail("%s", error.message);
  }
  if (arguments->json) printf("{\"plugins\": [");
  for (size_t i = 0; i < count && i < PLUGIN_MOST; i++)
    print_plugin(&plugins[i], arguments->json, i == 0);
  if (count == 0 && !arguments->json) puts("no plugin is known for this kind of machine");
  print_found(arguments->json);
  if (arguments->json) puts("]}");
  free(plugins);
  return 0;
}

/* ---- install --------------------------------------------------------------------------------- */

typedef struct {
  bool bar, names;
  char wheel[64];
  int64_t shown; /* milliseconds */
} progress_state;

static void end_bar(progress_state *state) {
  if (state->bar && state->wheel[0] != 0) putchar('\n');
  state->wheel[0] = 0;
  fflush(stdout);
}

static bool show_progress(void *user, const char *wheel, int64_t done, int64_t total) {
  enum { WIDTH = 30, PAUSE = 100 };
  progress_state *state = user;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t time = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
  bool fresh = strcmp(state->wheel, wheel) != 0;
  if (fresh) {
    end_bar(state);
    snprintf(state->wheel, sizeof state->wheel, "%s", wheel);
    if (!state->bar && state->names) printf("%s, %ld MB\n", wheel, megabytes(total));
  }
  if (!state->bar || total <= 0 || (!fresh && time - state->shown < PAUSE && done < total))
    return true;
  state->shown = time;
  int filled = (int)(done * WIDTH / total);
  printf("\r%-24.24s [%.*s%*s] %5ld of %ld MB", wheel, filled, "##############################",
         WIDTH - filled, "", megabytes(done), megabytes(total));
  fflush(stdout);
  return true;
}

static int install_plugins(const cli_arguments *arguments) {
  char path[MICA_PLUGIN_PATH];
  if (arguments->operand_count < 2) return cli_usage("plugin install: the name of one is expected");
  long stall = cli_number(arguments, "stall", 1, 30);
  if (stall < 0) return 2;
  if (arguments->json) printf("{\"installed\": [");
  for (int i = 1; i < arguments->operand_count; i++) {
    mica_error error = {0};
    progress_state state = {.bar = !arguments->json && isatty(1), .names = !arguments->json};
    mica_plugin_install_options options = {.struct_size = sizeof options,
                                           .name = arguments->operand[i],
                                           .table = cli_value(arguments, "table", 0),
                                           .from = cli_value(arguments, "from", 0),
                                           .index = cli_value(arguments, "index", 0),
                                           .again = cli_value(arguments, "again", 0) != NULL,
                                           .stall_seconds = (int32_t)(stall < 3600 ? stall : 3600),
                                           .progress = show_progress,
                                           .user = &state};
    mica_status status = mica_plugin_install(&options, path, sizeof path, &error);
    end_bar(&state);
    if (status != MICA_OK) {
      if (arguments->json) puts("]}");
      return cli_fail("%s: %s", options.name, error.message);
    }
    if (arguments->json) {
      printf("%s{\"name\": ", i > 1 ? ", " : "");
      cli_json_text(options.name);
      printf(", \"file\": ");
      cli_json_text(path);
      putchar('}');
    } else {
      printf("%s: %s\n", options.name, path);
    }
  }
  if (arguments->json) puts("]}");
  return 0;
}

/* ---- remove, which, check -------------------------------------------------------------------- */

static int remove_plugins(const cli_arguments *arguments) {
  if (arguments->operand_count < 2) return cli_usage("plugin remove: the name of one is expected");
  for (int i = 1; i < arguments->operand_count; i++) {
    mica_error error = {0};
    if (mica_plugin_remove(arguments->operand[i], cli_value(arguments, "table", 0), &error) !=
        MICA_OK)
      return cli_fail("%s", error.message);
  }
  if (arguments->json) puts("{}");
  return 0;
}

static int which_plugin(const cli_arguments *arguments) {
  char path[MICA_PLUGIN_PATH];
  mica_error error = {0};
  if (arguments->operand_count > 2) return cli_usage("plugin which: one device is expected");
  const char *name = arguments->operand_count == 2 ? arguments->operand[1] : "";
  if (strncmp(name, "xla:", 4) == 0) name += 4;
  if (mica_plugin_file(name, path, sizeof path, &error) != MICA_OK)
    return cli_fail("%s", error.message);
  char *real = realpath(path, NULL);
  if (arguments->json) {
    printf("{\"file\": ");
    cli_json_text(real != NULL ? real : path);
    puts("}");
  } else {
    puts(real != NULL ? real : path);
  }
  free(real);
  return 0;
}

static int check_plugins(const cli_arguments *arguments) {
  int result = 0;
  long seconds = cli_number(arguments, "seconds", 1, PROBE_SECONDS);
  if (seconds < 0) return 2;
  if (arguments->operand_count < 2) return cli_usage("plugin check: the name of one is expected");
  if (arguments->json) printf("{\"checked\": [");
  for (int i = 1; i < arguments->operand_count; i++) {
    char text[2048], backend[MICA_PLUGIN_PATH + 8];
    const char *name = arguments->operand[i];
    snprintf(backend, sizeof backend, "%s%s", strncmp(name, "xla", 3) == 0 ? "" : "xla:", name);
    bool good = cli_probe(backend, (int)(seconds < 86400 ? seconds : 86400), text, sizeof text);
    if (!good) result = 1;
    if (arguments->json) {
      printf("%s{\"backend\": ", i > 1 ? ", " : "");
      cli_json_text(backend);
      printf(", \"available\": %s, \"description\": ", good ? "true" : "false");
      cli_json_text(text);
      putchar('}');
    } else if (good) {
      puts(text);
    } else {
      cli_fail("%s", text);
    }
  }
  if (arguments->json) puts("]}");
  return result;
}

static int run_plugin(const cli_arguments *arguments) {
  static const struct {
    const char *name;
    int (*run)(const cli_arguments *arguments);
  } actions[] = {{"list", list_plugins},
                 {"install", install_plugins},
                 {"remove", remove_plugins},
                 {"which", which_plugin},
                 {"check", check_plugins}};
  const char *name = arguments->operand_count > 0 ? arguments->operand[0] : "list";
  for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
    if (strcmp(actions[i].name, name) == 0) return actions[i].run(arguments);
  return cli_usage("plugin: list, install, remove, which or check is expected, not '%s'", name);
}

static const cli_option plugin_options[] = {
    {"from", "DIR", "install: take the wheels from a folder; nothing is downloaded"},
    {"index", "URL", "install: a simple index of packages; default: what pip is set up for"},
    {"again", NULL, "install: also what is there already"},
    {"table", "FILE", "other wheels than the built-in ones; default: $MICA_PLUGIN_TABLE"},
    {"stall", "N", "install: seconds without a byte after which a download begins again; 30"},
    {"seconds", "N", "check: how long a plugin may take to open its device; 60"},
    {NULL, NULL, NULL}};
const cli_command cli_plugin = {
    .name = "plugin",
    .operands = "list|install|remove|which|check [NAME...]",
    .summary = "bring plugins of XLA: cpu, cuda, rocm, oneapi, tpu",
    .details =
        "mica plugin list            what can be installed, what is, and what is used\n"
        "mica plugin install cpu     downloads a wheel with a pinned SHA-256; `cuda` takes the one "
        "for the driver\n"
        "mica plugin which cpu       the file that MICA_BACKEND=xla:cpu loads\n"
        "mica plugin check cuda      opens it in a process of its own\n"
        "mica plugin remove cuda",
    .options = plugin_options,
    .run = run_plugin};
