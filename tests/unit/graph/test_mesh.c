/* SPDX-License-Identifier: Apache-2.0 */
/* Meshes and shardings: reading their texts, who has which part, arrays cut and put together, moved
 * to other meshes, and drawn. */
#include "mica/mesh.h"

#include <string.h>

#include "check.h"

static mica_mesh *make(const char *axes) {
  mica_error error = {0};
  mica_mesh *mesh = mica_mesh_create(axes, &error);
  if (mesh == NULL) CHECK_FAIL("%s: %s", axes, error.message);
  return mesh;
}

TEST(axes) {
  mica_mesh *mesh = make(" data = 2,model=3 , x_1 =1");
  CHECK_EQ_STR(mica_mesh_text(mesh), "data=2, model=3, x_1=1");
  CHECK_EQ_INT(mica_mesh_device_count(mesh), 6);
  CHECK_EQ_INT(mica_mesh_axis_count(mesh), 3);
  CHECK_EQ_STR(mica_mesh_axis_name(mesh, 1), "model");
  CHECK(mica_mesh_axis_name(mesh, 3) == NULL && mica_mesh_axis_name(mesh, -1) == NULL);
  CHECK_EQ_INT(mica_mesh_axis_size(mesh, "model"), 3);
  CHECK_EQ_INT(mica_mesh_axis_size(mesh, "mod"), 0);
  CHECK_EQ_INT(mica_mesh_coordinate(mesh, 4, 0), 1);
  CHECK_EQ_INT(mica_mesh_coordinate(mesh, 4, 1), 1);
  CHECK_EQ_INT(mica_mesh_coordinate(mesh, 6, 0), -1);
  CHECK_EQ_INT(mica_mesh_coordinate(mesh, 0, 3), -1);
  mica_mesh_release(mica_mesh_retain(mesh));
  mica_mesh_release(mesh);
  mica_mesh_release(NULL);
  CHECK_EQ_STR(mica_mesh_text(NULL), "");
  CHECK_EQ_INT(mica_mesh_device_count(NULL), 0);
}

TEST(mistakes_in_meshes) {
  static const struct {
    const char *axes, *message;
  } wrong[] = {
      {"", "expected axes with sizes"},
      {"data", "expected axes with sizes"},
      {"data=0", "expected a size from 1"},
      {"data=-2", "expected a size from 1"},
      {"data=2 model=2", "expected ','"},
      {"data=2,", "expected axes with sizes"},
      {"data=2, data=2", "comes twice"},
      {"a=64, b=65", "at most 1024"},
      {"a=99999999999999999999", "expected a size"},
      {"a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1", "at most 8 axes"},
      {"a_name_that_is_longer_than_a_name_may_be=2", "less than 32 letters"},
      {"a;b=2", "expected axes"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    mica_error error = {0};
    CHECK(mica_mesh_create(wrong[i].axes, &error) == NULL);
    CHECK_STATUS(error.status, MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, wrong[i].message);
  }
  mica_error error = {0};
  CHECK(mica_mesh_create(NULL, &error) == NULL);
  CHECK_STR_CONTAINS(error.message, "NULL");
}

TEST(mistakes_in_shardings) {
  static const struct {
    const char *sharding, *message;
  } wrong[] = {
      {"data", "has 1 entry: expected one for each of the 2 axes"},
      {"data, -, -", "has more entries: expected one for each of the 2 axes"},
      {"dat, -", "\"dat\" is no axis: expected one of the mesh \"data=2, model=3\""},
      {"data, data", "comes twice"},
      {"data+data, -", "comes twice"},
      {"data -, -", "with ',' between"},
      {"-, data", "axis 1 of size 5 does not divide into 2 parts along mesh axis \"data\""},
      {"model+data, -",
       "axis 0 of size 4 does not divide into 6 parts along mesh axis \"model+data\""},
      {"data+, -", "is no axis"},
      {"+, -", "is no axis"},
  };
  mica_mesh *mesh = make("data=2, model=3");
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    mica_error error = {0};
    mica_shape shape;
    CHECK_STATUS(mica_shard_shape(mesh, MICA_DIMS(4, 5), wrong[i].sharding, &shape, &error),
                 MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, wrong[i].message);
  }
  mica_error error = {0};
  mica_shape shape;
  CHECK_STATUS(mica_shard_shape(NULL, MICA_DIMS(4), "", &shape, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "the mesh is NULL");
  int64_t begin[MICA_MAX_RANK];
  error = (mica_error){0};
  CHECK_STATUS(mica_shard_begin(mesh, MICA_DIMS(4), "data", 6, begin, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "device 6 is none of the 6");
  mica_mesh_release(mesh);
}

/* Element (i, j) of a [rows, columns] array is 100 i + j. */
static mica_tensor *numbered(mica_dtype dtype, int64_t rows, int64_t columns) {
  double values[512];
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      values[i * columns + j] = (double)(dtype == MICA_I4 ? (i + j) % 7 : 100 * i + j);
  return mica_tensor_from_doubles(dtype, MICA_DIMS(rows, columns), values);
}

/* Every sharding of a [12, 24] array on every mesh of the list is cut as mica_shard_begin says, and merged
 * to what it was; and moved from each to the next. */
TEST(round_trips) {
  static const struct {
    const char *mesh, *sharding;
  } layouts[] = {{"data=2, model=3", "data, model"},
                 {"data=2, model=3", "model, data"},
                 {"data=2, model=3", "-, data+model"},
                 {"data=2, model=3", "model+data, -"},
                 {"data=2, model=3", "-, -"},
                 {"a=2, b=2, c=2", "b, c"},
                 {"a=2, b=2, c=2", "-, c+a+b"},
                 {"all=12", "all, -"},
                 {"one=1", "one, -"},
                 {"data=4", NULL},
                 {"data=4", ""},
                 {"a=3, b=4", "b, a"}};
  static const mica_dtype dtypes[] = {MICA_F32, MICA_I64, MICA_U8, MICA_C64, MICA_I4};
  mica_sharded_tensor *last = NULL;
  for (size_t t = 0; t < sizeof dtypes / sizeof dtypes[0]; t++) {
    mica_tensor *whole = numbered(dtypes[t], 12, 24);
    for (size_t l = 0; l < sizeof layouts / sizeof layouts[0]; l++) {
      mica_error error = {0};
      mica_mesh *mesh = make(layouts[l].mesh);
      mica_sharded_tensor *sharded = NULL;
      mica_tensor *again = NULL;
      CHECK_OK_ERROR(mica_tensor_shard(whole, mesh, layouts[l].sharding, &sharded, &error), &error);
      for (int64_t d = 0; d < mica_mesh_device_count(mesh); d++) {
        int64_t begin[MICA_MAX_RANK];
        double values[512];
        mica_tensor *part = mica_sharded_tensor_part(sharded, d);
        mica_shape shape = mica_tensor_type(part).shape, wanted;
        CHECK_OK(mica_shard_shape(mesh, MICA_DIMS(12, 24), layouts[l].sharding, &wanted, NULL));
        CHECK(mica_shape_equal(shape, wanted));
        CHECK_OK(mica_shard_begin(mesh, MICA_DIMS(12, 24), layouts[l].sharding, d, begin, NULL));
        CHECK_OK(mica_tensor_read_doubles(part, values, mica_shape_count(shape), NULL));
        bool right = true;
        for (int64_t i = 0; i < shape.dim[0]; i++)
          for (int64_t j = 0; j < shape.dim[1]; j++) {
            int64_t row = begin[0] + i, column = begin[1] + j;
            double expected = (double)(dtypes[t] == MICA_I4   ? (row + column) % 7
                                       : dtypes[t] == MICA_U8 ? (100 * row + column) % 256
                                                              : 100 * row + column);
            if (dtypes[t] != MICA_U8) right = right && values[i * shape.dim[1] + j] == expected;
          }
        CHECK(right);
      }
      CHECK(mica_sharded_tensor_part(sharded, mica_mesh_device_count(mesh)) == NULL);
      CHECK_OK_ERROR(mica_sharded_tensor_merge(sharded, &again, &error), &error);
      CHECK(mica_tensor_equal(whole, again));
      mica_tensor_release(again);
      if (last != NULL && mica_sharded_tensor_type(last).dtype == dtypes[t]) {
        mica_sharded_tensor *moved = NULL;
        CHECK_OK_ERROR(mica_sharded_tensor_move(last, mesh, layouts[l].sharding, &moved, &error),
                       &error);
        for (int64_t d = 0; d < mica_mesh_device_count(mesh); d++)
          CHECK(mica_tensor_equal(mica_sharded_tensor_part(moved, d),
                                  mica_sharded_tensor_part(sharded, d)));
        mica_sharded_tensor_release(moved);
      }
      mica_sharded_tensor_release(last);
      last = sharded;
      mica_mesh_release(mesh);
    }
    mica_tensor_release(whole);
  }
  mica_sharded_tensor_release(last);
}

TEST(parts_that_are_equal_are_one) {
  mica_error error = {0};
  mica_mesh *mesh = make("data=2, model=3");
  mica_tensor *whole = numbered(MICA_F32, 4, 6);
  mica_sharded_tensor *sharded = NULL;
  CHECK_OK_ERROR(mica_tensor_shard(whole, mesh, "-, model", &sharded, &error), &error);
  CHECK(mica_sharded_tensor_part(sharded, 1) == mica_sharded_tensor_part(sharded, 4));
  CHECK(mica_sharded_tensor_part(sharded, 1) != mica_sharded_tensor_part(sharded, 2));
  CHECK_EQ_STR(mica_sharded_tensor_sharding(sharded), "-, model");
  CHECK(mica_sharded_tensor_mesh(sharded) == mesh);
  mica_sharded_tensor_release(mica_sharded_tensor_retain(sharded));
  mica_sharded_tensor_release(sharded);
  mica_sharded_tensor_release(NULL);
  mica_tensor_release(whole);
  mica_mesh_release(mesh);
}

TEST(from_parts) {
  mica_error error = {0};
  mica_mesh *mesh = make("data=2, model=2");
  mica_tensor *parts[4];
  for (int i = 0; i < 4; i++)
    parts[i] = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(1, 2), (double[]){i, 10 + i});
  mica_sharded_tensor *sharded = NULL;
  mica_tensor *whole = NULL;
  CHECK_OK_ERROR(mica_sharded_tensor_create(mesh, "model, data", parts, 4, &sharded, &error),
                 &error);
  CHECK_OK_ERROR(mica_sharded_tensor_merge(sharded, &whole, &error), &error);
  double values[8];
  CHECK_OK(mica_tensor_read_doubles(whole, values, 8, NULL));
  static const double expected[8] = {0, 10, 2, 12, 1, 11, 3, 13};
  for (int i = 0; i < 8; i++) CHECK_NEAR(values[i], expected[i], 0);
  mica_sharded_tensor_release(sharded);
  CHECK_STATUS(mica_sharded_tensor_create(mesh, "model, data", parts, 3, &sharded, &error),
               MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "one for each of the 4 devices");
  CHECK(sharded == NULL);
  error = (mica_error){0};
  mica_tensor *kept = parts[2];
  parts[2] = NULL;
  CHECK_STATUS(mica_sharded_tensor_create(mesh, "model, data", parts, 4, &sharded, &error),
               MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "part 2 is NULL");
  error = (mica_error){0};
  parts[2] = whole;
  CHECK_STATUS(mica_sharded_tensor_create(mesh, "model, data", parts, 4, &sharded, &error),
               MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "part 2 has another type");
  parts[2] = kept;
  error = (mica_error){0};
  mica_tensor_release(whole);
  CHECK_STATUS(mica_sharded_tensor_merge(NULL, &whole, &error), MICA_INVALID);
  error = (mica_error){0};
  CHECK_STATUS(mica_tensor_shard(NULL, mesh, "", &sharded, &error), MICA_INVALID);
  for (int i = 0; i < 4; i++) mica_tensor_release(parts[i]);
  mica_mesh_release(mesh);
}

TEST(nothing_to_cut) {
  mica_error error = {0};
  mica_mesh *mesh = make("data=2");
  mica_tensor *empty = mica_tensor_from(MICA_F32, MICA_DIMS(0, 3), NULL);
  mica_tensor *number = mica_tensor_scalar(MICA_F64, 2.5), *again = NULL;
  mica_sharded_tensor *sharded = NULL;
  CHECK_OK_ERROR(mica_tensor_shard(empty, mesh, "data, -", &sharded, &error), &error);
  CHECK_OK_ERROR(mica_sharded_tensor_merge(sharded, &again, &error), &error);
  CHECK(mica_tensor_equal(empty, again));
  mica_tensor_release(again);
  mica_sharded_tensor_release(sharded);
  CHECK_OK_ERROR(mica_tensor_shard(number, mesh, "", &sharded, &error), &error);
  CHECK_OK_ERROR(mica_sharded_tensor_merge(sharded, &again, &error), &error);
  CHECK(mica_tensor_equal(number, again));
  mica_tensor_release(again);
  mica_sharded_tensor_release(sharded);
  mica_tensor_release(empty);
  mica_tensor_release(number);
  mica_mesh_release(mesh);
}

TEST(pictures) {
  char text[2000];
  mica_mesh *mesh = make("data=2, model=2");
  CHECK(mica_sharding_format(mesh, MICA_DIMS(8, 6), "data, model", text, sizeof text) > 0);
  CHECK_EQ_STR(text,
               "[8, 6] in parts of [4, 3] on data=2, model=2\n"
               "+-----+-----+\n|  0  |  1  |\n+-----+-----+\n|  2  |  3  |\n+-----+-----+\n");
  mica_sharding_format(mesh, MICA_DIMS(8, 6), "-, model", text, sizeof text);
  CHECK_EQ_STR(text,
               "[8, 6] in parts of [8, 3] on data=2, model=2\n"
               "+------+------+\n| 0, 2 | 1, 3 |\n+------+------+\n");
  mica_sharding_format(mesh, MICA_DIMS(8, 6), "model, -", text, sizeof text);
  CHECK_EQ_STR(text,
               "[8, 6] in parts of [4, 6] on data=2, model=2\n"
               "+------+\n| 0, 2 |\n+------+\n| 1, 3 |\n+------+\n");
  mica_sharding_format(mesh, MICA_DIMS(8), NULL, text, sizeof text);
  CHECK_EQ_STR(text,
               "[8] in parts of [8] on data=2, model=2\n"
               "+------------+\n| 0, 1, 2, 3 |\n+------------+\n");
  CHECK_EQ_INT(mica_sharding_format(mesh, MICA_DIMS(7), "data", text, sizeof text), -1);
  CHECK_STR_CONTAINS(text, "does not divide");
  mica_mesh_release(mesh);
  mesh = make("a=2, b=2, c=2");
  int64_t length = mica_sharding_format(mesh, MICA_DIMS(2, 4, 6), "c, a, b", text, sizeof text);
  CHECK_EQ_INT(length, (int64_t)strlen(text));
  CHECK_STR_CONTAINS(
      text, "axis 2: 3 to 6\n+-----+-----+\n|  2  |  6  |\n+-----+-----+\n|  3  |  7  |\n");
  mica_mesh_release(mesh);
}

TEST_MAIN(TEST_CASE(axes), TEST_CASE(mistakes_in_meshes), TEST_CASE(mistakes_in_shardings),
          TEST_CASE(round_trips), TEST_CASE(parts_that_are_equal_are_one), TEST_CASE(from_parts),
          TEST_CASE(nothing_to_cut), TEST_CASE(pictures))
