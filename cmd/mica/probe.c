/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c: opens a plugin in a child process with a limit of time: some end the process or wait for a network where
 * their device is missing, and the tool should neither end nor wait with them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../examples/prepare.h"
#include "command.h"

static int64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The child: '+' and the description, or '-' and the error. What plugins say by themselves goes nowhere. */
static void open_and_tell(const char *backend, int out) {
  mica_error error = {0};
  int nowhere = open("/dev/null", O_RDWR);
  if (nowhere >= 0) dup2(nowhere, 0), dup2(nowhere, 1), dup2(nowhere, 2);
  mica_device_options options = {.struct_size = sizeof options, .backend = backend};
  mica_device *device = mica_device_open(&options, &error);
  const char *text = device != NULL ? mica_device_description(device) : error.message;
  (void)!write(out, device != NULL ? "+" : "-", 1);
  (void)!write(out, text, strlen(text));
  _exit(0);
}

/* What the child says until it ends, or the time is over; false then. */
static bool listen_to(int in, int seconds, char *text, size_t size) {
  int64_t end = milliseconds() + (int64_t)seconds * 1000;
  size_t used = 0;
  for (;;) {
    int64_t left = end - milliseconds();
    struct pollfd wait = {.fd = in, .events = POLLIN};
    int ready = left > 0 ? poll(&wait, 1, (int)left) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) break;
    ssize_t got = read(in, text + used, size - 1 - used);
    if (got < 0 && errno == EINTR) continue;
    if (got > 0) used += (size_t)got;
    if (got <= 0 || used == size - 1) {
      text[used] = 0;
      return true;
    }
  }
  text[used] = 0;
  return false;
}

bool cli_probe(const char *backend, int seconds, char *text, size_t size) {
  char said[2048];
  int ends[2];
  unsetenv("MICA_BACKEND");
  prepare_environment();
  fflush(stdout);
  if (pipe(ends) != 0) {
    snprintf(text, size, "%s: no pipe: %s", backend, strerror(errno));
    return false;
  }
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    open_and_tell(backend, ends[1]);
  }
  close(ends[1]);
  bool ended = child > 0 && listen_to(ends[0], seconds, said, sizeof said);
  close(ends[0]);
  if (child < 0) {
    snprintf(text, size, "%s: no process: %s", backend, strerror(errno));
    return false;
  }
  int status = 0;
  if (!ended) kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (!ended)
    snprintf(text, size, "%s: no answer within %d s", backend, seconds);
  else if (said[0] == '+' || said[0] == '-')
    snprintf(text, size, "%s", said + 1);
  else if (WIFSIGNALED(status))
    snprintf(text, size, "%s: the plugin ended its process by signal %d (%s)", backend,
             WTERMSIG(status), strsignal(WTERMSIG(status)));
  else
    snprintf(text, size, "%s: the plugin ended its process with code %d", backend,
             WIFEXITED(status) ? WEXITSTATUS(status) : 0);
  return ended && said[0] == '+';
}
