/* SPDX-License-Identifier: Apache-2.0 */
/* `mica plot` as somebody calls it. */
#include <signal.h>
#include <string.h>

#include "cli/command_testing.h"

static int call(const char *arguments) { return call_tool("plot", arguments, "&1"); }

static const char *contents(const char *path) {
  FILE *file = fopen(path, "rb");
  output[file ? fread(output, 1, sizeof output - 1, file) : 0] = 0;
  if (file) fclose(file);
  return output;
}

/* Works in the test's folder, with two runs in logs/. */
static bool is_ready(void) {
  if (!is_built()) return false;
  setenv("LC_ALL", "C.UTF-8", 1);
  const char *folder = check_temporary_path("");
  if (!CHECK(chdir(folder) == 0) || !CHECK(system("mkdir -p logs/a logs/b") == 0)) return false;
  for (int run = 0; run < 2; run++) {
    FILE *file = fopen(run ? "logs/b/metrics.jsonl" : "logs/a/metrics.jsonl", "w");
    if (!CHECK(file)) return false;
    for (int i = 0; i < 10; i++)
      fprintf(file, "{\"step\":%d,\"metrics\":{\"loss\":%d,\"accuracy\":%d}}\n", i, 20 - i - run,
              i);
    if (run) fputs("damaged\n", file);
    fclose(file);
  }
  return true;
}

TEST(draws_in_the_terminal) {
  if (!is_ready()) return;
  CHECK_EQ_INT(call("logs --width 50 --height 6 --metrics loss"), 0);
  CHECK_STR_CONTAINS(output, "loss   * a   o b");
  CHECK_STR_CONTAINS(output, "11 at 9");
  CHECK_STR_CONTAINS(output, "mica: b: 1 line was left out; line 11");
  CHECK(!strstr(output, "\033"));
}

TEST(writes_files) {
  if (!is_ready()) return;
  CHECK_EQ_INT(
      call("logs/a --html page.html --svg picture.svg --smoothing 0.5 --x step --log --title T"),
      0);
  CHECK_EQ_STR(output, "");
  CHECK_STR_CONTAINS(contents("page.html"), "{\"title\":\"T\",");
  CHECK_STR_CONTAINS(contents("picture.svg"), "</svg>");
  CHECK_EQ_INT(call("logs/a --svg picture.svg --columns 1"), 0);
  CHECK_EQ_INT(call("logs/a no-such-run --svg picture.svg"), 1); /* what can be drawn is */
  CHECK_STR_CONTAINS(contents("picture.svg"), "</svg>");
  CHECK_EQ_INT(call("logs/a --json"), 0);
  CHECK_STR_CONTAINS(output, "{\"runs\":[{\"name\":\"a\"");
}

TEST(says_what_is_wrong) {
  if (!is_ready()) return;
  static const char *const rows[][2] = {{"", "expected a folder"},
                                        {"no-such", "there is no \"no-such\""},
                                        {"logs --x size", "--x size: expected step, epoch or time"},
                                        {"logs --smoothing 1", "--smoothing 1: expected"},
                                        {"logs --follow x", "--follow x: expected"},
                                        {"logs --metrics nothing", "nothing"},
                                        {"logs --html no/such/folder/p.html", "no/such/folder"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK(call(rows[i][0]) != 0);
    CHECK_STR_CONTAINS(output, rows[i][1]);
  }
}

/* --follow keeps the page up to date; Ctrl-C writes it once more, and open pages hear of the end. */
TEST(follows_until_it_is_stopped) {
  if (!is_ready()) return;
  pid_t child = fork();
  if (!CHECK(child >= 0)) return;
  if (child == 0) {
    execl(tool_path(), tool_path(), "plot", "logs/a", "--html", "live.html", "--follow", "0.1",
          (char *)NULL);
    _exit(9);
  }
  bool live = false, news = false;
  for (int i = 0; i < 200 && !live; i++) {
    usleep(20000);
    live = strstr(contents("live.html.js"), "\"live\":0.1") != NULL;
  }
  FILE *file = fopen("logs/a/metrics.jsonl", "a");
  if (CHECK(file)) fputs("{\"step\":77,\"metrics\":{\"loss\":5}}\n", file), fclose(file);
  for (int i = 0; i < 200 && !news; i++) {
    usleep(20000);
    news = strstr(contents("live.html.js"), "[77,5]") != NULL;
  }
  kill(child, SIGINT);
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(live && news);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_STR_CONTAINS(contents("live.html.js"), "\"live\":0,");
}

TEST_MAIN(TEST_CASE(draws_in_the_terminal), TEST_CASE(writes_files), TEST_CASE(says_what_is_wrong),
          TEST_CASE(follows_until_it_is_stopped))
