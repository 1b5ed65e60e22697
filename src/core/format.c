/* SPDX-License-Identifier: Apache-2.0 */
/* format.c: a tensor as text, laid out as numpy's str() does (numpy/_core/arrayprint.py describes
 * the rules: when to use exponents, how many digits, where to break lines; tests/golden holds its
 * output).
 *
 * Two passes over the elements that are shown: the first measures the columns, the second prints.
 * Nothing is allocated; the text is cut where the caller's buffer ends, and its full length
 * returned. */
#include "core/decimal.h"
#include "core/dtype.h"
#include "core/memory.h"
#include "core/tensor.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>

enum { ELEMENT_TEXT = 160, UNLIMITED = 1000 /* places: more than any float has */ };

/* The column of a real or imaginary part. */
typedef struct {
  bool plus; /* positive numbers get a sign too */
  bool any_finite, any_infinite, any_negative_infinite;
  bool scientific;
  double least, largest; /* magnitudes of finite values but 0 */
  int32_t least_count;   /* significant digits shown at least, when scientific */
  int32_t precision;     /* digits after the point at most; the same everywhere if scientific */
  int32_t left, right;   /* characters before the point, and behind it */
  int32_t exponent_digits;
} float_column;

typedef struct {
  char *text;
  int64_t size, used;   /* of the buffer; characters written or left out */
  int64_t line, spaces; /* characters in this line; of them spaces at its end, not written yet */
  bool pending_space;   /* a separator is due unless the line ends */
  const void *data;
  mica_dtype dtype;
  mica_shape shape;
  int64_t edge, line_width;
  bool summarize;
  float_column real, imaginary;
  int32_t integer_width;
} tensor_printer;

/* ---- output ---------------------------------------------------------------------------------- */

/* Spaces wait for what follows them: before the end of a line they are dropped, as numpy does. */
static void put_char(tensor_printer *printer, char byte) {
  printer->line = byte == '\n' ? 0 : printer->line + 1;
  if (byte == ' ') {
    printer->spaces++;
    return;
  }
  for (; byte != '\n' && printer->spaces > 0; printer->spaces--, printer->used++)
    if (printer->used + 1 < printer->size) printer->text[printer->used] = ' ';
  printer->spaces = 0;
  if (printer->used + 1 < printer->size) printer->text[printer->used] = byte;
  printer->used++;
}

static void put_repeated(tensor_printer *printer, char byte, int64_t count) {
  while (count-- > 0) put_char(printer, byte);
}

/* One element, terminated. */
typedef struct {
  int32_t size;
  char byte[ELEMENT_TEXT];
} element_text;

static void word_repeat(element_text *word, char byte, int32_t count) {
  while (count-- > 0 && word->size < ELEMENT_TEXT - 1) word->byte[word->size++] = byte;
  word->byte[word->size] = '\0';
}

static void word_append(element_text *word, const char *text) {
  for (; *text != '\0'; text++) word_repeat(word, *text, 1);
}

static void word_append_right(element_text *word, const char *text, int32_t width) {
  word_repeat(word, ' ', width - (int32_t)strlen(text));
  word_append(word, text);
}

/* ---- floats ---------------------------------------------------------------------------------- */

static mica_decimal column_digits(const float_column *column, double value, mica_dtype dtype) {
  mica_binary_float exact = mica_binary_float_of(value, dtype);
  if (!column->scientific) return mica_decimal_shortest(exact, 0, column->precision);
  mica_decimal decimal = mica_decimal_shortest(exact, column->least_count, INT32_MAX);
  if (decimal.count <= column->precision + 1) return decimal;
  return mica_decimal_shortest(exact, column->least_count, column->precision + 1 - decimal.point);
}

/* A finite number in parts, not padded: "-12", "5" of -12.5; "-1", "25", '-', 3 of -1.25e-03. */
typedef struct {
  element_text whole, fraction, exponent;
  char exponent_sign;
} number_parts;

static char decimal_place(const mica_decimal *decimal, int32_t index) {
  return index >= 0 && index < decimal->count ? decimal->digit[index] : '0';
}

static number_parts split_number(const float_column *column, double value, mica_dtype dtype) {
  number_parts parts = {{0}, {0}, {0}, '+'};
  mica_decimal decimal = column_digits(column, value, dtype);
  int32_t point = column->scientific ? 1 : decimal.point;
  bool negative = mica_f64_bits(value) >> 63 != 0;
  if (negative || column->plus) word_repeat(&parts.whole, negative ? '-' : '+', 1);
  if (point <= 0) word_repeat(&parts.whole, '0', 1);
  for (int32_t i = 0; i < point; i++) word_repeat(&parts.whole, decimal_place(&decimal, i), 1);
  for (int32_t i = point; i < decimal.count; i++)
    word_repeat(&parts.fraction, decimal_place(&decimal, i), 1);
  if (column->scientific) {
    int32_t exponent = decimal.count == 0 ? 0 : decimal.point - 1;
    char digits[16];
    snprintf(digits, sizeof(digits), "%02" PRId32, exponent < 0 ? -exponent : exponent);
    word_append(&parts.exponent, digits);
    if (exponent < 0) parts.exponent_sign = '-';
  }
  return parts;
}

static void measure_float(float_column *column, double value, mica_dtype dtype) {
  number_parts parts = split_number(column, value, dtype);
  if (parts.whole.size > column->left) column->left = parts.whole.size;
  if (parts.fraction.size > column->right) column->right = parts.fraction.size;
  if (parts.exponent.size > column->exponent_digits) column->exponent_digits = parts.exponent.size;
}

static void observe_float(float_column *column, double value) {
  double magnitude = value < 0 ? -value : value;
  if (magnitude != magnitude || magnitude > DBL_MAX) {
    column->any_infinite = true;
    if (value < 0) column->any_negative_infinite = true;
    return;
  }
  column->any_finite = true;
  if (magnitude == 0) return;
  if (column->least == 0 || magnitude < column->least) column->least = magnitude;
  if (magnitude > column->largest) column->largest = magnitude;
}

/* After all values were observed: whether the column uses exponents. numpy derives the upper limit
 * from the digits that the dtype has. */
static void choose_notation(float_column *column, mica_dtype dtype) {
  double limit = dtype == MICA_F64 ? 1e8 : dtype == MICA_F32 ? 1e6 : 1e3;
  column->scientific = column->largest != 0 && (column->largest >= limit || column->least < 1e-4 ||
                                                column->largest / column->least > 1000);
}

/* After all values were measured: the widths that also hold "nan" and "inf". */
static void finish_column(float_column *column) {
  int32_t behind_point = column->right;
  if (column->scientific) {
    column->precision = column->right;
    column->least_count = column->right + 1;
    behind_point = column->exponent_digits + 2 + column->right;
  }
  if (column->any_infinite) {
    int32_t width = 3 + (column->plus || column->any_negative_infinite ? 1 : 0);
    if (width - behind_point - 1 > column->left) column->left = width - behind_point - 1;
  }
  column->right = behind_point;
}

static void append_float(element_text *word, const float_column *column, double value,
                         mica_dtype dtype) {
  if (value - value != 0) {
    element_text name = {0};
    word_append(&name, value < 0 ? "-" : column->plus ? "+" : "");
    word_append(&name, value != value ? "nan" : "inf");
    word_append_right(word, name.byte, column->left + 1 + column->right);
    return;
  }
  number_parts parts = split_number(column, value, dtype);
  word_append_right(word, parts.whole.byte, column->left);
  word_append(word, ".");
  word_append(word, parts.fraction.byte);
  if (column->scientific) {
    /* The fraction is padded with zeros to the column's precision, the exponent to its digits. */
    word_repeat(word, '0', column->precision - parts.fraction.size);
    word_repeat(word, 'e', 1);
    word_repeat(word, parts.exponent_sign, 1);
    word_repeat(word, '0', column->exponent_digits - parts.exponent.size);
    word_append(word, parts.exponent.byte);
  } else {
    word_repeat(word, ' ', column->right - parts.fraction.size);
  }
}

/* ---- elements -------------------------------------------------------------------------------- */

/* The dtype whose neighbors decide how many digits a part needs. */
static mica_dtype part_dtype(mica_dtype dtype) {
  return dtype == MICA_C64 ? MICA_F32 : dtype == MICA_C128 ? MICA_F64 : dtype;
}

static void integer_digits(mica_element element, char out[32]) {
  if (element.kind == MICA_ELEMENT_UNSIGNED)
    snprintf(out, 32, "%" PRIu64, element.u64);
  else
    snprintf(out, 32, "%" PRId64, element.i64);
}

static void append_complex(element_text *word, const tensor_printer *printer,
                           mica_element element) {
  element_text imaginary = {0};
  mica_dtype part = part_dtype(printer->dtype);
  append_float(word, &printer->real, element.f64, part);
  append_float(&imaginary, &printer->imaginary, element.imaginary, part);
  /* The unit follows the digits, before the padding. */
  int32_t digits = imaginary.size;
  while (digits > 0 && imaginary.byte[digits - 1] == ' ') imaginary.byte[--digits] = '\0';
  word_append(word, imaginary.byte);
  word_repeat(word, 'j', 1);
  word_repeat(word, ' ', imaginary.size - digits);
}

static element_text element_word(const tensor_printer *printer, int64_t index) {
  element_text word = {0};
  mica_element element = mica_element_load(printer->dtype, printer->data, index);
  if (printer->dtype == MICA_BOOL) {
    word_append(&word, element.i64 != 0 ? " True" : "False");
  } else if (element.kind == MICA_ELEMENT_COMPLEX) {
    append_complex(&word, printer, element);
  } else if (element.kind == MICA_ELEMENT_FLOAT) {
    append_float(&word, &printer->real, element.f64, printer->dtype);
  } else {
    char digits[32];
    integer_digits(element, digits);
    word_append_right(&word, digits, printer->integer_width);
  }
  return word;
}

/* ---- walking --------------------------------------------------------------------------------- */

typedef enum { PASS_OBSERVE, PASS_MEASURE } measure_pass;

static bool axis_is_summarized(const tensor_printer *printer, int32_t axis) {
  return printer->summarize && printer->shape.dim[axis] / 2 >= printer->edge &&
         printer->shape.dim[axis] > 2 * printer->edge;
}

/* The index that is shown after `index`. */
static int64_t next_shown(const tensor_printer *printer, int32_t axis, int64_t index) {
  bool jump = axis_is_summarized(printer, axis) && index + 1 == printer->edge;
  return jump ? printer->shape.dim[axis] - printer->edge : index + 1;
}

static void measure_axis(tensor_printer *printer, measure_pass pass, int32_t axis, int64_t offset) {
  if (axis < printer->shape.rank) {
    int64_t dim = printer->shape.dim[axis];
    for (int64_t i = 0; i < dim; i = next_shown(printer, axis, i))
      measure_axis(printer, pass, axis + 1, offset * dim + i);
    return;
  }
  mica_element element = mica_element_load(printer->dtype, printer->data, offset);
  if (element.kind < MICA_ELEMENT_FLOAT) {
    char digits[32];
    integer_digits(element, digits);
    int32_t width = (int32_t)strlen(digits);
    if (width > printer->integer_width) printer->integer_width = width;
    return;
  }
  bool complex = element.kind == MICA_ELEMENT_COMPLEX;
  mica_dtype part = part_dtype(printer->dtype);
  if (pass == PASS_OBSERVE) {
    observe_float(&printer->real, element.f64);
    if (complex) observe_float(&printer->imaginary, element.imaginary);
  } else {
    if (element.f64 - element.f64 == 0) measure_float(&printer->real, element.f64, part);
    if (complex && element.imaginary - element.imaginary == 0)
      measure_float(&printer->imaginary, element.imaginary, part);
  }
}

static void measure_columns(tensor_printer *printer) {
  measure_axis(printer, PASS_OBSERVE, 0, 0);
  if (mica_dtype_element_class(printer->dtype) < MICA_ELEMENT_FLOAT) return;
  choose_notation(&printer->real, part_dtype(printer->dtype));
  choose_notation(&printer->imaginary, part_dtype(printer->dtype));
  measure_axis(printer, PASS_MEASURE, 0, 0);
  finish_column(&printer->real);
  finish_column(&printer->imaginary);
}

/* A word of the innermost axis, on a new line if it would not fit and that helps. */
static void put_word(tensor_printer *printer, const char *word) {
  int64_t indent = printer->shape.rank;
  int64_t line = printer->line + (printer->pending_space ? 1 : 0);
  if (line + (int64_t)strlen(word) > printer->line_width - indent && line > indent) {
    put_char(printer, '\n');
    put_repeated(printer, ' ', indent);
  } else if (printer->pending_space) {
    put_char(printer, ' ');
  }
  for (; *word != '\0'; word++) put_char(printer, *word);
  printer->pending_space = true;
}

static void print_axis(tensor_printer *printer, int32_t axis, int64_t offset) {
  int64_t dim = printer->shape.dim[axis];
  bool innermost = axis + 1 == printer->shape.rank;
  put_char(printer, '[');
  printer->pending_space = false;
  for (int64_t i = 0, next; i < dim; i = next) {
    next = next_shown(printer, axis, i);
    if (innermost) {
      put_word(printer, element_word(printer, offset * dim + i).byte);
    } else {
      print_axis(printer, axis + 1, offset * dim + i);
    }
    bool dots = next > i + 1;
    if (innermost && dots) put_word(printer, "...");
    for (int line = 0; !innermost && line < (dots ? 2 : 1) && next < dim; line++) {
      put_repeated(printer, '\n', printer->shape.rank - axis - 1);
      put_repeated(printer, ' ', axis + 1);
      if (dots && line == 0)
        for (int dot = 0; dot < 3; dot++) put_char(printer, '.');
    }
  }
  put_char(printer, ']');
  printer->pending_space = false;
}

/* Numbers stand alone: "1.0", "-0.25", "1e+20"; complex ones as "(1+0.5j)". */
static void print_scalar(tensor_printer *printer) {
  float_column *columns[] = {&printer->real, &printer->imaginary};
  bool complex = mica_dtype_is_complex(printer->dtype);
  for (int i = 0; i < 2; i++) columns[i]->precision = UNLIMITED;
  measure_axis(printer, PASS_OBSERVE, 0, 0);
  for (int i = 0; i < 2; i++) {
    double largest = columns[i]->largest;
    columns[i]->scientific = largest != 0 && (largest >= 1e16 || largest < 1e-4);
  }
  if (mica_dtype_element_class(printer->dtype) >= MICA_ELEMENT_FLOAT)
    measure_axis(printer, PASS_MEASURE, 0, 0);
  for (int i = 0; i < 2; i++) finish_column(columns[i]);
  element_text word = element_word(printer, 0);
  if (complex) put_char(printer, '(');
  for (const char *at = word.byte; *at != '\0'; at++) {
    if (*at == ' ') continue;
    bool bare_point = *at == '.' && (at[1] < '0' || at[1] > '9');
    bool kept = at[1] == '\0' && !complex;
    if (bare_point && !kept) continue;
    put_char(printer, *at);
    if (bare_point) put_char(printer, '0');
  }
  if (complex) put_char(printer, ')');
}

static mica_format_options resolve_options(const mica_format_options *given) {
  mica_format_options options;
  mica_copy_options(&options, sizeof(options), given);
  if (options.precision == 0) options.precision = 4;
  if (options.precision < 0) options.precision = UNLIMITED;
  if (options.threshold <= 0) options.threshold = 1000;
  if (options.edge_items <= 0) options.edge_items = 3;
  if (options.line_width <= 0) options.line_width = 75;
  return options;
}

int64_t mica_tensor_format(const mica_tensor *tensor, const mica_format_options *given, char *text,
                           size_t size) {
  mica_format_options options = resolve_options(given);
  tensor_printer printer = {.text = text,
                            .size = (int64_t)(size < PTRDIFF_MAX ? size : PTRDIFF_MAX),
                            .edge = options.edge_items,
                            .line_width = options.line_width,
                            .real = {.precision = options.precision},
                            .imaginary = {.precision = options.precision, .plus = true}};
  mica_tensor_view view = {0};
  const char *instead = tensor == NULL ? "(no tensor)" : NULL;
  if (tensor != NULL && mica_tensor_view_begin(tensor, &view, NULL) != MICA_OK)
    instead = "(unreadable)";
  if (instead != NULL) {
    for (; *instead != '\0'; instead++) put_char(&printer, *instead);
  } else {
    printer.data = view.data;
    printer.dtype = tensor->type.dtype;
    printer.shape = tensor->type.shape;
    int64_t count = mica_shape_count(printer.shape);
    printer.summarize = count > options.threshold;
    if (count == 0) {
      put_char(&printer, '[');
      put_char(&printer, ']');
    } else if (printer.shape.rank == 0) {
      print_scalar(&printer);
    } else {
      measure_columns(&printer);
      print_axis(&printer, 0, 0);
    }
    mica_tensor_view_end(tensor, &view);
  }
  if (printer.size > 0) text[printer.used < printer.size ? printer.used : printer.size - 1] = '\0';
  return printer.used;
}
