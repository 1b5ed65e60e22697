/* SPDX-License-Identifier: Apache-2.0 */
/* csv.c: CSV to typed columns.
 *
 * The text is read twice: first to count rows, check their lengths and see what columns that are left open hold, then
 * to fill tensors of exactly that size. Nothing is kept of a field but its value, so that memory stays in proportion
 * to the file. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/npy.h"
#include "core/tensor.h"
#include "data/sources/csv_scan.h"
#include "platform/platform.h"

enum { CSV_COLUMNS = 1 << 16 };

typedef struct {
  const char *name;
  mica_csv_kind kind;
  mica_tensor *tensor;
  mica_vocabulary *own; /* made here */
  const mica_vocabulary *vocabulary;
  bool integers, numbers, missing; /* what the first reading saw */
} csv_column;

struct mica_csv {
  mica_arena arena;
  csv_column *columns;
  int32_t count;
  int64_t rows;
};

typedef struct {
  mica_csv *csv;
  const mica_csv_options *options;
  const char *text;
  size_t size;
  mica_error *error;
} csv_reader;

static mica_status csv_memory(mica_error *error) {
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "csv: out of memory");
}

void mica_csv_destroy(mica_csv *csv) {
  if (csv == NULL) return;
  for (int32_t i = 0; i < csv->count && csv->columns != NULL; i++) {
    mica_tensor_release(csv->columns[i].tensor);
    mica_vocabulary_destroy(csv->columns[i].own);
  }
  mica_arena_deinit(&csv->arena);
  mica_free(NULL, csv, sizeof *csv);
}

static bool field_integer(const mica_csv_field *field, int64_t *out) {
  const char *at = field->text, *end = field->text + field->size;
  if (at < end && *at == '+') at++;
  return mica_parse_i64(&at, end, out) && at == end;
}

static bool field_number(const mica_csv_field *field, double *out) {
  const char *at = field->text, *end = field->text + field->size;
  if (at < end && *at == '+') at++;
  return mica_parse_double(&at, end, out) && at == end;
}

/* Whether a field that is no number would be one if it were smaller: digits, a point, an exponent. */
static bool is_too_large(const mica_csv_field *field) {
  const char *at = field->text, *end = field->text + field->size;
  bool any = false;
  if (at < end && (*at == '+' || *at == '-')) at++;
  for (; at < end && *at >= '0' && *at <= '9'; at++) any = true;
  if (at < end && *at == '.')
    for (at++; at < end && *at >= '0' && *at <= '9'; at++) any = true;
  if (!any || at == end) return any;
  if (*at != 'e' && *at != 'E') return false;
  if (++at < end && (*at == '+' || *at == '-')) at++;
  const char *digits = at;
  while (at < end && *at >= '0' && *at <= '9') at++;
  return at == end && at > digits;
}

static char *copy_field(mica_csv *csv, const mica_csv_field *field) {
  char *copy = mica_arena_allocate(&csv->arena, field->size + 1);
  if (copy == NULL) return NULL;
  if (field->size > 0) memcpy(copy, field->text, field->size);
  copy[field->size] = 0;
  return copy;
}

/* ---- the header ------------------------------------------------------------------------------ */

static mica_status count_columns(csv_reader *r, mica_csv_scan scan) {
  mica_csv_field field = {0};
  int64_t count = 0;
  mica_text_init(&scan.unquoted, NULL); /* a copy of the scan: its text is its own */
  mica_status status = MICA_OK;
  while (!field.last && status == MICA_OK && count <= CSV_COLUMNS) {
    status = mica_csv_scan_field(&scan, &field, r->error);
    count++;
  }
  mica_csv_scan_end(&scan);
  if (status != MICA_OK) return status;
  if (count > CSV_COLUMNS)
    return mica_error_set(r->error, MICA_UNSUPPORTED, "csv: more than %d columns", CSV_COLUMNS);
  r->csv->columns =
      mica_arena_allocate_zeroed(&r->csv->arena, (size_t)count, sizeof *r->csv->columns);
  if (r->csv->columns == NULL) return csv_memory(r->error);
  r->csv->count = (int32_t)count;
  return MICA_OK;
}

/* Two columns of one name could not be told apart. */
static mica_status check_column_names(csv_reader *r) {
  size_t count = (size_t)r->csv->count;
  const char **names = mica_allocate(NULL, count * sizeof *names);
  if (names == NULL) return csv_memory(r->error);
  for (size_t i = 0; i < count; i++) names[i] = r->csv->columns[i].name;
  const char *twice = mica_find_duplicate(names, count);
  mica_free(NULL, names, count * sizeof *names);
  return twice == NULL ? MICA_OK
                       : mica_error_set(r->error, MICA_DATA_LOSS,
                                        "csv: two columns are named '%.200s'", twice);
}

static mica_status name_columns(csv_reader *r, mica_csv_scan *scan) {
  const mica_csv_options *o = r->options;
  if (o->no_header && o->names != NULL && o->name_count != r->csv->count)
    return mica_error_set(r->error, MICA_INVALID, "csv: %" PRId32 " names for %" PRId32 " columns",
                          o->name_count, r->csv->count);
  for (int32_t i = 0; i < r->csv->count; i++) {
    char plain[16];
    mica_csv_field field;
    csv_column *column = &r->csv->columns[i];
    snprintf(plain, sizeof plain, "%" PRId32, i);
    if (o->no_header) {
      column->name = mica_arena_text(&r->csv->arena,
                                     o->names != NULL && o->names[i] != NULL ? o->names[i] : plain);
    } else {
      mica_status status = mica_csv_scan_field(scan, &field, r->error);
      if (status != MICA_OK) return status;
      column->name = copy_field(r->csv, &field);
    }
    if (column->name == NULL) return csv_memory(r->error);
    column->integers = column->numbers = true;
  }
  return check_column_names(r);
}

static mica_status apply_columns(csv_reader *r) {
  for (int32_t i = 0; i < r->options->column_count; i++) {
    const mica_csv_column *wanted = &r->options->columns[i];
    int32_t index = mica_csv_index(r->csv, wanted->name);
    if (index < 0)
      return mica_error_set(r->error, MICA_INVALID, "csv: there is no column '%.200s'",
                            wanted->name != NULL ? wanted->name : "");
    if (wanted->kind < MICA_CSV_AUTO || wanted->kind > MICA_CSV_SKIP)
      return mica_error_set(r->error, MICA_INVALID, "csv: column '%.200s' is of an unknown kind",
                            wanted->name);
    r->csv->columns[index].kind = wanted->kind;
    r->csv->columns[index].vocabulary = wanted->vocabulary;
    if (wanted->vocabulary != NULL && wanted->kind == MICA_CSV_AUTO)
      r->csv->columns[index].kind = MICA_CSV_CATEGORY;
  }
  return MICA_OK;
}

/* ---- rows ------------------------------------------------------------------------------------ */

typedef mica_status csv_visit(csv_reader *r, csv_column *column, int64_t row,
                              const mica_csv_field *field);

static mica_status visit_rows(csv_reader *r, mica_csv_scan *scan, csv_visit *visit,
                              int64_t *out_rows) {
  int64_t row = 0;
  mica_error inner = {0};
  csv_reader inside = *r;
  inside.error = &inner;
  for (; mica_csv_scan_row(scan); row++) {
    int64_t line = scan->line;
    for (int32_t i = 0; i < r->csv->count; i++) {
      mica_csv_field field;
      mica_status status = mica_csv_scan_field(scan, &field, r->error);
      if (status != MICA_OK) return status;
      if (field.last != (i == r->csv->count - 1))
        return mica_error_set(r->error, MICA_DATA_LOSS,
                              "csv: line %" PRId64 " has %s than %" PRId32 " fields", line,
                              field.last ? "fewer" : "more", r->csv->count);
      status = visit(&inside, &r->csv->columns[i], row, &field);
      if (status != MICA_OK)
        return mica_error_set(r->error, status, "csv: line %" PRId64 ", column '%.100s': %.600s",
                              line, r->csv->columns[i].name, inner.message);
    }
  }
  *out_rows = row;
  return MICA_OK;
}

static mica_status look_at_field(csv_reader *r, csv_column *column, int64_t row,
                                 const mica_csv_field *field) {
  (void)r, (void)row;
  int64_t integer;
  double number;
  if (column->kind != MICA_CSV_AUTO || !column->numbers) return MICA_OK;
  if (field->missing) {
    column->missing = true;
    return MICA_OK;
  }
  if (column->integers && !field_integer(field, &integer)) column->integers = false;
  /* One that is too large fails when it is filled in, unless others are words: then it is one, as 7e12345 among hashes. */
  if (!column->integers && !field_number(field, &number) && !is_too_large(field))
    column->numbers = false;
  return MICA_OK;
}

static mica_status fill_category(csv_reader *r, csv_column *column, const mica_csv_field *field,
                                 int32_t *out) {
  int64_t index = -1;
  mica_status status = MICA_OK;
  if (!field->missing && column->own != NULL)
    status = mica_vocabulary_add(column->own, field->text, field->size, &index, r->error);
  else if (!field->missing)
    index = mica_vocabulary_find(column->vocabulary, field->text, field->size);
  *out = (int32_t)index;
  return status;
}

static mica_status fill_field(csv_reader *r, csv_column *column, int64_t row,
                              const mica_csv_field *field) {
  void *data = mica_tensor_mutable_data(column->tensor);
  double number = NAN;
  if (column->kind == MICA_CSV_SKIP) return MICA_OK;
  if (column->kind == MICA_CSV_CATEGORY)
    return fill_category(r, column, field, (int32_t *)data + row);
  if (column->kind == MICA_CSV_INTEGER) {
    if (field_integer(field, (int64_t *)data + row)) return MICA_OK;
    return mica_error_set(r->error, MICA_DATA_LOSS, "'%.*s' is no whole number",
                          field->size > 60 ? 60 : (int)field->size, field->text);
  }
  if (!field->missing && !field_number(field, &number))
    return mica_error_set(
        r->error, MICA_DATA_LOSS,
        is_too_large(field) ? "the number '%.*s' is too large" : "'%.*s' is no number",
        field->size > 60 ? 60 : (int)field->size, field->text);
  if (column->kind == MICA_CSV_FLOAT)
    ((float *)data)[row] = (float)number;
  else
    ((double *)data)[row] = number;
  return MICA_OK;
}

static mica_status make_columns(csv_reader *r) {
  static const mica_dtype dtypes[] = {[MICA_CSV_FLOAT] = MICA_F32,
                                      [MICA_CSV_DOUBLE] = MICA_F64,
                                      [MICA_CSV_INTEGER] = MICA_I64,
                                      [MICA_CSV_CATEGORY] = MICA_I32};
  for (int32_t i = 0; i < r->csv->count; i++) {
    csv_column *column = &r->csv->columns[i];
    if (column->kind == MICA_CSV_AUTO)
      column->kind = !column->numbers                       ? MICA_CSV_CATEGORY
                     : column->integers && !column->missing ? MICA_CSV_INTEGER
                                                            : MICA_CSV_FLOAT;
    if (column->kind == MICA_CSV_SKIP) continue;
    mica_type type = {dtypes[column->kind], MICA_DIMS(r->csv->rows)};
    mica_status status = mica_tensor_create(NULL, type, NULL, &column->tensor, r->error);
    if (status != MICA_OK) return status;
    if (column->kind != MICA_CSV_CATEGORY || column->vocabulary != NULL) continue;
    column->vocabulary = column->own = mica_vocabulary_create();
    if (column->own == NULL) return csv_memory(r->error);
  }
  return MICA_OK;
}

static mica_status read_csv(csv_reader *r) {
  mica_csv_scan scan;
  mica_csv_scan_begin(&scan, r->text, r->size, r->options);
  mica_status status = MICA_OK;
  if (!mica_csv_scan_row(&scan))
    status = mica_error_set(r->error, MICA_DATA_LOSS, "csv: there is no row");
  if (status == MICA_OK) status = count_columns(r, scan);
  if (status == MICA_OK) status = name_columns(r, &scan);
  if (status == MICA_OK) status = apply_columns(r);
  const char *first = scan.at;
  int64_t line = scan.line, rows = 0;
  if (status == MICA_OK) status = visit_rows(r, &scan, look_at_field, &r->csv->rows);
  if (status == MICA_OK) status = make_columns(r);
  scan.at = first, scan.line = line;
  if (status == MICA_OK) status = visit_rows(r, &scan, fill_field, &rows);
  mica_csv_scan_end(&scan);
  return status;
}

mica_status mica_csv_parse(const void *bytes, size_t byte_size, const mica_csv_options *options,
                           mica_csv **out_csv, mica_error *error) {
  static const mica_csv_options plain = {.struct_size = sizeof plain};
  *out_csv = NULL;
  if (bytes == NULL) return mica_error_set(error, MICA_INVALID, "csv: the bytes are NULL");
  if (options == NULL) options = &plain;
  if ((options->columns == NULL && options->column_count > 0) || options->separator == '"' ||
      options->separator == '\n')
    return mica_error_set(error, MICA_INVALID,
                          "csv: the columns are NULL or the separator is a quote or a line end");
  mica_csv *csv = mica_allocate_zeroed(NULL, 1, sizeof *csv);
  if (csv == NULL) return csv_memory(error);
  mica_arena_init(&csv->arena, NULL);
  csv_reader r = {.csv = csv, .options = options, .text = bytes, .size = byte_size, .error = error};
  mica_status status = read_csv(&r);
  if (status == MICA_OK)
    *out_csv = csv;
  else
    mica_csv_destroy(csv);
  return status;
}

mica_status mica_csv_load(const char *path, const mica_csv_options *options, mica_csv **out_csv,
                          mica_error *error) {
  *out_csv = NULL;
  const void *bytes;
  size_t size;
  if (path == NULL) return mica_error_set(error, MICA_INVALID, "csv: the path is NULL");
  mica_status status = mica_file_status(mica_file_map(path, &bytes, &size), path, "read", error);
  if (status != MICA_OK) return status;
  mica_error inner = {0};
  status = mica_csv_parse(bytes, size, options, out_csv, &inner);
  if (status != MICA_OK) mica_error_set(error, status, "%.300s: %.700s", path, inner.message);
  mica_file_unmap(bytes, size);
  return status;
}

/* ---- what is in it --------------------------------------------------------------------------- */

static const csv_column *column_at(const mica_csv *csv, int32_t index) {
  return csv == NULL || index < 0 || index >= csv->count ? NULL : &csv->columns[index];
}

int64_t mica_csv_row_count(const mica_csv *csv) { return csv == NULL ? 0 : csv->rows; }
int32_t mica_csv_column_count(const mica_csv *csv) { return csv == NULL ? 0 : csv->count; }
const char *mica_csv_name(const mica_csv *csv, int32_t column) {
  const csv_column *found = column_at(csv, column);
  return found == NULL ? NULL : found->name;
}
int32_t mica_csv_index(const mica_csv *csv, const char *name) {
  for (int32_t i = 0; csv != NULL && name != NULL && i < csv->count; i++)
    if (strcmp(csv->columns[i].name, name) == 0) return i;
  return -1;
}
mica_csv_kind mica_csv_column_kind(const mica_csv *csv, int32_t column) {
  const csv_column *found = column_at(csv, column);
  return found == NULL ? MICA_CSV_SKIP : found->kind;
}
mica_tensor *mica_csv_tensor(const mica_csv *csv, int32_t column) {
  const csv_column *found = column_at(csv, column);
  return found == NULL ? NULL : found->tensor;
}
const mica_vocabulary *mica_csv_vocabulary(const mica_csv *csv, int32_t column) {
  const csv_column *found = column_at(csv, column);
  return found == NULL ? NULL : found->vocabulary;
}

mica_status mica_csv_features(const mica_csv *csv, const int32_t *columns, int32_t count,
                              mica_tensor **out_features, mica_error *error) {
  *out_features = NULL;
  if (csv == NULL || columns == NULL || count < 1)
    return mica_error_set(error, MICA_INVALID, "csv: columns are needed");
  for (int32_t i = 0; i < count; i++)
    if (mica_csv_tensor(csv, columns[i]) == NULL)
      return mica_error_set(error, MICA_INVALID, "csv: column %" PRId32 " is missing or skipped",
                            columns[i]);
  mica_type type = {MICA_F32, MICA_DIMS(csv->rows, count)};
  mica_status status = mica_tensor_create(NULL, type, NULL, out_features, error);
  if (status != MICA_OK) return status;
  float *out = mica_tensor_mutable_data(*out_features);
  for (int32_t i = 0; i < count; i++) {
    const csv_column *column = &csv->columns[columns[i]];
    const char *data = mica_tensor_data(column->tensor);
    mica_dtype dtype = mica_tensor_type(column->tensor).dtype;
    size_t item = (size_t)mica_dtype_bits(dtype) / 8;
    for (int64_t row = 0; row < csv->rows && status == MICA_OK; row++)
      status = mica_convert_elements(MICA_F32, out + row * count + i, dtype,
                                     data + (size_t)row * item, 1);
  }
  return status;
}
