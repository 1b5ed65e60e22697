/* SPDX-License-Identifier: Apache-2.0 */
/* xla.h: what only the XLA backend offers. It runs graphs on PJRT plugins (docs/xla.md) and is part of the
 * library where CMake's MICA_XLA is on; devices are opened as any other, by the names "xla:cpu",
 * "xla:cuda", .. or "xla:/path/to/plugin.so". A device or executable of another backend is MICA_INVALID
 * here. */
#ifndef MICA_XLA_H
#define MICA_XLA_H
#include "mica/backend.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- plugins -------------------------------------------------------------------------------------- */

/* The user's folder of plugins: $XDG_DATA_HOME/mica/plugins, else ~/.local/share/mica/plugins. */
MICA_API mica_status mica_xla_plugin_folder(char *folder, size_t size, mica_error *error);

/* The file that the device "xla:NAME" loads, in path[size]; nothing is loaded. `name`: "cpu", "cuda", "rocm", "oneapi"
 * or "tpu"; NULL or "": what "xla" alone means here. `folder`: where to look; NULL: where a device looks, in the
 * folders of $MICA_XLA_PLUGIN_DIR and the user's. MICA_NOT_FOUND: there is none. */
MICA_API mica_status mica_xla_plugin_file(const char *name, const char *folder, char *path,
                                          size_t size, mica_error *error);

/* "cuda" where NVIDIA's driver is loaded, whether or not a plugin is there; else "cpu". */
MICA_API const char *mica_xla_accelerator(void);
/* Whether the driver of a plugin's devices is there, as far as files tell: "cuda" (or "cuda12", ..) asks for NVIDIA's; true for
 * "cpu" and for names that are not known. */
MICA_API bool mica_xla_has_driver(const char *name);

/* ---- StableHLO from and for others ----------------------------------------------------------- */

/* The graph as a StableHLO module in MLIR's text form, into text[size], terminated where size > 0;
 * *out_length is what it needs. Needs no plugin. @main takes the parameters that something reads in
 * their order, then the variables that are read (mica_graph_variables), and gives the outputs, then
 * the assigned values. All constants are in the text. The graph stays usable. MICA_UNSUPPORTED names
 * an operator that has no form in StableHLO (custom operators). The same of a jit: mica_jit_stablehlo. */
MICA_API mica_status mica_stablehlo_format(mica_graph *graph, char *text, size_t size,
                                           size_t *out_length, mica_error *error);

/* Compiles a module that another program wrote: MLIR's text, or its bytecode as jax.export serializes it
 * (Exported.mlir_module_serialized). Inputs and outputs are those of @main, with their types; it runs as
 * any executable (mica_executable_run). donate: as of mica_compile, for inputs that the module lets become an
 * output (donate_argnums in JAX). MICA_UNSUPPORTED for dynamic shapes, tokens and 4-bit inputs;
 * what the plugin has to say about a malformed module is in the error. */
MICA_API mica_status mica_stablehlo_compile(mica_device *device, const void *module, size_t size,
                                            uint64_t donate, mica_executable **out_executable,
                                            mica_error *error);
/* The same from a file. */
MICA_API mica_status mica_stablehlo_load(mica_device *device, const char *path, uint64_t donate,
                                         mica_executable **out_executable, mica_error *error);

/* ---- what the plugin knows ------------------------------------------------------------------- */

/* Bytes of the device's memory; -1 where the plugin does not tell. */
typedef struct {
  size_t struct_size;
  int64_t in_use, peak, limit; /* by this process now, at most, that it may take */
  int64_t largest, largest_free, allocations;
} mica_xla_memory;
/* MICA_UNSUPPORTED where the plugin counts nothing (CPU plugins). */
MICA_API mica_status mica_xla_device_memory(mica_device *device, mica_xla_memory *out_memory,
                                            mica_error *error);

/* What a program takes, by XLA's own count; -1 where the plugin does not tell or tells less than nothing. What XLA
 * leaves to a library (products on CUDA) it does not count among the operations. */
typedef struct {
  size_t struct_size;
  double flops, transcendentals, bytes_accessed;              /* of one call */
  int64_t code, arguments, outputs, aliased, temporary, peak; /* bytes on the device */
} mica_xla_cost;
MICA_API mica_status mica_xla_executable_cost(mica_executable *executable, mica_xla_cost *out_cost,
                                              mica_error *error);

/* The program as XLA has optimized it, into text[size], terminated where size > 0; *out_length is what it
 * needs: a line for each instruction with its shape, operator and operands, a block for each computation. */
MICA_API mica_status mica_xla_optimized_format(mica_executable *executable, char *text, size_t size,
                                               size_t *out_length, mica_error *error);

/* How often this device compiled, took a program from the disk instead, and wrote one there. */
typedef struct {
  size_t struct_size;
  int64_t compiled, loaded, stored;
} mica_xla_counts;
MICA_API mica_status mica_xla_device_counts(mica_device *device, mica_xla_counts *out_counts,
                                            mica_error *error);

/* Measures what the device does until the end, by the plugin's profiler. The end writes `path`: a trace for
 * chrome://tracing or ui.perfetto.dev where the name ends in ".json", else the XSpace message that XProf
 * and TensorBoard read (name it FOLDER/plugins/profile/RUN/HOST.xplane.pb). One profile at a time;
 * MICA_UNSUPPORTED where the plugin has no profiler (CPU plugins). A trace counts its events in "otherData", with what
 * the plugin could not measure and why as "remarks": a device may tell no events (CUDA without CUPTI). */
MICA_API mica_status mica_xla_profile_begin(mica_device *device, mica_error *error);
MICA_API mica_status mica_xla_profile_end(mica_device *device, const char *path, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
