/* SPDX-License-Identifier: Apache-2.0 */
/* `mica plugin` and `mica info` as somebody calls them: what they print, their JSON, exit codes, an empty stderr, and
 * plugins that hang or end their process when they are tried. */
#include <string.h>

#include "cli/command_testing.h"
#include "mica/xla.h"
#include "plugin/plugin_internal.h"
#include "plugin/support.h"

static char said[1 << 14], wheels[512];

/* What is printed to stderr is in `said`. */
static int call(const char *arguments) {
  int code = call_tool("", arguments, "said.txt");
  size_t size;
  char *bytes = read_all("said.txt", &size);
  snprintf(said, sizeof said, "%s", bytes != NULL ? bytes : "");
  free(bytes);
  return code;
}

static int call_with(const char *format, const char *value) {
  char arguments[1024];
  snprintf(arguments, sizeof arguments, format, value);
  return call(arguments);
}

static bool prepare_all(void) {
  char command[600];
  if (!is_built()) return false;
  if (!has_zip()) {
    CHECK_SKIP("libzip is missing");
    return false;
  }
  char *here = getcwd(NULL, 0);
  snprintf(wheels, sizeof wheels, "%.400s/wheels", here);
  snprintf(command, sizeof command, "%.400s/data", here);
  CHECK_OK(mica_plugin_remove_tree(command, NULL));
  CHECK_OK(mica_plugin_remove_tree(wheels, NULL));
  setenv("XDG_DATA_HOME", command, 1);
  snprintf(command, sizeof command, "%.400s/list.txt", here);
  unlink(command);
  make_folder(wheels);
  make_plugin_wheel(wheels, command, "cpu", "fake-pjrt-cpu", "1.0");
  setenv("MICA_PLUGIN_TABLE", command, 1);
  unsetenv("MICA_XLA_PLUGIN_DIR"), unsetenv("MICA_BACKEND"), unsetenv("MICA_FAKE_PLUGIN");
  free(here);
  return true;
}

TEST(brings_and_removes) {
  if (!prepare_all()) return;
  CHECK_EQ_INT(call("plugin"), 0);
  CHECK_STR_CONTAINS(output, "fake-pjrt-cpu");
  CHECK(strstr(output, "installed") == NULL);
  CHECK_EQ_INT(call("plugin which cpu"), 1);
  CHECK_STR_CONTAINS(said, "install it by `mica plugin install cpu`");
  CHECK_EQ_INT(call_with("plugin install cpu --from '%s'", wheels), 0);
  CHECK_EQ_STR(said, "");
  CHECK_STR_CONTAINS(output, "/data/mica/plugins/fake-pjrt-cpu-1.0/lammps_jax_pjrt_cpu/");
  CHECK_EQ_INT(call("plugin which xla:cpu"), 0);
  CHECK_STR_CONTAINS(output, "/mica/plugins/fake-pjrt-cpu-1.0/");
  CHECK_EQ_INT(call("plugin list"), 0);
  CHECK_STR_CONTAINS(output, "installed, used");
  CHECK_STR_CONTAINS(output, "xla:cpu ");
  CHECK_EQ_STR(said, "");
  CHECK_EQ_INT(call("plugin list --json"), 0);
  CHECK_STR_CONTAINS(output, "{\"plugins\": [{\"name\": \"cpu\", \"device\": \"cpu\"");
  CHECK_STR_CONTAINS(output, "\"installed\": true, \"used\": true, \"file\": \"/");
  CHECK_STR_CONTAINS(output, "\"found\": [{\"device\": \"xla:cpu\", \"file\": \"/");
  CHECK_EQ_INT(call("plugin which --json"), 0); /* what xla alone is, here the only one */
  CHECK_STR_CONTAINS(output, "{\"file\": \"/");
  CHECK_EQ_INT(call_with("plugin install cpu --again --from '%s' --json", wheels), 0);
  CHECK_STR_CONTAINS(output, "{\"installed\": [{\"name\": \"cpu\", \"file\": \"/");
  CHECK_EQ_INT(call("plugin remove cpu"), 0);
  CHECK_EQ_STR(said, "");
  CHECK_EQ_STR(output, "");
  CHECK_EQ_INT(call("plugin remove cpu"), 1);
  CHECK_STR_CONTAINS(said, "no plugin 'cpu' is installed");
  CHECK_EQ_INT(call("plugin install cpu --from /no/such/folder"), 1);
  CHECK_STR_CONTAINS(said, "there is no fake_pjrt_cpu-1.0-py3-none-any.whl in /no/such/folder");
  CHECK_EQ_INT(call("plugin dance"), 2);
  CHECK_EQ_INT(call("plugin install"), 2);
  CHECK_EQ_INT(call("plugin install cpu --stall 0"), 2);
  CHECK_EQ_INT(call("plugin install abacus"), 1);
  CHECK_STR_CONTAINS(said, "there are: cpu");
  CHECK_EQ_INT(call("plugin list --table /no/such/list"), 1);
  CHECK_EQ_INT(call("plugin --help"), 0);
  CHECK_STR_CONTAINS(output, "mica plugin install cpu");
  CHECK_EQ_INT(call("completion bash"), 0);
  CHECK_STR_CONTAINS(output, "plugin) words='--json --help --from");
}

/* The fake plugin, tried in processes of their own. */
TEST(tries_plugins) {
  if (!prepare_all()) return;
  CHECK_EQ_INT(call("info"), 0);
  CHECK_STR_CONTAINS(output, "xla:tpu    not available: mica plugin install tpu brings it");
  CHECK_EQ_INT(call_with("plugin install cpu --from '%s'", wheels), 0);
  CHECK_EQ_INT(call("plugin check cpu"), 0);
  CHECK_STR_CONTAINS(output, "xla:cpu: imagined, device 0 of 2, PJRT 0.");
  CHECK_EQ_STR(said, "");
  CHECK_EQ_INT(call("info"), 0);
  CHECK_EQ_STR(said, "");
  CHECK_STR_CONTAINS(output, "xla:cpu    xla:cpu: imagined");
  CHECK_STR_CONTAINS(output, "`xla` alone loads ");
  CHECK_EQ_INT(call("info --json"), 0);
  CHECK_STR_CONTAINS(output, "{\"backend\": \"xla:cpu\", \"available\": true, ");
  CHECK_STR_CONTAINS(output, "\"xla\": \"/");
  CHECK_EQ_INT(call("plugin check cuda cpu --json"), 1);
  CHECK_STR_CONTAINS(output, "\"xla:cuda\", \"available\": false, \"description\": \"xla:cuda: ");
  CHECK_STR_CONTAINS(output, "no plugin in $MICA_XLA_PLUGIN_DIR");
  if (!mica_xla_has_driver("cuda"))
    CHECK_STR_CONTAINS(output, "the driver of its devices is not on this machine");
  CHECK_STR_CONTAINS(output, "\"xla:cpu\", \"available\": true");
  setenv("MICA_FAKE_PLUGIN", "hang", 1);
  CHECK_EQ_INT(call("plugin check cpu --seconds 1"), 1);
  CHECK_STR_CONTAINS(said, "xla:cpu: no answer within 1 s");
  setenv("MICA_FAKE_PLUGIN", "abort", 1);
  CHECK_EQ_INT(call("plugin check cpu"), 1);
  CHECK_STR_CONTAINS(said, "the plugin ended its process by signal 6");
  CHECK_EQ_INT(call("info"), 0);
  CHECK_STR_CONTAINS(output, "not available: xla:cpu: the plugin ended its process");
  setenv("MICA_FAKE_PLUGIN", "exit", 1);
  CHECK_EQ_INT(call("plugin check xla:cpu"), 1);
  CHECK_STR_CONTAINS(said, "ended its process with code 7");
  unsetenv("MICA_FAKE_PLUGIN");
  CHECK_EQ_INT(call("plugin check help"), 1);
  CHECK_STR_CONTAINS(said, "xla:help: choose a plugin by xla:NAME");
}

TEST_MAIN(TEST_CASE(brings_and_removes), TEST_CASE(tries_plugins))
