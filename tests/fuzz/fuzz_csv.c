/* SPDX-License-Identifier: Apache-2.0 */
/* CSV: the first byte chooses options; columns have as many entries as there are rows, categories are words. */
#include "fuzz.h"

#include "mica/data.h"

FUZZ_TARGET(csv) {
  if (size == 0) return;
  mica_csv *csv;
  mica_error error = {0};
  mica_csv_options options = {.struct_size = sizeof options,
                              .separator = (bytes[0] & 1) != 0 ? ';' : (char)0,
                              .no_header = (bytes[0] & 2) != 0,
                              .missing = (bytes[0] & 4) != 0 ? "?" : NULL,
                              .comment = (bytes[0] & 8) != 0 ? '#' : (char)0,
                              .keep_blanks = (bytes[0] & 16) != 0,
                              .strip = (bytes[0] & 32) != 0 ? "." : NULL};
  mica_status status = mica_csv_parse(bytes + 1, size - 1, &options, &csv, &error);
  FUZZ_REQUIRE((status == MICA_OK) == (csv != NULL) && error.status == status);
  int64_t rows = mica_csv_row_count(csv);
  FUZZ_REQUIRE(rows <= (int64_t)size);
  for (int32_t i = 0; i < mica_csv_column_count(csv); i++) {
    mica_type type = mica_tensor_type(mica_csv_tensor(csv, i));
    FUZZ_REQUIRE(type.shape.rank == 1 && type.shape.dim[0] == rows);
    FUZZ_REQUIRE(mica_csv_index(csv, mica_csv_name(csv, i)) == i);
    if (mica_csv_column_kind(csv, i) != MICA_CSV_CATEGORY) continue;
    const int32_t *numbers = mica_tensor_data(mica_csv_tensor(csv, i));
    for (int64_t row = 0; row < rows; row++)
      FUZZ_REQUIRE(numbers[row] >= -1 &&
                   numbers[row] < mica_vocabulary_count(mica_csv_vocabulary(csv, i)));
  }
  mica_csv_destroy(csv);
}
