/* SPDX-License-Identifier: Apache-2.0 */
/* device.h: what jit needs of a device beyond the public functions, and tests of backends. */
#ifndef MICA_BACKEND_DEVICE_H
#define MICA_BACKEND_DEVICE_H
#include "mica/backend.h"

/* The status for an argument that is NULL: the failure of the constructor that gave it, where `error`
 * holds it already, else MICA_INVALID with "`what` is NULL". */
mica_status mica_null_error(mica_error *error, const char *what);

/* The device's, {0} for NULL; lives as long as the device. */
mica_allocator mica_device_allocator(const mica_device *device);

/* MICA_OK, or why nothing can run on it: NULL, or opened before a fork. */
mica_status mica_device_check(const mica_device *device, mica_error *error);

/* mica_stablehlo_format, or MICA_UNSUPPORTED where the library is built without it. */
mica_status mica_backend_stablehlo(mica_graph *graph, char *text, size_t size, size_t *out_length,
                                   mica_error *error);

/* An empty graph for one trace, and its end. The graphs are the device's and stay until it closes, so
 * that a value that somebody keeps past its trace is recognized by its epoch. Any thread. */
mica_status mica_device_trace_begin(mica_device *device, mica_graph **out_trace, mica_error *error);
void mica_device_trace_end(mica_device *device, mica_graph *trace);

/* mica_device_open with a backend that the library does not list; options->backend is not looked at.
 * `text` holds its options ("threads=2, level=3"), NULL: none. */
mica_device *mica_device_open_with(const mica_backend *backend, const char *text,
                                   const mica_device_options *options, mica_error *error);

#endif
