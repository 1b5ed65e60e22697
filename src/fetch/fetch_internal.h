/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_internal.h: one transfer, and the folder that files are kept in. */
#ifndef MICA_FETCH_INTERNAL_H
#define MICA_FETCH_INTERNAL_H
#include <stdio.h>

#include "mica/fetch.h"

enum { FETCH_PATH = 4096 };

/* Appends the rest of the url to the part file, of which `have` bytes are there; a server that does not go on from there
 * begins the file anew. MICA_IO for what another try may mend. */
mica_status mica_fetch_transfer(const mica_fetch_options *options, const char *url,
                                const char *part, int64_t have, mica_error *error);

/* A url as a message may show it: without name and password. */
void mica_fetch_shown_url(const char *url, char *text, size_t size);

/* -1 if it is not there. */
int64_t mica_fetch_file_size(const char *path);
mica_status mica_fetch_file_sha256(const char *path, char out_hex[65], mica_error *error);
mica_status mica_fetch_make_folders(const char *path, mica_error *error); /* those around a file */
int mica_fetch_lock(const char *path);                                    /* waits; -1 without */
void mica_fetch_unlock(int handle);
mica_status mica_fetch_publish(const char *part, const char *path, mica_error *error);

#endif
