/* SPDX-License-Identifier: Apache-2.0 */
/* xla_internal.h: what the parts of the XLA backend share: plugins, their calls, clients. */
#ifndef MICA_XLA_INTERNAL_H
#define MICA_XLA_INTERNAL_H
#include "backend/backend_internal.h"
#include "backend/xla/pjrt.h"

/* ---- plugins (plugin.c, discovery.c) --------------------------------------------------------- */

enum { XLA_PATH_SIZE = 1024, XLA_NAME_SIZE = 32 };

/* A loaded plugin. Loading one twice gives the same library, which is never unloaded: threads of it
 * live on. */
typedef struct {
  const pjrt_api *api;
  char name[XLA_NAME_SIZE]; /* "cpu", "cuda"; of a path "plugin" */
  char path[XLA_PATH_SIZE];
  char stablehlo_version[32]; /* "" where the plugin does not tell */
} xla_plugin;

/* `which`: "cpu", "cuda", .. or a path; finds and loads it. */
mica_status mica_xla_plugin_load(const char *which, xla_plugin *out_plugin, mica_error *error);
/* The file of a plugin that has a name. */
mica_status mica_xla_plugin_find(const char *name, char path[XLA_PATH_SIZE], mica_error *error);
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

/* The state of an open device: one client, of which one device computes. */
typedef struct {
  mica_allocator allocator;
  mica_device *owner;
  xla_plugin plugin;
  pjrt_client *client;
  pjrt_device *device;
  size_t device_count;
  int64_t device_index;
  char platform[XLA_PLATFORM_SIZE]; /* "cpu", "cuda", .. */
  char kind[64];                    /* of the device */
  bool on_host; /* the device computes in the host's memory: buffers may share it */
  bool exact;   /* products of f32 in full precision */
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

/* ---- graphs ---------------------------------------------------------------------------------- */

/* How a graph is lowered: marked values stay; updates of a scatter come in any order. */
typedef struct {
  bool marks, unordered;
} xla_lowering;
/* Rebuilds `from` in the empty graph `to` from the operators that StableHLO has (lower.c). */
mica_status mica_xla_lower(const mica_graph *from, mica_graph *to, xla_lowering how,
                           mica_error *error);

/* What the text of a module needs to know, and leaves (module.c, writer.c). */
typedef struct {
  const mica_graph *graph; /* lowered */
  mica_allocator allocator;
  size_t hoist_from; /* bytes from which a constant is an argument; 0: none is */
  uint64_t donate;   /* bit i: input i may be overwritten */
  bool exact;
  bool float_convolutions;    /* the device has none of integers */
  const char *host_target;    /* "" or NULL: nothing runs on the host */
  xla_host_node *host_nodes;  /* [graph->count], out: filled for those that do */
  uint32_t *inputs, *outputs; /* out: ids; parameters and variables; outputs and assigned values */
  uint32_t *hoisted;          /* out: ids of constants that are further arguments */
  size_t input_count, output_count, hoisted_count;
  int32_t
      *call_index; /* out [input_count]: which input of the call it is: unused ones are left out */
  int32_t *alias;  /* out [input_count]: output that may take an input's memory; -1: none */
} xla_module;

/* The type in which a value is handed to a program and comes back: 4-bit ones a byte each, since plugins
 * differ in how they pack them. */
mica_type mica_xla_boundary_type(mica_type type);
/* Lists of ids for `module`, from `arena`. */
mica_status mica_xla_module_begin(xla_module *module, mica_arena *arena, mica_error *error);
mica_status mica_xla_module_write(const xla_module *module, mica_text *text, mica_error *error);

/* ---- programs (program.c) -------------------------------------------------------------------- */

mica_status mica_xla_compile(void *state, mica_device *device, const mica_graph *graph,
                             uint64_t donate, void **out_program, mica_error *error);
mica_status mica_xla_execute(void *state, void *program, const mica_call *call, mica_error *error);
void mica_xla_program_destroy(void *state, void *program);
size_t mica_xla_program_arena_bytes(void *state, const void *program);
int64_t mica_xla_program_format(void *state, const void *program, char *text, size_t size);

#endif
