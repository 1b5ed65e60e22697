/* SPDX-License-Identifier: Apache-2.0 */
/* .npz: archives that numpy wrote (tests/golden/make_npy.py), ours read back, and damaged ones. */
#include "check.h"
#include "core/tensor.h"
#include "testing_files.h"

static const char *golden_path(const char *name) {
  char relative[100];
  snprintf(relative, sizeof(relative), "tests/golden/npy/%s", name);
  return check_source_path(relative);
}

static void check_counting(mica_tensor *tensor, mica_dtype dtype, mica_shape shape) {
  if (!CHECK(mica_type_equal(mica_tensor_type(tensor), (mica_type){dtype, shape}))) return;
  double values[600];
  int64_t count = mica_shape_count(shape);
  CHECK_OK(mica_tensor_read_doubles(tensor, values, count, NULL));
  for (int64_t i = 0; i < count; i++) CHECK_NEAR(values[i], i, 0);
}

static void check_golden(const mica_npz *npz) {
  CHECK_EQ_INT(mica_npz_count(npz), 4);
  check_counting(mica_npz_find(npz, "weights"), MICA_F32, MICA_DIMS(20, 30));
  check_counting(mica_npz_find(npz, "labels"), MICA_U8, MICA_DIMS(50));
  check_counting(mica_npz_find(npz, "transposed"), MICA_I64, MICA_DIMS(4, 5));
  check_counting(mica_npz_find(npz, "nested/scalar"), MICA_F64, MICA_SCALAR);
  CHECK(mica_npz_find(npz, "labels.npy") == NULL && mica_npz_find(npz, NULL) == NULL);
  CHECK_EQ_STR(mica_npz_name(npz, 1), "labels");
  CHECK(mica_npz_tensor(npz, 1) == mica_npz_find(npz, "labels"));
  CHECK(mica_npz_name(npz, 4) == NULL && mica_npz_name(npz, -1) == NULL &&
        mica_npz_tensor(npz, 4) == NULL);
}

TEST(what_numpy_wrote) {
  static const char *const names[] = {"stored.npz", "deflated.npz"};
  for (int i = 0; i < 2; i++) {
    mica_npz *npz;
    mica_error error = {0};
    CHECK_OK_ERROR(mica_npz_load(golden_path(names[i]), &npz, &error), &error);
    check_golden(npz);
    mica_npz_destroy(npz);
    size_t size = 0;
    char *bytes = testing_read_file(golden_path(names[i]), &size);
    CHECK_OK_ERROR(mica_npz_parse(bytes, size, &npz, &error), &error);
    free(bytes); /* nothing is borrowed from it */
    check_golden(npz);
    mica_npz_destroy(npz);
  }
  mica_npz *npz;
  CHECK_OK(mica_npz_load(golden_path("nothing.npz"), &npz, NULL));
  CHECK_EQ_INT(mica_npz_count(npz), 0);
  mica_npz_destroy(npz);
  mica_npz_destroy(NULL);
  CHECK_EQ_INT(mica_npz_count(NULL), 0);
}

TEST(what_is_saved_comes_back) {
  const char *names[MICA_DTYPE_COUNT];
  mica_tensor *tensors[MICA_DTYPE_COUNT];
  const double values[] = {1, 0, 3, 1, 0, 6};
  int64_t count = 0;
  for (int d = 1; d < MICA_DTYPE_COUNT; d++) {
    names[count] = mica_dtype_name((mica_dtype)d);
    tensors[count++] = mica_tensor_from_doubles((mica_dtype)d, MICA_DIMS(1, 5), values);
  }
  mica_error error = {0};
  const char *path = check_temporary_path("all.npz");
  CHECK_OK_ERROR(mica_npz_save(path, names, tensors, count, &error), &error);
  mica_npz *npz;
  CHECK_OK_ERROR(mica_npz_load(path, &npz, &error), &error);
  CHECK_EQ_INT(mica_npz_count(npz), count);
  for (int64_t i = 0; i < count; i++) {
    CHECK_EQ_STR(mica_npz_name(npz, i), names[i]);
    CHECK(mica_tensor_equal(mica_npz_tensor(npz, i), tensors[i]));
    mica_tensor_release(tensors[i]);
  }
  /* The same arrays make the same file. */
  mica_npz_destroy(npz);
  CHECK_OK(mica_npz_save(path, NULL, NULL, 0, &error));
  CHECK_OK(mica_npz_load(path, &npz, &error));
  CHECK_EQ_INT(mica_npz_count(npz), 0);
  mica_npz_destroy(npz);
}

TEST(saving_refuses) {
  mica_tensor *scalar = mica_tensor_scalar(MICA_F32, 1), *tensors[] = {scalar, scalar, NULL};
  const char *const twice[] = {"a", "a"}, *const empty[] = {"a", ""},
                    *const nothing[] = {"a", NULL}, *const three[] = {"a", "b", "c"};
  const char *path = check_temporary_path("refused.npz");
  mica_error error = {0};
  CHECK_STATUS(mica_npz_save(path, twice, tensors, 2, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "two arrays are named 'a'");
  CHECK_STATUS(mica_npz_save(path, empty, tensors, 2, NULL), MICA_INVALID);
  CHECK_STATUS(mica_npz_save(path, nothing, tensors, 2, NULL), MICA_INVALID);
  CHECK_STATUS(mica_npz_save(path, three, tensors, 3, NULL), MICA_INVALID);
  CHECK_STATUS(mica_npz_save(path, NULL, tensors, 1, NULL), MICA_INVALID);
  CHECK_STATUS(mica_npz_save(NULL, three, tensors, 1, NULL), MICA_INVALID);
  CHECK_STATUS(mica_npz_save(path, three, tensors, -1, NULL), MICA_INVALID);
  CHECK_STATUS(mica_npz_save(check_temporary_path("no/folder.npz"), three, tensors, 2, NULL),
               MICA_NOT_FOUND);
  mica_npz *npz;
  CHECK_STATUS(mica_npz_load(path, &npz, NULL), MICA_NOT_FOUND); /* nothing was left there */
  mica_tensor_release(scalar);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static char *archive(const char *name, size_t *size) {
  return testing_read_file(golden_path(name), size);
}

TEST(damaged_archives) {
  static const char *const names[] = {"stored.npz", "deflated.npz"};
  for (int i = 0; i < 2; i++) {
    size_t size = 0;
    char *bytes = archive(names[i], &size);
    if (!CHECK(bytes != NULL)) return;
    mica_npz *npz;
    for (size_t cut = 0; cut < size; cut += 1 + cut / 64) {
      char *part = malloc(cut == 0 ? 1 : cut);
      memcpy(part, bytes, cut);
      CHECK_STATUS(mica_npz_parse(part, cut, &npz, NULL), MICA_DATA_LOSS);
      CHECK(npz == NULL);
      free(part);
    }
    /* Any bit: the archive is refused, or what it says is still true (bits that nobody reads, as
     * dates), or a name changed, or arrays went missing as a name lost its ".npy". */
    for (size_t bit = 0; bit < 8 * size; bit += check_all() ? 1 : 5) {
      bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
      if (mica_npz_parse(bytes, size, &npz, NULL) == MICA_OK) {
        mica_tensor *weights = mica_npz_find(npz, "weights"),
                    *labels = mica_npz_find(npz, "labels");
        if (weights != NULL) check_counting(weights, MICA_F32, MICA_DIMS(20, 30));
        if (labels != NULL) check_counting(labels, MICA_U8, MICA_DIMS(50));
      }
      mica_npz_destroy(npz);
      bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
    free(bytes);
  }
}

static size_t find_mark(const char *bytes, size_t size, uint32_t mark, int which) {
  for (size_t at = 0; at + 4 <= size; at++)
    if (memcmp(bytes + at, &mark, 4) == 0 && which-- == 0) return at;
  return size;
}

/* Changes `width` bytes at `offset` of the first directory entry and says what reading answers. */
static void check_change(size_t offset, const char *value, size_t width, mica_status status,
                         const char *message) {
  size_t size = 0;
  char *bytes = archive("deflated.npz", &size);
  if (!CHECK(bytes != NULL)) return;
  size_t entry = find_mark(bytes, size, 0x02014B50, 0);
  if (CHECK(entry + 46 < size)) {
    memcpy(bytes + entry + offset, value, width);
    mica_npz *npz;
    mica_error error = {0};
    CHECK_STATUS(mica_npz_parse(bytes, size, &npz, &error), status);
    CHECK_STR_CONTAINS(error.message, message);
  }
  free(bytes);
}

TEST(what_is_wrong_is_said) {
  check_change(0, "X", 1, MICA_DATA_LOSS, "directory is damaged");
  check_change(8, "\1", 1, MICA_UNSUPPORTED, "encrypted");
  check_change(10, "\x0C", 1, MICA_UNSUPPORTED, "compression method 12");
  check_change(10, "\0", 1, MICA_DATA_LOSS, "two sizes");
  check_change(16, "\x55", 1, MICA_DATA_LOSS, "checksum");
  check_change(24, "\xFF\xFF\xFF\x7F", 4, MICA_DATA_LOSS, "larger than its data can unpack to");
  check_change(20, "\xFF\xFF\xFF\x7F", 4, MICA_DATA_LOSS, "members overlap");
  check_change(28, "\xFF\xFF", 2, MICA_DATA_LOSS, "directory is damaged");
  check_change(42, "\x01", 1, MICA_DATA_LOSS, "header is missing");
  check_change(42, "\xFF\xFF\xFF\x7F", 4, MICA_DATA_LOSS, "ends early");
  check_change(46, "\0", 1, MICA_DATA_LOSS, "zero byte");
}

/* The same member listed over and over would unpack to far more than the file justifies. */
TEST(members_may_not_overlap) {
  size_t size = 0;
  char *bytes = archive("deflated.npz", &size);
  if (!CHECK(bytes != NULL)) return;
  size_t entry = find_mark(bytes, size, 0x02014B50, 0),
         next = find_mark(bytes, size, 0x02014B50, 1);
  size_t length = next - entry, copies = 20;
  char *bomb = malloc(entry + copies * length + 22);
  memcpy(bomb, bytes, entry);
  for (size_t i = 0; i < copies; i++) {
    memcpy(bomb + entry + i * length, bytes + entry, length);
    bomb[entry + i * length + 46] = (char)('A' + i); /* names differ */
  }
  char *end = bomb + entry + copies * length;
  uint16_t count = (uint16_t)copies;
  uint32_t directory_size = (uint32_t)(copies * length), offset = (uint32_t)entry;
  memset(end, 0, 22);
  memcpy(end, "PK\5\6", 4);
  memcpy(end + 8, &count, 2);
  memcpy(end + 10, &count, 2);
  memcpy(end + 12, &directory_size, 4);
  memcpy(end + 16, &offset, 4);
  mica_npz *npz;
  mica_error error = {0};
  CHECK_STATUS(mica_npz_parse(bomb, entry + copies * length + 22, &npz, &error), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "overlap");
  free(bomb);
  free(bytes);
}

TEST(two_arrays_of_one_name) {
  const char *names[] = {"same01", "same02"}, *path = check_temporary_path("same.npz");
  mica_tensor *scalar = mica_tensor_scalar(MICA_F32, 1), *tensors[] = {scalar, scalar};
  CHECK_OK(mica_npz_save(path, names, tensors, 2, NULL));
  size_t size = 0;
  char *bytes = testing_read_file(path, &size);
  if (!CHECK(bytes != NULL)) return;
  size_t second = find_mark(bytes, size, 0x02014B50, 1);
  bytes[second + 46 + 5] = '1';
  mica_npz *npz;
  mica_error error = {0};
  CHECK_STATUS(mica_npz_parse(bytes, size, &npz, &error), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "two arrays are named 'same01'");
  /* A member that is no array is passed over. */
  bytes[second + 46 + 9] = 'x';
  CHECK_OK(mica_npz_parse(bytes, size, &npz, NULL));
  CHECK_EQ_INT(mica_npz_count(npz), 1);
  mica_npz_destroy(npz);
  free(bytes);
  mica_tensor_release(scalar);
}

/* ---- 64-bit archives ------------------------------------------------------------------------- */

/* As many members as the plain end record cannot count. */
TEST(many_members) {
  const int64_t count = 65536;
  char(*texts)[8] = calloc((size_t)count, sizeof(*texts));
  const char **names = calloc((size_t)count, sizeof(*names));
  mica_tensor **tensors = calloc((size_t)count, sizeof(mica_tensor *)),
              *scalar = mica_tensor_scalar(MICA_I8, 5);
  if (!CHECK(texts != NULL && names != NULL && tensors != NULL)) return;
  for (int64_t i = 0; i < count; i++) {
    snprintf(texts[i], sizeof(texts[i]), "n%05d", (int)i);
    names[i] = texts[i];
    tensors[i] = scalar;
  }
  const char *path = check_temporary_path("many.npz");
  mica_npz *npz;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_npz_save(path, names, tensors, count, &error), &error);
  CHECK_OK_ERROR(mica_npz_load(path, &npz, &error), &error);
  CHECK_EQ_INT(mica_npz_count(npz), count);
  CHECK_EQ_STR(mica_npz_name(npz, 65535), "n65535");
  CHECK(mica_tensor_equal(mica_npz_tensor(npz, 65535), scalar));
  mica_npz_destroy(npz);
  remove(path);
  mica_tensor_release(scalar);
  free(texts);
  free(names);
  free(tensors);
}

static char *put_number(char *at, uint64_t value, int width) {
  for (int i = 0; i < width; i++, value >>= 8) *at++ = (char)value;
  return at;
}

/* Sizes and offsets that stand in the extra field and in the 64-bit end record, as files above 4 GB
 * have them. */
TEST(sizes_in_the_extra_field) {
  size_t size = 0;
  char *plain = archive("stored.npz", &size);
  if (!CHECK(plain != NULL)) return;
  size_t entry = find_mark(plain, size, 0x02014B50, 0);
  uint32_t member_size;
  memcpy(&member_size, plain + entry + 24, 4);
  char *wide = calloc(1, entry + 400);
  if (!CHECK(wide != NULL)) return;
  memcpy(wide, plain, entry + 46 + 11); /* with the first entry's name */
  char *record = wide + entry, *at = record + 46 + 11;
  memset(record + 20, 0xFF, 8);
  memset(record + 42, 0xFF, 4);
  put_number(record + 30, 4 + 5 + 4 + 24, 2);
  at = put_number(at, 0x7777, 2); /* a field that is not ours comes first */
  at = put_number(at, 5, 2) + 5;
  at = put_number(at, 1, 2);
  at = put_number(at, 24, 2);
  at = put_number(at, member_size, 8);
  at = put_number(at, member_size, 8);
  at = put_number(at, 0, 8);
  char *end64 = at;
  at = put_number(at, 0x06064B50, 4);
  at = put_number(at, 44, 8) + 12;
  at = put_number(at, 1, 8);
  at = put_number(at, 1, 8);
  at = put_number(at, (uint64_t)(end64 - record), 8);
  at = put_number(at, entry, 8);
  at = put_number(at, 0x07064B50, 4) + 4;
  char *locator_offset = at;
  at = put_number(at, (uint64_t)(end64 - wide), 8);
  at = put_number(at, 1, 4);
  at = put_number(at, 0x06054B50, 4) + 4;
  memset(at, 0xFF, 12);
  at += 12 + 2;
  mica_npz *npz;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_npz_parse(wide, (size_t)(at - wide), &npz, &error), &error);
  check_counting(mica_npz_find(npz, "weights"), MICA_F32, MICA_DIMS(20, 30));
  mica_npz_destroy(npz);
  put_number(locator_offset, (uint64_t)(end64 - wide) + 1, 8);
  CHECK_STATUS(mica_npz_parse(wide, (size_t)(at - wide), &npz, &error), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "64-bit end record");
  put_number(locator_offset, (uint64_t)(end64 - wide), 8);
  put_number(record + 46 + 11 + 9 + 2, 16,
             2); /* the field ends before the offset that it should hold */
  CHECK_STATUS(mica_npz_parse(wide, (size_t)(at - wide), &npz, NULL), MICA_DATA_LOSS);
  free(wide);
  free(plain);
}

TEST_MAIN(TEST_CASE(what_numpy_wrote), TEST_CASE(what_is_saved_comes_back),
          TEST_CASE(saving_refuses), TEST_CASE(damaged_archives), TEST_CASE(what_is_wrong_is_said),
          TEST_CASE(members_may_not_overlap), TEST_CASE(two_arrays_of_one_name),
          TEST_CASE(many_members), TEST_CASE(sizes_in_the_extra_field))
