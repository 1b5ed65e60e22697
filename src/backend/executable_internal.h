/* SPDX-License-Identifier: Apache-2.0 */
/* executable_internal.h: an executable and its call frames, shared by compile and run. */
#ifndef MICA_EXECUTABLE_INTERNAL_H
#define MICA_EXECUTABLE_INTERNAL_H
#include "backend/backend_internal.h"
#include "graph/variable.h"

/* A variable of an executable. They stand sorted by address: the order in which locks are taken. */
typedef struct {
  mica_variable *variable; /* retained */
  int32_t read;            /* index in the call's inputs; -1: it is not among them */
  int32_t assign;          /* index in the call's outputs; -1: it is not assigned */
  bool needed;             /* something depends on the value read: it must not be lost */
} executable_cell;

/* All that one run needs, made once and used again. */
typedef struct call_frame {
  struct call_frame *next;
  const void **in;            /* [inputs + variables read] */
  void **out;                 /* [outputs + variables assigned] */
  bool *donated;              /* as `in` */
  mica_call_version *version; /* as `in` */
  mica_tensor **made;         /* [outputs] to be given to the caller; NULL: the caller's own */
  mica_tensor **cell_value;   /* [cells] the value that the call sees; retained unless assigned */
  mica_tensor **cell_next;    /* [cells] memory for the new value; NULL: it goes over the old one */
  struct mica_call_marks marks;
} call_frame;

struct mica_executable {
  _Atomic uint32_t reference_count;
  mica_device *device;
  void *program;
  mica_arena arena; /* of everything below */
  mica_type *input_types, *output_types;
  size_t input_count, output_count;
  size_t call_in_count, call_out_count; /* with the variables */
  executable_cell *cells;
  size_t cell_count;
  uint64_t donate;
  int32_t *forward; /* [outputs] the donated input whose memory may become the output's; -1: none */
  _Atomic(call_frame *) spare; /* one free frame, taken without a lock */
  mica_mutex mutex;            /* guards `frames` */
  call_frame *frames;          /* more free ones */
  size_t frame_size;
};

#endif
