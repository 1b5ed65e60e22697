/* SPDX-License-Identifier: Apache-2.0 */
/* The core with every allocation, map and thread failing in turn, alone and with all that come
 * after it: an error that says so, nothing left behind, and the next call works. */
#include "check.h"
#include "core/tensor.h"
#include "core/thread_pool.h"
#include "interpose.h"

#include <stdio.h>
#include <string.h>

typedef mica_status work(const char *path, mica_error *error);

/* How many calls `body` makes, after it worked under all their failures. */
static int64_t sweep(work *body, const char *path) {
  mica_error error = {0};
  fault_begin(FAULT_NONE, 0);
  mica_status status = body(path, &error);
  fault_end();
  if (!CHECK_OK_ERROR(status, &error)) return 0;
  CHECK_EQ_INT(fault_live_blocks(), 0);
  int64_t total = fault_count();
  for (int64_t n = 1; n <= total; n++)
    for (fault_mode mode = FAULT_ONE; mode <= FAULT_FROM; mode++) {
      error = (mica_error){0};
      fault_begin(mode, n);
      status = body(path, &error);
      fault_end();
      if (status != MICA_OUT_OF_MEMORY || error.status != status || error.message[0] == '\0')
        CHECK_FAIL("call %lld of %lld: status %d, '%s'", (long long)n, (long long)total,
                   (int)status, error.message);
      if (fault_live_blocks() != 0)
        CHECK_FAIL("call %lld leaves %lld blocks", (long long)n, (long long)fault_live_blocks());
      CHECK_OK(body(path, NULL));
    }
  return total;
}

static const double values[] = {1, 2, 3, 4, 5, 6};

static mica_status make_tensors(const char *path, mica_error *error) {
  (void)path;
  mica_tensor *small = NULL, *large = NULL;
  mica_status status =
      mica_tensor_create(NULL, (mica_type){MICA_F64, MICA_DIMS(6)}, values, &small, error);
  if (status == MICA_OK)
    status =
        mica_tensor_create(NULL, (mica_type){MICA_F32, MICA_DIMS(1000, 1000)}, NULL, &large, error);
  mica_tensor_release(small);
  mica_tensor_release(large);
  return status;
}

/* The one map has a second try: the first asks for more, to be aligned. */
TEST(tensors) {
  mica_error error = {0};
  fault_begin(FAULT_ONE, 3);
  mica_status status = make_tensors(NULL, &error);
  fault_end();
  CHECK_OK_ERROR(status, &error);
  CHECK_EQ_INT(fault_failed_count(), 1);
  static const int64_t fatal[] = {1, 2};
  for (int i = 0; i < 2; i++) {
    fault_begin(FAULT_ONE, fatal[i]);
    status = make_tensors(NULL, NULL);
    fault_end();
    CHECK_STATUS(status, MICA_OUT_OF_MEMORY);
    CHECK_EQ_INT(fault_live_blocks(), 0);
  }
  fault_begin(FAULT_FROM, 3);
  status = make_tensors(NULL, &error);
  fault_end();
  CHECK_STATUS(status, MICA_OUT_OF_MEMORY);
  CHECK_STR_CONTAINS(error.message, "f32[1000, 1000], 4000000 bytes");
  CHECK_EQ_INT(fault_live_blocks(), 0);
}

TEST(tensors_that_return_nothing) {
  fault_begin(FAULT_FROM, 1);
  mica_tensor *a = mica_tensor_from(MICA_F64, MICA_DIMS(6), values);
  mica_tensor *b = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(6), values);
  mica_tensor *c = mica_tensor_scalar(MICA_F32, 1);
  fault_end();
  CHECK(a == NULL && b == NULL && c == NULL);
}

static mica_status save_npy(const char *path, mica_error *error) {
  mica_tensor *tensor = NULL;
  mica_status status =
      mica_tensor_create(NULL, (mica_type){MICA_I4, MICA_DIMS(5)}, "\x21\x43\x05", &tensor, error);
  if (status == MICA_OK) status = mica_npy_save(path, tensor, error);
  mica_tensor_release(tensor);
  return status;
}

static mica_status load_npy(const char *path, mica_error *error) {
  mica_tensor *tensor;
  mica_status status = mica_npy_load(path, &tensor, error);
  mica_tensor_release(tensor);
  return status;
}

TEST(npy) {
  char path[2048];
  snprintf(path, sizeof(path), "%s", check_temporary_path("faults.npy"));
  CHECK(sweep(save_npy, path) >= 2);
  CHECK(sweep(load_npy, path) >= 3);
  CHECK(sweep(load_npy, check_source_path("tests/golden/npy/fortran.npy")) >= 3);
}

static mica_status save_npz(const char *path, mica_error *error) {
  const char *const names[] = {"a", "b"};
  mica_tensor *tensors[2] = {NULL, NULL};
  mica_status status =
      mica_tensor_create(NULL, (mica_type){MICA_F64, MICA_DIMS(6)}, values, &tensors[0], error);
  if (status == MICA_OK)
    status = mica_tensor_create(NULL, (mica_type){MICA_U4, MICA_DIMS(3)}, NULL, &tensors[1], error);
  if (status == MICA_OK) status = mica_npz_save(path, names, tensors, 2, error);
  mica_tensor_release(tensors[0]);
  mica_tensor_release(tensors[1]);
  return status;
}

static mica_status load_npz(const char *path, mica_error *error) {
  mica_npz *npz;
  mica_status status = mica_npz_load(path, &npz, error);
  mica_npz_destroy(npz);
  return status;
}

TEST(npz) {
  char path[2048];
  snprintf(path, sizeof(path), "%s", check_temporary_path("faults.npz"));
  CHECK(sweep(save_npz, path) >= 5);
  CHECK(sweep(load_npz, path) >= 8);
  CHECK(sweep(load_npz, check_source_path("tests/golden/npy/deflated.npz")) >= 12);
}

static mica_status exchange(const char *path, mica_error *error) {
  (void)path;
  mica_tensor *tensor = NULL, *back = NULL;
  void *managed = NULL;
  mica_status status =
      mica_tensor_create(NULL, (mica_type){MICA_F64, MICA_DIMS(6)}, values, &tensor, error);
  if (status == MICA_OK) status = mica_tensor_to_dlpack(tensor, &managed, error);
  if (status == MICA_OK) status = mica_tensor_from_dlpack(managed, &back, error);
  if (back == NULL && managed != NULL) {
    /* Not taken over: the deleter, after the version and the context, is the caller's to call. */
    void (*deleter)(void *);
    memcpy(&deleter, (char *)managed + 2 * sizeof(uint32_t) + sizeof(void *), sizeof(deleter));
    deleter(managed);
  }
  mica_tensor_release(tensor);
  mica_tensor_release(back);
  return status;
}

TEST(dlpack) { CHECK_EQ_INT(sweep(exchange, NULL), 3); }

static mica_status compare(const char *path, mica_error *error) {
  (void)path;
  mica_tensor *tensor = NULL;
  mica_closeness closeness;
  mica_status status =
      mica_tensor_create(NULL, (mica_type){MICA_F64, MICA_DIMS(6)}, values, &tensor, error);
  if (status == MICA_OK) status = mica_tensor_compare(tensor, tensor, 0, 0, &closeness, error);
  mica_tensor_release(tensor);
  return status;
}

/* Comparing, printing and converting host tensors allocate nothing. */
TEST(work_without_memory) {
  CHECK_EQ_INT(sweep(compare, NULL), 1);
  mica_tensor *tensor = mica_tensor_from(MICA_F64, MICA_DIMS(2, 3), values);
  char text[200];
  float narrow[6];
  fault_begin(FAULT_FROM, 1);
  int64_t length = mica_tensor_format(tensor, NULL, text, sizeof(text));
  bool equal = mica_tensor_equal(tensor, tensor);
  mica_status status = mica_convert_elements(MICA_F32, narrow, MICA_F64, values, 6);
  fault_end();
  CHECK_EQ_INT(fault_count(), 0);
  CHECK_EQ_STR(text, "[[1. 2. 3.]\n [4. 5. 6.]]");
  CHECK_EQ_INT(length, strlen(text));
  CHECK(equal);
  CHECK_OK(status);
  mica_tensor_release(tensor);
}

static void nothing(void *context, int64_t index, int32_t worker) {
  (void)context;
  (void)index;
  (void)worker;
}

static mica_status use_pool(const char *path, mica_error *error) {
  (void)path;
  mica_thread_pool *pool;
  mica_status status =
      mica_thread_pool_create(NULL, &(mica_thread_pool_options){.threads = 4}, &pool, error);
  if (status == MICA_OK) mica_thread_pool_run(pool, 10, nothing, NULL);
  mica_thread_pool_destroy(pool);
  return status;
}

/* One allocation and three threads. What the system allocates for a thread is not counted. */
TEST(thread_pool) {
  mica_error error = {0};
  for (int64_t n = 1; n <= 4; n++)
    for (fault_mode mode = FAULT_ONE; mode <= FAULT_FROM; mode++) {
      error = (mica_error){0};
      fault_begin_kinds(mode, n == 1 ? 1 : n - 1, n == 1 ? FAULT_MEMORY : FAULT_THREAD);
      mica_status status = use_pool(NULL, &error);
      fault_end();
      CHECK_STATUS(status, MICA_OUT_OF_MEMORY);
      if (n > 1) CHECK_STR_CONTAINS(error.message, "of 4 cannot be started");
      CHECK_OK(use_pool(NULL, NULL));
    }
  /* A run allocates nothing. */
  mica_thread_pool *pool;
  CHECK_OK(mica_thread_pool_create(NULL, &(mica_thread_pool_options){.threads = 4}, &pool, NULL));
  fault_begin(FAULT_FROM, 1);
  for (int i = 0; i < 50; i++) mica_thread_pool_run(pool, 10, nothing, NULL);
  fault_end();
  CHECK_EQ_INT(fault_count(), 0);
  mica_thread_pool_destroy(pool);
}

TEST_MAIN(TEST_CASE(tensors), TEST_CASE(tensors_that_return_nothing), TEST_CASE(npy),
          TEST_CASE(npz), TEST_CASE(dlpack), TEST_CASE(work_without_memory), TEST_CASE(thread_pool))
