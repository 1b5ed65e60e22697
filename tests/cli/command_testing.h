/* SPDX-License-Identifier: Apache-2.0 */
/* command_testing.h: calls of the command-line tool that was built, for one source of a test. */
#ifndef CLI_COMMAND_TESTING_H
#define CLI_COMMAND_TESTING_H
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static char output[1 << 16]; /* what the last call printed */

static inline const char *tool_path(void) {
  static char path[4096];
  const char *build = getenv("MICA_BUILD_DIR");
  snprintf(path, sizeof path, "%s/cmd/mica", build != NULL ? build : "build/release");
  return path;
}

/* Whether there is a tool; the test is skipped if not. */
static inline bool is_built(void) {
  if (access(tool_path(), X_OK) == 0) return true;
  CHECK_SKIP("the tool is not built");
  return false;
}

/* `mica COMMAND ARGUMENTS`, a line of the shell: the exit code. Errors go to `errors`, "&1" or a file. */
static inline int call_tool(const char *command, const char *arguments, const char *errors) {
  char line[8192];
  snprintf(line, sizeof line, "'%s' %s %s 2>%s", tool_path(), command, arguments, errors);
  FILE *pipe = popen(line, "r");
  if (pipe == NULL) return -1;
  output[fread(output, 1, sizeof output - 1, pipe)] = 0;
  int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
#endif
