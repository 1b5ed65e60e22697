/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.c: a file from one of several places: what is in the cache folder is checked, what is missing is fetched, what
 * was begun is gone on with, what is wrong is thrown away. */
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "fetch_internal.h"

mica_status mica_fetch_folder(char *path, size_t size, mica_error *error) {
  static const struct {
    const char *variable, *behind;
  } places[] = {{"MICA_CACHE", ""}, {"XDG_CACHE_HOME", "/mica"}, {"HOME", "/.cache/mica"}};
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    const char *value = getenv(places[i].variable);
    if (value == NULL || *value == 0) continue;
    int length = snprintf(path, size, "%s%s", value, places[i].behind);
    if (length < 0 || (size_t)length >= size)
      return mica_error_set(error, MICA_INVALID, "fetch: the cache folder's path is too long");
    return MICA_OK;
  }
  return mica_error_set(error, MICA_NOT_FOUND,
                        "fetch: neither MICA_CACHE nor HOME says where files are kept");
}

/* The name in the folder: no way out of it. */
static mica_status file_name(const mica_fetch_options *o, char *name, size_t size,
                             mica_error *error) {
  const char *from = o->name;
  size_t length;
  if (from == NULL) {
    const char *slash = strrchr(o->urls[0], '/');
    from = slash != NULL ? slash + 1 : o->urls[0];
    length = strcspn(from, "?#");
  } else {
    length = strlen(from);
  }
  if (length == 0 || length >= size)
    return mica_error_set(error, MICA_INVALID, "fetch: the file has no good name: give one");
  memcpy(name, from, length);
  name[length] = 0;
  bool good = name[0] != '/' && name[length - 1] != '/';
  for (const char *part = name; good && part != NULL;
       part = strchr(part, '/') != NULL ? strchr(part, '/') + 1 : NULL)
    good = *part != '.' && *part != '/' && *part != 0;
  return good ? MICA_OK
              : mica_error_set(error, MICA_INVALID,
                               "fetch: '%.200s' cannot be the name of a file in the cache", name);
}

static mica_status check_fetch(const mica_fetch_options *o, mica_error *error) {
  if (o == NULL || o->urls == NULL || o->url_count < 1 || o->largest < 0 || o->attempts < 0 ||
      o->stall_seconds < 0)
    return mica_error_set(error, MICA_INVALID, "fetch: urls are needed");
  for (int32_t i = 0; i < o->url_count; i++)
    if (o->urls[i] == NULL ||
        (strncmp(o->urls[i], "http://", 7) != 0 && strncmp(o->urls[i], "https://", 8) != 0))
      return mica_error_set(error, MICA_INVALID, "fetch: '%.200s' is no http:// or https:// url",
                            o->urls[i] != NULL ? o->urls[i] : "NULL");
  if (o->sha256 != NULL &&
      (strlen(o->sha256) != 64 || strspn(o->sha256, "0123456789abcdefABCDEF") != 64))
    return mica_error_set(error, MICA_INVALID, "fetch: the SHA-256 is not 64 hexadecimal digits");
  return MICA_OK;
}

/* Whether a file is what is asked for; MICA_DATA_LOSS if not. */
static mica_status check_file(const mica_fetch_options *o, const char *path, mica_error *error) {
  char sum[65];
  if (o->sha256 == NULL) return MICA_OK;
  mica_status status = mica_fetch_file_sha256(path, sum, error);
  if (status == MICA_OK && strcasecmp(sum, o->sha256) != 0)
    status = mica_error_set(error, MICA_DATA_LOSS, "'%.400s' has the SHA-256 %s, and not %s", path,
                            sum, o->sha256);
  return status;
}

/* One place, tried again with longer and longer pauses. */
static mica_status fetch_from(const mica_fetch_options *o, const char *url, const char *part,
                              const char *path, mica_error *error) {
  int32_t attempts = o->attempts > 0 ? o->attempts : 4;
  mica_status status = MICA_OK;
  for (int32_t i = 0; i < attempts; i++) {
    int64_t have = mica_fetch_file_size(part);
    mica_error why = {0};
    if (i > 0) {
      long wait = 100L << (i < 6 ? i : 6); /* milliseconds */
      struct timespec pause = {wait / 1000, wait % 1000 * 1000000};
      nanosleep(&pause, NULL);
    }
    status = mica_fetch_transfer(o, url, part, have, &why);
    if (status == MICA_IO && have > 0 && strstr(why.message, "HTTP 416") != NULL) {
      /* Nothing follows what is there: it is complete, or too long. */
      mica_error unused = {0};
      status = o->sha256 != NULL ? check_file(o, part, &unused) : MICA_DATA_LOSS;
      if (status != MICA_OK) status = MICA_DATA_LOSS;
    } else if (status == MICA_OK) {
      status = check_file(o, part, &why);
    }
    if (status == MICA_OK) return mica_fetch_publish(part, path, error);
    if (error != NULL) *error = (mica_error){0};
    mica_error_set(error, status, "%s",
                   why.message[0] ? why.message : "the part file did not fit the server's");
    if (status == MICA_DATA_LOSS) {
      (void)remove(part);           /* begun anew */
      if (have <= 0) return status; /* a whole file that is wrong stays wrong */
      continue;
    }
    if (status != MICA_IO) return status;
  }
  return status;
}

static mica_status fetch_locked(const mica_fetch_options *o, const char *path, bool offline,
                                mica_error *error) {
  char part[FETCH_PATH + 8], all[900] = "";
  mica_error why = {0};
  if (mica_fetch_file_size(path) >= 0) {
    mica_status status = check_file(o, path, &why);
    if (status == MICA_OK) return MICA_OK;
    if (status != MICA_DATA_LOSS || offline)
      return mica_error_set(error, status, "%s", why.message);
  }
  if (offline)
    return mica_error_set(error, MICA_NOT_FOUND,
                          "'%.500s' is not there, and nothing is fetched offline", path);
  snprintf(part, sizeof part, "%s.part", path);
  mica_status status = MICA_IO;
  for (int32_t i = 0; i < o->url_count; i++) {
    why = (mica_error){0};
    status = fetch_from(o, o->urls[i], part, path, &why);
    if (status == MICA_OK || (status != MICA_IO && status != MICA_DATA_LOSS)) break;
    size_t used = strlen(all);
    snprintf(all + used, sizeof all - used, "%s%.280s", used > 0 ? "; " : "", why.message);
  }
  if (status == MICA_OK) return MICA_OK;
  return mica_error_set(error, status == MICA_INTERNAL ? MICA_IO : status, "%s",
                        *all ? all : why.message);
}

/* The caller's struct, which an older header may have made smaller. */
static mica_fetch_options own_options(const mica_fetch_options *given) {
  mica_fetch_options own = {.struct_size = sizeof own};
  size_t size = given->struct_size;
  if (size == 0 || size > sizeof own) size = sizeof own;
  memcpy(&own, given, size);
  return own;
}

mica_status mica_fetch(const mica_fetch_options *given, char *path, size_t size,
                       mica_error *error) {
  char folder[FETCH_PATH], name[512], lock_path[FETCH_PATH + 8];
  if (path == NULL || size == 0)
    return mica_error_set(error, MICA_INVALID, "fetch: there is no room for the path");
  path[0] = 0;
  const mica_fetch_options own = given != NULL ? own_options(given) : (mica_fetch_options){0},
                           *options = &own;
  if (own.final_url != NULL && own.final_url_size > 0) own.final_url[0] = 0;
  mica_status status = check_fetch(options, error);
  if (status != MICA_OK) return status;
  if (options->folder != NULL) {
    if (strlen(options->folder) >= sizeof folder)
      return mica_error_set(error, MICA_INVALID, "fetch: the folder's path is too long");
    strcpy(folder, options->folder);
  } else if ((status = mica_fetch_folder(folder, sizeof folder, error)) != MICA_OK) {
    return status;
  }
  if ((status = file_name(options, name, sizeof name, error)) != MICA_OK) return status;
  int length = snprintf(path, size, "%s/%s", folder, name);
  if (length < 0 || (size_t)length >= size || length >= FETCH_PATH - 8) {
    path[0] = 0;
    return mica_error_set(error, MICA_INVALID, "fetch: the path is too long");
  }
  const char *variable = getenv("MICA_OFFLINE");
  bool offline =
      options->offline || (variable != NULL && *variable != 0 && strcmp(variable, "0") != 0);
  if (!offline) status = mica_fetch_make_folders(path, error);
  if (status == MICA_OK && !offline && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "fetch: libcurl cannot begin");
  if (status == MICA_OK) {
    snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    int lock = offline ? -1 : mica_fetch_lock(lock_path);
    status = fetch_locked(options, path, offline, error);
    if (lock >= 0) {
      if (status == MICA_OK) (void)remove(lock_path);
      mica_fetch_unlock(lock);
    }
  }
  if (status != MICA_OK) path[0] = 0;
  return status;
}
