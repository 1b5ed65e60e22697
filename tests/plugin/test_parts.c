/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of installing a plugin on bad and good input: the list of wheels, pages of indexes, pip's settings, and
 * wheels that are not what a wheel should be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "plugin/plugin_internal.h"
#include "plugin/support.h"

/* ---- the list of wheels ---- */

TEST(pinned_wheels) {
  static const char *const machines[] = {"x86_64", "aarch64"};
  unsetenv("MICA_PLUGIN_TABLE");
  for (int m = 0; m < 2; m++) {
    plugin_table *table = NULL;
    mica_error error = {0};
    if (!CHECK_OK_ERROR(mica_plugin_table_load(NULL, machines[m], &table, &error), &error)) return;
    CHECK(table->count > 25);
    for (size_t i = 0; i < table->count; i++) {
      const plugin_wheel *w = &table->row[i];
      CHECK_EQ_INT(strspn(w->sha256, "0123456789abcdef"), 64);
      CHECK(w->bytes > 1000000 && w->bytes < 1000000000);
      CHECK_STR_CONTAINS(w->tags, machines[m]);
      for (size_t k = 0; k < i; k++) CHECK(strcmp(table->row[k].sha256, w->sha256) != 0);
    }
    const plugin_wheel *cpu = mica_plugin_find(table, "cpu"),
                       *cuda = mica_plugin_find(table, "cuda");
    CHECK_EQ_STR(cpu->project, m == 0 ? "lammps-jax-pjrt-cpu" : "xla-cpu-pjrt");
    CHECK(strncmp(cuda->plugin, "cuda1", 5) == 0 && strstr(cuda->project, "-pjrt") != NULL);
    CHECK(mica_plugin_find(table, "abacus") == NULL);
    char file[PLUGIN_FILE];
    mica_plugin_wheel_file(cuda, file);
    CHECK(strncmp(file, "jax_cuda1", 9) == 0 && strstr(file, "_pjrt-0.11.2-py3-none-") != NULL);
    free(table);
  }
  plugin_table *none = NULL;
  CHECK_OK(mica_plugin_table_load(NULL, "pdp11", &none, NULL));
  CHECK_EQ_INT(none->count, 0);
  free(none);
  CHECK_EQ_INT(
      mica_plugin_driver_version("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  "
                                 "Wed Aug 27\nGCC version: gcc 12.2.0\n"),
      580);
  CHECK_EQ_INT(
      mica_plugin_driver_version("NVIDIA UNIX Open Kernel Module for x86_64  535.5 Release"), 535);
  CHECK_EQ_INT(mica_plugin_driver_version(""), 0);
  CHECK_EQ_INT(mica_plugin_driver_version("x 12 y 9999999.1"), 0);
}

TEST(lists_of_ones_own) {
  static const struct {
    const char *text, *message;
  } rows[] = {{"cpu m p 1\n", "line 1: expected PLUGIN"},
              {"# fine\n\ncpu m ../p 1 t 5 0000\n", "line 3: a name"},
              {"Cpu m p 1 t 5 0000\n", "a name has"},
              {"cpu m p 1 t 5 0000\n", "bytes or SHA-256"},
              {"cpu m p 1 t -5 00000000000000000000000000000000000000000000000000000000000000ff\n",
               "bytes or SHA-256"},
              {"cpu m p 1 t 5 00000000000000000000000000000000000000000000000000000000000000ff x\n",
               "expected PLUGIN"}};
  char path[1100];
  snprintf(path, sizeof path, "%s", check_temporary_path("list.txt"));
  plugin_table *table = NULL;
  mica_error error = {0};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    write_all(path, rows[i].text, strlen(rows[i].text));
    error = (mica_error){0};
    CHECK_STATUS(mica_plugin_table_load(path, "m", &table, &error), MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, rows[i].message);
    CHECK(table == NULL);
  }
  char many[16] = "";
  FILE *file = fopen(path, "w");
  for (int i = 0; i <= PLUGIN_WHEELS; i++) fprintf(file, "cpu-%d m p 1 t 5 %064d\n", i, i);
  fclose(file);
  CHECK_STATUS(mica_plugin_table_load(path, "m", &table, &error), MICA_INVALID);
  CHECK_OK(mica_plugin_table_load(path, "other", &table, &error));
  free(table);
  CHECK_STATUS(mica_plugin_table_load("/no/such/list", "m", &table, &error), MICA_IO);
  mica_plugin_device_of("cuda13", many, sizeof many);
  CHECK_EQ_STR(many, "cuda");
  mica_plugin_device_of("cpu-0.81", many, sizeof many);
  CHECK_EQ_STR(many, "cpu");
}

/* ---- pages of an index ---- */

static char url[PLUGIN_URL], sum[65];

static mica_status find(const char *page, size_t size, const char *from) {
  /* A page of exactly its size, so that reading over its end is found. */
  char *copy = malloc(size + (size == 0));
  memcpy(copy, page, size);
  url[0] = sum[0] = 0;
  mica_error error = {0};
  mica_status status =
      mica_plugin_index_find(copy, size, from, "a_b-1.0-py3-none-any.whl", url, sum, &error);
  free(copy);
  return status;
}

TEST(pages_of_an_index) {
  static const char hash[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
  static const struct {
    const char *page, *from, *url;
    bool with_hash;
  } rows[] = {
      {"{\"files\":[{\"filename\":\"a_b-1.0-py3-none-any.whl\",\"url\":\"https://h/f.whl\"}]}",
       "https://i/simple/a-b/", "https://h/f.whl", false},
      {" {\"meta\":{\"x\":[1,2,{\"y\":null}]},\"name\":\"a\\u002db\",\"files\":[ "
       "{\"filename\":\"x\"} ,"
       "{\"hashes\":{\"md5\":\"1\",\"sha256\":"
       "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"},\"yanked\":true,"
       "\"size\":-1.5e3,\"url\":\"..\\/..\\/"
       "f.whl\",\"filename\":\"a_b-1\\u002e0-py3-none-any.whl\"}]}",
       "http://i/simple/a-b/?x#y", "http://i/simple/a-b/../../f.whl", true},
      {"<html><A HREF='x/other.whl'>o</a><a class=q href = "
       "\"/p/a_b-1%2E0-py3-none-any.whl?u=1&amp;v=2"
       "#sha256=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\">n</a>",
       "https://u:p@i/simple/a-b/", "https://u:p@i/p/a_b-1%2E0-py3-none-any.whl?u=1&v=2", true},
      {"<a\nhref='//h/a_b-1.0-py3-none-any.whl'>", "https://i/simple/a-b/",
       "https://h/a_b-1.0-py3-none-any.whl", false},
      {"<a href='a_b-1.0-py3-none-any.whl#md5=1'>", "http://i", "http://i/a_b-1.0-py3-none-any.whl",
       false},
      {"<a href='a_b-1.0-py3-none-any.whl'>", "http://i/x/y", "http://i/x/a_b-1.0-py3-none-any.whl",
       false}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t size = strlen(rows[i].page);
    CHECK_OK(find(rows[i].page, size, rows[i].from));
    CHECK_EQ_STR(url, rows[i].url);
    CHECK_EQ_STR(sum, rows[i].with_hash ? hash : "");
    /* Cut anywhere: found or not, but never read further. */
    for (size_t cut = 0; cut < size; cut++) (void)find(rows[i].page, cut, rows[i].from);
  }
  static const char *const bad[] = {"",
                                    "{",
                                    "{}",
                                    "[]",
                                    "{\"files\":[]}",
                                    "{\"files\":{}}",
                                    "{\"files\":[{}]}",
                                    "not a page",
                                    "<a href=a_b-1.0-py3-none-any.whl>",
                                    "{\"files\":[[[[[[[[[[",
                                    "{\"files\":\"\\u12\"}",
                                    "<a href='file:///etc/passwd/a_b-1.0-py3-none-any.whl'>"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK(find(bad[i], strlen(bad[i]), "https://i/simple/a-b/") != MICA_OK);
  /* Deep nesting ends. */
  char deep[5000] = "{\"x\":";
  memset(deep + 5, '[', sizeof deep - 5);
  CHECK_STATUS(find(deep, sizeof deep, "https://i/"), MICA_NOT_FOUND);
  /* A url that is too long is an error, not another url. */
  char *longest = malloc(9000);
  int length = snprintf(longest, 9000, "<a href='/%0*d/a_b-1.0-py3-none-any.whl'>", 4000, 7);
  CHECK(find(longest, (size_t)length, "https://i/") != MICA_OK);
  free(longest);
}

/* ---- pip's settings ---- */

TEST(settings_of_pip) {
  pip_settings *s = calloc(1, sizeof *s);
  mica_plugin_pip_conf(
      "# a comment\n[global]\ntimeout = 60\nindex_url=https://one/simple\n"
      "extra-index-url = http://two/simple\n    http://three/simple\n ; no\n"
      "cert: /etc/ssl/own.pem\n[freeze]\nindex-url = http://wrong\n",
      s);
  CHECK_EQ_INT(s->count, 3);
  CHECK_EQ_STR(s->index[0], "https://one/simple");
  CHECK_EQ_STR(s->index[1], "http://two/simple");
  CHECK_EQ_STR(s->index[2], "http://three/simple");
  CHECK_EQ_STR(s->certificates, "/etc/ssl/own.pem");
  mica_plugin_pip_conf("[download]\r\nINDEX-URL = https://four\r\n", s);
  CHECK_EQ_INT(s->count, 1);
  CHECK_EQ_STR(s->index[0], "https://four");
  mica_plugin_pip_conf("index-url = https://nowhere\n[global\n=\n[global]\nindex-url\n  x\n", s);
  CHECK_EQ_STR(s->index[0], "https://four");

  char home[1100], path[1200];
  snprintf(home, sizeof home, "%s", check_temporary_path("pip-home"));
  make_folder(home);
  snprintf(path, sizeof path, "%s/pip", home);
  make_folder(path);
  snprintf(path, sizeof path, "%s/pip/pip.conf", home);
  write_all(path, "[global]\nindex-url = https://file/simple\n", 40);
  setenv("XDG_CONFIG_HOME", home, 1);
  unsetenv("PIP_INDEX_URL"), unsetenv("PIP_EXTRA_INDEX_URL"), unsetenv("PIP_CONFIG_FILE");
  unsetenv("VIRTUAL_ENV");
  mica_plugin_pip_settings(s);
  CHECK_EQ_STR(s->index[0], "https://file/simple");
  setenv("PIP_INDEX_URL", "https://variable/simple", 1);
  setenv("PIP_EXTRA_INDEX_URL", "https://more/simple ftp://no/simple", 1);
  setenv("PIP_CERT", "/x.pem", 1);
  mica_plugin_pip_settings(s);
  CHECK_EQ_INT(s->count, 2);
  CHECK_EQ_STR(s->index[0], "https://variable/simple");
  CHECK_EQ_STR(s->index[1], "https://more/simple");
  CHECK_EQ_STR(s->certificates, "/x.pem");
  unsetenv("PIP_INDEX_URL");
  setenv("PIP_CONFIG_FILE", "/dev/null", 1);
  mica_plugin_pip_settings(s);
  CHECK_EQ_INT(s->count, 0);
  unsetenv("PIP_EXTRA_INDEX_URL"), unsetenv("PIP_CERT"), unsetenv("PIP_CONFIG_FILE");
  unsetenv("XDG_CONFIG_HOME");
  free(s);
}

/* ---- wheels ---- */

static mica_error error;

/* A path that stays: check_temporary_path's go after eight calls. */
static const char *wheel_path(const char *name) {
  static char path[1100];
  snprintf(path, sizeof path, "%s", check_temporary_path(name));
  return path;
}

/* Unpacks into a folder that is new; beside it lies "outside", which nothing may touch. */
static mica_status unpack(const char *wheel, int64_t most) {
  char folder[1200];
  snprintf(folder, sizeof folder, "%s/target", check_temporary_path("unpack"));
  CHECK_OK(mica_plugin_remove_tree(check_temporary_path("unpack"), NULL));
  make_folder(folder);
  error = (mica_error){0};
  return mica_plugin_unpack(wheel, folder, most, &error);
}

static bool lies(const char *name) {
  char path[1200];
  snprintf(path, sizeof path, "%s/%s", check_temporary_path("unpack"), name);
  return access(path, F_OK) == 0;
}

TEST(good_wheels) {
  if (!has_zip()) {
    CHECK_SKIP("libzip is missing");
    return;
  }
  const char *wheel = wheel_path("good.whl");
  const wheel_entry entries[] = {{"a/", "", 040755, 0},
                                 {"a/b/c.txt", "hello", 0100644, 0},
                                 {"a/run", "#!/bin/sh\n", 0100755, 0},
                                 {"empty", "", 0, 0}};
  for (int stored = 0; stored < 2; stored++) {
    write_wheel(wheel, entries, 4, stored != 0);
    CHECK_OK_ERROR(unpack(wheel, 1000), &error);
    CHECK(lies("target/a/b/c.txt") && lies("target/empty"));
    size_t size;
    char path[1200];
    snprintf(path, sizeof path, "%s/target/a/run", check_temporary_path("unpack"));
    char *bytes = read_all(path, &size);
    CHECK_EQ_STR(bytes, "#!/bin/sh\n");
    free(bytes);
    struct stat status;
    CHECK(stat(path, &status) == 0 && (status.st_mode & 0100) != 0);
    snprintf(path, sizeof path, "%s/target/a/b/c.txt", check_temporary_path("unpack"));
    CHECK(stat(path, &status) == 0 && (status.st_mode & 0111) == 0);
  }
}

TEST(hostile_wheels) {
  if (!has_zip()) {
    CHECK_SKIP("libzip is missing");
    return;
  }
  static const struct {
    wheel_entry entry;
    const char *message;
  } rows[] = {{{"../outside", "x", 0, 0}, "no name for a file"},
              {{"a/../../outside", "x", 0, 0}, "no name for a file"},
              {{"/tmp/mica-outside", "x", 0, 0}, "no name for a file"},
              {{"a//b", "x", 0, 0}, "no name for a file"},
              {{"./a", "x", 0, 0}, "no name for a file"},
              {{"a\\..\\b", "x", 0, 0}, "no name for a file"},
              {{"c:/x", "x", 0, 0}, "no name for a file"},
              {{"a\033[2Jb", "x", 0, 0}, "'a?[2Jb' is no name"},
              {{"link", "../outside", 0120777, 0}, "a link or a device"},
              {{"pipe", "", 010644, 0}, "a link or a device"},
              {{"device", "", 020644, 0}, "a link or a device"},
              {{"folder", "x", 040755, 0}, "by its attributes only"},
              {{"good.txt/x", "x", 0, 0}, "a folder where a file is"}};
  const char *wheel = wheel_path("hostile.whl");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const wheel_entry entries[] = {{"good.txt", "good", 0, 0}, rows[i].entry};
    if (!write_wheel(wheel, entries, 2, true)) continue;
    CHECK_STATUS(unpack(wheel, 1000), MICA_DATA_LOSS);
    CHECK_STR_CONTAINS(error.message, rows[i].message);
    CHECK(!lies("outside") && access("/tmp/mica-outside", F_OK) != 0);
  }
  /* A file where a folder has to be, and the other way round. */
  const wheel_entry both[] = {{"a/b", "x", 0, 0}, {"a", "y", 0, 0}};
  write_wheel(wheel, both, 2, true);
  CHECK_STATUS(unpack(wheel, 1000), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "a file where a folder is");
}

/* 64 MiB of nothing packed into 64 KiB; many small files; sizes that lie. */
TEST(bombs_and_damage) {
  if (!has_zip()) {
    CHECK_SKIP("libzip is missing");
    return;
  }
  enum { LARGE = 1 << 26 };
  const char *wheel = wheel_path("bomb.whl");
  char *zeros = calloc(1, LARGE), name[512];
  snprintf(name, sizeof name, "%0*d", 500, 1);
  const wheel_entry bomb[] = {{"bomb", zeros, 0, LARGE}};
  write_wheel(wheel, bomb, 1, false);
  struct stat status;
  CHECK(stat(wheel, &status) == 0 && status.st_size < LARGE / 100);
  CHECK_STATUS(unpack(wheel, 30 * (int64_t)status.st_size), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "larger than any");
  CHECK(!lies("target/bomb"));
  const wheel_entry halves[] = {{"a", zeros, 0, 600}, {"b", zeros, 0, 600}};
  write_wheel(wheel, halves, 2, false);
  CHECK_STATUS(unpack(wheel, 1199), MICA_DATA_LOSS);
  CHECK_OK_ERROR(unpack(wheel, 1200), &error);
  free(zeros);
  /* Every byte changed in turn: an error or the same files, and nothing outside. */
  const wheel_entry small[] = {{"a/b", "hello hello hello", 0100644, 0}, {"c", "d", 0, 0}};
  write_wheel(wheel, small, 2, false);
  size_t size;
  char *bytes = read_all(wheel, &size);
  for (size_t i = 0; bytes != NULL && i < size; i++) {
    bytes[i] ^= 0x55;
    write_all(wheel, bytes, size);
    bytes[i] ^= 0x55;
    (void)unpack(wheel, 1000);
    CHECK(!lies("outside"));
  }
  for (size_t cut = 0; bytes != NULL && cut < size; cut++) {
    write_all(wheel, bytes, cut);
    CHECK(unpack(wheel, 1000) != MICA_OK);
  }
  free(bytes);
  write_all(wheel, "<html>not a wheel</html>", 24);
  CHECK_STATUS(unpack(wheel, 1000), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "is no wheel");
  CHECK_STATUS(unpack("/no/such.whl", 1000), MICA_DATA_LOSS);
}

TEST_MAIN(TEST_CASE(pinned_wheels), TEST_CASE(lists_of_ones_own), TEST_CASE(pages_of_an_index),
          TEST_CASE(settings_of_pip), TEST_CASE(good_wheels), TEST_CASE(hostile_wheels),
          TEST_CASE(bombs_and_damage))
