/* SPDX-License-Identifier: Apache-2.0 */
/* Installing plugins from folders, from an index that lies, breaks off and stalls, and by pip; what is left behind
 * when it fails, choosing among several, removing, and what programs call before they open a device. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "plugin/plugin_internal.h"
#include "plugin/support.h"

static char wheels[512], list[512], data[512], path[MICA_PLUGIN_PATH];
static mica_error error;

/* Wheels of two plugins, a list of them, and an empty folder for plugins. */
static bool prepare_all(void) {
  if (!has_zip()) {
    CHECK_SKIP("libzip is missing");
    return false;
  }
  char cache[600];
  snprintf(wheels, sizeof wheels, "%s", check_temporary_path("wheels"));
  snprintf(list, sizeof list, "%s", check_temporary_path("list.txt"));
  snprintf(data, sizeof data, "%s", check_temporary_path("data"));
  snprintf(cache, sizeof cache, "%s", check_temporary_path("cache"));
  CHECK_OK(mica_plugin_remove_tree(data, NULL));
  CHECK_OK(mica_plugin_remove_tree(cache, NULL));
  CHECK_OK(mica_plugin_remove_tree(wheels, NULL));
  unlink(list);
  make_folder(wheels), make_folder(data);
  make_plugin_wheel(wheels, list, "cpu", "fake-pjrt-cpu", "1.0");
  make_plugin_wheel(wheels, list, "cpu-2.0", "new-pjrt-cpu", "2.0");
  setenv("XDG_DATA_HOME", data, 1), setenv("MICA_CACHE", cache, 1);
  setenv("PIP_CONFIG_FILE", "/dev/null", 1);
  unsetenv("MICA_XLA_PLUGIN_DIR"), unsetenv("MICA_OFFLINE"), unsetenv("MICA_PLUGIN_TABLE");
  unsetenv("PIP_INDEX_URL"), unsetenv("PIP_EXTRA_INDEX_URL"), unsetenv("PIP_CERT");
  unsetenv("MICA_BACKEND"), unsetenv("CI"), unsetenv("MICA_NO_AUTO_INSTALL");
  return true;
}

static mica_status install(const char *name, mica_plugin_install_options o) {
  o.struct_size = sizeof o;
  o.name = name;
  if (o.table == NULL) o.table = list;
  if (o.stall_seconds == 0) o.stall_seconds = 1;
  error = (mica_error){0};
  return mica_plugin_install(&o, path, sizeof path, &error);
}

/* The names in the folder of plugins, sorted. */
static const char *names_there(void) {
  static char names[1024];
  char folder[600];
  struct dirent **entries = NULL;
  snprintf(folder, sizeof folder, "%s/mica/plugins", data);
  int count = scandir(folder, &entries, NULL, alphasort);
  names[0] = 0;
  for (int i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
      snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", name);
    free(entries[i]);
  }
  free(entries);
  return names;
}

static bool holds_plugin(const char *file) {
  size_t size;
  char *bytes = read_all(file, &size);
  bool good = bytes != NULL && size > 4 && memcmp(bytes, "\177ELF", 4) == 0;
  free(bytes);
  return good;
}

TEST(from_a_folder) {
  if (!prepare_all()) return;
  CHECK_STATUS(mica_plugin_file("cpu", path, sizeof path, &error), MICA_NOT_FOUND);
  CHECK_STR_CONTAINS(error.message, "install it by `mica plugin install cpu`");
  CHECK_STATUS(install("cpu", (mica_plugin_install_options){.from = data}), MICA_NOT_FOUND);
  CHECK_STR_CONTAINS(error.message, "there is no fake_pjrt_cpu-1.0-py3-none-any.whl in ");
  CHECK_EQ_STR(names_there(), ".lock ");
  CHECK_OK_ERROR(install("cpu", (mica_plugin_install_options){.from = wheels}), &error);
  CHECK_STR_CONTAINS(path, "/mica/plugins/fake-pjrt-cpu-1.0/lammps_jax_pjrt_cpu/");
  CHECK(holds_plugin(path));
  CHECK_EQ_STR(names_there(), ".lock cpu fake-pjrt-cpu-1.0 ");
  /* There already: the folder of wheels is not asked. */
  CHECK_OK_ERROR(install("cpu", (mica_plugin_install_options){.from = "/none"}), &error);
  /* Another one of the same device: the last one is used, and the first can be again. */
  CHECK_OK_ERROR(install("cpu-2.0", (mica_plugin_install_options){.from = wheels}), &error);
  CHECK_OK(mica_plugin_file("cpu", path, sizeof path, &error));
  char *real = realpath(path, NULL);
  CHECK_STR_CONTAINS(real, "new-pjrt-cpu-2.0");
  free(real);
  mica_plugin plugins[4];
  size_t count = 0;
  CHECK_OK_ERROR(mica_plugin_list(list, plugins, 4, &count, &error), &error);
  CHECK_EQ_INT(count, 2);
  CHECK(plugins[0].installed && !plugins[0].used && plugins[1].installed && plugins[1].used);
  CHECK_EQ_STR(plugins[1].device, "cpu");
  CHECK_EQ_STR(plugins[1].project, "new-pjrt-cpu");
  CHECK_EQ_INT(plugins[0].wheels, 1);
  CHECK_OK_ERROR(install("cpu", (mica_plugin_install_options){.from = "/none"}), &error);
  CHECK_OK(mica_plugin_list(list, plugins, 1, &count, &error));
  CHECK(plugins[0].used && count == 2);
  /* A wheel that is not the pinned one leaves what is there as it is. */
  char wheel[600];
  snprintf(wheel, sizeof wheel, "%s/fake_pjrt_cpu-1.0-py3-none-any.whl", wheels);
  size_t size;
  char *bytes = read_all(wheel, &size);
  bytes[size / 2] ^= 1;
  write_all(wheel, bytes, size);
  CHECK_STATUS(install("cpu", (mica_plugin_install_options){.from = wheels, .again = true}),
               MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "has the SHA-256");
  CHECK_OK(mica_plugin_file("cpu", path, sizeof path, &error));
  CHECK(holds_plugin(path));
  bytes[size / 2] ^= 1;
  write_all(wheel, bytes, size);
  free(bytes);
  CHECK_OK_ERROR(install("cpu", (mica_plugin_install_options){.from = wheels, .again = true}),
                 &error);
  CHECK_EQ_STR(names_there(), ".lock cpu fake-pjrt-cpu-1.0 new-pjrt-cpu-2.0 ");
  /* Removing one, then all of the device. */
  CHECK_OK_ERROR(mica_plugin_remove("cpu-2.0", list, &error), &error);
  CHECK_EQ_STR(names_there(), ".lock cpu fake-pjrt-cpu-1.0 ");
  CHECK_OK_ERROR(mica_plugin_remove("cpu", list, &error), &error);
  CHECK_EQ_STR(names_there(), ".lock ");
  CHECK_STATUS(mica_plugin_remove("cpu", list, &error), MICA_NOT_FOUND);
  CHECK_STATUS(install("tpu", (mica_plugin_install_options){.from = wheels}), MICA_NOT_FOUND);
  CHECK_STR_CONTAINS(error.message, "there are: cpu, cpu-2.0");
  CHECK_STATUS(mica_plugin_install(NULL, path, sizeof path, &error), MICA_INVALID);
}

/* What stops in the middle leaves a folder that the next installation removes. */
TEST(leftovers_go) {
  if (!prepare_all()) return;
  char folder[600];
  snprintf(folder, sizeof folder, "%s/mica/plugins/.installing-1/content/x", data);
  make_folder(folder);
  CHECK_OK_ERROR(install("cpu", (mica_plugin_install_options){.from = wheels}), &error);
  CHECK_EQ_STR(names_there(), ".lock cpu fake-pjrt-cpu-1.0 ");
  /* Somebody's own folder in the way of the link stays. */
  CHECK_OK(mica_plugin_remove("cpu", list, &error));
  snprintf(folder, sizeof folder, "%s/mica/plugins/cpu/mine", data);
  make_folder(folder);
  CHECK_STATUS(install("cpu", (mica_plugin_install_options){.from = wheels}), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "cannot make the link");
  CHECK(access(folder, F_OK) == 0);
}

/* A wheel whose hash is right and that holds no plugin, or one that is no library. */
TEST(wheels_without_a_plugin) {
  if (!prepare_all()) return;
  static const wheel_entry nothing[] = {{"x.txt", "x", 0, 0}},
                           text[] = {{"pjrt_c_api_cpu_plugin.so", "not a library", 0, 0}};
  for (int i = 0; i < 2; i++) {
    char wheel[600], line[1024], sum[65];
    snprintf(wheel, sizeof wheel, "%s/empty_cpu-1-py3-none-any.whl", wheels);
    write_wheel(wheel, i == 0 ? nothing : text, 1, false);
    CHECK_OK(mica_plugin_file_sha256(wheel, sum, &error));
    plugin_table *table = NULL;
    CHECK_OK(mica_plugin_table_load(list, NULL, &table, NULL));
    snprintf(line, sizeof line, "cpu-3 %s empty-cpu 1 py3-none-any 1000 %s\n",
             table->row[0].machine, sum);
    free(table);
    const char *own = check_temporary_path("own.txt");
    write_all(own, line, strlen(line));
    CHECK_STATUS(install("cpu-3", (mica_plugin_install_options){.from = wheels, .table = own}),
                 MICA_DATA_LOSS);
    CHECK_STR_CONTAINS(error.message, i == 0 ? "holds no plugin for cpu" : "is no shared library");
    CHECK_EQ_STR(names_there(), ".lock ");
  }
}

typedef struct {
  int64_t calls, last, stop_at;
} watching;
static bool watch(void *user, const char *wheel, int64_t done, int64_t total) {
  watching *w = user;
  CHECK_EQ_STR(wheel, "fake-pjrt-cpu");
  CHECK(done >= 0 && done <= total);
  w->calls++;
  w->last = done;
  return w->stop_at == 0 || done < w->stop_at;
}

TEST(from_an_index) {
#ifdef MICA_PLUGIN_FETCH
  if (!prepare_all()) return;
  index_server *server = start_index(wheels);
  if (server == NULL) {
    CHECK_SKIP("no server can be started here");
    return;
  }
  static const struct {
    const char *behavior;
    mica_status status;
    const char *message;
  } rows[] = {
      {"json", MICA_OK, NULL},
      {"html", MICA_OK, NULL},
      {"relative", MICA_OK, NULL},
      {"moved", MICA_OK, NULL},
      {"password", MICA_OK, NULL},
      {"cut", MICA_OK, NULL},
      {"stall", MICA_OK, NULL},
      {"liar", MICA_DATA_LOSS, "has the SHA-256"},
      {"page", MICA_DATA_LOSS, "has the SHA-256"},
      {"wrong-sum", MICA_DATA_LOSS, "the index names the SHA-256"},
      {"empty", MICA_NOT_FOUND, "the index does not list fake_pjrt_cpu-1.0-py3-none-any.whl"},
      {"broken", MICA_NOT_FOUND, "the index does not list"},
      {"gone", MICA_IO, "HTTP 404"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    watching w = {0};
    char index[300];
    snprintf(index, sizeof index, "%s%s", index_url(rows[i].behavior), i % 2 ? "/" : "");
    int64_t resumed = server->resumed;
    CHECK_STATUS(
        install("cpu",
                (mica_plugin_install_options){.index = index, .progress = watch, .user = &w}),
        rows[i].status);
    if (rows[i].status == MICA_OK) {
      CHECK_EQ_STR(error.message, "");
      CHECK(holds_plugin(path));
      CHECK(w.calls > 0);
      if (strcmp(rows[i].behavior, "cut") == 0 || strcmp(rows[i].behavior, "stall") == 0)
        CHECK(server->resumed > resumed);
      CHECK_OK_ERROR(mica_plugin_remove("cpu", list, &error), &error);
    } else {
      CHECK_STR_CONTAINS(error.message, rows[i].message);
    }
    CHECK(strstr(error.message, "secret") == NULL);
    CHECK_EQ_STR(names_there(), ".lock ");
    CHECK_OK(mica_plugin_remove_tree(getenv("MICA_CACHE"), NULL));
  }
  /* Cancelled in the middle; the next call goes on from there, and the wheel does not stay in the cache. */
  watching w = {.stop_at = 4000};
  CHECK_STATUS(install("cpu",
                       (mica_plugin_install_options){
                           .index = index_url("json"), .progress = watch, .user = &w}),
               MICA_CANCELLED);
  CHECK_EQ_STR(names_there(), ".lock ");
  setenv("MICA_OFFLINE", "1", 1);
  CHECK_STATUS(install("cpu", (mica_plugin_install_options){.index = index_url("json")}),
               MICA_NOT_FOUND);
  CHECK_STR_CONTAINS(error.message, "MICA_OFFLINE");
  unsetenv("MICA_OFFLINE");
  CHECK_OK_ERROR(install("cpu", (mica_plugin_install_options){.index = index_url("json")}), &error);
  CHECK_OK(mica_plugin_remove("cpu", list, &error));
  /* By pip's settings. */
  setenv("PIP_INDEX_URL", index_url("empty"), 1);
  char more[300];
  snprintf(more, sizeof more, "%s", index_url("html"));
  setenv("PIP_EXTRA_INDEX_URL", more, 1);
  CHECK_OK_ERROR(install("cpu", (mica_plugin_install_options){0}), &error);
  CHECK_OK(mica_plugin_remove("cpu", list, &error));
  unsetenv("PIP_INDEX_URL"), unsetenv("PIP_EXTRA_INDEX_URL");
#else
  CHECK_SKIP("libcurl is missing");
#endif
}

/* A program that pip is, for once: it takes what pip takes and gives the wheel, or does not. */
static void write_pip(const char *folder, const char *body) {
  char file[600], text[4096];
  make_folder(folder);
  snprintf(file, sizeof file, "%s/pip3", folder);
  int size =
      snprintf(text, sizeof text,
               "#!/bin/sh\nall=\"$*\"\nwhile [ $# -gt 0 ]; do case $1 in --dest) dest=$2; shift ;; "
               "-r) list=$2; shift ;; esac; shift; done\n%s\n",
               body);
  write_all(file, text, (size_t)size);
  chmod(file, 0755);
}

TEST(by_pip) {
  if (!prepare_all()) return;
  char folder[512], body[2048], kept[8192];
  snprintf(folder, sizeof folder, "%s", check_temporary_path("bin"));
  snprintf(kept, sizeof kept, "%s", getenv("PATH") != NULL ? getenv("PATH") : "");
  char paths[9000];
  snprintf(paths, sizeof paths, "%s:%s", folder, kept);
  setenv("PATH", paths, 1);
  setenv("TMPDIR", "/tmp", 1);
  snprintf(body, sizeof body,
           "case $all in 'download --no-deps --require-hashes --only-binary=:all: '*' "
           "--python-version 3.13 -r '*) ;; *) echo \"bad: $all\"; exit 2 ;; esac\n"
           "grep -q '^fake-pjrt-cpu==1.0 --hash=sha256:[0-9a-f]*$' \"$list\" || exit 3\n"
           "case $TMPDIR in \"$dest\") ;; *) exit 4 ;; esac\n"
           "sleep 0.3; cp '%s'/fake_pjrt* \"$dest\"",
           wheels);
  write_pip(folder, body);
  watching w = {0};
  CHECK_OK_ERROR(install("cpu", (mica_plugin_install_options){.progress = watch, .user = &w}),
                 &error);
  CHECK(holds_plugin(path) && w.calls > 1);
  CHECK_EQ_STR(getenv("TMPDIR"), "/tmp");
  CHECK_OK(mica_plugin_remove("cpu", list, &error));
  write_pip(folder, "echo 'ERROR: no such thing'; exit 1");
  CHECK_STATUS(install("cpu", (mica_plugin_install_options){0}), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "pip cannot download fake-pjrt-cpu 1.0: ERROR: no such thing");
  write_pip(folder, "echo 'Could not fetch URL x: no certificate'; echo 'ERROR: none'; exit 1");
  CHECK_STATUS(install("cpu", (mica_plugin_install_options){0}), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "1.0: Could not fetch URL x: no certificate");
  write_pip(folder, "echo lies >\"$dest/fake_pjrt_cpu-1.0-py3-none-any.whl\"");
  CHECK_STATUS(install("cpu", (mica_plugin_install_options){0}), MICA_DATA_LOSS);
  write_pip(folder, "exit 0");
  CHECK_STATUS(install("cpu", (mica_plugin_install_options){0}), MICA_IO);
  write_pip(folder, "exec sleep 30"); /* what is told to end, ends */
  w = (watching){.stop_at = -1};
  CHECK_STATUS(install("cpu", (mica_plugin_install_options){.progress = watch, .user = &w}),
               MICA_CANCELLED);
  setenv("PATH", "/no/such/folder", 1);
  CHECK_STATUS(install("cpu", (mica_plugin_install_options){0}), MICA_NOT_FOUND);
  CHECK_STR_CONTAINS(error.message, "no pip on this machine, and no index is named: give --index");
  setenv("PATH", kept, 1);
  CHECK_EQ_STR(names_there(), ".lock ");
}

/* Four processes at once: each ends well, and one plugin is there. */
TEST(several_at_once) {
  if (!prepare_all()) return;
  pid_t children[4];
  for (int i = 0; i < 4; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      mica_status status = install(i % 2 ? "cpu" : "cpu-2.0",
                                   (mica_plugin_install_options){.from = wheels, .again = true});
      _exit(status == MICA_OK && holds_plugin(path) ? 0 : 1);
    }
  }
  for (int i = 0; i < 4; i++) {
    int status = -1;
    CHECK(waitpid(children[i], &status, 0) == children[i]);
    CHECK_EQ_INT(status, 0);
  }
  CHECK_EQ_STR(names_there(), ".lock cpu fake-pjrt-cpu-1.0 new-pjrt-cpu-2.0 ");
}

static void keep_line(void *user, const char *line) {
  char *text = user;
  snprintf(text + strlen(text), 4096 - strlen(text), "%s\n", line);
}

/* What is said while `backend` is prepared; nothing of it by the library on stderr. */
static const char *said_for(const char *backend, mica_status wanted) {
  static char text[4096];
  const char *file = check_temporary_path("said.txt");
  fflush(stderr);
  int kept = dup(2);
  FILE *open = freopen(file, "w", stderr);
  error = (mica_error){0};
  text[0] = 0;
  mica_status status =
      open != NULL ? mica_plugin_prepare(backend, keep_line, text, &error) : MICA_IO;
  fflush(stderr);
  dup2(kept, 2);
  close(kept);
  CHECK_STATUS(status, wanted);
  size_t size;
  char *bytes = read_all(file, &size);
  CHECK_EQ_STR(bytes, "");
  free(bytes);
  return text;
}

TEST(before_the_first_device) {
#if defined(MICA_PLUGIN_FETCH) && defined(MICA_XLA)
  if (!prepare_all()) return;
  if (start_index(wheels) == NULL) {
    CHECK_SKIP("no server can be started here");
    return;
  }
  unsetenv("TF_CPP_MIN_LOG_LEVEL");
  setenv("MICA_PLUGIN_TABLE", list, 1);
  setenv("PIP_INDEX_URL", index_url("json"), 1);
  static const char *const others[] = {NULL,   "",          "cpu",     "reference,x",
                                       "xlax", "xla:/x.so", "xla:help"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    CHECK_EQ_STR(said_for(others[i], MICA_OK), "");
  setenv("MICA_NO_AUTO_INSTALL", "1", 1);
  CHECK_EQ_STR(said_for("xla:cpu", MICA_OK), "");
  unsetenv("MICA_NO_AUTO_INSTALL");
  setenv("CI", "true", 1);
  CHECK_EQ_STR(said_for("xla", MICA_OK), "");
  CHECK_EQ_STR(names_there(), "");
  setenv("MICA_AUTO_INSTALL", "1", 1);
  setenv("MICA_BACKEND", "xla:cpu, devices=2", 1);
  CHECK_STR_CONTAINS(said_for(NULL, MICA_OK),
                     "installing the XLA plugin 'cpu' (fake-pjrt-cpu 1.0, 1 MB to download) in ");
  CHECK_EQ_STR(names_there(), ".lock cpu fake-pjrt-cpu-1.0 ");
  CHECK(getenv("TF_CPP_MIN_LOG_LEVEL") == NULL);  /* the environment is the program's */
  CHECK_EQ_STR(said_for(NULL, MICA_OK), "");      /* once */
  CHECK_EQ_STR(said_for("xla:tpu", MICA_OK), ""); /* not in the list: the device's error says so */
  CHECK_OK(mica_plugin_remove("cpu", list, &error));
  CHECK_OK_ERROR(mica_plugin_prepare(NULL, NULL, NULL, &error), &error); /* without a word */
  CHECK_EQ_STR(names_there(), ".lock cpu fake-pjrt-cpu-1.0 ");
  CHECK_OK(mica_plugin_remove("cpu", list, &error));
  setenv("PIP_INDEX_URL", index_url("gone"), 1);
  CHECK_STR_CONTAINS(said_for("xla:cpu", MICA_IO), "installing");
  unsetenv("PIP_INDEX_URL"), unsetenv("MICA_PLUGIN_TABLE"), unsetenv("MICA_AUTO_INSTALL");
  unsetenv("MICA_BACKEND"), unsetenv("CI");
#else
  CHECK_SKIP("libcurl or the backend xla is missing");
#endif
}

TEST_MAIN(TEST_CASE(from_a_folder), TEST_CASE(leftovers_go), TEST_CASE(wheels_without_a_plugin),
          TEST_CASE(from_an_index), TEST_CASE(by_pip), TEST_CASE(several_at_once),
          TEST_CASE(before_the_first_device))
