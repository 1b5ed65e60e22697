/* SPDX-License-Identifier: Apache-2.0 */
/* support.c: wheels made for a test, and a package index on this machine that tells the truth or does not. */
#include "plugin/support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"
#include "mica/core.h"
#include "plugin/plugin_internal.h"

/* ---- files ---- */

char *read_all(const char *path, size_t *out_size) {
  struct stat status;
  *out_size = 0;
  FILE *file = stat(path, &status) == 0 && S_ISREG(status.st_mode) ? fopen(path, "rb") : NULL;
  char *bytes = file != NULL ? malloc((size_t)status.st_size + 1) : NULL;
  if (bytes != NULL) *out_size = fread(bytes, 1, (size_t)status.st_size, file);
  if (bytes != NULL) bytes[*out_size] = 0;
  if (file != NULL) fclose(file);
  return bytes;
}

void write_all(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  CHECK(file != NULL && fwrite(bytes, 1, size, file) == size);
  if (file != NULL) fclose(file);
}

void make_folder(const char *path) { CHECK_OK(mica_plugin_make_folder(path, NULL)); }

/* ---- wheels ---- */

#ifdef MICA_PLUGIN_ZIP
#include <zip.h>

bool has_zip(void) { return true; }

bool write_wheel(const char *path, const wheel_entry *entries, size_t count, bool stored) {
  unlink(path);
  zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
  if (!CHECK(zip != NULL)) return false;
  for (size_t i = 0; i < count; i++) {
    size_t size = entries[i].size > 0 ? entries[i].size : strlen(entries[i].text);
    zip_source_t *source = zip_source_buffer(zip, entries[i].text, size, 0);
    zip_int64_t index = zip_file_add(zip, entries[i].name, source, 0);
    if (!CHECK(index >= 0)) continue;
    zip_set_file_compression(zip, (zip_uint64_t)index, stored ? ZIP_CM_STORE : ZIP_CM_DEFLATE, 0);
    if (entries[i].mode != 0)
      zip_file_set_external_attributes(zip, (zip_uint64_t)index, 0, ZIP_OPSYS_UNIX,
                                       (zip_uint32_t)entries[i].mode << 16);
  }
  return CHECK(zip_close(zip) == 0);
}
#else
bool has_zip(void) { return false; }

bool write_wheel(const char *path, const wheel_entry *entries, size_t count, bool stored) {
  (void)path, (void)entries, (void)count, (void)stored;
  return false;
}
#endif

void make_plugin_wheel(const char *folder, const char *table, const char *plugin,
                       const char *project, const char *version) {
  char path[1024], sum[65], library[1024];
  plugin_wheel wheel = {.tags = "py3-none-any"};
  struct utsname system;
  size_t size = 0;
  uname(&system);
  snprintf(wheel.project, sizeof wheel.project, "%s", project);
  snprintf(wheel.version, sizeof wheel.version, "%s", version);
  char file[PLUGIN_FILE];
  mica_plugin_wheel_file(&wheel, file);
  snprintf(path, sizeof path, "%s/%s", folder, file);
  const char *build = getenv("MICA_BUILD_DIR");
  snprintf(library, sizeof library, "%s/tests/libmica_fake_plugin.so",
           build != NULL ? build : "build/release");
  char *bytes = read_all(library, &size);
  if (bytes == NULL) bytes = strdup("\177ELF and what follows it ..."), size = strlen(bytes);
  const wheel_entry entries[] = {
      {"lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so", bytes, 0100755, size},
      {"lammps_jax_pjrt_cpu/__init__.py", version, 0, 0},
      {"x.dist-info/RECORD", "a,b,c\n", 0100644, 0}};
  write_wheel(path, entries, 3, false);
  free(bytes);
  bytes = read_all(path, &size);
  mica_sha256(bytes != NULL ? bytes : "", size, sum);
  free(bytes);
  FILE *list = fopen(table, "a");
  if (list != NULL)
    fprintf(list, "%s %s %s %s %s %zu %s\n", plugin, system.machine, project, version, wheel.tags,
            size, sum);
  if (list != NULL) fclose(list);
}

/* ---- the index ---- */

static struct {
  index_server shown;
  int listener;
  pthread_t thread;
  pthread_mutex_t mutex;
  char folder[512];
} server = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void send_bytes(int client, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t sent = send(client, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes += sent, size -= (size_t)sent;
  }
}

static void send_head(int client, const char *status, const char *type, size_t length,
                      const char *more) {
  char head[1024];
  int size = snprintf(head, sizeof head,
                      "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%sConnection: "
                      "close\r\n\r\n",
                      status, type, length, more);
  send_bytes(client, head, (size_t)size);
}

static void send_text(int client, const char *status, const char *type, const char *text) {
  send_head(client, status, type, strlen(text), "");
  send_bytes(client, text, strlen(text));
}

static bool is_behavior(const char *request, const char *behavior) {
  size_t length = strlen(behavior);
  return strncmp(request, behavior, length) == 0 && request[length] == '/';
}

/* The page of a project: each wheel of the folder whose name begins with it. */
static void send_page(int client, const char *request, const char *project) {
  char page[8192] = "", command[1100], name[256], prefix[128], sum[65];
  bool json = is_behavior(request, "json") || is_behavior(request, "cut") ||
              is_behavior(request, "stall") || is_behavior(request, "broken");
  size_t used = 0, size = 0;
  snprintf(prefix, sizeof prefix, "%.*s", (int)strcspn(project, "/ "), project);
  for (char *c = prefix; *c; c++)
    if (*c == '-') *c = '_';
  snprintf(command, sizeof command, "ls '%s'", server.folder);
  FILE *list = popen(command, "r");
  used +=
      (size_t)snprintf(page, sizeof page, "%s",
                       json ? "{\"meta\": {\"api-version\": \"1.1\"}, \"files\": [{\"filename\": "
                              "\"other-1.tar.gz\", \"url\": \"/x\", \"hashes\": {}, \"size\": 12}"
                            : "<!DOCTYPE html>\n<html><body>\n<a href=\"other.tar.gz\">o</a>\n");
  while (list != NULL && fgets(name, sizeof name, list) != NULL) {
    name[strcspn(name, "\n")] = 0;
    if (strncmp(name, prefix, strlen(prefix)) != 0 || is_behavior(request, "empty")) continue;
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", server.folder, name);
    char *bytes = read_all(path, &size);
    mica_sha256(bytes != NULL ? bytes : "", size, sum);
    free(bytes);
    if (is_behavior(request, "wrong-sum")) sum[0] = sum[0] == 'a' ? 'b' : 'a';
    char where[64];
    snprintf(where, sizeof where, "%.*s", (int)strcspn(request, "/"), request);
    if (json)
      used += (size_t)snprintf(page + used, sizeof page - used,
                               ", {\"hashes\": {\"sha256\": \"%s\"}, \"yanked\": false, "
                               "\"requires-python\": null, \"url\": "
                               "\"/%s/files/%s\", \"filename\": \"%s\"}",
                               sum, where, name, name);
    else if (is_behavior(request, "relative"))
      used +=
          (size_t)snprintf(page + used, sizeof page - used,
                           "<a class=\"b\" rel=internal href='../files/%s'>%s</a>\n", name, name);
    else
      used += (size_t)snprintf(
          page + used, sizeof page - used,
          "<a data-y=\"1\" href=\"/%s/files/%s?a=1&amp;b=2#sha256=%s\">%s</a><br/>\n", where, name,
          sum, name);
  }
  if (list != NULL) pclose(list);
  used += (size_t)snprintf(page + used, sizeof page - used, json ? "]}" : "</body></html>");
  if (is_behavior(request, "broken")) page[used / 2] = 0;
  send_text(client, "200 OK", json ? "application/vnd.pypi.simple.v1+json" : "text/html", page);
}

static void send_file(int client, const char *request, const char *name, long first) {
  char path[1024], more[128] = "";
  size_t size = 0;
  snprintf(path, sizeof path, "%s/%.*s", server.folder, (int)strcspn(name, " ?"), name);
  char *bytes = read_all(path, &size);
  if (bytes == NULL || (size_t)first > size) {
    send_text(client, "404 Not Found", "text/plain", "nothing here\n");
  } else if (is_behavior(request, "page")) {
    send_text(client, "200 OK", "text/html", "<html>Please log in first.</html>");
  } else {
    if (is_behavior(request, "liar")) bytes[size / 2] ^= 1;
    size_t count = size - (size_t)first;
    if (first > 0)
      snprintf(more, sizeof more, "Content-Range: bytes %ld-%zu/%zu\r\n", first, size - 1, size);
    send_head(client, first > 0 ? "206 Partial Content" : "200 OK", "application/octet-stream",
              count, more);
    bool short_one = is_behavior(request, "cut") || is_behavior(request, "stall");
    if (short_one && first == 0) count = count * 6 / 10;
    send_bytes(client, bytes + first, count);
    if (is_behavior(request, "stall") && first == 0) sleep(3);
  }
  free(bytes);
}

static void answer(int client) {
  char request[4096] = "";
  size_t used = 0;
  while (used < sizeof request - 1 && strstr(request, "\r\n\r\n") == NULL) {
    ssize_t got = read(client, request + used, sizeof request - 1 - used);
    if (got <= 0) return;
    used += (size_t)got;
    request[used] = 0;
  }
  const char *range = strstr(request, "Range: bytes="), *what = request + strlen("GET /");
  pthread_mutex_lock(&server.mutex);
  server.shown.requests++;
  if (range != NULL) server.shown.resumed++;
  pthread_mutex_unlock(&server.mutex);
  const char *rest = what + strcspn(what, "/ ");
  if (*rest == '/') rest++;
  if (is_behavior(what, "moved")) {
    char more[600];
    snprintf(more, sizeof more, "Location: /html/%.*s\r\n", (int)strcspn(rest, " "), rest);
    send_head(client, "302 Found", "text/plain", 0, more);
  } else if (is_behavior(what, "gone")) {
    send_text(client, "404 Not Found", "text/plain", "no such project\n");
  } else if (is_behavior(what, "password") &&
             strstr(request, "Authorization: Basic dXNlcjpzZWNyZXQ=") == NULL) {
    send_head(client, "401 Unauthorized", "text/plain", 0,
              "WWW-Authenticate: Basic realm=\"x\"\r\n");
  } else if (strncmp(rest, "files/", 6) == 0) {
    send_file(client, what, rest + 6, range != NULL ? strtol(range + 13, NULL, 10) : 0);
  } else {
    send_page(client, what, rest);
  }
}

static void *serve(void *unused) {
  (void)unused;
  for (;;) {
    int client = accept(server.listener, NULL, NULL);
    if (client < 0) return NULL;
    answer(client);
    shutdown(client, SHUT_WR);
    close(client);
  }
}

index_server *start_index(const char *folder) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  snprintf(server.folder, sizeof server.folder, "%s", folder);
  if (server.shown.port != 0) return &server.shown;
  unsetenv("http_proxy"), unsetenv("https_proxy"), unsetenv("all_proxy"), unsetenv("ALL_PROXY");
  server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (server.listener < 0 ||
      bind(server.listener, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(server.listener, 16) != 0 ||
      getsockname(server.listener, (struct sockaddr *)&address, &length) != 0 ||
      pthread_create(&server.thread, NULL, serve, NULL) != 0)
    return NULL;
  server.shown.port = ntohs(address.sin_port);
  return &server.shown;
}

const char *index_url(const char *behavior) {
  static char url[256];
  const char *login = strcmp(behavior, "password") == 0 ? "user:secret@" : "";
  snprintf(url, sizeof url, "http://%s127.0.0.1:%d/%s", login, server.shown.port, behavior);
  return url;
}
