/* SPDX-License-Identifier: Apache-2.0 */
/* Tile programs as text, for dumps. */
#include "backend/cpu/tile_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/cpu/kernels/tile_kernels.h"

typedef struct {
  char *text;
  size_t size, length;
} tile_text;

static void MICA_PRINTF(2, 3) append(tile_text *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const size_t used = text->length < text->size ? text->length : text->size;
  const int written =
      vsnprintf(text->text ? text->text + used : NULL, text->size - used, format, arguments);
  va_end(arguments);
  if (written > 0) text->length += (size_t)written;
}

static const char *kernel_name(const mica_tile_kernels *kernels, mica_tile_kernel *kernel) {
  static const char *const names[] = {
#define TILE_NAME(NAME, arity) #NAME,
      MICA_TILE_OP_LIST(TILE_NAME)
#undef TILE_NAME
  };
  static const char *const pairs[MICA_TILE_PAIR_COUNT] = {"MUL_ADD", "MUL_SUB", "SUB_MUL",
                                                          "SUB_EXP"};
  if (!kernel) return "";
  for (int32_t i = 0; i < MICA_TILE_PAIR_COUNT; i++)
    if (kernels->pairs[i] == kernel) return pairs[i];
  for (int32_t i = 0; i < 4; i++)
    if (kernels->copy[i] == kernel) return "COPY";
  for (int32_t op = 0; op < MICA_TILE_OP_COUNT; op++)
    for (int32_t type = 0; type < MICA_TILE_CLASS_COUNT; type++)
      if (kernels->compute[op][type] == kernel) return names[op];
  return "CONVERT";
}

static void append_place(tile_text *text, const mica_tile_pass *pass, int32_t place) {
  const int32_t splats = pass->cursor_count, registers = splats + pass->splat_count;
  const int32_t states = registers + pass->register_count, direct = states + pass->state_count;
  if (place < splats) {
    append(text, " array%d", (int)place);
  } else if (place < registers) {
    append(text, " splat%d", (int)(place - splats));
  } else if (place < states) {
    append(text, " r%d", (int)(place - registers));
  } else if (place < direct) {
    append(text, " state%d", (int)(place - states));
  } else if (place < direct + pass->direct_count) {
    append(text, " array%d", (int)pass->direct[place - direct].access);
  } else {
    append(text, " slot%d", (int)(place - direct - pass->direct_count));
  }
}

static void append_step(tile_text *text, const mica_tile_pass *pass, const mica_chain_step *step) {
  static const char *const names[] = {
#define CHAIN_NAME(NAME) #NAME,
      MICA_CHAIN_LIST(CHAIN_NAME)
#undef CHAIN_NAME
  };
  const int32_t op = step->op / 2;
  append(text, "      %s", names[op]);
  const bool two = op == MICA_CHAIN_ADD_MUL, one = op < MICA_CHAIN_NEG;
  if (one) append_place(text, pass, step->place[0]);
  if (two) append_place(text, pass, step->place[1]);
  append(text, "\n");
}

static void append_code(tile_text *text, const mica_tile_kernels *kernels,
                        const mica_tile_pass *pass, const char *title, mica_tile_code code) {
  static const char *const kinds[] = {"compute", "cast",       "gather", "broadcast", "position",
                                      "put",     "reduce",     "reduce", "begin",     "push",
                                      "finish",  "accumulate", "fold",   "expand",    "chain"};
  static const char *const extents[] = {"one", "rows", "all"};
  if (code.count > 0) append(text, "  %s\n", title);
  for (int32_t i = 0; i < code.count; i++) {
    const mica_tile_instruction *at = &code.instructions[i];
    const char *name = kernel_name(kernels, at->kernel);
    append(text, "    %s%s%s %s", kinds[at->kind], name[0] ? " " : "", name, extents[at->extent]);
    if (at->out >= 0) append_place(text, pass, at->out);
    if (at->in[0] >= 0) append(text, " <-");
    for (int32_t k = 0; k < 3; k++)
      if (at->in[k] >= 0) append_place(text, pass, at->in[k]);
    if (at->access >= 0)
      append(text, " %s array%d", at->kind == MICA_TILE_PUT ? "to" : "<-", (int)at->access);
    if (at->direct >= 0) append(text, " (in place)");
    append(text, "\n");
    for (int32_t k = 0; k < at->step_count; k++)
      append_step(text, pass, &pass->steps[at->step + k]);
  }
}

int mica_tile_format(const mica_tile_program *program, char *text, size_t size) {
  tile_text out = {.text = text, .size = size};
  if (size > 0) text[0] = '\0';
  for (int32_t i = 0; i < program->pass_count; i++) {
    const mica_tile_pass *pass = &program->passes[i];
    append(&out, "pass %d: %lld units of %lld tiles, tile %lld, %d registers, %lld ns a unit\n",
           (int)i, (long long)mica_tile_unit_count(program, i),
           (long long)pass->geometry.tile.total, (long long)pass->geometry.capacity,
           (int)pass->register_count, (long long)pass->unit_cost);
    for (int32_t k = 0; k < pass->cursor_count; k++) {
      const mica_tile_cursor *cursor = &pass->cursors[k];
      append(&out, "  array%d: buffer %d %s%s%s%s\n", (int)k, (int)cursor->buffer,
             mica_dtype_name((mica_dtype)cursor->dtype), cursor->dense ? " dense" : "",
             cursor->rows ? " rows" : "", cursor->stream ? " stream" : "");
    }
    append_code(&out, program->kernels->tile, pass, "first", pass->prologue);
    for (int32_t loop = 0; loop < pass->loop_count; loop++) {
      append_code(&out, program->kernels->tile, pass, "rows", pass->rows[loop]);
      append_code(&out, program->kernels->tile, pass, "tiles", pass->loops[loop]);
    }
    append_code(&out, program->kernels->tile, pass, "rows", pass->rows[pass->loop_count]);
  }
  return (int)(out.length > INT32_MAX ? INT32_MAX : out.length);
}
