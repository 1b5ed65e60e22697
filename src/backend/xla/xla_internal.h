/* SPDX-License-Identifier: Apache-2.0 */
/* xla_internal.h: what the parts of the XLA backend share: plugins, their calls, clients. */
#ifndef MICA_XLA_INTERNAL_H
#define MICA_XLA_INTERNAL_H
#include "backend/backend_internal.h"
#include "backend/xla/pjrt.h"
#include "backend/xla/wire.h"

/* ---- plugins (plugin.c, discovery.c) --------------------------------------------------------- */

enum { XLA_PATH_SIZE = 1024, XLA_NAME_SIZE = 32 };

/* A loaded plugin. Loading one twice gives the same library, which is never unloaded: threads of it
 * live on. */
typedef struct {
  const pjrt_api *api;
  char name[XLA_NAME_SIZE]; /* "cpu", "cuda"; of a path "plugin" */
  char path[XLA_PATH_SIZE];
  char stablehlo_version[32]; /* "" where the plugin does not tell */
  bool polls; /* who waits asks for a moment before it sleeps: the device works elsewhere */
} xla_plugin;

/* `which`: "cpu", "cuda", .. or a path; finds and loads it. */
mica_status mica_xla_plugin_load(const char *which, xla_plugin *out_plugin, mica_error *error);
/* The file of a plugin that has a name. */
mica_status mica_xla_plugin_find(const char *name, char path[XLA_PATH_SIZE], mica_error *error);
/* What "xla" alone means: the first of the accelerators whose driver is there, below `root`, and whose plugin is,
 * else "cpu". */
const char *mica_xla_fitting_plugin(const char *root);
/* An error whose message is the help on the backend's names and options. */
mica_status mica_xla_help(mica_error *error);
/* What has to be in memory before the plugin at `path` loads; failures are left to it. */
void mica_xla_preload(const char *name, const char *path);

/* Calls a function of the plugin: an error if the plugin lacks it, and the plugin's own. */
mica_status mica_xla_call(const xla_plugin *plugin, pjrt_slot slot, void *args, mica_error *error);
bool mica_xla_has(const xla_plugin *plugin, pjrt_slot slot);
/* The same for functions that only give an object back; NULL is fine. */
void mica_xla_destroy(const xla_plugin *plugin, pjrt_slot slot, void *object);
/* Waits for the event and destroys it; NULL is done already. */
mica_status mica_xla_await(const xla_plugin *plugin, pjrt_event *event, mica_error *error);
const pjrt_extension *mica_xla_extension(const xla_plugin *plugin, int type, size_t least_size);

/* ---- clients (client.c) ---------------------------------------------------------------------- */

enum { XLA_PLATFORM_SIZE = 48, XLA_TARGET_SIZE = 48, XLA_HOST_MOST = 32 };

/* Compiled programs on the disk (cache.c). */
typedef struct {
  bool on;
  char folder[XLA_PATH_SIZE];
  uint64_t limit;    /* bytes of the folder */
  char identity[65]; /* hash of all but the program */
  _Atomic int64_t compiled, loaded, stored;
} xla_cache;

/* The state of an open device: one client, of which one device computes. */
typedef struct {
  mica_allocator allocator;
  mica_device *owner;
  xla_plugin plugin;
  pjrt_client *client;
  pjrt_device *device;
  pjrt_device *const *devices; /* [device_count] */
  size_t device_count;
  int64_t device_index;
  char platform[XLA_PLATFORM_SIZE]; /* "cpu", "cuda", .. */
  char kind[64];                    /* of the device */
  bool on_host;             /* the device computes in the host's memory: buffers may share it */
  bool exact;               /* products of f32 in full precision */
  bool flash;               /* attention by cuDNN where it can */
  bool resident;            /* values stay on the device between calls (resident.c) */
  _Atomic bool no_switches; /* the plugin has refused those of compile.c */
  xla_cache cache;
  void *profile; /* the profiler's session; NULL: none is under way */
  char host_target
      [XLA_TARGET_SIZE]; /* the function by which programs call the host; "": they cannot */
} xla_client;

/* A node that the host computes: what a custom call carries the address of. */
typedef struct {
  const mica_graph *graph;
  const mica_device *device;
  uint32_t id;
} xla_host_node;
void mica_xla_register_host(xla_client *client);
bool mica_xla_runs_on_host(mica_op op);

mica_status mica_xla_open(mica_device *device, const char *options, void **out_state,
                          mica_error *error);
void mica_xla_close(void *state);
void mica_xla_describe(void *state, char *text, size_t size);

int mica_xla_type(mica_dtype dtype); /* pjrt_type; 0: there is none */
mica_dtype mica_xla_dtype(int type); /* of a pjrt_type; MICA_DTYPE_NONE: there is none */
/* The client of a device of this backend. */
mica_status mica_xla_client_of(mica_device *device, xla_client **out_client, mica_error *error);

/* ---- graphs ---------------------------------------------------------------------------------- */

/* How a graph is lowered: marked values stay; updates of a scatter come in any order; attention goes to cuDNN where
 * it can. */
typedef struct {
  bool marks, unordered, flash;
} xla_lowering;
/* Whether cuDNN's flash attention takes node `id` (write_attention.c). */
bool mica_xla_is_flash_attention(const mica_graph *graph, uint32_t id);
/* Rebuilds `from` in the empty graph `to` from the operators that StableHLO has (lower.c). */
mica_status mica_xla_lower(const mica_graph *from, mica_graph *to, xla_lowering how,
                           mica_error *error);

/* Refuses a lowered graph that ends the compiler of this version of the plugin (defects.c). */
mica_status mica_xla_check_defects(const xla_client *client, const mica_graph *graph,
                                   mica_error *error);
/* Whether atan of several elements at a time comes out wrong. */
bool mica_xla_spoils_atan(const xla_client *client);

/* What the text of a module needs to know, and leaves (module.c, writer.c). */
typedef struct {
  const mica_graph *graph; /* lowered */
  mica_allocator allocator;
  size_t hoist_from; /* bytes from which a constant is an argument; 0: none is */
  uint64_t donate;   /* bit i: input i may be overwritten */
  bool exact;
  bool float_convolutions;    /* the device has none of integers and complex numbers */
  bool atan_by_two;           /* atan x as atan2(2 x, 2) (defects.c) */
  const char *host_target;    /* "" or NULL: nothing runs on the host */
  xla_host_node *host_nodes;  /* [graph->count], out: filled for those that do */
  uint32_t *inputs, *outputs; /* out: ids; parameters and variables; outputs and assigned values */
  uint32_t *hoisted;          /* out: ids of constants that are further arguments */
  size_t input_count, output_count, hoisted_count;
  int32_t
      *call_index; /* out [input_count]: which input of the call it is: unused ones are left out */
  int32_t *alias;  /* out [input_count]: output that may take an input's memory; -1: none */
  struct xla_meshes *meshes; /* out: of a module for several devices (mesh.h); NULL: for one */
} xla_module;

/* The type in which a value is handed to a program and comes back: 4-bit ones a byte each, since plugins
 * differ in how they pack them. */
mica_type mica_xla_boundary_type(mica_type type);
/* Lists of ids for `module`, from `arena`. */
mica_status mica_xla_module_begin(xla_module *module, mica_arena *arena, mica_error *error);
mica_status mica_xla_module_write(const xla_module *module, mica_text *text, mica_error *error);

/* ---- buffers (buffer.c) ---------------------------------------------------------------------- */

/* Values that the plugin holds; 4-bit elements are a byte each there. */
mica_status mica_xla_upload(const xla_client *client, mica_type type, const void *data,
                            pjrt_host_semantics semantics, pjrt_buffer **out_buffer,
                            mica_error *error);
/* The same to another one of the client's devices. */
mica_status mica_xla_upload_to(const xla_client *client, pjrt_device *device, mica_type type,
                               const void *data, pjrt_host_semantics semantics,
                               pjrt_buffer **out_buffer, mica_error *error);
/* The plugin reads `data` until *out_done. */
mica_status mica_xla_upload_lent(const xla_client *client, mica_type type, const void *data,
                                 pjrt_buffer **out_buffer, pjrt_event **out_done,
                                 mica_error *error);
/* Waits for the values and copies them to `host`, row-major. */
mica_status mica_xla_fetch(const xla_client *client, mica_type type, pjrt_buffer *buffer,
                           void *host, size_t size, mica_error *error);
/* Where the values lie; NULL if the plugin does not tell. */
void *mica_xla_buffer_memory(const xla_client *client, pjrt_buffer *buffer);
/* Whether they lie there dense and row-major. */
bool mica_xla_lies_plainly(const xla_client *client, pjrt_buffer *buffer, mica_type type);
/* Waits until the values are there. */
mica_status mica_xla_wait_for_buffer(const xla_client *client, pjrt_buffer *buffer,
                                     mica_error *error);
/* What cannot be asked counts as ready: the wait tells. */
bool mica_xla_buffer_is_ready(const xla_client *client, pjrt_buffer *buffer);
/* A copy of `values` for who asks for a pointer, made by `read` and kept in *place, aligned; NULL after a failure. */
const void *mica_xla_keep_copy(const xla_client *client, _Atomic(void *) *place, size_t size,
                               mica_status (*read)(void *values, void *host, size_t byte_size,
                                                   mica_error *error),
                               void *values);
void mica_xla_destroy_buffers(const xla_client *client, pjrt_buffer **buffers, size_t count);
size_t mica_xla_byte_size(mica_type type);

/* ---- compiling (compile.c, cache.c) ----------------------------------------------------------- */

/* What the plugin calls a device. */
mica_status mica_xla_device_id(const xla_client *client, pjrt_device *device, int *out_id,
                               mica_error *error);
/* Compiles a module, or takes it from the disk where it was compiled before, for the devices of a mesh, by their ids, or
 * (NULL) the client's. `portable`: it means the same in another process. */
mica_status mica_xla_obtain(xla_client *client, const char *code, size_t code_size, const int *mesh,
                            size_t mesh_count, bool portable, pjrt_loaded **out_loaded,
                            mica_error *error);
/* `option`: a folder, "off", or "" for what the environment says. */
void mica_xla_cache_open(xla_client *client, const char *option, int64_t limit_mib);
void mica_xla_cache_key(const xla_client *client, const char *code, size_t code_size,
                        const unsigned char *options, size_t options_size, char out_key[65]);
pjrt_loaded *mica_xla_cache_load(xla_client *client, const char *key); /* NULL: it is not there */
void mica_xla_cache_store(xla_client *client, const char *key, pjrt_loaded *loaded);

/* ---- programs (program.c) -------------------------------------------------------------------- */

typedef struct xla_context xla_context;

typedef struct {
  mica_allocator allocator;
  xla_client *client;
  mica_arena memory;
  mica_text text;   /* of the module */
  mica_graph graph; /* lowered: what nodes of the host are run from */
  pjrt_loaded *loaded;
  mica_type *in_types, *out_types;
  int32_t *call_index, *alias; /* as in xla_module */
  pjrt_buffer **constants;
  bool foreign; /* somebody else's module, which may take other inputs than `alias` says */
  _Atomic int32_t readable; /* outputs can be read where they lie: 1; they cannot: -1; unknown: 0 */
  size_t in_count, out_count, constant_count;
  _Atomic(xla_context *) spare;  /* of the last call that has ended */
  struct xla_mesh_program *mesh; /* of a program for several devices (mesh.h); NULL: for one */
} xla_program;

mica_status mica_xla_compile(void *state, mica_device *device, const mica_graph *graph,
                             uint64_t donate, void **out_program, mica_error *error);
/* An empty one, and the end of one: mica_xla_program_destroy. NULL without memory. */
xla_program *mica_xla_program_create(xla_client *client);
mica_status mica_xla_execute(void *state, void *program, const mica_call *call, mica_error *error);

/* The arrays of a call (call.c): one for each call that runs at a time, used again by later ones. */
struct xla_context {
  size_t allocation_size;
  pjrt_buffer **in;    /* [in_count + constant_count] */
  const void **memory; /* [in_count] that in[i] is lent; NULL: in[i] is of this call only */
  pjrt_buffer **out;   /* [out_count] NULL between calls */
  int64_t *kept;       /* [in_count + constant_count] inputs that it could take and must not */
  size_t kept_count;
  bool *writable, *given; /* [in_count] in[i] is lent for writing; it is donated to this call */
  bool *in_place;         /* [out_count] lies where the call wants it */
  bool donates;
};
xla_context *mica_xla_context_take(xla_program *program); /* NULL without memory */
/* Destroys what is in it, but for lent inputs unless the call failed. */
void mica_xla_context_give(xla_program *program, xla_context *context, bool failed);
void mica_xla_context_destroy(const xla_program *program, xla_context *context);
/* Input i stays the caller's; a program names the others that it may take. */
void mica_xla_keep_input(const xla_program *program, xla_context *context, size_t i, bool keep);
/* Starts the program on context->in; out_done NULL: nobody waits for all of it. */
mica_status mica_xla_launch(const xla_program *program, xla_context *context, pjrt_event **out_done,
                            mica_error *error);

/* ---- values on the device (resident.c) --------------------------------------------------------- */

mica_status mica_xla_execute_tensors(void *state, void *program, const mica_tensor_call *call,
                                     mica_error *error);
mica_status mica_xla_place(void *state, mica_tensor *tensor, bool borrow, mica_tensor **out_tensor,
                           mica_error *error);

bool mica_xla_takes_tensors(void *state, const void *program);
mica_status mica_xla_place_input(void *state, void *program, size_t index, mica_tensor *tensor,
                                 mica_tensor **out_tensor, mica_error *error);

/* ---- what the plugin knows (analysis.c) -------------------------------------------------------- */

/* MICA_OUT_OF_MEMORY, with the sizes that the plugin tells behind the message that *error holds. */
mica_status mica_xla_upload_error(const xla_client *client, mica_type type, mica_error *error);
mica_status mica_xla_call_error(const xla_program *program, mica_error *error);
/* XLA's form of the program, to be freed with the program's allocator. */
mica_status mica_xla_optimized_bytes(const xla_program *program, char **out_bytes, size_t *out_size,
                                     mica_error *error);
/* The types of what it takes: up to `limit` into types[]; false where it does not tell (hlo.c). */
bool mica_xla_hlo_inputs(xla_wire program, mica_type *types, size_t limit, size_t *out_count);
/* Gives up a profile that is under way (profile.c). */
void mica_xla_profile_drop(xla_client *client);
/* alias[i] is set to the output that input i may become, where the program says so. */
void mica_xla_hlo_aliases(xla_wire program, int32_t *alias, size_t in_count, size_t out_count);
void mica_xla_print_hlo(xla_wire program, mica_text *out);
void mica_xla_program_destroy(void *state, void *program);
size_t mica_xla_program_arena_bytes(void *state, const void *program);
int64_t mica_xla_program_format(void *state, const void *program, char *text, size_t size);

#endif
