/* SPDX-License-Identifier: Apache-2.0 */
/* Files: sizes, ranges, durable writing, and what each answers when it cannot. */
#include "check.h"
#include "platform/platform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(write_and_read) {
  const char *path = check_temporary_path("whole.bin");
  char bytes[1000], back[1000];
  for (int i = 0; i < 1000; i++) bytes[i] = (char)(i * 7);
  CHECK_EQ_INT(mica_file_write_atomic(path, bytes, 1000), 0);
  uint64_t size = 0;
  CHECK_EQ_INT(mica_file_size(path, &size), 0);
  CHECK_EQ_INT(size, 1000);
  CHECK_EQ_INT(mica_file_read(path, 0, back, 1000), 0);
  CHECK_EQ_BYTES(back, bytes, 1000);
  CHECK_EQ_INT(mica_file_read(path, 990, back, 10), 0);
  CHECK_EQ_BYTES(back, bytes + 990, 10);
  CHECK_EQ_INT(mica_file_read(path, 991, back, 10), EIO);
  CHECK_EQ_INT(mica_file_read(path, 5000, back, 1), EIO);
  CHECK_EQ_INT(mica_file_read(path, 5000, back, 0), 0);
  CHECK_EQ_INT(mica_file_read(path, UINT64_MAX, back, 1), EINVAL);
  const mica_file_part parts[] = {{bytes, 3}, {NULL, 0}, {bytes + 100, 4}};
  CHECK_EQ_INT(mica_file_write_parts(path, parts, 3), 0); /* replaces it */
  CHECK_EQ_INT(mica_file_size(path, &size), 0);
  CHECK_EQ_INT(size, 7);
  CHECK_EQ_INT(mica_file_read(path, 0, back, 7), 0);
  CHECK_EQ_BYTES(back, bytes, 3);
  CHECK_EQ_BYTES(back + 3, bytes + 100, 4);
  CHECK_EQ_INT(mica_file_write_parts(path, NULL, 0), 0);
  CHECK_EQ_INT(mica_file_size(path, &size), 0);
  CHECK_EQ_INT(size, 0);
}

/* The file gets the rights that the process gives new files, not those of a private temporary. */
TEST(rights) {
  const char *path = check_temporary_path("rights.bin");
  mode_t mask = umask(022);
  CHECK_EQ_INT(mica_file_write_atomic(path, "x", 1), 0);
  umask(mask);
  struct stat status;
  CHECK_EQ_INT(stat(path, &status), 0);
  CHECK_EQ_INT(status.st_mode & 0777, 0644);
}

/* A link stays, a pipe is written to, what leads nowhere is made. */
TEST(links_and_pipes) {
  char link[1100], real[1100], pipe_path[1100], text[8] = "";
  struct stat status;
  snprintf(link, sizeof link, "%s", check_temporary_path("link"));
  snprintf(real, sizeof real, "%s", check_temporary_path("behind"));
  snprintf(pipe_path, sizeof pipe_path, "%s", check_temporary_path("pipe"));
  (void)unlink(link), (void)unlink(real), (void)unlink(pipe_path);
  CHECK_EQ_INT(symlink("behind", link), 0); /* beside it, not there yet */
  for (int round = 0; round < 2; round++) {
    CHECK_EQ_INT(mica_file_write_atomic(link, round ? "bb" : "a", round ? 2 : 1), 0);
    CHECK(lstat(link, &status) == 0 && S_ISLNK(status.st_mode));
    CHECK(lstat(real, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 1 + round);
  }
  CHECK_EQ_INT(unlink(link), 0);
  CHECK_EQ_INT(symlink("link", link), 0);
  CHECK_EQ_INT(mica_file_write_atomic(link, "a", 1), ELOOP);
  CHECK_EQ_INT(mkfifo(pipe_path, 0600), 0);
  int reader = open(pipe_path, O_RDONLY | O_NONBLOCK);
  CHECK(reader >= 0);
  CHECK_EQ_INT(mica_file_write_atomic(pipe_path, "abc", 3), 0);
  CHECK_EQ_INT(read(reader, text, sizeof text), 3);
  CHECK_EQ_STR(text, "abc");
  close(reader);
  CHECK(lstat(pipe_path, &status) == 0 && S_ISFIFO(status.st_mode));
  if (access("/dev/full", W_OK) == 0) {
    CHECK_EQ_INT(mica_file_write_atomic("/dev/full", "abc", 3), ENOSPC);
    CHECK(stat("/dev/full", &status) == 0 && S_ISCHR(status.st_mode));
  }
  (void)unlink(link), (void)unlink(real), (void)unlink(pipe_path);
}

static int count_entries(const char *folder) {
  DIR *directory = opendir(folder);
  int count = 0;
  while (directory != NULL && readdir(directory) != NULL) count++;
  if (directory != NULL) closedir(directory);
  return count;
}

TEST(failures) {
  uint64_t size = 0;
  char byte, folder[2048];
  CHECK_EQ_INT(mica_file_size(check_temporary_path("missing"), &size), ENOENT);
  CHECK_EQ_INT(mica_file_read(check_temporary_path("missing"), 0, &byte, 1), ENOENT);
  CHECK_EQ_INT(mica_file_size("/dev/null", &size), EINVAL);
  CHECK_EQ_INT(mica_file_write_atomic(check_temporary_path("no/folder"), "x", 1), ENOENT);
  snprintf(folder, sizeof(folder), "%s", check_temporary_path("folder"));
  mkdir(folder, 0777);
  CHECK_EQ_INT(mica_file_size(folder, &size), EISDIR);
  CHECK_EQ_INT(mica_file_read(folder, 0, &byte, 1), EISDIR);
  int before = count_entries(check_temporary_path("."));
  CHECK_EQ_INT(mica_file_write_atomic(folder, "x", 1), EISDIR);
  CHECK_EQ_INT(count_entries(check_temporary_path(".")), before); /* nothing temporary is left */
  char long_path[5000];
  memset(long_path, 'a', sizeof(long_path));
  long_path[sizeof(long_path) - 1] = '\0';
  CHECK_EQ_INT(mica_file_write_atomic(long_path, "x", 1), ENAMETOOLONG);
  char text[100];
  CHECK_EQ_STR(mica_errno_text(ENOENT, text, sizeof(text)), strerror(ENOENT));
}

TEST(a_bare_name_is_in_the_current_folder) {
  CHECK_EQ_INT(mica_file_write_atomic("bare.bin", "abc", 3), 0);
  uint64_t size = 0;
  CHECK_EQ_INT(mica_file_size("./bare.bin", &size), 0);
  CHECK_EQ_INT(size, 3);
  unlink("bare.bin");
}

TEST_MAIN(TEST_CASE(write_and_read), TEST_CASE(rights), TEST_CASE(links_and_pipes),
          TEST_CASE(failures), TEST_CASE(a_bare_name_is_in_the_current_folder))
