/* SPDX-License-Identifier: Apache-2.0 */
/* Fourier transforms and signals: types and messages. */
#include "unit/graph/ops_testing.h"

#include <math.h>

#define C64(...) input(g, MICA_C64, MICA_DIMS(__VA_ARGS__))

TEST(fft_types) {
  CHECK_TYPE(mica_fft(C64(2, 8)), "c64[2, 8]");
  CHECK_TYPE(mica_fft(F32(2, 8)), "c64[2, 8]");
  CHECK_TYPE(mica_ifft(input(g, MICA_F64, MICA_DIMS(3)), .length = {5}), "c128[5]");
  CHECK_TYPE(mica_fft(C64(2, 3, 4, 5, 6), .axes = MICA_ALL), "c64[2, 3, 4, 5, 6]");
  CHECK_TYPE(mica_fft(C64(0, 4)), "c64[0, 4]");
  CHECK_TYPE(mica_rfft(F32(2, 8)), "c64[2, 5]");
  CHECK_TYPE(mica_rfft(F32(9, 2), .axes = MICA_AXES(0)), "c64[5, 2]");
  CHECK_TYPE(
      mica_rfft(input(g, MICA_F64, MICA_DIMS(4, 6)), .axes = MICA_AXES(1, 0), .length = {3, 7}),
      "c128[4, 3]");
  CHECK_TYPE(mica_irfft(C64(2, 5)), "f32[2, 8]");
  CHECK_TYPE(mica_irfft(C64(2, 5), .length = {9}), "f32[2, 9]");
  CHECK_TYPE(mica_irfft(F32(4, 3), .axes = MICA_AXES(1, 0)), "f32[6, 3]");
  CHECK_TYPE(mica_fftshift(I32(3, 4), MICA_ALL), "i32[3, 4]");
  CHECK_TYPE(mica_ifftshift(SCALAR(F32), MICA_ALL), "f32[]");
  CHECK_TYPE(mica_fftfreq(g, MICA_F32, 5, 0.1), "f32[5]");
  CHECK_TYPE(mica_rfftfreq(g, MICA_F64, 5, 0.1), "f64[3]");
}

TEST(fft_messages) {
  CHECK_FAILS(mica_fft(I32(4)), "fft(i32[4])", "dtype i32 is not supported",
              "expected c64, c128, f32 or f64");
  CHECK_FAILS(mica_rfft(C64(4)), "rfft(c64[4])", "expected f32 or f64");
  CHECK_FAILS(mica_fft(SCALAR(F32)), "fft(f32[])", "axis -1 does not exist");
  CHECK_FAILS(mica_fft(SCALAR(C64), .axes = MICA_ALL), "a scalar has no axes");
  CHECK_FAILS(mica_fft(C64(4, 4), .axes = MICA_AXES(0, -2)), "fft(c64[4, 4])", "twice");
  CHECK_FAILS(mica_fft(C64(4, 4), .length = {2, 3}), "length[1] is 3", "for each listed axis");
  CHECK_FAILS(mica_fft(C64(4), .length = {-1}), "length[0] is -1");
  CHECK_FAILS(mica_fft(C64(4, 0)), "the length along axis 1 would be 0", "expected at least 1");
  CHECK_FAILS(mica_irfft(C64(1)), "irfft(c64[1])", "would be 0");
  CHECK_FAILS(mica_fft(C64(4), .norm = (mica_fft_norm)7), "norm 7 is unknown");
  CHECK_FAILS(mica_fftshift(F32(2), MICA_AXES(1)), "fftshift(f32[2])", "axis 1 does not exist");
  CHECK_FAILS(mica_fftfreq(g, MICA_F32, 0, 1), "fftfreq", "expected n >= 1");
  CHECK_FAILS(mica_rfftfreq(g, MICA_I32, 4, 1), "rfftfreq", "dtype i32");
  CHECK_FAILS(mica_rfftfreq(g, MICA_F32, 4, 0), "spacing 0");
  CHECK_FAILS(
      mica_build_operator(g, "fft", (mica_value[]){F32(4)}, 1, "kind=fft, lengths=[4], scale=1"),
      "fft(f32[4])", "operand 0 has dtype f32: expected c64 or c128");
  CHECK_FAILS(
      mica_build_operator(g, "fft", (mica_value[]){C64(4)}, 1, "kind=fft, lengths=[5], scale=1"),
      "axis 0 has size 4: expected 5 for the length 5");
  CHECK_FAILS(
      mica_build_operator(g, "fft", (mica_value[]){C64(4)}, 1, "kind=irfft, lengths=[4], scale=1"),
      "axis 0 has size 4: expected 3 for the length 4");
  CHECK_FAILS(
      mica_build_operator(g, "fft", (mica_value[]){C64(4)}, 1, "kind=fft, lengths=[], scale=1"),
      "lengths has 0 entries");
  CHECK_FAILS(
      mica_build_operator(g, "fft", (mica_value[]){C64(0)}, 1, "kind=fft, lengths=[0], scale=1"),
      "length 0: expected at least 1");
  mica_graph *g = scoped_graph();
  CHECK(!mica_is_valid(mica_fft_with(NULL)));
  mica_graph_destroy(g);
}

TEST_MAIN(TEST_CASE(fft_types), TEST_CASE(fft_messages))
