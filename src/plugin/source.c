/* SPDX-License-Identifier: Apache-2.0 */
/* source.c: the places that a wheel may come from, in their order: the folder that the caller names and nothing else;
 * or the cache, the index that the caller or pip's settings name, and pip itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin_internal.h"
#ifdef MICA_PLUGIN_FETCH
#include "mica/fetch.h"
#endif

static mica_status from_folder(const plugin_source *source, const plugin_wheel *wheel,
                               const char *file, char path[PLUGIN_PATH], mica_error *error) {
  int length = snprintf(path, PLUGIN_PATH, "%s/%s", source->options->from, file);
  if (length < 0 || length >= PLUGIN_PATH)
    return mica_error_set(error, MICA_INVALID, "the path of the folder is too long");
  if (access(path, F_OK) != 0)
    return mica_error_set(error, MICA_NOT_FOUND, "there is no %s in %.600s", file,
                          source->options->from);
  return mica_plugin_check_wheel(wheel, path, error);
}

static bool is_offline(void) {
  const char *variable = getenv("MICA_OFFLINE");
  return variable != NULL && *variable != 0 && strcmp(variable, "0") != 0;
}

#ifdef MICA_PLUGIN_FETCH

typedef struct {
  const mica_plugin_install_options *options;
  const plugin_wheel *wheel;
} fetch_watch;

static bool fetch_progress(void *user, int64_t done, int64_t total) {
  const fetch_watch *watch = user;
  (void)total;
  if (watch->options->progress == NULL) return true;
  return watch->options->progress(watch->options->user, watch->wheel->project, done,
                                  watch->wheel->bytes);
}

/* Where the index has the wheel. */
static mica_status ask_index(const plugin_source *source, const plugin_wheel *wheel,
                             const char *file, const char *index, const char *certificates,
                             char url[PLUGIN_URL], mica_error *error) {
  char page_url[PLUGIN_URL + 80], last_url[PLUGIN_URL], path[PLUGIN_PATH], sum[65];
  size_t length = strlen(index);
  while (length > 0 && index[length - 1] == '/') length--;
  snprintf(page_url, sizeof page_url, "%.*s/%s/", (int)length, index, wheel->project);
  const char *const urls[] = {page_url};
  mica_fetch_options o = {.struct_size = sizeof o,
                          .urls = urls,
                          .url_count = 1,
                          .name = "page",
                          .folder = source->scratch,
                          .largest = 1 << 26,
                          .attempts = 3,
                          .stall_seconds = source->options->stall_seconds,
                          .accept =
                              "application/vnd.pypi.simple.v1+json, "
                              "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1",
                          .certificates = certificates,
                          .final_url = last_url,
                          .final_url_size = sizeof last_url};
  snprintf(path, sizeof path, "%.900s/page", source->scratch);
  (void)remove(path); /* of another project */
  mica_status status = mica_fetch(&o, path, sizeof path, error);
  if (status != MICA_OK) return status;
  FILE *open = fopen(path, "rb");
  struct stat about;
  size_t size = open != NULL && fstat(fileno(open), &about) == 0 ? (size_t)about.st_size : 0;
  char *page = malloc(size + 1);
  if (page != NULL && open != NULL && fread(page, 1, size, open) == size)
    status = mica_plugin_index_find(page, size, last_url, file, url, sum, error);
  else
    status = mica_error_set(error, MICA_IO, "the page of the index cannot be read");
  if (open != NULL) fclose(open);
  free(page);
  if (status == MICA_OK && *sum && strcasecmp(sum, wheel->sha256) != 0)
    status = mica_error_set(error, MICA_DATA_LOSS, "the index names the SHA-256 %s for %s, not %s",
                            sum, file, wheel->sha256);
  return status;
}

/* A user and password that the index's address carries go to files of the same host, too. */
static void keep_login(const char *index, char url[PLUGIN_URL]) {
  char with[PLUGIN_URL];
  const char *host = strstr(index, "://"), *there = strstr(url, "://");
  if (host == NULL || there == NULL) return;
  host += 3, there += 3;
  const char *at = host + strcspn(host, "/@");
  if (*at != '@') return;
  size_t length = strcspn(at + 1, "/");
  if (strcspn(there, "/") != length || strncmp(at + 1, there, length) != 0 ||
      strncmp(index, url, (size_t)(there - url)) != 0)
    return;
  int written = snprintf(with, sizeof with, "%.*s%.*s%s", (int)(there - url), url,
                         (int)(at + 1 - host), host, there);
  if (written > 0 && (size_t)written < sizeof with) strcpy(url, with);
}

static mica_status from_index(const plugin_source *source, const plugin_wheel *wheel,
                              const char *file, const char *index, const char *certificates,
                              char path[PLUGIN_PATH], mica_error *error) {
  char url[PLUGIN_URL], name[PLUGIN_FILE + 8];
  const char *const urls[] = {url};
  fetch_watch watch = {source->options, wheel};
  mica_status status =
      ask_index(source, wheel, file, index, *certificates ? certificates : NULL, url, error);
  if (status != MICA_OK) return status;
  keep_login(index, url);
  snprintf(name, sizeof name, "wheels/%s", file);
  mica_fetch_options o = {.struct_size = sizeof o,
                          .urls = urls,
                          .url_count = 1,
                          .sha256 = wheel->sha256,
                          .name = name,
                          .largest = wheel->bytes,
                          .attempts = 3,
                          .stall_seconds = source->options->stall_seconds,
                          .progress = fetch_progress,
                          .user = &watch,
                          .certificates = *certificates ? certificates : NULL};
  return mica_fetch(&o, path, PLUGIN_PATH, error);
}

static mica_status from_cache(const plugin_wheel *wheel, const char *file, char path[PLUGIN_PATH],
                              mica_error *error) {
  char folder[PLUGIN_PATH];
  mica_status status = mica_fetch_folder(folder, sizeof folder, error);
  if (status != MICA_OK) return status;
  snprintf(path, PLUGIN_PATH, "%.700s/wheels/%s", folder, file);
  if (access(path, F_OK) != 0)
    return mica_error_set(error, MICA_NOT_FOUND, "%s is not in the cache", file);
  return mica_plugin_check_wheel(wheel, path, error);
}

#else

static mica_status from_index(const plugin_source *source, const plugin_wheel *wheel,
                              const char *file, const char *index, const char *certificates,
                              char path[PLUGIN_PATH], mica_error *error) {
  (void)file, (void)certificates;
  return mica_plugin_pip_download(source, wheel, index, path, error);
}

static mica_status from_cache(const plugin_wheel *wheel, const char *file, char path[PLUGIN_PATH],
                              mica_error *error) {
  (void)wheel, (void)path;
  return mica_error_set(error, MICA_NOT_FOUND, "%s: there is no cache without libcurl", file);
}

#endif

/* What is no use trying elsewhere. */
static bool is_final(mica_status status) {
  return status == MICA_OK || status == MICA_CANCELLED || status == MICA_OUT_OF_MEMORY;
}

static void add_reason(char *all, size_t size, const char *place, const mica_error *why) {
  size_t used = strlen(all);
  snprintf(all + used, size - used, "%s%s%s%.330s", used > 0 ? "; " : "", place, *place ? ": " : "",
           why->message);
}

mica_status mica_plugin_obtain(const plugin_source *source, const plugin_wheel *wheel,
                               char path[PLUGIN_PATH], bool *out_ours, mica_error *error) {
  char file[PLUGIN_FILE], all[900] = "";
  mica_error why = {0};
  *out_ours = false;
  mica_plugin_wheel_file(wheel, file);
  if (source->options->from != NULL) return from_folder(source, wheel, file, path, error);
  *out_ours = true;
  mica_status status = from_cache(wheel, file, path, &why);
  if (status == MICA_OK) return MICA_OK;
  if (is_final(status)) return mica_error_set(error, status, "%s", why.message);
  if (is_offline())
    return mica_error_set(error, MICA_NOT_FOUND, "%s: nothing is downloaded with MICA_OFFLINE",
                          file);
  pip_settings *settings = malloc(sizeof *settings);
  if (settings == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
  mica_plugin_pip_settings(settings);
  if (source->options->index != NULL) {
    snprintf(settings->index[0], sizeof settings->index[0], "%s", source->options->index);
    settings->count = 1;
  }
  for (size_t i = 0; i < settings->count && !is_final(status); i++) {
    why = (mica_error){0};
    status =
        from_index(source, wheel, file, settings->index[i], settings->certificates, path, &why);
    add_reason(all, sizeof all, "", &why);
  }
  if (settings->count == 0) {
    why = (mica_error){0};
    status = mica_plugin_pip_download(source, wheel, NULL, path, &why);
    add_reason(all, sizeof all, "", &why);
    if (status == MICA_NOT_FOUND)
      snprintf(all, sizeof all,
               "there is no pip on this machine, and no index is named: give --index URL or set "
               "PIP_INDEX_URL, or put %s into a folder and give --from FOLDER",
               file);
  }
  free(settings);
  if (status == MICA_OK) return MICA_OK;
  path[0] = 0;
  return mica_error_set(error, status, "%s", all);
}
