/* SPDX-License-Identifier: Apache-2.0 */
/* backend.c: the slots of the XLA backend. */
#include "backend/xla/mesh.h"

const mica_backend mica_backend_xla = {.struct_size = sizeof(mica_backend),
                                       .name = "xla",
                                       .open = mica_xla_open,
                                       .close = mica_xla_close,
                                       .describe = mica_xla_describe,
                                       .compile = mica_xla_compile,
                                       .execute = mica_xla_execute,
                                       .program_destroy = mica_xla_program_destroy,
                                       .program_arena_bytes = mica_xla_program_arena_bytes,
                                       .program_format = mica_xla_program_format,
                                       .execute_tensors = mica_xla_execute_tensors,
                                       .place = mica_xla_place,
                                       .takes_tensors = mica_xla_takes_tensors,
                                       .place_input = mica_xla_place_input,
                                       .place_parts = mica_xla_place_parts};
