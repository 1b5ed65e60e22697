/* SPDX-License-Identifier: Apache-2.0 */
/* `mica data` on a file of each kind: what it says of arrays that are known, as text and as JSON. */
#include <string.h>
#include <sys/stat.h>

#include "cli/command_testing.h"
#include "mica/mica.h"

static int call(const char *arguments) { return call_tool("data", arguments, "&1"); }

static void write_file(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  CHECK(file != NULL && fwrite(bytes, 1, size, file) == size);
  if (file != NULL) fclose(file);
}

TEST(arrays) {
  if (!is_built()) return;
  mica_tensor *x =
                  mica_tensor_from_doubles(MICA_F32, MICA_DIMS(2, 3), (double[]){0, 1, 2, 3, 4, 8}),
              *y = mica_tensor_from_doubles(MICA_I32, MICA_DIMS(6), (double[]){0, 1, 1, 0, 2, 1});
  CHECK_OK(mica_npy_save("x.npy", x, NULL));
  CHECK_OK(mica_npz_save("both.npz", (const char *const[]){"x", "labels"},
                         (mica_tensor *const[]){x, y}, 2, NULL));
  const mica_named_tensor named[] = {{"a.weight", x}, {"b", y}};
  CHECK_OK(mica_safetensors_save("both.safetensors", named, 2, NULL, 0, NULL));
  CHECK_EQ_INT(call("x.npy"), 0);
  CHECK_STR_CONTAINS(output, "x.npy: npy");
  CHECK_STR_CONTAINS(output, "f32[2, 3]");
  CHECK_STR_CONTAINS(output, "0 .. 8, mean 3, deviation 2.58199, 16.7 % zero");
  CHECK_STR_CONTAINS(output, "[[0. 1. 2.]]");
  CHECK_EQ_INT(call("--json both.npz"), 0);
  CHECK_STR_CONTAINS(output, "\"name\": \"x\", \"type\": {\"dtype\": \"f32\", \"shape\": [2, 3]}");
  CHECK_STR_CONTAINS(output, "\"least\": 0, \"greatest\": 8, \"mean\": 3");
  CHECK_STR_CONTAINS(output, "\"classes\": {\"0\": 2, \"1\": 3, \"2\": 1}");
  CHECK_STR_CONTAINS(output, "\"sample\": [0, 1, 2]");
  CHECK_EQ_INT(call("both.safetensors --sample 0"), 0);
  CHECK_STR_CONTAINS(output, "a.weight");
  CHECK_STR_CONTAINS(output, "classes: 0: 2, 1: 3, 2: 1");
  mica_tensor_release(x), mica_tensor_release(y);
}

TEST(pictures) {
  if (!is_built()) return;
  unsigned char idx[16 + 32] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4};
  for (int i = 0; i < 4; i++) idx[16 + i * 5] = 255; /* the diagonal of the first one */
  write_file("images-idx3-ubyte", idx, sizeof idx);
  CHECK_EQ_INT(call("images-idx3-ubyte"), 0);
  CHECK_STR_CONTAINS(output, "idx");
  CHECK_STR_CONTAINS(output, "u8[2, 4, 4]");
  CHECK_STR_CONTAINS(output, "      @   \n       @  \n        @ \n         @\n");
  static unsigned char cifar[2 * 3073];
  cifar[3073] = 7;
  memset(cifar + 1, 100, 3072);
  write_file("batch.bin", cifar, sizeof cifar);
  CHECK_EQ_INT(call("batch.bin --json"), 0);
  CHECK_STR_CONTAINS(output, "\"kind\": \"cifar10\"");
  CHECK_STR_CONTAINS(output, "[2, 32, 32, 3]");
  CHECK_STR_CONTAINS(output, "\"mean\": 50");
}

TEST(tables_and_text) {
  if (!is_built()) return;
  const char table[] = "age,job\n39,clerk\n50,farmer\n38,clerk\n,?\n",
             lines[] = "one\n\nthree and four\n";
  write_file("people.csv", table, sizeof table - 1);
  write_file("words.txt", lines, sizeof lines - 1);
  CHECK_EQ_INT(call("people.csv --missing '?'"), 0);
  CHECK_STR_CONTAINS(output, "4 rows");
  CHECK_STR_CONTAINS(output, "38 .. 50, mean 42.3333");
  CHECK_STR_CONTAINS(output, "1 NaN");
  CHECK_STR_CONTAINS(output, "2 words: clerk (2), farmer (1)");
  CHECK_STR_CONTAINS(output, "1 missing");
  CHECK_EQ_INT(call("people.csv --missing '?' --json"), 0);
  CHECK_STR_CONTAINS(output, "\"most_frequent\": {\"clerk\": 2, \"farmer\": 1}");
  CHECK_EQ_INT(call("words.txt"), 0);
  CHECK_STR_CONTAINS(output, "2 lines of 3 .. 14 bytes, 17 in all");
  CHECK_EQ_INT(call("words.txt --json"), 0);
  CHECK_STR_CONTAINS(output, "\"count\": 2, \"bytes\": 17");
}

TEST(folders) {
  if (!is_built()) return;
  char copy[4096];
  (void)mkdir("pets", 0777), (void)mkdir("pets/cats", 0777), (void)mkdir("pets/dogs", 0777);
  snprintf(copy, sizeof copy, "tail -c +2 '%s' > pets/cats/a.png",
           check_source_path("tests/image/corpus/png-rgb"));
  CHECK_EQ_INT(system(copy), 0);
  write_file("pets/dogs/b.jpg", "no image", 8);
  int code = call("pets");
  if (strstr(output, "has no images") != NULL) {
    CHECK_SKIP("the tool is built without images");
    return;
  }
  CHECK_EQ_INT(code, 0);
  CHECK_STR_CONTAINS(output, "2 images in 2 classes");
  CHECK_STR_CONTAINS(output, "1 cannot be read");
  CHECK_EQ_INT(call("pets --json"), 0);
  CHECK_STR_CONTAINS(output, "\"classes\": {\"cats\": 1, \"dogs\": 1}");
  CHECK_EQ_INT(call("pets/cats/a.png"), 0);
  CHECK_STR_CONTAINS(output, "image");
}

TEST(mistakes) {
  if (!is_built()) return;
  CHECK_EQ_INT(call("--help"), 0);
  CHECK_EQ_INT(call(""), 2);
  CHECK_STR_CONTAINS(output, "which files?");
  CHECK_EQ_INT(call("no-such-file.csv"), 1);
  CHECK_STR_CONTAINS(output, "no-such-file.csv");
  write_file("riddle", "??", 2);
  CHECK_EQ_INT(call("riddle"), 1);
  CHECK_STR_CONTAINS(output, "what is it?");
  CHECK_EQ_INT(call("riddle --kind poem"), 2);
  CHECK_EQ_INT(call("riddle --kind idx"), 1);
  CHECK_EQ_INT(call("x.npy --sample -3"), 2);
  write_file("cut.npz", "PK\3\4", 4);
  CHECK_EQ_INT(call("cut.npz x.npy"), 1);
  CHECK_STR_CONTAINS(output, "f32[2, 3]"); /* the others are read all the same */
}

TEST_MAIN(TEST_CASE(arrays), TEST_CASE(pictures), TEST_CASE(tables_and_text), TEST_CASE(folders),
          TEST_CASE(mistakes))
