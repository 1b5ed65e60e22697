/* SPDX-License-Identifier: Apache-2.0 */
/* backend.h: devices, executables, and the interface that a backend implements.
 *
 * A device is what runs: a backend with its threads, allocator, log callback and cancellation
 * flag. Two may live side by side in a process. A backend compiles whole graphs
 * (docs/add-a-backend.md). Ownership: devices and executables are reference-counted. Threads: an
 * executable may be run from many threads at once. After fork a device is unusable in the child
 * and says so. */
#ifndef MICA_BACKEND_H
#define MICA_BACKEND_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct mica_device mica_device;
typedef struct mica_executable mica_executable;

/* Lines that a user asked for (marked values, profiles), without a newline; any thread. */
typedef void mica_log_callback(void *user, const char *text);

/* Option structs begin with their size, sizeof of the struct that was filled. */
typedef struct {
  size_t struct_size;
  /* "cpu", "reference"; NULL: $MICA_BACKEND, else the fastest here. Options follow behind commas:
   * "cpu, threads=2, pin_threads, find_nan=0, profile", "expand", which runs composites
   * by their expansions, and the backend's own. Of cpu: pack_cache=N,
   * the MiB in which weights that stay the same over calls are kept as the kernels read them (256;
   * 0: none are). */
  const char *backend;
  int32_t
      threads; /* 0: $MICA_THREADS, else one for each core the process may use; 1: none are made */
  bool pin_threads;         /* one worker to a core */
  mica_allocator allocator; /* {0}: the C library's; outlives the device */
  mica_log_callback *log;   /* NULL: nothing is reported */
  void *log_user;
  bool find_nan; /* check every step for the first NaN or infinity (see mica_executable_run) */
  bool profile;  /* time every step (mica_executable_profile) */
} mica_device_options;

/* NULL options or zeros mean defaults. Returns NULL on failure and says why. */
MICA_API mica_device *mica_device_open(const mica_device_options *options, mica_error *error);
MICA_API mica_device *mica_device_retain(mica_device *device);
MICA_API void mica_device_release(mica_device *device);
MICA_API const char *mica_device_backend(const mica_device *device); /* "cpu" */
MICA_API const char *mica_device_description(
    const mica_device *device); /* "cpu: avx512, 2 threads" */
MICA_API int32_t mica_device_threads(const mica_device *device);
/* The tensor where the device computes: another reference to it where it lies there already (always on
 * `cpu`), else a copy, whose upload may still be under way when the function returns; the tensor is
 * retained until it is over and must not be written meanwhile (mica_tensor_wait). */
MICA_API mica_status mica_tensor_to_device(mica_device *device, mica_tensor *tensor,
                                           mica_tensor **out_tensor, mica_error *error);
struct mica_sharded_tensor;
/* An array in parts (mica/mesh.h) as a tensor of the whole type that lies in those parts, one on each of the devices that
 * the device opened (xla): a call whose program wants it cut so takes the parts as they are; whoever reads it gets the
 * whole. Parts of such a tensor, in their places, are that tensor again, without a copy. Where one engine computes all
 * (`cpu`, `reference`) it is merged. */
MICA_API mica_status mica_sharded_tensor_to_device(mica_device *device,
                                                   const struct mica_sharded_tensor *sharded,
                                                   mica_tensor **out_tensor, mica_error *error);
/* Makes running and later calls end with MICA_CANCELLED between two steps, until cleared. Any
 * thread. */
MICA_API void mica_device_cancel(mica_device *device, bool cancel);

/* Compiles the graph's outputs and assigns. The graph is not needed afterwards. donate: bit i
 * says that input i may be overwritten (its tensor must not be used after the call). */
MICA_API mica_status mica_compile(mica_device *device, mica_graph *graph, uint64_t donate,
                                  mica_executable **out_executable, mica_error *error);
MICA_API mica_executable *mica_executable_retain(mica_executable *executable);
MICA_API void mica_executable_release(mica_executable *executable);
MICA_API size_t mica_executable_input_count(const mica_executable *executable);
MICA_API size_t mica_executable_output_count(const mica_executable *executable);
MICA_API mica_type mica_executable_input_type(const mica_executable *executable, size_t index);
MICA_API mica_type mica_executable_output_type(const mica_executable *executable, size_t index);
/* Runs with its variables. out[i] == NULL: a new tensor; otherwise it is overwritten in place
 * (type equal, not also an input unless donated), so that a step allocates nothing. On an accelerator
 * new tensors and variables stay on the device, and the call may return before it is done:
 * mica_tensor_wait or whatever reads a value waits for it, and a late failure surfaces there. A failure
 * before execution changes nothing; one during it marks assigned variables lost, and the error
 * names them. With find_nan the first NaN or infinity that a step makes from finite operands is
 * an error that names operator, type and scope path. */
MICA_API mica_status mica_executable_run(mica_executable *executable, mica_tensor *const *in,
                                         size_t in_count, mica_tensor **out, size_t out_count,
                                         mica_error *error);
/* What was planned: bytes of the arena, steps; text of the steps. */
MICA_API size_t mica_executable_arena_bytes(const mica_executable *executable);
MICA_API int64_t mica_executable_format(const mica_executable *executable, char *text, size_t size);
/* A table of the last run's steps (time, bytes, flops, share of the machine's limit); a
 * Chrome/Perfetto
 * trace as JSON. Needs a device opened with `profile`; otherwise the text says what is missing. */
MICA_API int64_t mica_executable_profile(mica_executable *executable, char *text, size_t size);
MICA_API int64_t mica_executable_trace(mica_executable *executable, char *text, size_t size);

/* ---- the interface of a backend -------------------------------------------------------------- */

/* The state of an input's values: equal versions of an input of one executable mean equal values.
 * {0, 0}: unknown, may have changed. */
typedef struct {
  uint64_t value, write; /* how often a value was stored; how often the stored tensor was written */
} mica_call_version;

/* One call: inputs are parameters in order, then the variables that are read in the order of
 * mica_graph_variables; outputs are the graph's outputs, then the assigned variables' new
 * values. */
typedef struct {
  size_t struct_size;
  const void *const *in; /* host or device memory of each input; NULL: nothing reads it */
  void *const *out;      /* where each output goes; may equal a donated input's memory */
  const bool *donated;   /* in[i] may be overwritten */
  size_t in_count, out_count;
  bool *out_intact; /* set to true by an execute that fails before it wrote into donated memory */
  struct mica_call_marks *marks;     /* collects marked values; NULL: nobody listens */
  const mica_call_version *versions; /* of each input: known of variables; NULL: of none */
} mica_call;

/* One call on tensors, for backends whose values lie on a device: the same inputs and outputs. */
typedef struct {
  size_t struct_size;
  mica_tensor *const *in; /* on any device or the host; NULL: nothing reads it */
  const bool *donated;    /* nobody else sees in[i]: its values may be consumed */
  mica_tensor **out;      /* out: new tensors on the device, all of them or none */
  size_t in_count, out_count;
  bool *out_intact; /* set to true by a failure that consumed nothing */
} mica_tensor_call;

/* NULL slots mean the documented default. All functions may be called from any thread. */
typedef struct mica_backend {
  size_t struct_size;
  const char *name;
  /* Opens the backend for a device; *out_state is handed to all others. */
  mica_status (*open)(mica_device *device, const char *options, void **out_state,
                      mica_error *error);
  void (*close)(void *state);
  void (*describe)(void *state, char *text, size_t size);
  /* Whether an operator on this dtype runs whole; NULL: everything. Composites that do not are
   * expanded. */
  bool (*supports)(void *state, const char *op, mica_dtype dtype);
  /* `graph` is verified and stays the caller's. */
  mica_status (*compile)(void *state, mica_device *device, const mica_graph *graph, uint64_t donate,
                         void **out_program, mica_error *error);
  mica_status (*execute)(void *state, void *program, const mica_call *call, mica_error *error);
  void (*program_destroy)(void *state, void *program);
  size_t (*program_arena_bytes)(void *state, const void *program);
  int64_t (*program_format)(void *state, const void *program, char *text, size_t size);
  int64_t (*program_profile)(void *state, void *program, bool trace, char *text, size_t size);
  /* Instead of `execute` where both are there. May return before the device is done: what fails later
   * is reported by whoever reads a value. */
  mica_status (*execute_tensors)(void *state, void *program, const mica_tensor_call *call,
                                 mica_error *error);
  /* The tensor on the device: another reference where it lies there, else a copy. With `borrow` it may
   * return before the values are read: the tensor is retained until then. */
  mica_status (*place)(void *state, mica_tensor *tensor, bool borrow, mica_tensor **out_tensor,
                       mica_error *error);
  /* Whether the calls of a program are execute_tensors; NULL: all are. */
  bool (*takes_tensors)(void *state, const void *program);
  /* `place` where a program's input `index` is to lie; NULL: `place`. */
  mica_status (*place_input)(void *state, void *program, size_t index, mica_tensor *tensor,
                             mica_tensor **out_tensor, mica_error *error);
  /* An array in parts, each on the device that the mesh names; NULL: it is merged. */
  mica_status (*place_parts)(void *state, const struct mica_sharded_tensor *sharded,
                             mica_tensor **out_tensor, mica_error *error);
} mica_backend;

#ifdef __cplusplus
}
#endif
#endif
