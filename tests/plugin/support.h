/* SPDX-License-Identifier: Apache-2.0 */
/* support.h: wheels made for a test, and a package index on this machine that tells the truth or does not. */
#ifndef TESTS_PLUGIN_SUPPORT_H
#define TESTS_PLUGIN_SUPPORT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- wheels ---- */

typedef struct {
  const char *name, *text;
  uint32_t mode; /* of Unix, 0: a plain file */
  size_t size;   /* 0: strlen(text) */
} wheel_entry;
/* Writes a zip file; false without libzip. */
bool write_wheel(const char *path, const wheel_entry *entries, size_t count, bool stored);
bool has_zip(void);

/* A wheel with a plugin in it, made of the fake one: PROJECT-VERSION-TAGS.whl in `folder`; appends its line to
 * `table`. */
void make_plugin_wheel(const char *folder, const char *table, const char *plugin,
                       const char *project, const char *version);
char *read_all(const char *path, size_t *out_size); /* NULL: it is not there */
void write_all(const char *path, const void *bytes, size_t size);
void make_folder(const char *path);

/* ---- the index: http://127.0.0.1:PORT/BEHAVIOR/PROJECT/ and its files ---- */

typedef struct {
  int port;
  int64_t requests, resumed; /* so far */
} index_server;
/* Serves the wheels of a folder. Behaviors: json, html, relative (HTML with relative addresses), moved (everything is
 * redirected once), cut (files break off after 60 %, with what is left behind a Range), stall (the same, but the
 * connection stays open), liar (other bytes of the same length), page (an HTML page in place of a file), empty (lists
 * nothing), gone (404), password (asks for user:secret), broken (half a page), wrong-sum (names another SHA-256). NULL
 * if there can be no server. */
index_server *start_index(const char *folder);
const char *index_url(const char *behavior); /* until the next call */
#endif
