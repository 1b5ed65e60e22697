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
  /* Of calls on tensors only (run_tensors.c). */
  mica_tensor **tensor_in;  /* as `in`, borrowed */
  mica_tensor **tensor_out; /* as `out`, made by the backend */
  mica_tensor **cell_old;   /* [cells] what was moved to the device, to be released */
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
  bool on_tensors;  /* calls go to the backend's execute_tensors */
  int32_t *forward; /* [outputs] the donated input whose memory may become the output's; -1: none */
  _Atomic(call_frame *) spare; /* one free frame, taken without a lock */
  mica_mutex mutex;            /* guards `frames` */
  call_frame *frames;          /* more free ones */
  size_t frame_size;
};

/* An executable without variables of a program that was compiled without a graph; owns it on success. */
mica_status mica_executable_of_program(mica_device *device, void *program,
                                       const mica_type *in_types, size_t in_count,
                                       const mica_type *out_types, size_t out_count,
                                       uint64_t donate, mica_executable **out_executable,
                                       mica_error *error);

/* Checks of what is given, and what the two kinds of calls have in common (run.c). */
bool mica_run_share_memory(const mica_tensor *a, const mica_tensor *b);
mica_status mica_run_lost_error(const mica_variable *variable, mica_error *error);
mica_status mica_run_check_not_value(const mica_executable *executable, const call_frame *frame,
                                     const mica_tensor *tensor, size_t index, mica_error *error);
void mica_run_leave_cells(const mica_executable *executable, call_frame *frame);
mica_status mica_run_undo(const mica_executable *executable, call_frame *frame, bool intact,
                          mica_status status, const mica_error *reason, mica_error *error);
/* The call where the backend takes tensors (run_tensors.c). */
mica_status mica_run_tensors(const mica_executable *executable, call_frame *frame,
                             mica_tensor *const *in, mica_tensor **out, mica_error *error);

#endif
