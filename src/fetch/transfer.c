/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.c: one HTTP transfer into a part file, by libcurl.
 *
 * A server may answer a request for the rest with the rest (206), with everything (200), or with "nothing is there"
 * (416); what it says in Content-Range has to be where we are, or its bytes are not used. */
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fetch_internal.h"

typedef struct {
  const mica_fetch_options *options;
  CURL *curl;
  const char *part;
  FILE *file;
  int64_t have, total, largest; /* have: bytes of the part file */
  long status;                  /* of the newest answer */
  int64_t range_begin;          /* of Content-Range; -1: none */
  bool write_failed, cancelled, too_large, wrong_range, begun;
} transfer;

static size_t take_header(char *bytes, size_t item, size_t count, void *user) {
  transfer *t = user;
  size_t size = item * count;
  static const char name[] = "content-range:";
  if (size > 5 && memcmp(bytes, "HTTP/", 5) == 0)
    t->range_begin = -1; /* a new answer, after a redirect */
  if (size <= sizeof name || strncasecmp(bytes, name, sizeof name - 1) != 0) return size;
  char text[128];
  size_t kept =
      size - (sizeof name - 1) < sizeof text - 1 ? size - (sizeof name - 1) : sizeof text - 1;
  memcpy(text, bytes + sizeof name - 1, kept);
  text[kept] = 0;
  int64_t first, last;
  if (sscanf(text, " bytes %" SCNd64 "-%" SCNd64, &first, &last) == 2) t->range_begin = first;
  return size;
}

/* At the first byte of the body: is it the rest, or everything? */
static bool begin_body(transfer *t) {
  t->begun = true;
  curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->status);
  if (t->status == 206 && t->range_begin != t->have) {
    t->wrong_range = true;
    return false;
  }
  if (t->status != 206) t->have = 0;
  t->file = fopen(t->part, t->have > 0 ? "ab" : "wb");
  t->write_failed = t->file == NULL;
  curl_off_t length = -1;
  curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  t->total = length >= 0 ? t->have + (int64_t)length : -1;
  if (t->total > t->largest) t->too_large = true;
  return !t->write_failed && !t->too_large;
}

static size_t take_body(char *bytes, size_t item, size_t count, void *user) {
  transfer *t = user;
  size_t size = item * count;
  if (!t->begun && !begin_body(t)) return 0;
  if ((int64_t)size > t->largest - t->have) {
    t->too_large = true;
    return 0;
  }
  if (fwrite(bytes, 1, size, t->file) != size) {
    t->write_failed = true;
    return 0;
  }
  t->have += (int64_t)size;
  return size;
}

static int take_progress(void *user, curl_off_t total, curl_off_t done, curl_off_t up_total,
                         curl_off_t up) {
  transfer *t = user;
  (void)total, (void)done, (void)up_total, (void)up;
  if (t->options->progress == NULL || t->options->progress(t->options->user, t->have, t->total))
    return 0;
  t->cancelled = true;
  return 1;
}

void mica_fetch_shown_url(const char *url, char *text, size_t size) {
  const char *host = strstr(url, "://");
  host = host != NULL ? host + 3 : url;
  const char *end = host + strcspn(host, "/?#"), *at = end;
  while (at > host && *at != '@') at--;
  if (*at != '@') at = host;
  snprintf(text, size, "%.*s%s", (int)(host - url), url, at > host ? at + 1 : at);
}

static mica_status judge(transfer *t, CURLcode code, const char *from, mica_error *error) {
  const char *reason = NULL;
  char url[400];
  mica_fetch_shown_url(from, url, sizeof url);
  if (t->cancelled) return mica_error_set(error, MICA_CANCELLED, "fetch: cancelled");
  if (t->write_failed)
    return mica_error_set(error, MICA_INTERNAL, "cannot write '%.500s': %s", t->part,
                          strerror(errno));
  if (t->too_large)
    return mica_error_set(error, MICA_INTERNAL,
                          "%.300s: larger than the %" PRId64 " bytes that are allowed", url,
                          t->largest);
  if (t->wrong_range) reason = "the server sends another part than the one that was asked for";
  if (reason == NULL && code != CURLE_OK && code != CURLE_HTTP_RETURNED_ERROR)
    reason = curl_easy_strerror(code);
  if (reason != NULL) return mica_error_set(error, MICA_IO, "%.300s: %s", url, reason);
  if (t->status != 200 && t->status != 206)
    return mica_error_set(error, MICA_IO, "%.300s: HTTP %ld", url, t->status);
  return MICA_OK;
}

static void set_options(transfer *t, const char *url) {
  CURL *curl = t->curl;
  long stall = t->options->stall_seconds > 0 ? t->options->stall_seconds : 30;
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
                   strncmp(url, "https:", 6) == 0 ? "https" : "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 8L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, stall);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, stall);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "mica");
  curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
  if (t->options->certificates != NULL)
    curl_easy_setopt(curl, CURLOPT_CAINFO, t->options->certificates);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, take_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

mica_status mica_fetch_transfer(const mica_fetch_options *options, const char *url,
                                const char *part, int64_t have, mica_error *error) {
  transfer t = {.options = options,
                .part = part,
                .have = have > 0 ? have : 0,
                .total = -1,
                .range_begin = -1};
  t.largest = options->largest > 0 ? options->largest : (int64_t)1 << 36;
  t.curl = curl_easy_init();
  if (t.curl == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "fetch: out of memory");
  set_options(&t, url);
  char range[32], accept[256];
  struct curl_slist *headers = NULL;
  if (options->accept != NULL) {
    snprintf(accept, sizeof accept, "Accept: %s", options->accept);
    headers = curl_slist_append(NULL, accept);
    curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, headers);
  }
  snprintf(range, sizeof range, "%" PRId64 "-", t.have);
  /* By hand: told to resume, libcurl refuses an answer with the whole file. */
  if (t.have > 0) curl_easy_setopt(t.curl, CURLOPT_RANGE, range);
  CURLcode code = curl_easy_perform(t.curl);
  curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &t.status);
  bool empty = code == CURLE_OK && !t.begun && t.status == 200; /* a file without a byte */
  if (empty && !begin_body(&t)) t.write_failed = t.file == NULL;
  if (t.file != NULL && fclose(t.file) != 0) t.write_failed = true;
  mica_status status = judge(&t, code, url, error);
  const char *last = NULL;
  curl_easy_getinfo(t.curl, CURLINFO_EFFECTIVE_URL, &last);
  if (options->final_url != NULL && options->final_url_size > 0)
    snprintf(options->final_url, options->final_url_size, "%s", last != NULL ? last : url);
  curl_easy_cleanup(t.curl);
  curl_slist_free_all(headers);
  return status;
}
