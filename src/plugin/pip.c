/* SPDX-License-Identifier: Apache-2.0 */
/* pip.c: what the pip of this machine is set up with, and pip itself as the last place to get a wheel from. It is
 * told the wheel's platform, so that it fetches for whatever Python it runs in, and the hash, without which it
 * installs nothing. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plugin_internal.h"

extern char **environ;

/* ---- settings -------------------------------------------------------------------------------- */

static void add_index(pip_settings *settings, const char *url, size_t length) {
  bool web = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
  if (!web || length == 0 || length >= PLUGIN_URL || settings->count == PLUGIN_INDEXES) return;
  snprintf(settings->index[settings->count++], PLUGIN_URL, "%.*s", (int)length, url);
}

/* Addresses with blanks or ends of lines between them. */
static void add_indexes(pip_settings *settings, const char *text) {
  for (;;) {
    text += strspn(text, " \t\r\n");
    size_t length = strcspn(text, " \t\r\n");
    if (length == 0) return;
    add_index(settings, text, length);
    text += length;
  }
}

/* A setting of pip.conf or of the environment; a later main index takes the place of an earlier one. */
static void apply_setting(pip_settings *settings, const char *key, const char *value) {
  if (strcmp(key, "index-url") == 0) {
    settings->count = 0;
    add_indexes(settings, value);
  } else if (strcmp(key, "extra-index-url") == 0 && settings->count > 0) {
    add_indexes(settings, value);
  } else if (strcmp(key, "cert") == 0) {
    snprintf(settings->certificates, sizeof settings->certificates, "%s", value);
  }
}

void mica_plugin_pip_conf(const char *text, pip_settings *settings) {
  char key[64] = "", value[PLUGIN_URL] = "";
  bool ours = false;
  /* A line that begins with a blank goes on with the value of the line before it. */
  for (const char *next; *text != 0; text = next) {
    size_t length = strcspn(text, "\n");
    next = text + length + (text[length] == '\n');
    while (length > 0 && isspace((unsigned char)text[length - 1])) length--;
    if (length == 0 || *text == '#' || *text == ';') continue;
    if (isspace((unsigned char)*text)) {
      size_t used = strlen(value);
      snprintf(value + used, sizeof value - used, " %.*s", (int)length, text);
      continue;
    }
    if (ours && key[0] != 0) apply_setting(settings, key, value);
    key[0] = value[0] = 0;
    if (*text == '[') {
      ours = strncmp(text, "[global]", 8) == 0 || strncmp(text, "[download]", 10) == 0 ||
             strncmp(text, "[install]", 9) == 0;
      continue;
    }
    const char *equals = memchr(text, '=', length);
    if (equals == NULL) equals = memchr(text, ':', length);
    if (equals == NULL) continue;
    size_t size = (size_t)(equals - text);
    while (size > 0 && isspace((unsigned char)text[size - 1])) size--;
    if (size >= sizeof key) continue;
    for (size_t i = 0; i <= size; i++)
      key[i] = i == size ? 0 : text[i] == '_' ? '-' : (char)tolower((unsigned char)text[i]);
    const char *begin = equals + 1;
    while (begin < text + length && isspace((unsigned char)*begin)) begin++;
    snprintf(value, sizeof value, "%.*s", (int)(text + length - begin), begin);
  }
  if (ours && key[0] != 0) apply_setting(settings, key, value);
}

static void read_conf(pip_settings *settings, const char *folder, const char *file) {
  char path[PLUGIN_PATH], text[1 << 14];
  if (folder == NULL || *folder == 0) return;
  int length = snprintf(path, sizeof path, "%s%s", folder, file);
  FILE *open = length > 0 && (size_t)length < sizeof path ? fopen(path, "r") : NULL;
  if (open == NULL) return;
  text[fread(text, 1, sizeof text - 1, open)] = 0;
  fclose(open);
  mica_plugin_pip_conf(text, settings);
}

void mica_plugin_pip_settings(pip_settings *settings) {
  const char *chosen = getenv("PIP_CONFIG_FILE"), *value;
  *settings = (pip_settings){0};
  if (chosen == NULL || strcmp(chosen, "/dev/null") != 0) {
    const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
    read_conf(settings, "/etc", "/xdg/pip/pip.conf");
    read_conf(settings, "/etc", "/pip.conf");
    read_conf(settings, home, "/.pip/pip.conf");
    if (config != NULL && *config != 0)
      read_conf(settings, config, "/pip/pip.conf");
    else
      read_conf(settings, home, "/.config/pip/pip.conf");
    read_conf(settings, getenv("VIRTUAL_ENV"), "/pip.conf");
    read_conf(settings, chosen, "");
  }
  if ((value = getenv("PIP_INDEX_URL")) != NULL && *value != 0)
    apply_setting(settings, "index-url", value);
  if ((value = getenv("PIP_EXTRA_INDEX_URL")) != NULL && *value != 0)
    apply_setting(settings, "extra-index-url", value);
  if ((value = getenv("PIP_CERT")) != NULL && *value != 0) apply_setting(settings, "cert", value);
}

/* ---- running it ------------------------------------------------------------------------------ */

enum { PIP_ARGUMENTS = 64 };
typedef struct {
  char *item[PIP_ARGUMENTS];
  int count;
  char platform[8][64], python[8];
} pip_arguments;

static void add_argument(pip_arguments *a, const char *text) {
  if (a->count < PIP_ARGUMENTS - 1) a->item[a->count++] = (char *)(uintptr_t)text;
}

/* "cp313-cp313-manylinux1_x86_64.manylinux_2_5_x86_64": the Python and the platforms. */
static void add_tags(pip_arguments *a, const char *tags) {
  const char *platforms = strrchr(tags, '-');
  int minor = 13;
  if (strncmp(tags, "cp3", 3) == 0) minor = atoi(tags + 3);
  snprintf(a->python, sizeof a->python, "3.%d", minor % 1000);
  add_argument(a, "--python-version"), add_argument(a, a->python);
  if (platforms == NULL || strcmp(platforms, "-any") == 0) return;
  platforms++;
  for (int i = 0; i < 8 && *platforms != 0; i++) {
    size_t length = strcspn(platforms, ".");
    snprintf(a->platform[i], sizeof a->platform[i], "%.*s", (int)length, platforms);
    add_argument(a, "--platform"), add_argument(a, a->platform[i]);
    platforms += length + (platforms[length] == '.');
  }
}

/* Waits for the child and tells how far it has come by what lies in `folder`; -1 when it was cancelled. */
static int watch(const plugin_source *source, const plugin_wheel *wheel, const char *folder,
                 pid_t child) {
  const mica_plugin_install_options *o = source->options;
  int status;
  while (waitpid(child, &status, WNOHANG) == 0) {
    int64_t done = mica_plugin_tree_bytes(folder);
    if (done > wheel->bytes) done = wheel->bytes;
    if (o->progress != NULL && !o->progress(o->user, wheel->project, done, wheel->bytes)) {
      kill(child, SIGTERM);
      waitpid(child, &status, 0);
      return -1;
    }
    nanosleep(&(struct timespec){0, 100000000}, NULL);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* This process's variables with pip's own temporary files in `folder` as well: their size is the progress. */
static char **variables_for(char *variable, size_t size, const char *folder) {
  size_t count = 0, used = 0;
  snprintf(variable, size, "TMPDIR=%s", folder);
  while (environ != NULL && environ[count] != NULL) count++;
  char **all = malloc((count + 2) * sizeof *all);
  if (all == NULL) return NULL;
  for (size_t i = 0; i < count; i++)
    if (strncmp(environ[i], "TMPDIR=", 7) != 0) all[used++] = environ[i];
  all[used++] = variable;
  all[used] = NULL;
  return all;
}

/* 127: there is no such program. */
static int run_pip(const plugin_source *source, const plugin_wheel *wheel, pip_arguments *a,
                   const char *folder, const char *log) {
  pid_t child;
  posix_spawn_file_actions_t files;
  char variable[PLUGIN_PATH + 16], **variables = variables_for(variable, sizeof variable, folder);
  if (variables == NULL || posix_spawn_file_actions_init(&files) != 0) {
    free(variables);
    return 126;
  }
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  a->item[a->count] = NULL;
  int code = posix_spawnp(&child, a->item[0], &files, NULL, a->item, variables);
  posix_spawn_file_actions_destroy(&files);
  free(variables);
  return code != 0 ? 127 : watch(source, wheel, folder, child);
}

/* The last line of a log that says something, but for an address that could not be read: pip goes on from there, and
 * ends with the word that there is no such package. */
static void last_line(const char *log, char *text, size_t size) {
  static const char cause[] = "Could not fetch URL ";
  char line[1024];
  bool found = false;
  FILE *open = fopen(log, "r");
  text[0] = 0;
  while (open != NULL && !found && fgets(line, sizeof line, open) != NULL) {
    size_t length = strcspn(line, "\r\n");
    found = strncmp(line, cause, sizeof cause - 1) == 0;
    if (length > 0 && strncmp(line, "[notice]", 8) != 0)
      snprintf(text, size, "%.*s", (int)length, line);
  }
  if (open != NULL) fclose(open);
}

static mica_status write_requirement(const plugin_wheel *wheel, const char *path,
                                     mica_error *error) {
  FILE *open = fopen(path, "w");
  bool good = open != NULL && fprintf(open, "%s==%s --hash=sha256:%s\n", wheel->project,
                                      wheel->version, wheel->sha256) > 0;
  if (open != NULL && fclose(open) != 0) good = false;
  return good ? MICA_OK
              : mica_error_set(error, MICA_IO, "cannot write '%.500s': %s", path, strerror(errno));
}

mica_status mica_plugin_pip_download(const plugin_source *source, const plugin_wheel *wheel,
                                     const char *index, char path[PLUGIN_PATH], mica_error *error) {
  static const char *const programs[][4] = {
      {"pip3"}, {"pip"}, {"python3", "-m", "pip"}, {"python", "-m", "pip"}};
  char folder[PLUGIN_PATH], wanted[PLUGIN_PATH + 16], log[PLUGIN_PATH + 16], said[512];
  char file[PLUGIN_FILE];
  mica_plugin_wheel_file(wheel, file);
  snprintf(folder, sizeof folder, "%.960s/pip", source->scratch);
  snprintf(wanted, sizeof wanted, "%s/wanted.txt", folder);
  snprintf(log, sizeof log, "%s/log.txt", folder);
  mica_status status = mica_plugin_make_folder(folder, error);
  if (status == MICA_OK) status = write_requirement(wheel, wanted, error);
  if (status != MICA_OK) return status;
  int code = 127;
  for (size_t i = 0; i < sizeof programs / sizeof programs[0] && code == 127; i++) {
    pip_arguments a = {.count = 0};
    for (int k = 0; k < 4 && programs[i][k] != NULL; k++) add_argument(&a, programs[i][k]);
    static const char *const fixed[] = {"download",
                                        "--no-deps",
                                        "--require-hashes",
                                        "--only-binary=:all:",
                                        "--disable-pip-version-check",
                                        "--no-input",
                                        "--progress-bar=off",
                                        "--dest"};
    for (size_t k = 0; k < sizeof fixed / sizeof fixed[0]; k++) add_argument(&a, fixed[k]);
    add_argument(&a, folder);
    add_tags(&a, wheel->tags);
    if (index != NULL) add_argument(&a, "--index-url"), add_argument(&a, index);
    add_argument(&a, "-r"), add_argument(&a, wanted);
    code = run_pip(source, wheel, &a, folder, log);
  }
  snprintf(path, PLUGIN_PATH, "%.700s/%s", folder, file);
  if (code < 0) return mica_error_set(error, MICA_CANCELLED, "the download was cancelled");
  if (code == 0) return mica_plugin_check_wheel(wheel, path, error);
  path[0] = 0;
  if (code == 127) return mica_error_set(error, MICA_NOT_FOUND, "there is no pip on this machine");
  last_line(log, said, sizeof said);
  return mica_error_set(error, MICA_IO, "pip cannot download %s %s: %s", wheel->project,
                        wheel->version, *said ? said : "it says nothing");
}
