/* SPDX-License-Identifier: Apache-2.0 */
/* model.h: parameters and graphs in files: safetensors, checkpoints, model files.
 *
 * Nothing here needs the layers of nn: it all acts on named tensors and variables. Every reader treats its file
 * as hostile. Names of variables are paths ("encoder/dense/weights"); in checkpoints and model files they are
 * written with dots ("encoder.dense.weights"), as other tools expect, and '/' and '.' are the same when names
 * are matched. Ownership: what is opened is closed by its destroy; tensors are reference-counted and outlive
 * it. Threads: opened things may be read from many threads; one program at a time saves into a folder.
 * Example: examples/checkpoints.c. */
#ifndef MICA_MODEL_H
#define MICA_MODEL_H
#include "mica/jit.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const char *name;
  mica_tensor *tensor;
} mica_named_tensor;

typedef struct {
  const char *key, *value; /* UTF-8 */
} mica_named_text;

/* ---- safetensors ------------------------------------------------------------------------------- */

/* A file of named tensors and texts (huggingface/safetensors, its format section). All its dtypes that Mica has
 * are read: BOOL, I8 to I64, U8 to U64, F16, BF16, F32, F64, F8_E4M3 (f8e4m3fn), F8_E5M2, C64; one of another
 * dtype or of a rank above 8 is listed, and taking it is MICA_UNSUPPORTED. i4, u4 and c128, which the format
 * lacks, are written as bytes [n] and as F64 [..., 2], with their types under the key "mica.types" of the
 * metadata, by which they come back.
 *
 * Refused with MICA_DATA_LOSS: a header that is not the JSON described there or above 100 MB, keys that occur
 * twice, sizes that do not fit their bytes, overlaps, gaps, and bytes that belong to nothing. Memory beyond the
 * file's own pages is at most four times the header's size. */
typedef struct mica_safetensors mica_safetensors;

/* Maps the file: tensors share its pages, which stay while one of them lives. Replace such a file by rename,
 * as mica_safetensors_save does; who cuts it short in place ends its readers by SIGBUS. */
MICA_API mica_status mica_safetensors_open(const char *path, mica_safetensors **out_file,
                                           mica_error *error);
/* A file that lies in memory, which may be part of the program; it is not copied, and outlives what is made
 * of it. */
MICA_API mica_status mica_safetensors_parse(const void *bytes, size_t byte_size,
                                            mica_safetensors **out_file, mica_error *error);
MICA_API void mica_safetensors_destroy(mica_safetensors *file);
/* In the order of the bytes in the file. */
MICA_API int64_t mica_safetensors_count(const mica_safetensors *file);
MICA_API const char *mica_safetensors_name(const mica_safetensors *file,
                                           int64_t index); /* NULL outside */
/* {0} for what Mica has no type for. */
MICA_API mica_type mica_safetensors_type(const mica_safetensors *file, int64_t index);
MICA_API int64_t mica_safetensors_index(const mica_safetensors *file,
                                        const char *name); /* -1: missing */
/* A new reference. The tensor shares the file's bytes where they lie at a multiple of 64, as those that Mica
 * writes do when their size is a multiple of 64, and is a copy elsewhere; bool bytes other than 0 become 1 in a copy. */
MICA_API mica_status mica_safetensors_tensor(const mica_safetensors *file, int64_t index,
                                             mica_tensor **out_tensor, mica_error *error);
/* The file's metadata: a text, or NULL. The index runs over mica_safetensors_metadata_count. */
MICA_API const char *mica_safetensors_metadata(const mica_safetensors *file, const char *key);
MICA_API int64_t mica_safetensors_metadata_count(const mica_safetensors *file);
MICA_API mica_named_text mica_safetensors_metadata_at(const mica_safetensors *file, int64_t index);

/* Writes a file that is complete or not there: a temporary name beside it, fsync, rename. Bytes are ordered so
 * that tensors lie at multiples of 64 where their sizes allow it, then by name. Names are unique UTF-8 without
 * control characters, not "__metadata__". */
MICA_API mica_status mica_safetensors_save(const char *path, const mica_named_tensor *tensors,
                                           size_t tensor_count, const mica_named_text *metadata,
                                           size_t metadata_count, mica_error *error);
/* The same bytes to wherever `write` takes them, front to back. */
typedef mica_status mica_write_callback(void *user, const void *bytes, size_t size,
                                        mica_error *error);
MICA_API mica_status mica_safetensors_write(const mica_named_tensor *tensors, size_t tensor_count,
                                            const mica_named_text *metadata, size_t metadata_count,
                                            mica_write_callback *write, void *user,
                                            mica_error *error);

/* ---- checkpoints ------------------------------------------------------------------------------- */

/* A checkpoint is a folder "step-000000001200" inside of the folder that is given: one safetensors file for
 * each part, state.json, and checkpoint.json with step, metric, and size and SHA-256 of each file. It is written under
 * another name, synced and renamed, so that it is there as a whole or not at all, whatever ends the program
 * or the machine. docs/checkpoints.md tells more. */

typedef struct {
  const char *name; /* NULL: the variable's own */
  mica_variable *variable;
} mica_named_variable;

/* One file of a checkpoint; its names are those of both lists. Names are unique over all parts. */
typedef struct {
  const char *
      file; /* "model", "optimizer": FILE.safetensors, of letters, digits, '-' and '_'; NULL: "model" */
  const mica_named_variable *variables;
  size_t variable_count;
  const mica_named_tensor *tensors;
  size_t tensor_count;
} mica_checkpoint_part;

typedef struct {
  size_t struct_size;
  const char *folder; /* made if it is missing */
  int64_t step;       /* at least 0; an earlier checkpoint of the step is replaced */
  const mica_checkpoint_part *parts;
  size_t part_count;
  /* What is no tensor, as the text of a JSON object, given back byte by byte: positions of data sets, epoch,
   * schedules. NULL: {}. */
  const char *state;
  /* A figure by which checkpoints are compared; NULL: none. NaN is never the best. */
  const char *metric_name;
  double metric;
  bool larger_is_better;
  /* Afterwards only the newest `keep` by their steps, the best `keep_best` and this one are left; keep 0: all. */
  int32_t keep, keep_best;
} mica_checkpoint_save_options;

/* Fails with a lost variable, a full disk, missing rights, or while another program saves there
 * (MICA_IO); what was there before is then there still. When only the removal of old checkpoints failed, the message says
 * that the step is saved. Variables are taken one by one: do not train meanwhile. */
MICA_API mica_status mica_checkpoint_save(const mica_checkpoint_save_options *options,
                                          mica_error *error);

/* Makes the folder if it is missing, and finds out whether a checkpoint could be saved there now: for programs that do so much
 * later. Another program that saves there at this moment is no mistake. */
MICA_API mica_status mica_checkpoint_prepare(const char *folder, mica_error *error);

typedef struct mica_checkpoint mica_checkpoint;
enum { MICA_CHECKPOINT_NEWEST = -1, MICA_CHECKPOINT_BEST = -2 };

/* The checkpoint of that step, with all checksums verified, or with NEWEST the newest one that is whole: damaged
 * ones are passed over, and mica_checkpoint_warning names them. `path` may also be the folder of one checkpoint, or one safetensors file from
 * anywhere; `step` is then ignored. MICA_NOT_FOUND: there is none. */
MICA_API mica_status mica_checkpoint_open(const char *path, int64_t step,
                                          mica_checkpoint **out_checkpoint, mica_error *error);
/* A safetensors file in memory, such as one that was made part of the program; not copied. */
MICA_API mica_status mica_checkpoint_parse(const void *bytes, size_t byte_size,
                                           mica_checkpoint **out_checkpoint, mica_error *error);
/* The last `count` checkpoints as one: the mean of the float and complex tensors of the part "model", everything else of
 * that part and the state from the newest. All must have the same names and types. */
MICA_API mica_status mica_checkpoint_average(const char *folder, int32_t count,
                                             mica_checkpoint **out_checkpoint, mica_error *error);
MICA_API void mica_checkpoint_destroy(mica_checkpoint *checkpoint);
MICA_API int64_t mica_checkpoint_step(const mica_checkpoint *checkpoint);
MICA_API const char *mica_checkpoint_state(const mica_checkpoint *checkpoint); /* "{}" if none */
/* False if there is none. The name lives as long as the checkpoint. */
MICA_API bool mica_checkpoint_metric(const mica_checkpoint *checkpoint, const char **out_name,
                                     double *out_value, bool *out_larger_is_better);
MICA_API const char *mica_checkpoint_warning(const mica_checkpoint *checkpoint); /* "" if none */
MICA_API int64_t mica_checkpoint_count(const mica_checkpoint *checkpoint);
/* Dotted names and their parts ("model"), in the order of part and name; NULL outside. */
MICA_API const char *mica_checkpoint_name(const mica_checkpoint *checkpoint, int64_t index);
MICA_API const char *mica_checkpoint_file(const mica_checkpoint *checkpoint, int64_t index);
MICA_API mica_tensor *mica_checkpoint_tensor(const mica_checkpoint *checkpoint,
                                             int64_t index); /* borrowed */
MICA_API mica_tensor *mica_checkpoint_find(const mica_checkpoint *checkpoint,
                                           const char *name); /* borrowed; NULL: missing */
/* Another tensor, of any type, in the place of one, for an export; retains it. MICA_INVALID outside. */
MICA_API mica_status mica_checkpoint_replace(mica_checkpoint *checkpoint, int64_t index,
                                             mica_tensor *tensor, mica_error *error);
/* Everything in one safetensors file: to send it, or to make it part of a program. */
MICA_API mica_status mica_checkpoint_export(const mica_checkpoint *checkpoint, const char *path,
                                            mica_error *error);

/* The steps that are there, rising, into out_steps[capacity]; *out_count may be more. No folder: none. */
MICA_API mica_status mica_checkpoint_list(const char *folder, int64_t *out_steps, size_t capacity,
                                          size_t *out_count, mica_error *error);
MICA_API mica_status mica_checkpoint_delete(const char *folder, int64_t step, mica_error *error);

/* Patterns of paths: '?' is one character and '*' any number of them, but no '.' or '/'; '**' is anything. A
 * name of a checkpoint that fits `from` is taken as `to`, in which the wildcards stand, in their order, for what those of
 * `from` matched: {"encoder.*.weight", "body.*.weights"}. The first rule that fits counts. */
typedef struct {
  const char *from, *to;
} mica_rename;

typedef struct {
  size_t struct_size;
  const mica_checkpoint *const *checkpoints; /* of several, the first that has a name counts */
  size_t checkpoint_count;
  const mica_named_variable *variables;
  size_t variable_count;
  const mica_rename *renames;
  size_t rename_count;
  const char *const *exclude; /* patterns of variables that stay as they are */
  size_t exclude_count;
  bool
      partial; /* variables without a tensor, or with one of another type, stay as they are: no error */
  bool convert;              /* dtypes are converted */
  mica_log_callback *report; /* a line for each thing that did not match; NULL: none */
  void *report_user;
} mica_restore_options;
typedef struct {
  int64_t restored, missing, mismatched, excluded; /* variables */
  int64_t unused;                                  /* tensors that nothing asked for */
} mica_restore_counts;
/* Sets variables from checkpoints: all, or after an error none. `out_counts` may be NULL. */
MICA_API mica_status mica_checkpoint_restore(const mica_restore_options *options,
                                             mica_restore_counts *out_counts, mica_error *error);

/* ---- model files -------------------------------------------------------------------------------- */

/* Programs and their variables in one safetensors file: any backend runs it, inference or training steps, and any
 * reader of safetensors sees the weights. `mica run` executes one. */

typedef struct {
  const char *name; /* "predict", "train": letters, digits, '-' and '_' */
  const mica_graph *graph;
  const char *const *input_names; /* of each parameter and output; NULL: "input0", "output0", ... */
  const char *const *output_names;
} mica_model_program;

/* Variables that several programs use are in the file once; other keys of metadata begin with "mica.". */
MICA_API mica_status mica_model_save(const char *path, const mica_model_program *programs,
                                     size_t program_count, const mica_named_text *metadata,
                                     size_t metadata_count, mica_error *error);

typedef struct mica_model mica_model;
/* Maps the file; its variables are made and bound. The bytes of the second form outlive the model and all that was
 * taken from it. */
MICA_API mica_status mica_model_open(const char *path, mica_model **out_model, mica_error *error);
MICA_API mica_status mica_model_parse(const void *bytes, size_t byte_size, mica_model **out_model,
                                      mica_error *error);
MICA_API void mica_model_destroy(mica_model *model);
MICA_API int64_t mica_model_program_count(const mica_model *model);
/* A program by its index; its graph and names belong to the model. {0} outside. */
MICA_API mica_model_program mica_model_program_at(const mica_model *model, int64_t index);
MICA_API int64_t mica_model_program_index(const mica_model *model, const char *name); /* -1 */
MICA_API int64_t mica_model_input_count(const mica_model *model, int64_t program);
MICA_API int64_t mica_model_output_count(const mica_model *model, int64_t program);
MICA_API mica_type mica_model_input_type(const mica_model *model, int64_t program, int64_t index);
MICA_API mica_type mica_model_output_type(const mica_model *model, int64_t program, int64_t index);
MICA_API int64_t mica_model_variable_count(const mica_model *model);
MICA_API mica_variable *mica_model_variable(const mica_model *model,
                                            int64_t index); /* borrowed; NULL outside */
MICA_API const char *mica_model_metadata(const mica_model *model, const char *key); /* NULL */
/* Runs on by mica_executable_run; what it assigns is seen by all programs of the model. */
MICA_API mica_status mica_model_compile(const mica_model *model, int64_t program,
                                        mica_device *device, mica_executable **out_executable,
                                        mica_error *error);
/* The model with the variables' present values. */
MICA_API mica_status mica_model_write(const mica_model *model, const char *path, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
