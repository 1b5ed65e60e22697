/* SPDX-License-Identifier: Apache-2.0 */
/* ffi.h: the part of XLA's foreign function interface that Mica uses, declared anew: how a program calls
 * back into the host, and how such a function is made known through PJRT's extension for it. */
#ifndef MICA_XLA_FFI_H
#define MICA_XLA_FFI_H
#include "backend/xla/pjrt.h"

enum { PJRT_EXTENSION_FFI = 5 };

typedef struct {
  pjrt_extension base;
  pjrt_function *type_register, *user_data_add, *register_handler;
} pjrt_ffi_extension;

/* Without `extensions`, unlike all others. */
typedef struct {
  size_t struct_size;
  const char *target;
  size_t target_size;
  void *handler;
  const char *platform;
  size_t platform_size;
  int traits;
} pjrt_ffi_register_args;

typedef struct ffi_error ffi_error;
typedef struct {
  size_t struct_size;
  void *extensions;
  const char *message;
  int code;
} ffi_error_create_args;

typedef struct {
  size_t struct_size;
  void *extensions;
  pjrt_version version;
  void *internal;
  ffi_error *(*error_create)(ffi_error_create_args *args);
} ffi_api;

typedef struct {
  size_t struct_size;
  void *extensions;
  int type;
  void *data;
  int64_t rank;
  int64_t *dims;
} ffi_buffer;

/* Operands, and results in the same form: all of them buffers. */
typedef struct {
  size_t struct_size;
  void *extensions;
  int64_t count;
  int *types;
  ffi_buffer **buffers;
} ffi_buffers;

typedef struct {
  int type;
  void *value;
} ffi_scalar;
typedef struct {
  size_t struct_size;
  void *extensions;
  int64_t count;
  int *types;
  void **names;
  ffi_scalar **values;
} ffi_attributes;

enum { FFI_EXTENSION_METADATA = 1, FFI_STAGE_EXECUTE = 3 };
typedef struct {
  size_t struct_size;
  pjrt_version version; /* out */
  uint32_t traits;      /* out */
} ffi_metadata;
typedef struct {
  pjrt_extension base;
  ffi_metadata *metadata;
} ffi_metadata_extension;

typedef struct {
  size_t struct_size;
  pjrt_extension *extensions;
  const ffi_api *api;
  void *context;
  int stage;
  ffi_buffers in, out;
  ffi_attributes attributes;
} ffi_call;

PJRT_CHECK(pjrt_ffi_extension, register_handler, 48);
PJRT_CHECK(pjrt_ffi_register_args, traits, 52);
PJRT_CHECK(ffi_error_create_args, code, 28);
PJRT_CHECK(ffi_api, error_create, 56);
PJRT_CHECK(ffi_buffer, dims, 48);
PJRT_CHECK(ffi_metadata, traits, 36);
PJRT_CHECK(ffi_call, attributes, 168);
#endif
