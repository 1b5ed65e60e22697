/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what is read can be written, and what was written reads as the same again. */
#include "fuzz.h"

#include "core/json.h"

#include <string.h>

static void write_fuzzed(mica_json_writer *writer, const mica_json *value) {
  switch (value->kind) {
    case MICA_JSON_NULL: mica_json_null(writer); break;
    case MICA_JSON_BOOL: mica_json_bool(writer, value->boolean); break;
    case MICA_JSON_INTEGER: mica_json_integer(writer, value->integer); break;
    case MICA_JSON_NUMBER: mica_json_double(writer, value->number); break;
    case MICA_JSON_STRING: mica_json_string(writer, value->string); break;
    case MICA_JSON_ARRAY:
      mica_json_array_begin(writer);
      for (const mica_json *child = value->first; child != NULL; child = child->next)
        write_fuzzed(writer, child);
      mica_json_array_end(writer);
      break;
    case MICA_JSON_OBJECT:
      mica_json_object_begin(writer);
      for (const mica_json *child = value->first; child != NULL; child = child->next) {
        mica_json_key(writer, child->key);
        write_fuzzed(writer, child);
      }
      mica_json_object_end(writer);
      break;
  }
}

static void write_text(mica_text *text, const mica_json *root) {
  mica_json_writer writer;
  mica_text_init(text, NULL);
  mica_json_begin(&writer, text);
  write_fuzzed(&writer, root);
  FUZZ_REQUIRE(!text->failed && writer.depth == 0);
}

FUZZ_TARGET(json) {
  mica_arena arena;
  mica_json *root, *again;
  mica_text first, second;
  mica_error error = {0};
  mica_arena_init(&arena, NULL);
  if (mica_json_parse(&arena, (const char *)bytes, size, &root, &error) == MICA_OK) {
    write_text(&first, root);
    FUZZ_REQUIRE(mica_json_parse(&arena, first.data, first.size, &again, NULL) == MICA_OK);
    write_text(&second, again);
    FUZZ_REQUIRE(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    mica_text_deinit(&first);
    mica_text_deinit(&second);
  } else {
    FUZZ_REQUIRE(root == NULL && error.status == MICA_DATA_LOSS && error.message[0] != '\0');
  }
  mica_arena_deinit(&arena);
}
