/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads from a server of our own that tells the truth, cuts off, stalls, lies about sizes, ranges and contents, or
 * answers with errors; the cache, resuming, offline. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "mica/fetch.h"

enum { CONTENT = 200000 };
static unsigned char content[CONTENT];
static char content_sum[65];

/* ---- the server: /<behavior>/<name> ---- */

static struct {
  int listener, port;
  pthread_t thread;
  atomic_int requests, resumed;
} server;

static void send_text(int client, const char *text) {
  (void)!send(client, text, strlen(text), MSG_NOSIGNAL);
}

static void send_content(int client, long first, long count) {
  while (count > 0) {
    long piece = count < 5000 ? count : 5000;
    if (send(client, content + first, (size_t)piece, MSG_NOSIGNAL) != piece) return;
    first += piece, count -= piece;
  }
}

static void answer(int client) {
  char request[4096] = "", header[512];
  size_t used = 0;
  while (used < sizeof request - 1 && strstr(request, "\r\n\r\n") == NULL) {
    ssize_t got = read(client, request + used, sizeof request - 1 - used);
    if (got <= 0) return;
    used += (size_t)got;
    request[used] = 0;
  }
  atomic_fetch_add(&server.requests, 1);
  long first = 0;
  const char *range = strstr(request, "Range: bytes=");
  if (range != NULL) first = strtol(range + 13, NULL, 10), atomic_fetch_add(&server.resumed, 1);
#define IS(name) (strncmp(request, "GET /" name "/", strlen("GET /" name "/")) == 0)
  if (IS("good") || IS("cut") || IS("stall") || IS("wrong-range") || IS("beyond")) {
    if (first > CONTENT || (IS("beyond") && range != NULL)) {
      send_text(
          client,
          "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    snprintf(header, sizeof header,
             "HTTP/1.1 %s\r\nContent-Length: %ld\r\nContent-Range: bytes %ld-%d/%d\r\nConnection: "
             "close\r\n\r\n",
             range != NULL ? "206 Partial Content" : "200 OK", CONTENT - first,
             IS("wrong-range") ? first / 2 : first, CONTENT - 1, CONTENT);
    if (range == NULL)
      snprintf(header, sizeof header,
               "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", CONTENT);
    send_text(client, header);
    long count = CONTENT - first;
    if (IS("cut") && count > 70000) count = 70000;
    if ((IS("stall") || IS("wrong-range")) && range == NULL) count = 60000;
    send_content(client, first, count);
    if (IS("stall") && range == NULL) sleep(3);
  } else if (IS("no-range")) { /* ignores ranges, and cuts the first answer */
    send_text(client, "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\nConnection: close\r\n\r\n");
    send_content(client, 0, range == NULL ? 50000 : CONTENT);
  } else if (IS("short")) { /* says that it is complete and is not */
    send_text(client, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n");
    send_content(client, 0, 1000);
  } else if (IS("lie")) {
    send_text(
        client,
        "HTTP/1.1 200 OK\r\nContent-Length: 16\r\nConnection: close\r\n\r\n<html>sorry!!!\r\n");
  } else if (IS("endless")) {
    send_text(client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 200; i++) send_content(client, 0, 5000);
  } else if (IS("moved")) {
    snprintf(header, sizeof header,
             "HTTP/1.1 302 Found\r\nLocation: /good/x\r\nContent-Length: 0\r\nConnection: "
             "close\r\n\r\n");
    send_text(client, header);
  } else if (IS("circle")) {
    send_text(client,
              "HTTP/1.1 302 Found\r\nLocation: /circle/x\r\nContent-Length: 0\r\nConnection: "
              "close\r\n\r\n");
  } else if (IS("file")) {
    send_text(client,
              "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: "
              "0\r\nConnection: close\r\n\r\n");
  } else if (IS("empty")) {
    send_text(client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  } else if (IS("busy")) { /* every second time */
    send_text(client,
              atomic_load(&server.requests) % 2
                  ? "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                  : "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\nConnection: close\r\n\r\n");
    if (atomic_load(&server.requests) % 2 == 0) send_content(client, 0, CONTENT);
  } else {
    send_text(client,
              "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nnope\n");
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

static bool start_server(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (server.port != 0) return true;
  unsetenv("http_proxy"), unsetenv("https_proxy"), unsetenv("all_proxy"), unsetenv("ALL_PROXY"),
      unsetenv("MICA_OFFLINE");
  for (int i = 0; i < CONTENT; i++)
    content[i] = (unsigned char)((unsigned)i * (unsigned)i / 7 + (unsigned)i);
  mica_sha256(content, CONTENT, content_sum);
  server.listener = socket(AF_INET, SOCK_STREAM, 0);
  if (server.listener < 0 ||
      bind(server.listener, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(server.listener, 16) != 0 ||
      getsockname(server.listener, (struct sockaddr *)&address, &length) != 0 ||
      pthread_create(&server.thread, NULL, serve, NULL) != 0) {
    CHECK_SKIP("no server can be started here");
    return false;
  }
  server.port = ntohs(address.sin_port);
  return true;
}

/* ---- the tests ---- */

static char path[4096];
static mica_error error;

static mica_status fetch(const char *behavior, const char *name, const char *sum,
                         mica_fetch_options o) {
  char url[256];
  const char *urls[] = {url};
  snprintf(url, sizeof url, "http://127.0.0.1:%d/%s/x", server.port, behavior);
  o.struct_size = sizeof o;
  if (o.urls == NULL) o.urls = urls, o.url_count = 1;
  o.sha256 = sum, o.name = name;
  o.folder = check_temporary_path("cache");
  if (o.stall_seconds == 0) o.stall_seconds = 1;
  error = (mica_error){0};
  return mica_fetch(&o, path, sizeof path, &error);
}

static const char *in_cache(const char *name) {
  static char where[4096];
  snprintf(where, sizeof where, "%s/%s", check_temporary_path("cache"), name);
  return where;
}

static void forget(const char *name) {
  char part[4200];
  snprintf(part, sizeof part, "%s.part", in_cache(name));
  unlink(part), unlink(in_cache(name));
}

static bool is_content(const char *file) {
  static unsigned char bytes[CONTENT + 1];
  FILE *open = fopen(file, "rb");
  size_t size = open != NULL ? fread(bytes, 1, sizeof bytes, open) : 0;
  if (open != NULL) fclose(open);
  return size == CONTENT && memcmp(bytes, content, CONTENT) == 0;
}

static bool count_calls(void *user, int64_t done, int64_t total) {
  int64_t *last = user;
  CHECK(done >= *last && (total == -1 || total == CONTENT));
  *last = done;
  return true;
}

static bool cancel_late(void *user, int64_t done, int64_t total) {
  (void)user, (void)total;
  return done < 50000;
}

TEST(fetches_and_keeps) {
  if (!start_server()) return;
  forget("a/b.bin");
  int64_t last = 0;
  CHECK_OK_ERROR(fetch("good", "a/b.bin", content_sum,
                       (mica_fetch_options){.progress = count_calls, .user = &last}),
                 &error);
  CHECK(is_content(path));
  CHECK_EQ_INT(last, CONTENT);
  int requests = atomic_load(&server.requests);
  CHECK_OK_ERROR(fetch("good", "a/b.bin", content_sum, (mica_fetch_options){0}), &error);
  CHECK_OK_ERROR(fetch("good", "a/b.bin", content_sum, (mica_fetch_options){.offline = true}),
                 &error);
  CHECK_EQ_INT(atomic_load(&server.requests), requests); /* it was there */
  /* damaged in the cache: fetched again, or offline an error */
  FILE *file = fopen(path, "r+b");
  fputc('!', file);
  fclose(file);
  CHECK_STATUS(fetch("good", "a/b.bin", content_sum, (mica_fetch_options){.offline = true}),
               MICA_DATA_LOSS);
  CHECK_OK_ERROR(fetch("good", "a/b.bin", content_sum, (mica_fetch_options){0}), &error);
  CHECK(is_content(path));
  forget("other");
  CHECK_STATUS(fetch("good", "other", content_sum, (mica_fetch_options){.offline = true}),
               MICA_NOT_FOUND);
  setenv("MICA_OFFLINE", "1", 1);
  CHECK_STATUS(fetch("good", "other", content_sum, (mica_fetch_options){0}), MICA_NOT_FOUND);
  unsetenv("MICA_OFFLINE");
  CHECK_EQ_STR(path, "");
  CHECK_OK_ERROR(fetch("moved", "other", content_sum, (mica_fetch_options){0}), &error);
  CHECK(is_content(path));
  forget("none");
  CHECK_OK_ERROR(fetch("empty", "none", NULL, (mica_fetch_options){0}), &error);
  struct stat status;
  CHECK(stat(path, &status) == 0 && status.st_size == 0);
}

TEST(goes_on_where_it_stopped) {
  if (!start_server()) return;
  static const char *const behaviors[] = {"cut", "stall", "no-range", "busy", "good"};
  for (int i = 0; i < 5; i++) {
    forget("resumed");
    int resumed = atomic_load(&server.resumed);
    if (!CHECK_OK_ERROR(fetch(behaviors[i], "resumed", content_sum, (mica_fetch_options){0}),
                        &error))
      continue;
    CHECK(is_content(path));
    if (i < 3) CHECK(atomic_load(&server.resumed) > resumed);
  }
  /* cancelled, then gone on with by another call */
  forget("resumed");
  CHECK_STATUS(fetch("good", "resumed", content_sum, (mica_fetch_options){.progress = cancel_late}),
               MICA_CANCELLED);
  int resumed = atomic_load(&server.resumed);
  CHECK_OK_ERROR(fetch("good", "resumed", content_sum, (mica_fetch_options){0}), &error);
  CHECK(is_content(path));
  CHECK(atomic_load(&server.resumed) > resumed);
  /* a part file of other contents is thrown away when the sum tells */
  forget("resumed");
  char part[4200];
  snprintf(part, sizeof part, "%s.part", in_cache("resumed"));
  FILE *file = fopen(part, "wb");
  for (int i = 0; i < 1000; i++) fputc('x', file);
  fclose(file);
  CHECK_OK_ERROR(fetch("good", "resumed", content_sum, (mica_fetch_options){0}), &error);
  CHECK(is_content(path));
  forget("resumed");
  file = fopen(part, "wb");
  fwrite(content, 1, CONTENT, file); /* complete already */
  fclose(file);
  CHECK_OK_ERROR(fetch("beyond", "resumed", content_sum, (mica_fetch_options){0}), &error);
  CHECK(is_content(path));
}

TEST(believes_nothing) {
  if (!start_server()) return;
  static const struct {
    const char *behavior;
    mica_status status;
    const char *message;
  } rows[] = {
      {"missing", MICA_IO, "HTTP 404"},     {"lie", MICA_DATA_LOSS, "SHA-256"},
      {"short", MICA_DATA_LOSS, "SHA-256"}, {"circle", MICA_IO, "redirect"},
      {"file", MICA_IO, "rotocol"},         {"endless", MICA_IO, "larger than the 300000 bytes"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    forget("bad");
    CHECK_STATUS(fetch(rows[i].behavior, "bad", content_sum,
                       (mica_fetch_options){.attempts = 2, .largest = 300000}),
                 rows[i].status);
    CHECK_STR_CONTAINS(error.message, rows[i].message);
    CHECK(access(in_cache("bad"), F_OK) != 0);
    CHECK_EQ_STR(path, "");
  }
  forget("bad");
  CHECK_STATUS(fetch("wrong-range", "bad", content_sum, (mica_fetch_options){.attempts = 3}),
               MICA_IO);
  CHECK_STR_CONTAINS(error.message, "another part");
  /* a second place helps */
  char good[256];
  snprintf(good, sizeof good, "http://127.0.0.1:%d/good/x", server.port);
  const char *const urls[] = {"http://127.0.0.1:1/nobody", good};
  forget("bad");
  CHECK_OK_ERROR(fetch("", "bad", content_sum,
                       (mica_fetch_options){.urls = urls, .url_count = 2, .attempts = 1}),
                 &error);
  CHECK(is_content(path));
  forget("bad");
  CHECK_STATUS(fetch("", "bad", content_sum,
                     (mica_fetch_options){.urls = urls, .url_count = 1, .attempts = 1}),
               MICA_IO);
}

TEST(misuse) {
  static const char *const names[] = {"../x", "/x", "a//b", "a/../b", "a/", ".hidden", ""};
  static const char *const ftp[] = {"ftp://x/y"}, *const root[] = {"http://127.0.0.1/"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    CHECK_STATUS(fetch("good", names[i], NULL, (mica_fetch_options){.offline = true}),
                 MICA_INVALID);
  CHECK_STATUS(fetch("", "x", NULL, (mica_fetch_options){.urls = ftp, .url_count = 1}),
               MICA_INVALID);
  CHECK_STATUS(fetch("", NULL, NULL, (mica_fetch_options){.urls = root, .url_count = 1}),
               MICA_INVALID);
  CHECK_STATUS(fetch("good", "x", "abc", (mica_fetch_options){0}), MICA_INVALID);
  CHECK_STATUS(mica_fetch(NULL, path, sizeof path, &(mica_error){0}), MICA_INVALID);
  setenv("MICA_CACHE", "/somewhere", 1);
  CHECK_OK(mica_fetch_folder(path, sizeof path, NULL));
  CHECK_EQ_STR(path, "/somewhere");
  CHECK_STATUS(mica_fetch_folder(path, 5, NULL), MICA_INVALID);
  unsetenv("MICA_CACHE");
}

TEST_MAIN(TEST_CASE(fetches_and_keeps), TEST_CASE(goes_on_where_it_stopped),
          TEST_CASE(believes_nothing), TEST_CASE(misuse))
