/* SPDX-License-Identifier: Apache-2.0 */
/* hlo.c: XLA's own form of a program, an HloModuleProto: the types of its inputs, and a text.
 *
 * Numbers of fields are those of xla/service/hlo.proto and xla/xla_data.proto. */
#include "backend/xla/wire.h"
#include "backend/xla/xla_internal.h"

#include <inttypes.h>

enum { /* numbers of fields */
       CONFIGURED_MODULE = 1,
       MODULE_COMPUTATION = 3,
       MODULE_SHAPE = 4,
       MODULE_ALIAS = 8,
       ALIAS_ENTRY = 1,
       ENTRY_OUTPUT = 1, /* its place in the tuple of outputs; none where there is only one */
       ENTRY_PARAMETER = 2,
       PROGRAM_PARAMETER = 1,
       SHAPE_TYPE = 2,
       SHAPE_DIMENSION = 3,
       SHAPE_TUPLE = 4,
       COMPUTATION_NAME = 1,
       COMPUTATION_INSTRUCTION = 2,
       INSTRUCTION_OPCODE = 2,
       INSTRUCTION_SHAPE = 3,
       INSTRUCTION_TARGET = 28,
       INSTRUCTION_ID = 35,
       INSTRUCTION_OPERAND = 36,
       INSTRUCTION_CALLED = 38,
       COMPUTATION_ID = 5,
       PRIMITIVE_TUPLE = 13,
       PRIMITIVE_TOKEN = 17
};

/* By xla.PrimitiveType. */
static const char *const primitive_names[] = {
    "invalid", "pred",  "s8",   "s16",    "s32",      "s64",   "u8",     "u16",
    "u32",     "u64",   "f16",  "f32",    "f64",      "tuple", "opaque", "c64",
    "bf16",    "token", "c128", "f8e5m2", "f8e4m3fn", "s4",    "u4"};

mica_dtype mica_xla_dtype(int type) {
  for (int dtype = 1; dtype < MICA_DTYPE_COUNT; dtype++)
    if (mica_xla_type((mica_dtype)dtype) == type) return (mica_dtype)dtype;
  return MICA_DTYPE_NONE;
}

/* The numbers of PrimitiveType differ from those of PJRT behind f64. */
static mica_dtype dtype_of_primitive(uint64_t type) {
  static const mica_dtype dtypes[] = {
      MICA_DTYPE_NONE, MICA_BOOL,       MICA_I8,         MICA_I16, MICA_I32,  MICA_I64,
      MICA_U8,         MICA_U16,        MICA_U32,        MICA_U64, MICA_F16,  MICA_F32,
      MICA_F64,        MICA_DTYPE_NONE, MICA_DTYPE_NONE, MICA_C64, MICA_BF16, MICA_DTYPE_NONE,
      MICA_C128,       MICA_F8E5M2,     MICA_F8E4M3FN,   MICA_I4,  MICA_U4};
  return type < sizeof(dtypes) / sizeof(dtypes[0]) ? dtypes[type] : MICA_DTYPE_NONE;
}

static bool read_shape(xla_wire message, mica_type *out) {
  xla_wire_field field;
  *out = (mica_type){0};
  while (mica_xla_wire_next(&message, &field)) {
    if (field.number == SHAPE_TYPE) out->dtype = dtype_of_primitive(field.value);
    if (field.number != SHAPE_DIMENSION) continue;
    uint64_t size = field.value;
    bool packed = field.bytes.at < field.bytes.end; /* or one by one */
    for (bool more = !packed || mica_xla_wire_varint(&field.bytes, &size); more;
         more = packed && mica_xla_wire_varint(&field.bytes, &size)) {
      if (out->shape.rank >= MICA_MAX_RANK || size > INT64_MAX) return false;
      out->shape.dim[out->shape.rank++] = (int64_t)size;
    }
  }
  return out->dtype != MICA_DTYPE_NONE;
}

/* The module in what a plugin calls "hlo_with_config". */
static bool find_module(xla_wire program, xla_wire *out) {
  xla_wire_field field;
  if (!mica_xla_wire_find(program, CONFIGURED_MODULE, &field)) return false;
  *out = field.bytes;
  return true;
}

bool mica_xla_hlo_inputs(xla_wire program, mica_type *types, size_t limit, size_t *out_count) {
  xla_wire module;
  xla_wire_field shape, field;
  size_t count = 0;
  if (!find_module(program, &module) || !mica_xla_wire_find(module, MODULE_SHAPE, &shape))
    return false;
  while (mica_xla_wire_next(&shape.bytes, &field)) {
    if (field.number != PROGRAM_PARAMETER) continue;
    mica_type type;
    if (!read_shape(field.bytes, &type)) return false;
    if (count < limit) types[count] = type;
    count++;
  }
  *out_count = count;
  return true;
}

void mica_xla_hlo_aliases(xla_wire program, int32_t *alias, size_t in_count, size_t out_count) {
  xla_wire module;
  xla_wire_field aliases, entry, field;
  if (!find_module(program, &module) || !mica_xla_wire_find(module, MODULE_ALIAS, &aliases)) return;
  while (mica_xla_wire_next(&aliases.bytes, &entry)) {
    if (entry.number != ALIAS_ENTRY) continue;
    uint64_t output = 0, parameter = 0; /* numbers that are 0 are left out */
    while (mica_xla_wire_next(&entry.bytes, &field)) {
      if (field.number == ENTRY_PARAMETER) parameter = field.value;
      if (field.number != ENTRY_OUTPUT) continue;
      output = field.value;
      if (field.bytes.at < field.bytes.end) (void)mica_xla_wire_varint(&field.bytes, &output);
    }
    if (parameter < in_count && output < out_count) alias[parameter] = (int32_t)output;
  }
}

/* ---- as text --------------------------------------------------------------------------------- */

static void print_wire(xla_wire bytes, mica_text *out) {
  mica_text_append_bytes(out, bytes.at, (size_t)(bytes.end - bytes.at));
}

static void print_shape(xla_wire message, mica_text *out, int depth) {
  xla_wire_field field;
  xla_wire rest = message;
  uint64_t type = 0;
  if (mica_xla_wire_find(message, SHAPE_TYPE, &field)) type = field.value;
  if (type == PRIMITIVE_TUPLE) {
    bool first = true;
    mica_text_append(out, "(");
    while (mica_xla_wire_next(&rest, &field)) {
      if (field.number != SHAPE_TUPLE || depth > 8) continue;
      if (!first) mica_text_append(out, ", ");
      first = false;
      print_shape(field.bytes, out, depth + 1);
    }
    mica_text_append(out, ")");
    return;
  }
  if (type < sizeof(primitive_names) / sizeof(primitive_names[0]))
    mica_text_append(out, primitive_names[type]);
  else
    mica_text_format(out, "type%" PRIu64, type);
  if (type == PRIMITIVE_TOKEN) return;
  bool first = true;
  mica_text_append(out, "[");
  while (mica_xla_wire_next(&rest, &field)) {
    if (field.number != SHAPE_DIMENSION) continue;
    uint64_t size = field.value;
    bool packed = field.bytes.at < field.bytes.end;
    for (bool more = !packed || mica_xla_wire_varint(&field.bytes, &size); more;
         more = packed && mica_xla_wire_varint(&field.bytes, &size)) {
      mica_text_format(out, first ? "%" PRIu64 : ", %" PRIu64, size);
      first = false;
    }
  }
  mica_text_append(out, "]");
}

/* Ids of operands and called computations, packed or not. */
static void print_ids(xla_wire instruction, uint32_t number, const char *mark, mica_text *out) {
  xla_wire_field field;
  bool first = true;
  while (mica_xla_wire_next(&instruction, &field)) {
    if (field.number != number) continue;
    uint64_t id = field.value;
    bool packed = field.bytes.at < field.bytes.end;
    for (bool more = !packed || mica_xla_wire_varint(&field.bytes, &id); more;
         more = packed && mica_xla_wire_varint(&field.bytes, &id)) {
      mica_text_format(out, "%s%s%" PRIu64, first ? "" : ", ", mark, id & UINT32_MAX);
      first = false;
    }
  }
}

static void print_instruction(xla_wire instruction, mica_text *out) {
  xla_wire_field id, opcode, shape, target, called;
  if (!mica_xla_wire_find(instruction, INSTRUCTION_ID, &id)) id.value = 0;
  mica_text_format(out, "  %%%" PRIu64 " = ", id.value & UINT32_MAX);
  if (mica_xla_wire_find(instruction, INSTRUCTION_SHAPE, &shape)) print_shape(shape.bytes, out, 0);
  mica_text_append(out, " ");
  if (mica_xla_wire_find(instruction, INSTRUCTION_OPCODE, &opcode)) print_wire(opcode.bytes, out);
  mica_text_append(out, "(");
  print_ids(instruction, INSTRUCTION_OPERAND, "%", out);
  mica_text_append(out, ")");
  if (mica_xla_wire_find(instruction, INSTRUCTION_TARGET, &target)) {
    mica_text_append(out, " target ");
    print_wire(target.bytes, out);
  }
  if (mica_xla_wire_find(instruction, INSTRUCTION_CALLED, &called)) {
    mica_text_append(out, " calls ");
    print_ids(instruction, INSTRUCTION_CALLED, "@", out);
  }
  mica_text_append(out, "\n");
}

void mica_xla_print_hlo(xla_wire program, mica_text *out) {
  xla_wire module;
  xla_wire_field field, name, id;
  if (!find_module(program, &module)) return;
  while (mica_xla_wire_next(&module, &field)) {
    if (field.number != MODULE_COMPUTATION) continue;
    bool named = mica_xla_wire_find(field.bytes, COMPUTATION_NAME, &name);
    if (!mica_xla_wire_find(field.bytes, COMPUTATION_ID, &id)) id.value = 0;
    mica_text_format(out, "@%" PRIu64 " ", id.value & UINT32_MAX);
    if (named) print_wire(name.bytes, out);
    mica_text_append(out, "\n");
    xla_wire_field instruction;
    while (mica_xla_wire_next(&field.bytes, &instruction))
      if (instruction.number == COMPUTATION_INSTRUCTION) print_instruction(instruction.bytes, out);
  }
}
