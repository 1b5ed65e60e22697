/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors_header.c: reads the JSON that a safetensors file begins with.
 *
 * A reader of its own instead of a tree of JSON values: the header may have 100 MB, and what is taken for it has
 * to stay in proportion. It is read twice by the same code, first to check and count, then into tables of exactly
 * that size; strings are decoded into one block, which cannot be larger than the header. */
#include "model/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "core/utf8.h"

static const mica_safetensors_dtype safetensors_dtypes[] = {
    {"BOOL", MICA_BOOL, 8},
    {"I8", MICA_I8, 8},
    {"U8", MICA_U8, 8},
    {"I16", MICA_I16, 16},
    {"U16", MICA_U16, 16},
    {"I32", MICA_I32, 32},
    {"U32", MICA_U32, 32},
    {"I64", MICA_I64, 64},
    {"U64", MICA_U64, 64},
    {"F8_E4M3", MICA_F8E4M3FN, 8},
    {"F8_E5M2", MICA_F8E5M2, 8},
    {"BF16", MICA_BF16, 16},
    {"F16", MICA_F16, 16},
    {"F32", MICA_F32, 32},
    {"F64", MICA_F64, 64},
    {"C64", MICA_C64, 64},
    /* Known to the format, not to Mica: their sizes are checked all the same. */
    {"F4", MICA_DTYPE_NONE, 4},
    {"F6_E2M3", MICA_DTYPE_NONE, 6},
    {"F6_E3M2", MICA_DTYPE_NONE, 6},
    {"F8_E8M0", MICA_DTYPE_NONE, 8},
    {"F8_E4M3FNUZ", MICA_DTYPE_NONE, 8},
    {"F8_E5M2FNUZ", MICA_DTYPE_NONE, 8},
};

const mica_safetensors_dtype *mica_safetensors_dtype_row(size_t index) {
  return index < sizeof safetensors_dtypes / sizeof safetensors_dtypes[0]
             ? &safetensors_dtypes[index]
             : NULL;
}

typedef struct {
  const char *at, *begin, *end;
  uint64_t data_size;
  mica_safetensors_header *header; /* where tables are NULL, things are only counted */
  char *texts;                     /* the next free byte of header->texts; NULL: only counted */
  size_t texts_used;
  mica_error *error;
} header_reader;

static mica_status header_fail(header_reader *r, const char *what) {
  return mica_error_set(r->error, MICA_DATA_LOSS, "safetensors: byte %zu of the header: %s",
                        (size_t)(r->at - r->begin) + 8, what);
}

static void skip_header_space(header_reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
    r->at++;
}

static bool take_mark(header_reader *r, char mark) {
  skip_header_space(r);
  if (r->at == r->end || *r->at != mark) return false;
  r->at++;
  return true;
}

static bool hexadecimal(header_reader *r, uint32_t *out) {
  if (r->end - r->at < 4) return false;
  *out = 0;
  for (int i = 0; i < 4; i++, r->at++) {
    char c = *r->at;
    uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                            : 16;
    if (digit > 15) return false;
    *out = *out << 4 | digit;
  }
  return true;
}

/* One character of a string, escape or not, into out[4]; its size, 0 when it is broken. */
static size_t string_character(header_reader *r, char out[4]) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (*r->at != '\\') {
    size_t length = mica_utf8_length(r->at, (size_t)(r->end - r->at));
    if ((unsigned char)*r->at < 0x20) length = 0;
    memcpy(out, r->at, length);
    r->at += length;
    return length;
  }
  if (++r->at == r->end) return 0;
  char kind = *r->at++;
  const char *found = kind != 0 ? strchr(names, kind) : NULL;
  if (found != NULL) {
    out[0] = values[found - names];
    return 1;
  }
  uint32_t first, second;
  if (kind != 'u' || !hexadecimal(r, &first) || first == 0) return 0;
  if (first >= 0xD800 && first < 0xDC00) {
    if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u') return 0;
    r->at += 2;
    if (!hexadecimal(r, &second) || second < 0xDC00 || second > 0xDFFF) return 0;
    first = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
  } else if (first >= 0xDC00 && first < 0xE000) {
    return 0;
  }
  return mica_utf8_encode(first, out);
}

/* A string; *out is its decoded text on the second reading and NULL on the first. */
static mica_status take_string(header_reader *r, const char **out) {
  *out = r->texts != NULL ? r->texts + r->texts_used : NULL;
  if (!take_mark(r, '"')) return header_fail(r, "a string is expected");
  while (r->at < r->end && *r->at != '"') {
    char character[4];
    size_t length = string_character(r, character);
    if (length == 0) return header_fail(r, "a string with a character that does not belong there");
    if (r->texts != NULL) memcpy(r->texts + r->texts_used, character, length);
    r->texts_used += length;
  }
  if (r->at == r->end) return header_fail(r, "a string does not end");
  r->at++;
  if (r->texts != NULL) r->texts[r->texts_used] = 0;
  r->texts_used++;
  return MICA_OK;
}

/* A string of a fixed set, into text[32], cut off. */
static mica_status take_header_word(header_reader *r, char text[32]) {
  size_t used = 0;
  if (!take_mark(r, '"')) return header_fail(r, "a string is expected");
  while (r->at < r->end && *r->at != '"') {
    char character[4];
    size_t length = string_character(r, character);
    if (length == 0) return header_fail(r, "a string with a character that does not belong there");
    if (used + length < 32) memcpy(text + used, character, length), used += length;
  }
  if (r->at == r->end) return header_fail(r, "a string does not end");
  r->at++;
  text[used] = 0;
  return MICA_OK;
}

static mica_status take_size(header_reader *r, uint64_t *out) {
  skip_header_space(r);
  const char *first = r->at;
  uint64_t value = 0;
  for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
    uint64_t digit = (uint64_t)(*r->at - '0');
    if (value > (INT64_MAX - digit) / 10) return header_fail(r, "a number is too large");
    value = value * 10 + digit;
  }
  if (r->at == first || (*first == '0' && r->at - first > 1))
    return header_fail(r, "a whole number of at least 0 is expected");
  *out = value;
  return MICA_OK;
}

/* ',' or the closing mark; *out_more says which. */
static mica_status take_separator(header_reader *r, char close, bool *out_more) {
  if (take_mark(r, ',')) {
    *out_more = true;
    return MICA_OK;
  }
  *out_more = false;
  return take_mark(r, close) ? MICA_OK : header_fail(r, "',' or the end of a list is expected");
}

/* The sizes, of which the first eight are kept; *out_elements by checked products. */
static mica_status take_shape(header_reader *r, mica_shape *shape, int64_t *out_rank,
                              uint64_t *out_elements) {
  *out_rank = 0, *out_elements = 1;
  if (!take_mark(r, '[')) return header_fail(r, "'[' of a shape is expected");
  bool more = !take_mark(r, ']');
  while (more) {
    uint64_t size = 0;
    mica_status status = take_size(r, &size);
    if (status != MICA_OK) return status;
    if (__builtin_mul_overflow(*out_elements, size, out_elements) || *out_elements > INT64_MAX)
      return header_fail(r, "a shape has too many elements");
    if (*out_rank < MICA_MAX_RANK) shape->dim[*out_rank] = (int64_t)size;
    ++*out_rank;
    if ((status = take_separator(r, ']', &more)) != MICA_OK) return status;
  }
  return MICA_OK;
}

/* {"dtype": ..., "shape": ..., "data_offsets": [begin, end]} in any order. */
static mica_status take_entry(header_reader *r, mica_safetensors_entry *entry) {
  char dtype[32] = "";
  uint64_t elements = 0;
  int64_t rank = 0;
  unsigned seen = 0;
  bool more = true;
  mica_status status = MICA_OK;
  if (!take_mark(r, '{')) return header_fail(r, "'{' of a tensor is expected");
  while (more) {
    char key[32];
    if ((status = take_header_word(r, key)) != MICA_OK) return status;
    if (!take_mark(r, ':')) return header_fail(r, "':' is expected");
    unsigned field = !strcmp(key, "dtype")          ? 1
                     : !strcmp(key, "shape")        ? 2
                     : !strcmp(key, "data_offsets") ? 4
                                                    : 0;
    if (field == 0 || (seen & field) != 0)
      return header_fail(r, "a tensor has dtype, shape and data_offsets, each once");
    seen |= field;
    if (field == 1) status = take_header_word(r, dtype);
    if (field == 2) status = take_shape(r, &entry->type.shape, &rank, &elements);
    if (field == 4) {
      if (!take_mark(r, '[')) return header_fail(r, "'[' of data_offsets is expected");
      if ((status = take_size(r, &entry->begin)) != MICA_OK) return status;
      if (!take_mark(r, ',')) return header_fail(r, "two data_offsets are expected");
      if ((status = take_size(r, &entry->end)) != MICA_OK) return status;
      if (!take_mark(r, ']')) return header_fail(r, "two data_offsets are expected");
    }
    if (status == MICA_OK) status = take_separator(r, '}', &more);
    if (status != MICA_OK) return status;
  }
  if (seen != 7) return header_fail(r, "a tensor lacks dtype, shape or data_offsets");
  if (entry->begin > entry->end || entry->end > r->data_size)
    return header_fail(r, "a tensor's data_offsets lie outside of the file");
  snprintf(entry->stored, sizeof entry->stored, "%.15s", dtype);
  const mica_safetensors_dtype *row = safetensors_dtypes;
  size_t i = 0;
  while (row != NULL && strcmp(row->name, dtype) != 0) row = mica_safetensors_dtype_row(++i);
  if (row == NULL) return MICA_OK; /* listed, and refused when it is asked for */
  uint64_t bits;
  if (__builtin_mul_overflow(elements, (uint64_t)row->bits, &bits) ||
      bits / 8 + (bits % 8 != 0) != entry->end - entry->begin)
    return header_fail(r, "a tensor's data_offsets do not fit its dtype and shape");
  if (rank <= MICA_MAX_RANK) {
    entry->type.dtype = row->dtype;
    entry->type.shape.rank = (int32_t)rank;
    /* Sizes beside a 0 may overflow where Mica multiplies them. */
    size_t unused;
    if (!mica_type_byte_size(entry->type, &unused)) entry->type.dtype = MICA_DTYPE_NONE;
  } else {
    snprintf(entry->stored, sizeof entry->stored, "rank %.9" PRId64,
             rank > 999999999 ? 999999999 : rank);
  }
  return MICA_OK;
}

static mica_status take_metadata(header_reader *r) {
  if (!take_mark(r, '{')) return header_fail(r, "'{' of the metadata is expected");
  bool more = !take_mark(r, '}');
  while (more) {
    mica_named_text pair;
    mica_status status = take_string(r, &pair.key);
    if (status != MICA_OK) return status;
    if (!take_mark(r, ':')) return header_fail(r, "':' is expected");
    if ((status = take_string(r, &pair.value)) != MICA_OK) return status;
    if (r->header->metadata != NULL) r->header->metadata[r->header->metadata_count] = pair;
    r->header->metadata_count++;
    if ((status = take_separator(r, '}', &more)) != MICA_OK) return status;
  }
  return MICA_OK;
}

static mica_status read_header(header_reader *r) {
  bool metadata_seen = false;
  r->at = r->begin;
  r->header->count = r->header->metadata_count = r->texts_used = 0;
  if (r->begin == r->end || *r->begin != '{') return header_fail(r, "'{' is expected");
  r->at++;
  bool more = !take_mark(r, '}');
  while (more) {
    static const char metadata_key[] = "\"__metadata__\"";
    size_t key_size = sizeof metadata_key - 1;
    mica_status status;
    skip_header_space(r);
    bool metadata = (size_t)(r->end - r->at) >= key_size && !memcmp(r->at, metadata_key, key_size);
    mica_safetensors_entry entry = {0};
    if ((status = take_string(r, &entry.name)) != MICA_OK) return status;
    if (!take_mark(r, ':')) return header_fail(r, "':' is expected");
    if (metadata && metadata_seen) return header_fail(r, "there are two __metadata__");
    metadata_seen |= metadata;
    status = metadata ? take_metadata(r) : take_entry(r, &entry);
    if (status == MICA_OK) status = take_separator(r, '}', &more);
    if (status != MICA_OK) return status;
    if (metadata) continue;
    if (r->header->entries != NULL) r->header->entries[r->header->count] = entry;
    r->header->count++;
  }
  skip_header_space(r);
  return r->at == r->end ? MICA_OK : header_fail(r, "something follows the end");
}

/* ---- order ----------------------------------------------------------------------------------- */

void mica_sort_indices(uint32_t *indices, size_t count,
                       bool (*before)(const void *context, uint32_t a, uint32_t b),
                       const void *context) {
  for (size_t start = count / 2, end = count; end > 1;) {
    uint32_t moved;
    if (start > 0) {
      moved = indices[--start];
    } else {
      moved = indices[--end];
      indices[end] = indices[0];
    }
    size_t hole = start;
    for (size_t child; (child = 2 * hole + 1) < end; hole = child) {
      if (child + 1 < end && before(context, indices[child], indices[child + 1])) child++;
      if (!before(context, moved, indices[child])) break;
      indices[hole] = indices[child];
    }
    indices[hole] = moved;
  }
}

static bool entry_name_before(const void *context, uint32_t a, uint32_t b) {
  const mica_safetensors_entry *entries = context;
  return strcmp(entries[a].name, entries[b].name) < 0;
}

static bool entry_bytes_before(const void *context, uint32_t a, uint32_t b) {
  const mica_safetensors_entry *entries = context;
  if (entries[a].begin != entries[b].begin) return entries[a].begin < entries[b].begin;
  if (entries[a].end != entries[b].end) return entries[a].end < entries[b].end;
  return strcmp(entries[a].name, entries[b].name) < 0;
}

static bool metadata_before(const void *context, uint32_t a, uint32_t b) {
  const mica_named_text *pairs = context;
  return strcmp(pairs[a].key, pairs[b].key) < 0;
}

/* Puts the entries in the order of their bytes, in place, along the cycles of the permutation. */
static void order_entries(mica_safetensors_header *header) {
  uint32_t *order = header->by_name;
  for (uint32_t i = 0; i < header->count; i++) order[i] = i;
  mica_sort_indices(order, header->count, entry_bytes_before, header->entries);
  for (uint32_t i = 0; i < header->count; i++) {
    if (order[i] == i) continue;
    mica_safetensors_entry first = header->entries[i];
    uint32_t at = i;
    while (order[at] != i) {
      uint32_t from = order[at];
      header->entries[at] = header->entries[from];
      order[at] = at;
      at = from;
    }
    header->entries[at] = first;
    order[at] = at;
  }
}

static mica_status check_order(mica_safetensors_header *header, uint64_t data_size,
                               mica_error *error) {
  order_entries(header);
  uint64_t end = 0;
  for (size_t i = 0; i < header->count; i++) {
    const mica_safetensors_entry *entry = &header->entries[i];
    if (entry->begin != end)
      return mica_error_set(error, MICA_DATA_LOSS,
                            "safetensors: '%.200s' begins at byte %" PRIu64
                            " of the data, and what lies before it ends at %" PRIu64,
                            entry->name, entry->begin, end);
    end = entry->end;
  }
  if (end != data_size)
    return mica_error_set(error, MICA_DATA_LOSS,
                          "safetensors: %" PRIu64
                          " bytes of data, of which the tensors have %" PRIu64,
                          data_size, end);
  for (uint32_t i = 0; i < header->count; i++) header->by_name[i] = i;
  mica_sort_indices(header->by_name, header->count, entry_name_before, header->entries);
  for (size_t i = 1; i < header->count; i++)
    if (!strcmp(header->entries[header->by_name[i - 1]].name,
                header->entries[header->by_name[i]].name))
      return mica_error_set(error, MICA_DATA_LOSS, "safetensors: '%.200s' occurs twice",
                            header->entries[header->by_name[i]].name);
  return MICA_OK;
}

static mica_status check_metadata(mica_safetensors_header *header, mica_error *error) {
  size_t count = header->metadata_count;
  uint32_t *order = mica_allocate_zeroed(NULL, count == 0 ? 1 : count, sizeof *order);
  if (order == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "safetensors: out of memory");
  for (uint32_t i = 0; i < count; i++) order[i] = i;
  mica_sort_indices(order, count, metadata_before, header->metadata);
  mica_status status = MICA_OK;
  for (size_t i = 1; i < count && status == MICA_OK; i++)
    if (!strcmp(header->metadata[order[i - 1]].key, header->metadata[order[i]].key))
      status = mica_error_set(error, MICA_DATA_LOSS,
                              "safetensors: '%.200s' occurs twice in the metadata",
                              header->metadata[order[i]].key);
  mica_free(NULL, order, (count == 0 ? 1 : count) * sizeof *order);
  return status;
}

/* ---- types that the format lacks ------------------------------------------------------------- */

/* Applies "mica.types": {"name": ["c128", 2, 3]}, where the bytes are those of the type that is stored. */
static mica_status apply_types(mica_safetensors_header *header, const char *text,
                               mica_error *error) {
  mica_arena arena;
  mica_json *types = NULL;
  mica_error inner = {0};
  mica_arena_init(&arena, NULL);
  /* As a tree, of which a hostile text could make forty times its size: so it may not be long. */
  mica_status status = strlen(text) > 1 << 19
                           ? MICA_DATA_LOSS
                           : mica_json_parse(&arena, text, strlen(text), &types, &inner);
  bool good = status == MICA_OK && types->kind == MICA_JSON_OBJECT;
  for (mica_json *member = good ? types->first : NULL; member != NULL && good;
       member = member->next) {
    mica_type type = {0};
    size_t low = 0, high = header->count, bytes = 0;
    good = member->kind == MICA_JSON_ARRAY && member->count >= 1 &&
           member->count <= MICA_MAX_RANK + 1 && member->first->kind == MICA_JSON_STRING;
    if (!good) break;
    type.dtype = mica_dtype_from_name(member->first->string);
    for (mica_json *size = member->first->next; size != NULL && good; size = size->next) {
      good = size->kind == MICA_JSON_INTEGER && size->integer >= 0;
      type.shape.dim[type.shape.rank++] = size->integer;
    }
    while (low < high) {
      size_t middle = low + (high - low) / 2;
      if (strcmp(header->entries[header->by_name[middle]].name, member->key) < 0)
        low = middle + 1;
      else
        high = middle;
    }
    if (!good || low == header->count) {
      good = false;
      break;
    }
    mica_safetensors_entry *entry = &header->entries[header->by_name[low]];
    good = !strcmp(entry->name, member->key) && mica_type_byte_size(type, &bytes) &&
           entry->end - entry->begin == bytes &&
           (type.dtype == MICA_C128
                ? entry->type.dtype == MICA_F64
                : mica_dtype_bits(type.dtype) == 4 && entry->type.dtype == MICA_U8);
    if (good) entry->type = type;
  }
  mica_arena_deinit(&arena);
  if (status == MICA_OUT_OF_MEMORY)
    return mica_error_set(error, status, "safetensors: out of memory");
  if (!good)
    return mica_error_set(error, MICA_DATA_LOSS,
                          "safetensors: the types under 'mica.types' do not fit the tensors");
  return MICA_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

void mica_safetensors_header_deinit(mica_safetensors_header *header) {
  if (header->entries != NULL)
    mica_free(NULL, header->entries, (header->count + 1) * sizeof *header->entries);
  if (header->by_name != NULL)
    mica_free(NULL, header->by_name, (header->count + 1) * sizeof *header->by_name);
  if (header->metadata != NULL)
    mica_free(NULL, header->metadata, (header->metadata_count + 1) * sizeof *header->metadata);
  if (header->texts != NULL) mica_free(NULL, header->texts, header->texts_size);
  *header = (mica_safetensors_header){0};
}

mica_status mica_safetensors_header_parse(const char *text, size_t size, uint64_t data_size,
                                          mica_safetensors_header *out, mica_error *error) {
  *out = (mica_safetensors_header){0};
  header_reader r = {
      .begin = text, .end = text + size, .data_size = data_size, .header = out, .error = error};
  mica_status status = read_header(&r);
  if (status != MICA_OK) return status;
  if (out->count >= UINT32_MAX || out->metadata_count >= UINT32_MAX)
    return mica_error_set(error, MICA_UNSUPPORTED, "safetensors: too many tensors");
  size_t count = out->count + 1, metadata_count = out->metadata_count + 1;
  out->texts_size = r.texts_used + 1;
  out->texts = mica_allocate(NULL, out->texts_size);
  out->entries = mica_allocate_zeroed(NULL, count, sizeof *out->entries);
  out->by_name = mica_allocate_zeroed(NULL, count, sizeof *out->by_name);
  out->metadata = mica_allocate_zeroed(NULL, metadata_count, sizeof *out->metadata);
  if (!out->texts || !out->entries || !out->by_name || !out->metadata) {
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "safetensors: out of memory");
  } else {
    r.texts = out->texts;
    status = read_header(&r);
  }
  if (status == MICA_OK) status = check_order(out, data_size, error);
  if (status == MICA_OK) status = check_metadata(out, error);
  for (size_t i = 0; status == MICA_OK && i < out->metadata_count; i++)
    if (!strcmp(out->metadata[i].key, "mica.types"))
      status = apply_types(out, out->metadata[i].value, error);
  if (status != MICA_OK) {
    out->count = count - 1, out->metadata_count = metadata_count - 1;
    mica_safetensors_header_deinit(out);
  }
  return status;
}
