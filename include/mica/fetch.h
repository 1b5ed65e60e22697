/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h: files from the network into a cache folder: libmica_fetch, a library of its own, which needs libcurl. No
 * other library of Mica downloads anything. Threads: calls are independent; two that fetch one file, also from two
 * processes, wait for each other. */
#ifndef MICA_FETCH_H
#define MICA_FETCH_H
#include "mica/core.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Called now and then; total is -1 while it is not known. False cancels (MICA_CANCELLED); what is there stays for the
 * next try. */
typedef bool mica_fetch_progress(void *user, int64_t done, int64_t total);

typedef struct {
  size_t struct_size;
  /* Where it is, one or several places of the same file, tried in turn: http:// or https://. */
  const char *const *urls;
  int32_t url_count;
  const char *
      sha256; /* 64 hexadecimal digits; NULL: whatever comes is taken, as far as its size is right */
  const char
      *name; /* of the file in the folder, may have '/'; NULL: the last part of the first url */
  const char *folder; /* NULL: mica_fetch_folder's */
  bool offline;       /* only what is in the folder; also when the environment has MICA_OFFLINE=1 */
  int64_t largest;    /* bytes; 0: 64 GiB */
  int32_t attempts;   /* of each url; 0: 4 */
  int32_t stall_seconds; /* without a byte, or to connect; 0: 30 */
  mica_fetch_progress *progress;
  void *user;
  const char *accept;       /* the header Accept, for servers with several forms of a page */
  const char *certificates; /* a file of certificates to trust in place of the system's */
  char *final_url;          /* where redirects have led, in final_url[final_url_size]; "" if nothing
                             * was fetched; NULL: not told */
  size_t final_url_size;
} mica_fetch_options;

/* The path of the file, in path[size]. One that is there is taken when its SHA-256 is right (or none is given), and
 * fetched again when it is not. Otherwise bytes go to NAME.part beside it, where a later call goes on after whatever ended this
 * one; when they are complete and right they are synced and get their name. What is not right is removed, never
 * given. A name and a password in front of an '@' in a url go to the server and into no message. Redirects are followed, up to 8, but not from https to http.
 *
 * MICA_IO: no place gave it (the message names each and its reason); MICA_DATA_LOSS: what came has another SHA-256;
 * MICA_NOT_FOUND: offline and not there. */
MICA_API mica_status mica_fetch(const mica_fetch_options *options, char *path, size_t size,
                                mica_error *error);
/* The cache folder: $MICA_CACHE, else $XDG_CACHE_HOME/mica, else ~/.cache/mica. */
MICA_API mica_status mica_fetch_folder(char *path, size_t size, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
