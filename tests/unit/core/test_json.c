/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing JSON: what is valid and what it means, and what is refused and why. */
#include "check.h"
#include "core/json.h"
#include "testing_allocator.h"

#include <math.h>

static const char *const sample =
    " { \"name\" : \"mica \\u00e9 \\ud83d\\ude42\\n\" , \"sizes\":[1,-2 , "
    "3.5,1e3,9223372036854775807,9223372036854775808],\n"
    "\t\"nested\":{\"empty\":{},\"none\":[],\"t\":true,\"f\":false,\"n\":null}, \"\":\"\" }\r\n";

static mica_json *parse(mica_arena *arena, const char *text, mica_error *error) {
  mica_json *root;
  return mica_json_parse(arena, text, strlen(text), &root, error) == MICA_OK ? root : NULL;
}

TEST(reads) {
  mica_arena arena;
  mica_arena_init(&arena, NULL);
  mica_error error = {0};
  const mica_json *root = parse(&arena, sample, &error);
  if (!CHECK(root != NULL)) return;
  CHECK_EQ_INT(root->kind, MICA_JSON_OBJECT);
  CHECK_EQ_INT(root->count, 4);
  const mica_json *name = mica_json_get(root, "name");
  CHECK_EQ_INT(name->kind, MICA_JSON_STRING);
  CHECK_EQ_STR(name->string, "mica \xC3\xA9 \xF0\x9F\x99\x82\n");
  CHECK_EQ_INT(name->string_size, 13);
  const mica_json *size = mica_json_get(root, "sizes")->first;
  static const struct {
    mica_json_kind kind;
    int64_t integer;
    double number;
  } sizes[] = {{MICA_JSON_INTEGER, 1, 1},
               {MICA_JSON_INTEGER, -2, -2},
               {MICA_JSON_NUMBER, 0, 3.5},
               {MICA_JSON_NUMBER, 0, 1000},
               {MICA_JSON_INTEGER, INT64_MAX, 0x1p63},
               {MICA_JSON_NUMBER, 0, 0x1p63}};
  for (int i = 0; i < 6; i++, size = size->next) {
    CHECK_EQ_INT(size->kind, sizes[i].kind);
    CHECK_EQ_INT(size->integer, sizes[i].integer);
    CHECK_NEAR(size->number, sizes[i].number, 0);
  }
  CHECK(size == NULL);
  const mica_json *nested = mica_json_get(root, "nested");
  CHECK_EQ_INT(mica_json_get(nested, "empty")->kind, MICA_JSON_OBJECT);
  CHECK_EQ_INT(mica_json_get(nested, "none")->count, 0);
  CHECK(mica_json_get(nested, "t")->boolean && !mica_json_get(nested, "f")->boolean);
  CHECK_EQ_INT(mica_json_get(nested, "n")->kind, MICA_JSON_NULL);
  CHECK_EQ_STR(mica_json_get(root, "")->string, "");
  CHECK(mica_json_get(root, "missing") == NULL && mica_json_get(NULL, "x") == NULL);
  CHECK(mica_json_get(name, "x") == NULL);
  mica_arena_deinit(&arena);
}

TEST(reads_values_alone) {
  mica_arena arena;
  mica_arena_init(&arena, NULL);
  static const char *const texts[] = {
      "0",    "-0",     "-0.0e-0", "\"\"", "null",
      "true", "[[[]]]", " 12 ",    "1E+2", "\"\\/\\b\\f\\r\\t\\\\\\\"\""};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    mica_error error = {0};
    if (parse(&arena, texts[i], &error) == NULL) CHECK_FAIL("%s: %s", texts[i], error.message);
  }
  const mica_json *negative = parse(&arena, "-0", NULL); /* no integer: that would lose the sign */
  CHECK(negative->kind == MICA_JSON_NUMBER && signbit(negative->number) != 0);
  const mica_json *zero = parse(&arena, "\"a\\u0000b\"", NULL); /* allowed in values, not in keys */
  CHECK(zero != NULL && zero->string_size == 3 && zero->string[2] == 'b');
  mica_arena_deinit(&arena);
}

TEST(refuses) {
  static const struct {
    const char *text, *message;
  } cases[] = {{"", "line 1, column 1: a value is missing"},
               {"  \n ", "line 2, column 2: a value is missing"},
               {"nul", "not a JSON value"},
               {"True", "not a JSON value"},
               {"tru", "not a JSON value"},
               {"[1,]", "not a JSON value"},
               {"[1 2]", "line 1, column 4: ',' or ']' is missing"},
               {"[1", "',' or ']' is missing"},
               {"{\"a\":1,}", "line 1, column 8: a key in quotes is missing"},
               {"{a:1}", "a key in quotes is missing"},
               {"{\"a\" 1}", "':' is missing"},
               {"{\"a\":1", "',' or '}' is missing"},
               {"{\"a\":1 \"b\"", "',' or '}' is missing"},
               {"{\"a\":1,\n\"a\":2}", "line 2, column 7: an object has a key twice"},
               {"{\"c\":1,\"b\":2,\"a\":3,\"b\":4}", "an object has a key twice"},
               {"{\"a\\u0000\":1}", "a key with a zero byte"},
               {"1 2", "line 1, column 3: text after the value"},
               {"01", "not a JSON number"},
               {"-", "not a JSON number"},
               {"1.", "not a JSON number"},
               {".5", "not a JSON value"},
               {"1e", "not a JSON number"},
               {"1e+", "not a JSON number"},
               {"+1", "not a JSON value"},
               {"-inf", "not a JSON number"},
               {"NaN", "not a JSON value"},
               {"1e999", "a number out of range"},
               {"\"abc", "ends inside of a string"},
               {"\"abc\\", "ends inside of a string"},
               {"\"\\\"", "ends inside of a string"},
               {"\"\\x\"", "unknown escape"},
               {"\"\\u12g4\"", "four hexadecimal digits"},
               {"\"\\u12\"", "four hexadecimal digits"},
               {"\"\\ud800\"", "half of a surrogate pair"},
               {"\"\\ud800\\u0041\"", "half of a surrogate pair"},
               {"\"\\udc00\"", "half of a surrogate pair"},
               {"\"a\nb\"", "a control character"},
               {"\"\xC3\xA9 \xC3(\"", "line 1, column 4: bytes that are not UTF-8"},
               {"\"\xC0\x80\"", "bytes that are not UTF-8"},
               {"\"\xED\xA0\x80\"", "bytes that are not UTF-8"},
               {"\"\xF4\x90\x80\x80\"", "bytes that are not UTF-8"},
               {"\"\xE2\x82\"", "bytes that are not UTF-8"},
               {"\"\x80\"", "bytes that are not UTF-8"}};
  mica_arena arena;
  mica_arena_init(&arena, NULL);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    mica_error error = {0};
    if (parse(&arena, cases[i].text, &error) != NULL) CHECK_FAIL("%s was read", cases[i].text);
    CHECK_STATUS(error.status, MICA_DATA_LOSS);
    CHECK_STR_CONTAINS(error.message, cases[i].message);
  }
  mica_json *root;
  CHECK_STATUS(mica_json_parse(&arena, NULL, 0, &root, NULL), MICA_DATA_LOSS);
  CHECK_STATUS(mica_json_parse(&arena, "1\0", 2, &root, NULL), MICA_DATA_LOSS);
  mica_arena_deinit(&arena);
}

TEST(depth_is_limited) {
  char text[200];
  mica_arena arena;
  mica_arena_init(&arena, NULL);
  for (int depth = 63; depth <= 65; depth++) {
    memset(text, '[', (size_t)depth);
    memset(text + depth, ']', (size_t)depth);
    text[2 * depth] = '\0';
    mica_error error = {0};
    CHECK_EQ_INT(parse(&arena, text, &error) != NULL, depth <= 64);
    if (depth > 64) CHECK_STR_CONTAINS(error.message, "64 levels");
  }
  mica_arena_deinit(&arena);
}

/* Every beginning of a valid text is refused, and read no further than it goes. */
TEST(truncations) {
  mica_arena arena;
  size_t size = strlen(sample);
  while (sample[size - 1] != '}') size--;
  for (size_t cut = 0; cut < size; cut++) {
    char *part = malloc(cut + 1); /* so that AddressSanitizer sees the end */
    if (!CHECK(part != NULL)) return;
    memcpy(part, sample, cut);
    char *tight = realloc(part, cut == 0 ? 1 : cut);
    mica_arena_init(&arena, NULL);
    mica_json *root;
    CHECK_STATUS(mica_json_parse(&arena, tight, cut, &root, NULL), MICA_DATA_LOSS);
    CHECK(root == NULL);
    mica_arena_deinit(&arena);
    free(tight);
  }
}

static bool parse_sample(const mica_allocator *allocator, void *context) {
  (void)context;
  mica_arena arena;
  mica_arena_init(&arena, allocator);
  mica_error error = {0};
  mica_json *root;
  mica_status status = mica_json_parse(&arena, sample, strlen(sample), &root, &error);
  if (status != MICA_OK) {
    CHECK_STATUS(status, MICA_OUT_OF_MEMORY);
    CHECK_STATUS(error.status, MICA_OUT_OF_MEMORY);
  }
  mica_arena_deinit(&arena);
  return status == MICA_OK;
}

TEST(failing_allocations) { CHECK(testing_sweep(parse_sample, NULL) >= 3); }

/* ---- writing --------------------------------------------------------------------------------- */

TEST(writes) {
  mica_text text;
  mica_text_init(&text, NULL);
  mica_json_writer writer;
  mica_json_begin(&writer, &text);
  mica_json_object_begin(&writer);
  mica_json_key(&writer, "a\"\\\n\x01\x1f");
  mica_json_integer(&writer, INT64_MIN);
  mica_json_key(&writer, "list");
  mica_json_array_begin(&writer);
  mica_json_double(&writer, 0.1);
  mica_json_double(&writer, -1e300);
  mica_json_double(&writer, NAN);
  mica_json_double(&writer, -INFINITY);
  mica_json_bool(&writer, true);
  mica_json_bool(&writer, false);
  mica_json_null(&writer);
  mica_json_string(&writer, NULL);
  mica_json_array_begin(&writer);
  mica_json_array_end(&writer);
  mica_json_object_begin(&writer);
  mica_json_object_end(&writer);
  mica_json_string(&writer, "\xC3\xA9 \xFF \xE2\x82");
  mica_json_array_end(&writer);
  mica_json_key(&writer, "end");
  mica_json_string(&writer, "");
  mica_json_object_end(&writer);
  CHECK_EQ_INT(writer.depth, 0);
  CHECK(!text.failed);
  CHECK_EQ_STR(text.data,
               "{\"a\\\"\\\\\\n\\u0001\\u001f\":-9223372036854775808,\"list\":[0.1,-1e+300,null,"
               "null,true,false,null,null,[],{},"
               "\"\xC3\xA9 \xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\"],\"end\":\"\"}");
  mica_text_deinit(&text);
}

static void write_value(mica_json_writer *writer, const mica_json *value) {
  switch (value->kind) {
    case MICA_JSON_NULL: mica_json_null(writer); break;
    case MICA_JSON_BOOL: mica_json_bool(writer, value->boolean); break;
    case MICA_JSON_INTEGER: mica_json_integer(writer, value->integer); break;
    case MICA_JSON_NUMBER: mica_json_double(writer, value->number); break;
    case MICA_JSON_STRING: mica_json_string(writer, value->string); break;
    case MICA_JSON_ARRAY:
    case MICA_JSON_OBJECT: {
      bool object = value->kind == MICA_JSON_OBJECT;
      object ? mica_json_object_begin(writer) : mica_json_array_begin(writer);
      for (const mica_json *child = value->first; child != NULL; child = child->next) {
        if (object) mica_json_key(writer, child->key);
        write_value(writer, child);
      }
      object ? mica_json_object_end(writer) : mica_json_array_end(writer);
      break;
    }
  }
}

TEST(what_is_written_reads_the_same) {
  mica_arena arena;
  mica_arena_init(&arena, NULL);
  mica_text once, twice;
  mica_text_init(&once, NULL);
  mica_text_init(&twice, NULL);
  mica_json_writer writer;
  mica_json_begin(&writer, &once);
  write_value(&writer, parse(&arena, sample, NULL));
  const mica_json *again = parse(&arena, once.data, NULL);
  if (CHECK(again != NULL)) {
    mica_json_begin(&writer, &twice);
    write_value(&writer, again);
    CHECK_EQ_STR(twice.data, once.data);
    CHECK_EQ_STR(mica_json_get(again, "name")->string, "mica \xC3\xA9 \xF0\x9F\x99\x82\n");
  }
  mica_text_deinit(&once);
  mica_text_deinit(&twice);
  mica_arena_deinit(&arena);
}

TEST_MAIN(TEST_CASE(reads), TEST_CASE(reads_values_alone), TEST_CASE(refuses),
          TEST_CASE(depth_is_limited), TEST_CASE(truncations), TEST_CASE(failing_allocations),
          TEST_CASE(writes), TEST_CASE(what_is_written_reads_the_same))
