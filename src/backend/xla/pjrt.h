/* SPDX-License-Identifier: Apache-2.0 */
/* pjrt.h: the part of the PJRT C API that Mica uses, declared anew.
 *
 * A plugin exports GetPjrtApi, which returns a table: its size, its version, and one function after
 * the other. Slots never move within major version 0 and new ones come at the end, so a slot is a
 * number here, and a plugin whose table ends before it is an older one. Each function takes one
 * struct that begins with its size, through which both sides learn what the other one knows:
 * members were only ever added at the end. Sizes and offsets are checked below against the numbers
 * that the plugins of API 0.81 to 0.115 agree on. */
#ifndef MICA_XLA_PJRT_H
#define MICA_XLA_PJRT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the table of functions ------------------------------------------------------------------ */

/* X(NAME, slot, name in messages) */
#define PJRT_SLOT_LIST(X)                                       \
  X(ERROR_DESTROY, 0, "Error_Destroy")                          \
  X(ERROR_MESSAGE, 1, "Error_Message")                          \
  X(ERROR_CODE, 2, "Error_GetCode")                             \
  X(PLUGIN_INITIALIZE, 3, "Plugin_Initialize")                  \
  X(PLUGIN_ATTRIBUTES, 4, "Plugin_Attributes")                  \
  X(EVENT_DESTROY, 5, "Event_Destroy")                          \
  X(EVENT_IS_READY, 6, "Event_IsReady")                         \
  X(EVENT_AWAIT, 8, "Event_Await")                              \
  X(EVENT_ON_READY, 9, "Event_OnReady")                         \
  X(CLIENT_CREATE, 10, "Client_Create")                         \
  X(CLIENT_DESTROY, 11, "Client_Destroy")                       \
  X(CLIENT_PLATFORM_NAME, 12, "Client_PlatformName")            \
  X(CLIENT_PLATFORM_VERSION, 14, "Client_PlatformVersion")      \
  X(CLIENT_DEVICES, 16, "Client_AddressableDevices")            \
  X(CLIENT_COMPILE, 20, "Client_Compile")                       \
  X(BUFFER_FROM_HOST, 22, "Client_BufferFromHostBuffer")        \
  X(DESCRIPTION_ID, 23, "DeviceDescription_Id")                 \
  X(DESCRIPTION_KIND, 26, "DeviceDescription_Kind")             \
  X(DEVICE_DESCRIPTION, 29, "Device_GetDescription")            \
  X(DEVICE_MEMORY_STATS, 34, "Device_MemoryStats")              \
  X(EXECUTABLE_DESTROY, 40, "Executable_Destroy")               \
  X(EXECUTABLE_OUTPUT_COUNT, 44, "Executable_NumOutputs")       \
  X(EXECUTABLE_COST, 46, "Executable_GetCostAnalysis")          \
  X(EXECUTABLE_OPTIMIZED, 48, "Executable_OptimizedProgram")    \
  X(EXECUTABLE_SERIALIZE, 49, "Executable_Serialize")           \
  X(LOADED_DESTROY, 50, "LoadedExecutable_Destroy")             \
  X(LOADED_EXECUTABLE, 51, "LoadedExecutable_GetExecutable")    \
  X(LOADED_EXECUTE, 55, "LoadedExecutable_Execute")             \
  X(DESERIALIZE, 56, "Executable_DeserializeAndLoad")           \
  X(BUFFER_DESTROY, 58, "Buffer_Destroy")                       \
  X(BUFFER_LAYOUT, 63, "Buffer_GetMemoryLayout")                \
  X(BUFFER_DEVICE_SIZE, 64, "Buffer_OnDeviceSizeInBytes")       \
  X(BUFFER_IS_DELETED, 68, "Buffer_IsDeleted")                  \
  X(BUFFER_TO_HOST, 70, "Buffer_ToHostBuffer")                  \
  X(BUFFER_READY, 72, "Buffer_ReadyEvent")                      \
  X(BUFFER_POINTER, 76, "Buffer_OpaqueDeviceMemoryDataPointer") \
  X(EXECUTABLE_TYPES, 90, "Executable_OutputElementTypes")      \
  X(EXECUTABLE_DIMENSIONS, 91, "Executable_OutputDimensions")   \
  X(EXECUTABLE_MEMORY, 96, "Executable_GetCompiledMemoryStats") \
  X(CONTEXT_CREATE, 98, "ExecuteContext_Create")                \
  X(CONTEXT_DESTROY, 99, "ExecuteContext_Destroy")              \
  X(BUFFER_COPY_RAW, 100, "Buffer_CopyRawToHost")

typedef enum {
#define PJRT_SLOT_ROW(NAME, slot, text) PJRT_##NAME = slot,
  PJRT_SLOT_LIST(PJRT_SLOT_ROW)
#undef PJRT_SLOT_ROW
      PJRT_SLOT_COUNT = 101 /* what the smallest table that we can use is asked for */
} pjrt_slot;

enum { PJRT_MAJOR = 0 };

typedef struct pjrt_error pjrt_error;
typedef struct pjrt_event pjrt_event;
typedef struct pjrt_client pjrt_client;
typedef struct pjrt_device pjrt_device;
typedef struct pjrt_description pjrt_description;
typedef struct pjrt_memory pjrt_memory;
typedef struct pjrt_buffer pjrt_buffer;
typedef struct pjrt_executable pjrt_executable;
typedef struct pjrt_loaded pjrt_loaded; /* a loaded executable */
typedef struct pjrt_context pjrt_context;
typedef struct pjrt_serialized pjrt_serialized;

/* A node of a list of extensions. */
typedef struct pjrt_extension {
  size_t struct_size;
  int type;
  struct pjrt_extension *next;
} pjrt_extension;

typedef struct {
  size_t struct_size;
  pjrt_extension *extensions;
  int major, minor;
} pjrt_version;

/* NULL: success. Three functions return nothing and are called through the same type. */
typedef pjrt_error *pjrt_function(void *args);

typedef struct {
  size_t struct_size; /* tells where the slots end */
  pjrt_extension *extensions;
  pjrt_version version;
  pjrt_function *slot[];
} pjrt_api;

/* ---- arguments ------------------------------------------------------------------------------- */

/* Every struct of arguments begins so; PJRT_ARGS makes one that says its size. What a struct ends
 * with does not count as a member: `_STRUCT_SIZE` in the API is the end of the last one. */
#define PJRT_HEAD     \
  size_t struct_size; \
  pjrt_extension *extensions
#define PJRT_END(type, last) (offsetof(type, last) + sizeof(((type *)NULL)->last))

/* The same for functions that take one object and return nothing else. */
typedef struct {
  PJRT_HEAD;
  void *object;
} pjrt_object_args;

typedef struct {
  PJRT_HEAD;
  pjrt_event *event;
  bool is_ready; /* out */
} pjrt_is_ready_args;

/* The callback owns the error; it comes on a thread of the plugin's. */
typedef struct {
  PJRT_HEAD;
  pjrt_event *event;
  void (*callback)(pjrt_error *error, void *user);
  void *user;
} pjrt_on_ready_args;

typedef struct {
  PJRT_HEAD;
  const pjrt_error *error;
  const char *message; /* out */
  size_t message_size; /* out */
} pjrt_error_message_args;

typedef struct {
  PJRT_HEAD;
  const pjrt_error *error;
  int code; /* out */
} pjrt_error_code_args;

/* Codes are those of absl::Status. */
enum {
  PJRT_CODE_CANCELLED = 1,
  PJRT_CODE_INVALID_ARGUMENT = 3,
  PJRT_CODE_NOT_FOUND = 5,
  PJRT_CODE_RESOURCE_EXHAUSTED = 8,
  PJRT_CODE_UNIMPLEMENTED = 12,
  PJRT_CODE_INTERNAL = 13,
  PJRT_CODE_DATA_LOSS = 15
};

typedef enum {
  PJRT_VALUE_TEXT,
  PJRT_VALUE_I64,
  PJRT_VALUE_I64_LIST,
  PJRT_VALUE_FLOAT,
  PJRT_VALUE_BOOL
} pjrt_value_type;

typedef struct {
  PJRT_HEAD;
  const char *name;
  size_t name_size;
  int type; /* pjrt_value_type */
  union {
    const char *text;
    int64_t i64;
    const int64_t *list;
    float number;
    bool truth;
  } value;
  size_t value_size; /* of texts and lists; 1 otherwise */
} pjrt_named_value;

typedef struct {
  PJRT_HEAD;
} pjrt_plain_args;

typedef struct {
  PJRT_HEAD;
  const pjrt_named_value *attributes; /* out */
  size_t count;                       /* out */
} pjrt_attributes_args;

typedef struct {
  PJRT_HEAD;
  const pjrt_named_value *options;
  size_t option_count;
  void *callback[4];   /* of a key-value store: get, its user data, put, its user data */
  pjrt_client *client; /* out */
  void *try_get[2];
} pjrt_client_create_args;

/* Platform's name or version, a description's kind. */
typedef struct {
  PJRT_HEAD;
  void *object;
  const char *text; /* out */
  size_t size;      /* out */
} pjrt_text_args;

typedef struct {
  PJRT_HEAD;
  pjrt_client *client;
  pjrt_device *const *devices; /* out */
  size_t count;                /* out */
} pjrt_devices_args;

typedef struct {
  PJRT_HEAD;
  pjrt_device *device;
  pjrt_description *description; /* out */
} pjrt_device_description_args;

typedef struct {
  PJRT_HEAD;
  pjrt_description *description;
  int id; /* out */
} pjrt_description_id_args;

typedef struct {
  int64_t value;
  bool is_set;
} pjrt_statistic;

typedef struct {
  PJRT_HEAD;
  pjrt_device *device;
  int64_t bytes_in_use; /* out, as all that follows */
  pjrt_statistic peak_bytes, allocations, largest, limit, reserved, peak_reserved, reservable,
      largest_free, pool, peak_pool;
} pjrt_memory_stats_args;

typedef struct {
  PJRT_HEAD;
  char *code;
  size_t code_size;
  const char *format;
  size_t format_size;
} pjrt_program;

typedef struct {
  PJRT_HEAD;
  pjrt_client *client;
  const pjrt_program *program;
  const char *options; /* a serialized CompileOptionsProto */
  size_t options_size;
  pjrt_loaded *executable; /* out */
} pjrt_compile_args;

typedef struct {
  PJRT_HEAD;
  const int64_t *minor_to_major;
  size_t minor_to_major_size;
  const int64_t *tile_dims;
  const size_t *tile_dim_sizes;
  size_t tile_count;
} pjrt_tiled;

typedef struct {
  PJRT_HEAD;
  pjrt_tiled tiled; /* the larger one of two members of a union */
  int type;         /* 0: tiled */
} pjrt_layout;

typedef enum {
  PJRT_TYPE_BOOL = 1,
  PJRT_TYPE_I8,
  PJRT_TYPE_I16,
  PJRT_TYPE_I32,
  PJRT_TYPE_I64,
  PJRT_TYPE_U8,
  PJRT_TYPE_U16,
  PJRT_TYPE_U32,
  PJRT_TYPE_U64,
  PJRT_TYPE_F16,
  PJRT_TYPE_F32,
  PJRT_TYPE_F64,
  PJRT_TYPE_BF16,
  PJRT_TYPE_C64,
  PJRT_TYPE_C128,
  PJRT_TYPE_F8E5M2,
  PJRT_TYPE_F8E4M3FN,
  PJRT_TYPE_I4 = 21,
  PJRT_TYPE_U4
} pjrt_type;

typedef enum {
  PJRT_HOST_DURING_CALL,      /* copied before the function returns */
  PJRT_HOST_UNTIL_TRANSFER,   /* read until the event */
  PJRT_HOST_ZERO_COPY,        /* may be the buffer's memory until it is destroyed */
  PJRT_HOST_MUTABLE_ZERO_COPY /* the same, and donated buffers are written */
} pjrt_host_semantics;

typedef struct {
  PJRT_HEAD;
  pjrt_client *client;
  const void *data;
  int type; /* pjrt_type */
  const int64_t *dims;
  size_t dim_count;
  const int64_t *byte_strides;
  size_t byte_stride_count;
  int semantics; /* pjrt_host_semantics */
  pjrt_device *device;
  pjrt_memory *memory;
  pjrt_layout *layout;
  pjrt_event *done;    /* out */
  pjrt_buffer *buffer; /* out */
} pjrt_from_host_args;

typedef struct {
  PJRT_HEAD;
  pjrt_buffer *buffer;
  pjrt_layout *layout; /* NULL: the device's, which need not be row-major */
  void *host;          /* NULL: asks for the size */
  size_t size;         /* in, out */
  pjrt_event *event;   /* out */
} pjrt_to_host_args;

typedef struct {
  PJRT_HEAD;
  pjrt_buffer *buffer;
  void *pointer; /* out */
} pjrt_pointer_args;

typedef struct {
  PJRT_HEAD;
  pjrt_buffer *buffer;
  pjrt_layout layout; /* out; what it points to is the buffer's */
} pjrt_buffer_layout_args;

typedef struct {
  PJRT_HEAD;
  pjrt_buffer *buffer;
  bool is_deleted; /* out */
} pjrt_is_deleted_args;

typedef struct {
  PJRT_HEAD;
  pjrt_buffer *buffer;
  pjrt_event *event; /* out */
} pjrt_ready_args;

typedef struct {
  PJRT_HEAD;
  pjrt_buffer *buffer;
  void *host;
  int64_t offset, size;
  pjrt_event *event; /* out */
} pjrt_copy_raw_args;

typedef struct {
  PJRT_HEAD;
  pjrt_loaded *loaded;
  pjrt_executable *executable; /* out, to be destroyed */
} pjrt_executable_args;

typedef struct {
  PJRT_HEAD;
  pjrt_executable *executable;
  size_t count; /* out */
} pjrt_output_count_args;

typedef struct {
  PJRT_HEAD;
  pjrt_executable *executable;
  const int *types; /* out: pjrt_type */
  size_t count;     /* out */
} pjrt_output_types_args;

typedef struct {
  PJRT_HEAD;
  pjrt_executable *executable;
  size_t count;
  const int64_t *dims; /* out: of all outputs, one after the other */
  const size_t *ranks; /* out */
} pjrt_output_dims_args;

typedef struct {
  PJRT_HEAD;
  void *send, *receive; /* lists of callbacks */
  size_t send_count, receive_count;
  int launch;
  const int64_t *kept; /* inputs that must not be donated */
  size_t kept_count;
  pjrt_context *context;
  const char *location;
  size_t task_count;
  int *tasks;
  int64_t *incarnations;
} pjrt_execute_options;

typedef struct {
  PJRT_HEAD;
  pjrt_loaded *executable;
  pjrt_execute_options *options;
  pjrt_buffer *const *const *arguments; /* [devices][arguments] */
  size_t device_count, argument_count;
  pjrt_buffer **const *outputs; /* [devices][outputs], filled */
  pjrt_event **done;            /* [devices], filled; NULL: not wanted */
  pjrt_device *device;          /* of a portable executable; else NULL */
} pjrt_execute_args;

typedef struct {
  PJRT_HEAD;
  pjrt_executable *executable;
  pjrt_program *program; /* code NULL: asks for the size */
} pjrt_optimized_args;

typedef struct {
  PJRT_HEAD;
  pjrt_executable *executable;
  size_t count;                       /* out */
  const pjrt_named_value *properties; /* out */
} pjrt_cost_args;

typedef struct {
  PJRT_HEAD;
  pjrt_executable *executable;
  int64_t code, arguments, outputs, aliased, temporary; /* out: bytes on the device */
  int64_t host_code, host_arguments, host_outputs, host_aliased, host_temporary, peak;
} pjrt_compiled_memory_args;

typedef struct {
  PJRT_HEAD;
  const pjrt_executable *executable;
  const char *bytes; /* out */
  size_t size;       /* out */
  pjrt_serialized *owner;
  void (*destroy)(pjrt_serialized *owner); /* out */
} pjrt_serialize_args;

typedef struct {
  PJRT_HEAD;
  pjrt_client *client;
  const char *bytes;
  size_t size;
  pjrt_loaded *loaded; /* out */
  const char *options;
  size_t options_size;
} pjrt_deserialize_args;

typedef struct {
  PJRT_HEAD;
  pjrt_context *context; /* out */
} pjrt_context_create_args;

/* What a struct of arguments says its size is: up to the end of its last member. */
#define PJRT_SIZE_OF(type, last) .struct_size = PJRT_END(type, last)

#define PJRT_CHECK(type, last, size) \
  _Static_assert(sizeof(void *) != 8 || PJRT_END(type, last) == (size), #type " has changed")
PJRT_CHECK(pjrt_extension, next, 24);
PJRT_CHECK(pjrt_version, minor, 24);
_Static_assert(sizeof(void *) != 8 || offsetof(pjrt_api, slot) == 40, "pjrt_api has changed");
PJRT_CHECK(pjrt_object_args, object, 24);
PJRT_CHECK(pjrt_error_message_args, message_size, 40);
PJRT_CHECK(pjrt_error_code_args, code, 28);
PJRT_CHECK(pjrt_is_ready_args, is_ready, 25);
PJRT_CHECK(pjrt_on_ready_args, user, 40);
PJRT_CHECK(pjrt_output_types_args, count, 40);
PJRT_CHECK(pjrt_output_dims_args, ranks, 48);
PJRT_CHECK(pjrt_copy_raw_args, event, 56);
PJRT_CHECK(pjrt_named_value, value_size, 56);
PJRT_CHECK(pjrt_plain_args, extensions, 16);
PJRT_CHECK(pjrt_attributes_args, count, 32);
PJRT_CHECK(pjrt_client_create_args, try_get, 88);
PJRT_CHECK(pjrt_text_args, size, 40);
PJRT_CHECK(pjrt_devices_args, count, 40);
PJRT_CHECK(pjrt_device_description_args, description, 32);
PJRT_CHECK(pjrt_description_id_args, id, 28);
PJRT_CHECK(pjrt_memory_stats_args, peak_pool.is_set, 185);
PJRT_CHECK(pjrt_program, format_size, 48);
PJRT_CHECK(pjrt_compile_args, executable, 56);
PJRT_CHECK(pjrt_tiled, tile_count, 56);
PJRT_CHECK(pjrt_layout, type, 76);
PJRT_CHECK(pjrt_from_host_args, buffer, 120);
PJRT_CHECK(pjrt_to_host_args, event, 56);
PJRT_CHECK(pjrt_pointer_args, pointer, 32);
PJRT_CHECK(pjrt_buffer_layout_args, layout, 104);
PJRT_CHECK(pjrt_is_deleted_args, is_deleted, 25);
PJRT_CHECK(pjrt_ready_args, event, 32);
PJRT_CHECK(pjrt_executable_args, executable, 32);
PJRT_CHECK(pjrt_output_count_args, count, 32);
PJRT_CHECK(pjrt_execute_options, incarnations, 112);
PJRT_CHECK(pjrt_execute_args, device, 80);
PJRT_CHECK(pjrt_optimized_args, program, 32);
PJRT_CHECK(pjrt_cost_args, properties, 40);
PJRT_CHECK(pjrt_compiled_memory_args, peak, 112);
PJRT_CHECK(pjrt_serialize_args, destroy, 56);
PJRT_CHECK(pjrt_deserialize_args, options_size, 64);
PJRT_CHECK(pjrt_context_create_args, context, 24);

#endif
