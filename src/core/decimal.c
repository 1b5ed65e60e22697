/* SPDX-License-Identifier: Apache-2.0 */
/* decimal.c: binary floats to and from decimal, exactly, by integers of up to 2,700 bits.
 *
 * The C library's functions depend on the locale, print more digits than needed or need several
 * tries. Printing: Burger and Dybvig, "Printing floating-point numbers quickly and accurately",
 * PLDI 1996, the free-format algorithm. Reading: the decimal as a quotient of two integers, divided
 * bit by bit. Both have a short cut for the numbers that people write; the others take some
 * microseconds. */
#include "core/decimal.h"

#include "core/dtype.h"
#include "core/memory.h"
#include "core/text.h"

#include <float.h>

enum {
  BIG_WORDS = 88,    /* 2816 bits: 5^1100 has 2555, a decimal of 770 digits 2558 */
  SIGNIFICANT = 768, /* digits that can decide a rounding; of the rest only "not zero" matters */
  POINT_LIMIT = 400, /* decimals from 10^400 on are infinite, below 10^-400 zero */
  EXACT_TENS = 22    /* the largest power of ten that is a double */
};

/* Little-endian; count has no leading zero word. */
typedef struct {
  int32_t count;
  uint32_t word[BIG_WORDS];
} big_integer;

static const double exact_ten[EXACT_TENS + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- big integers ---------------------------------------------------------------------------- */

static void big_set(big_integer *big, uint64_t value) {
  big->word[0] = (uint32_t)value;
  big->word[1] = (uint32_t)(value >> 32);
  big->count = value == 0 ? 0 : value >> 32 == 0 ? 1 : 2;
}

/* big = big * factor + addend. The callers' bounds keep the result inside; a carry out would be
 * lost. */
static void big_multiply_add(big_integer *big, uint32_t factor, uint32_t addend) {
  uint64_t carry = addend;
  for (int32_t i = 0; i < big->count; i++) {
    carry += (uint64_t)big->word[i] * factor;
    big->word[i] = (uint32_t)carry;
    carry >>= 32;
  }
  if (carry != 0 && big->count < BIG_WORDS) big->word[big->count++] = (uint32_t)carry;
}

static void big_multiply_power_of_5(big_integer *big, int32_t exponent) {
  for (; exponent >= 13; exponent -= 13) big_multiply_add(big, 1220703125, 0);
  uint32_t rest = 1;
  while (exponent-- > 0) rest *= 5;
  if (rest != 1) big_multiply_add(big, rest, 0);
}

static void big_shift_left(big_integer *big, int32_t bits) {
  int32_t words = bits / 32, shift = bits % 32;
  if (big->count == 0 || bits == 0) return;
  uint32_t carry = 0;
  if (shift > 0) {
    for (int32_t i = 0; i < big->count; i++) {
      uint32_t word = big->word[i];
      big->word[i] = word << shift | carry;
      carry = word >> (32 - shift);
    }
    if (carry != 0 && big->count < BIG_WORDS) big->word[big->count++] = carry;
  }
  if (words == 0 || big->count + words > BIG_WORDS) return;
  memmove(big->word + words, big->word, (size_t)big->count * sizeof(uint32_t));
  memset(big->word, 0, (size_t)words * sizeof(uint32_t));
  big->count += words;
}

static int big_compare(const big_integer *a, const big_integer *b) {
  if (a->count != b->count) return a->count < b->count ? -1 : 1;
  for (int32_t i = a->count - 1; i >= 0; i--)
    if (a->word[i] != b->word[i]) return a->word[i] < b->word[i] ? -1 : 1;
  return 0;
}

/* a -= b, where a >= b. */
static void big_subtract(big_integer *a, const big_integer *b) {
  uint64_t borrow = 0;
  for (int32_t i = 0; i < a->count; i++) {
    uint64_t taken = (i < b->count ? b->word[i] : 0) + borrow;
    borrow = a->word[i] < taken;
    a->word[i] = (uint32_t)(a->word[i] - taken);
  }
  while (a->count > 0 && a->word[a->count - 1] == 0) a->count--;
}

/* Compares a + b with c. */
static int big_compare_sum(const big_integer *a, const big_integer *b, const big_integer *c) {
  big_integer sum = *a;
  if (sum.count < b->count) {
    memset(sum.word + sum.count, 0, (size_t)(b->count - sum.count) * sizeof(uint32_t));
    sum.count = b->count;
  }
  uint64_t carry = 0;
  for (int32_t i = 0; i < sum.count; i++) {
    carry += (uint64_t)sum.word[i] + (i < b->count ? b->word[i] : 0);
    sum.word[i] = (uint32_t)carry;
    carry >>= 32;
  }
  if (carry != 0 && sum.count < BIG_WORDS) sum.word[sum.count++] = (uint32_t)carry;
  return big_compare(&sum, c);
}

static int32_t big_bits(const big_integer *big) {
  if (big->count == 0) return 0;
  return 32 * big->count - __builtin_clz(big->word[big->count - 1]);
}

/* ---- printing -------------------------------------------------------------------------------- */

mica_binary_float mica_binary_float_of(double value, mica_dtype dtype) {
  static const struct {
    mica_dtype dtype;
    int32_t mantissa_bits, least_exponent; /* of the last bit of a denormal */
  } formats[] = {{MICA_F64, 52, -1074}, {MICA_F32, 23, -149},   {MICA_F16, 10, -24},
                 {MICA_BF16, 7, -133},  {MICA_F8E4M3FN, 3, -9}, {MICA_F8E5M2, 2, -16}};
  size_t row = 0;
  while (row + 1 < sizeof(formats) / sizeof(formats[0]) && formats[row].dtype != dtype) row++;
  if (formats[row].dtype != dtype) row = 0;
  uint64_t bits = mica_f64_bits(value), mantissa = bits & 0xFFFFFFFFFFFFF;
  int32_t exponent = (int32_t)(bits >> 52 & 0x7FF) - 1075;
  if (exponent == -1075)
    exponent = -1074;
  else
    mantissa |= UINT64_C(1) << 52;
  if (mantissa == 0) return (mica_binary_float){0};
  /* The unit of the narrow format's last place; f64 has at least as many bits, the lower ones 0. */
  int32_t unit = exponent + 52 - formats[row].mantissa_bits;
  if (unit < formats[row].least_exponent) unit = formats[row].least_exponent;
  for (; exponent < unit; exponent++) mantissa >>= 1;
  bool power = mantissa == UINT64_C(1) << formats[row].mantissa_bits;
  return (mica_binary_float){.mantissa = mantissa,
                             .exponent = exponent,
                             .lower_is_closer = power && exponent > formats[row].least_exponent};
}

/* r / s = value / 10^point, and half of the distances to both neighbors in units of 1 / s. */
typedef struct {
  big_integer r, s, above, below;
} digit_state;

static void digit_state_ten_times(digit_state *state) {
  big_multiply_add(&state->r, 10, 0);
  big_multiply_add(&state->above, 10, 0);
  big_multiply_add(&state->below, 10, 0);
}

/* Sets the state so that the next digit is floor(10 r / s); returns point. */
static int32_t digit_state_begin(digit_state *state, mica_binary_float value, bool even) {
  /* Doubled, so that half distances are integers; doubled again where the lower one is half as
   * long. */
  int32_t scale = value.lower_is_closer ? 2 : 1, exponent = value.exponent;
  big_set(&state->r, value.mantissa);
  big_set(&state->s, 1);
  big_set(&state->above, 1);
  big_set(&state->below, 1);
  big_shift_left(&state->r, scale + (exponent > 0 ? exponent : 0));
  big_shift_left(&state->s, scale + (exponent < 0 ? -exponent : 0));
  big_shift_left(&state->above, scale - 1 + (exponent > 0 ? exponent : 0));
  big_shift_left(&state->below, exponent > 0 ? exponent : 0);
  /* An estimate that is never too large, from log10(2) = 0.3010299957: too small by one or two. */
  int32_t bits = exponent + 64 - __builtin_clzll(value.mantissa) - 1;
  int32_t point = bits >= 0 ? bits * 30102 / 100000 + 1 : -(-bits * 30103 / 100000);
  if (point >= 0) {
    big_multiply_power_of_5(&state->s, point);
    big_shift_left(&state->s, point);
  } else {
    big_integer *raised[] = {&state->r, &state->above, &state->below};
    for (int i = 0; i < 3; i++) {
      big_multiply_power_of_5(raised[i], -point);
      big_shift_left(raised[i], -point);
    }
  }
  for (;;) {
    int order = big_compare_sum(&state->r, &state->above, &state->s);
    if (order < 0 || (order == 0 && !even)) return point;
    big_multiply_add(&state->s, 10, 0);
    point++;
  }
}

/* Adds one to the last digit; a carry through all of them leaves a single 1. */
static void decimal_round_up(mica_decimal *decimal) {
  while (decimal->count > 0 && decimal->digit[decimal->count - 1] == '9') decimal->count--;
  if (decimal->count > 0) {
    decimal->digit[decimal->count - 1]++;
    return;
  }
  decimal->digit[decimal->count++] = '1';
  decimal->point++;
}

static void decimal_strip_zeros(mica_decimal *decimal) {
  while (decimal->count > 0 && decimal->digit[decimal->count - 1] == '0') decimal->count--;
  if (decimal->count == 0) decimal->point = 0;
}

mica_decimal mica_decimal_shortest(mica_binary_float value, int32_t least_count,
                                   int32_t last_place) {
  mica_decimal decimal = {0};
  if (value.mantissa == 0) return decimal;
  bool even =
      value.mantissa % 2 == 0; /* then the bounds of the interval themselves read back as value */
  digit_state state;
  decimal.point = digit_state_begin(&state, value, even);
  /* A value that begins past the last place rounds to 0 or to one unit of that place. */
  if (decimal.point < -(int64_t)last_place) return (mica_decimal){0};
  if (decimal.point == -(int64_t)last_place) {
    big_shift_left(&state.r, 1);
    if (big_compare(&state.r, &state.s) <= 0) return (mica_decimal){0};
    decimal_round_up(&decimal);
    return decimal;
  }
  for (;;) {
    digit_state_ten_times(&state);
    int digit = 0;
    for (; big_compare(&state.r, &state.s) >= 0; digit++) big_subtract(&state.r, &state.s);
    decimal.digit[decimal.count++] = (char)('0' + digit);
    int low_order = big_compare(&state.r, &state.below);
    int high_order = big_compare_sum(&state.r, &state.above, &state.s);
    bool low = low_order < 0 || (even && low_order == 0);
    bool high = high_order > 0 || (even && high_order == 0);
    bool last =
        decimal.count - decimal.point >= (int64_t)last_place || decimal.count == MICA_DECIMAL_LIMIT;
    if (!last && ((!low && !high) || decimal.count < least_count)) continue;
    bool up = high && !low;
    if (low ==
        high) { /* both neighbors' sides would do, or the place is the last: the nearest wins */
      big_shift_left(&state.r, 1);
      int order = big_compare(&state.r, &state.s);
      up = order > 0 || (order == 0 && digit % 2 == 1);
    }
    if (up) decimal_round_up(&decimal);
    decimal_strip_zeros(&decimal);
    return decimal;
  }
}

/* The digits of a positive double that is an integer below 10^15 over a power of ten: what people
 * write. Such a quotient reads back as the value if dividing gives it, both operands being
 * exact. */
static bool decimal_short_cut(double value, mica_decimal *decimal) {
  if (value >= 1e15 || value < 1e-5) return false;
  for (int32_t places = 0; places <= EXACT_TENS; places++) {
    double scaled = value * exact_ten[places];
    if (scaled >= 1e15) return false;
    int64_t integer = (int64_t)(scaled + 0.5);
    if ((double)integer / exact_ten[places] != value) continue;
    char reversed[20];
    int32_t count = 0;
    for (; integer > 0; integer /= 10) reversed[count++] = (char)('0' + integer % 10);
    decimal->count = count;
    decimal->point = count - places;
    for (int32_t i = 0; i < count; i++) decimal->digit[i] = reversed[count - 1 - i];
    decimal_strip_zeros(decimal);
    return true;
  }
  return false;
}

typedef struct {
  int32_t used;
  char byte[64];
} short_text;

static void put_zeros(short_text *text, int32_t count) {
  while (count-- > 0) text->byte[text->used++] = '0';
}

static void put_digits(short_text *text, const mica_decimal *decimal, int32_t from, int32_t to) {
  while (from < to) text->byte[text->used++] = decimal->digit[from++];
}

/* As Python writes floats, but without ".0": plain between 0.0001 and 10^16, else with an
 * exponent. */
static void put_decimal(short_text *text, const mica_decimal *decimal) {
  int32_t count = decimal->count, point = decimal->point;
  if (count == 0) {
    put_zeros(text, 1);
  } else if (point <= -4 || point > 16) {
    put_digits(text, decimal, 0, 1);
    if (count > 1) text->byte[text->used++] = '.';
    put_digits(text, decimal, 1, count);
    int32_t exponent = point - 1, magnitude = exponent < 0 ? -exponent : exponent;
    text->byte[text->used++] = 'e';
    text->byte[text->used++] = exponent < 0 ? '-' : '+';
    if (magnitude >= 100) text->byte[text->used++] = (char)('0' + magnitude / 100);
    text->byte[text->used++] = (char)('0' + magnitude / 10 % 10);
    text->byte[text->used++] = (char)('0' + magnitude % 10);
  } else if (point <= 0) {
    put_zeros(text, 1);
    text->byte[text->used++] = '.';
    put_zeros(text, -point);
    put_digits(text, decimal, 0, count);
  } else {
    put_digits(text, decimal, 0, point < count ? point : count);
    put_zeros(text, point - count);
    if (point < count) text->byte[text->used++] = '.';
    put_digits(text, decimal, point, count);
  }
}

int mica_format_double_rounded(double value, int32_t digits, char *out, size_t size) {
  short_text text = {0};
  double magnitude = value < 0 ? -value : value;
  if (value == value && mica_f64_bits(value) >> 63 != 0) text.byte[text.used++] = '-';
  if (value != value || magnitude > DBL_MAX) {
    memcpy(text.byte + text.used, value != value ? "nan" : "inf", 3);
    text.used += 3;
  } else {
    mica_decimal decimal = {0};
    if (magnitude != 0 && !decimal_short_cut(magnitude, &decimal))
      decimal = mica_decimal_shortest(mica_binary_float_of(magnitude, MICA_F64), 0, INT32_MAX);
    if (decimal.count > digits)
      decimal = mica_decimal_shortest(mica_binary_float_of(magnitude, MICA_F64), 0,
                                      digits - decimal.point);
    put_decimal(&text, &decimal);
  }
  if (size > 0) {
    size_t kept = (size_t)text.used < size ? (size_t)text.used : size - 1;
    memcpy(out, text.byte, kept);
    out[kept] = '\0';
  }
  return text.used;
}

int mica_format_double(double value, char *out, size_t size) {
  return mica_format_double_rounded(value, INT32_MAX, out, size);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* digit[0] digit[1] ... * 10^exponent. Leading zeros are left out; of digits beyond SIGNIFICANT
 * only a 1 remains if any of them was not zero. */
typedef struct {
  int32_t count;
  bool dropped; /* a digit that is not zero */
  int64_t exponent;
  char digit[SIGNIFICANT + 1];
} long_decimal;

static void long_decimal_append(long_decimal *decimal, char digit, bool fraction) {
  if (decimal->count == 0 && digit == '0') {
    decimal->exponent -= fraction;
  } else if (decimal->count < SIGNIFICANT) {
    decimal->digit[decimal->count++] = digit;
    decimal->exponent -= fraction;
  } else {
    decimal->dropped = decimal->dropped || digit != '0';
    decimal->exponent += !fraction;
  }
}

/* Rounds numerator / denominator * 2^exponent to the nearest double, ties to even. */
static double big_quotient(big_integer *numerator, big_integer *denominator, int32_t exponent) {
  int32_t shift = big_bits(numerator) - big_bits(denominator);
  big_shift_left(denominator, shift > 0 ? shift : 0);
  big_shift_left(numerator, shift < 0 ? -shift : 0);
  exponent += shift;
  if (big_compare(numerator, denominator) < 0) {
    big_shift_left(numerator, 1);
    exponent--;
  }
  /* Now 1 <= numerator / denominator < 2; denormals have fewer bits. */
  int32_t bits = exponent >= -1022 ? 53 : 1075 + exponent;
  if (bits < 0) return 0;
  if (exponent > 1023) return mica_f64_from_bits(UINT64_C(0x7FF) << 52);
  uint64_t mantissa = 0;
  for (int32_t i = 0; i < bits; i++) {
    bool one = big_compare(numerator, denominator) >= 0;
    if (one) big_subtract(numerator, denominator);
    mantissa = mantissa << 1 | one;
    big_shift_left(numerator, 1);
  }
  int order = big_compare(numerator, denominator);
  if (order > 0 || (order == 0 && mantissa % 2 == 1)) mantissa++;
  /* The mantissa's implicit bit, or a carry into it, counts the exponent up by itself. */
  uint64_t below = exponent >= -1022 ? (uint64_t)(exponent + 1022) << 52 : 0;
  return mica_f64_from_bits(below + mantissa);
}

static double long_decimal_value(long_decimal *decimal) {
  while (!decimal->dropped && decimal->count > 0 && decimal->digit[decimal->count - 1] == '0') {
    decimal->count--;
    decimal->exponent++;
  }
  if (decimal->dropped) {
    decimal->digit[decimal->count++] = '1';
    decimal->exponent--;
  }
  if (decimal->count == 0) return 0;
  int64_t point = decimal->count + decimal->exponent;
  if (point > POINT_LIMIT) return mica_f64_from_bits(UINT64_C(0x7FF) << 52);
  if (point < -POINT_LIMIT) return 0;
  int32_t exponent = (int32_t)decimal->exponent, places = exponent < 0 ? -exponent : exponent;
  if (decimal->count <= 15 && places <= EXACT_TENS) {
    /* Both operands are exact, so the result is rounded once (Clinger, PLDI 1990). */
    int64_t integer = 0;
    for (int32_t i = 0; i < decimal->count; i++) integer = integer * 10 + (decimal->digit[i] - '0');
    return exponent < 0 ? (double)integer / exact_ten[places] : (double)integer * exact_ten[places];
  }
  big_integer numerator, denominator;
  big_set(&numerator, 0);
  big_set(&denominator, 1);
  for (int32_t i = 0; i < decimal->count;) {
    uint32_t chunk = 0, scale = 1;
    for (; scale < 1000000000 && i < decimal->count; scale *= 10, i++)
      chunk = chunk * 10 + (uint32_t)(decimal->digit[i] - '0');
    big_multiply_add(&numerator, scale, chunk);
  }
  big_multiply_power_of_5(exponent < 0 ? &denominator : &numerator, places);
  return big_quotient(&numerator, &denominator, exponent);
}

static bool is_digit(const char *cursor, const char *end) {
  return cursor < end && *cursor >= '0' && *cursor <= '9';
}

static bool take_word(const char **cursor, const char *end, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(end - *cursor) < length || memcmp(*cursor, word, length) != 0) return false;
  *cursor += length;
  return true;
}

/* e or E, a sign and digits; *cursor stays where it is when they are not all there. */
static int64_t take_exponent(const char **cursor, const char *end) {
  const char *at = *cursor;
  if (at == end || (*at != 'e' && *at != 'E')) return 0;
  at++;
  bool negative = at < end && *at == '-';
  if (at < end && (*at == '-' || *at == '+')) at++;
  if (!is_digit(at, end)) return 0;
  int64_t exponent = 0;
  for (; is_digit(at, end); at++)
    if (exponent < INT64_MAX / 100) exponent = exponent * 10 + (*at - '0');
  *cursor = at;
  return negative ? -exponent : exponent;
}

bool mica_parse_double(const char **cursor, const char *end, double *out) {
  const char *at = *cursor;
  bool negative = at < end && *at == '-';
  if (negative) at++;
  double value;
  if (take_word(&at, end, "inf")) {
    value = mica_f64_from_bits(UINT64_C(0x7FF) << 52);
  } else if (!negative && take_word(&at, end, "nan")) {
    value = mica_f64_from_bits(UINT64_C(0x7FF8) << 48);
  } else {
    long_decimal decimal;
    decimal.count = 0;
    decimal.dropped = false;
    decimal.exponent = 0;
    bool any = is_digit(at, end);
    for (; is_digit(at, end); at++) long_decimal_append(&decimal, *at, false);
    if (at < end && *at == '.' && (any || is_digit(at + 1, end))) {
      at++;
      any = any || is_digit(at, end);
      for (; is_digit(at, end); at++) long_decimal_append(&decimal, *at, true);
    }
    if (!any) return false;
    decimal.exponent += take_exponent(&at, end);
    value = long_decimal_value(&decimal);
    if (value > DBL_MAX) return false;
  }
  *cursor = at;
  *out = negative ? -value : value;
  return true;
}

bool mica_parse_i64(const char **cursor, const char *end, int64_t *out) {
  const char *at = *cursor;
  bool negative = at < end && *at == '-';
  if (negative) at++;
  if (!is_digit(at, end)) return false;
  int64_t value = 0; /* counted downwards, where INT64_MIN has room */
  for (; is_digit(at, end); at++)
    if (!mica_i64_multiply(value, 10, &value) || !mica_i64_add(value, -(*at - '0'), &value))
      return false;
  if (!negative && value == INT64_MIN) return false;
  *cursor = at;
  *out = negative ? value : -value;
  return true;
}
