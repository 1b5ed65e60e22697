/* SPDX-License-Identifier: Apache-2.0 */
/* test_pages.c: a graph as an HTML page whose tree follows scopes and regions, and the operators as JSON for
 * bindings. */
#include "core/json.h"
#include "unit/graph/ops_testing.h"

static char *whole(int64_t size, char *text) {
  if (!CHECK(size > 0) || !CHECK(text != NULL)) exit(1);
  CHECK_EQ_INT(strlen(text), size);
  return text;
}
static char *page_of(const mica_graph *graph) {
  int64_t size = mica_graph_format_html(graph, NULL, 0);
  char *text = malloc((size_t)(size > 0 ? size : 0) + 1);
  CHECK_EQ_INT(mica_graph_format_html(graph, text, (size_t)size + 1), size);
  return whole(size, text);
}

static int64_t occurrences(const char *text, const char *part) {
  int64_t count = 0;
  for (; (text = strstr(text, part)) != NULL; text += strlen(part)) count++;
  return count;
}

/* Every element that opens is closed, in order: what a browser would otherwise guess. */
static void check_nesting(const char *page) {
  static const char *const names[] = {"details", "summary", "div", "span", "b", "a"};
  int stack[256], depth = 0;
  for (const char *at = strstr(page, "<body>"); at && (at = strchr(at + 1, '<')) != NULL;) {
    bool closes = at[1] == '/';
    size_t length = strcspn(at + 1 + closes, " >");
    for (int i = 0; i < 6; i++) {
      if (strlen(names[i]) != length || strncmp(at + 1 + closes, names[i], length)) continue;
      if (!closes && depth < 256) stack[depth++] = i;
      if (closes && (depth == 0 || stack[--depth] != i)) {
        CHECK_FAIL("</%s> closes another element at \"%.60s\"", names[i], at);
        return;
      }
    }
  }
  CHECK_EQ_INT(depth, 0);
}

TEST(html_follows_scopes_and_regions) {
  mica_graph *g = mica_graph_create(NULL);
  mica_tensor *zeros = mica_tensor_from(MICA_F32, MICA_DIMS(2), NULL);
  mica_variable *cell = mica_variable_create("w<1>&\"", zeros);
  mica_value x = F32(2), y, h = x;
  mica_scope_push(g, "net");
  mica_scope_push(g, "layer1");
  h = mica_gelu(h);
  mica_scope_pop(g, "layer1");
  mica_scope_push(g, "layer11");
  h = mica_mark(h, "a < b & \"c\"");
  mica_scope_pop(g, "layer11");
  mica_scope_pop(g, "net");
  mica_scope_push(g, "out");
  mica_region loop = mica_scan_begin_count(g, &h, 1, NULL, 0, 3, false);
  mica_value next = mica_mul(mica_argument(loop, 0), mica_variable_read(g, cell));
  mica_scan_end(loop, &next, &next, 1, &h, &y);
  mica_scope_pop(g, "out");
  mica_variable_assign(cell, h);
  mica_graph_set_outputs(g, (mica_value[]){h, y}, 2);
  char *page = page_of(g);
  check_nesting(page);
  CHECK_EQ_INT(occurrences(page, "<summary class=\"scope\">net</summary>"), 1); /* opened once */
  CHECK_EQ_INT(occurrences(page, "<summary class=\"scope\">layer1</summary>"), 1);
  CHECK_EQ_INT(occurrences(page, "<summary class=\"scope\">layer11</summary>"), 1);
  CHECK_STR_CONTAINS(page, "<b class=\"composite\">gelu</b>");
  CHECK_STR_CONTAINS(page, "<b class=\"owner\">scan</b>");
  CHECK_STR_CONTAINS(page, "region 0 of scan");
  CHECK_STR_CONTAINS(page, " | captured ");
  CHECK_STR_CONTAINS(page, "a &lt; b &amp; \\&quot;c\\&quot;");
  CHECK_STR_CONTAINS(page, "<b>assign</b> w&lt;1&gt;&amp;&quot; = ");
  CHECK_STR_CONTAINS(page, "1 inputs, 2 outputs, 1 variables");
  CHECK_EQ_INT(occurrences(page, "<b>return</b>"), 1);
  /* Each link leads to a definition. */
  for (const char *at = page; (at = strstr(at, "href=\"#v")) != NULL; at += 8) {
    char id[32];
    snprintf(id, sizeof id, "id=\"v%ld\"", strtol(at + 8, NULL, 10));
    if (!strstr(page, id)) CHECK_FAIL("no definition has %s", id);
  }
  free(page);
  mica_variable_release(cell);
  mica_tensor_release(zeros);
  mica_graph_destroy(g);
  char text[4] = "x";
  CHECK_EQ_INT(mica_graph_format_html(NULL, text, sizeof text), 0);
}

static const mica_json *operator_named(const mica_json *all, const char *name) {
  for (const mica_json *op = all->first; op; op = op->next) {
    const mica_json *its = mica_json_get(op, "name");
    if (its && its->string && !strcmp(its->string, name)) return op;
  }
  CHECK_FAIL("no operator %s", name);
  return NULL;
}
static void check_member(const mica_json *op, const char *key, const char *text, int64_t number) {
  const mica_json *member = mica_json_get(op, key);
  if (!CHECK(member != NULL)) return;
  if (text)
    CHECK_EQ_STR(member->string, text);
  else
    CHECK_EQ_INT(member->kind == MICA_JSON_BOOL ? member->boolean : member->integer, number);
}

TEST(operators_as_json) {
  int64_t size = mica_operators_json(NULL, 0);
  char *text = malloc((size_t)(size > 0 ? size : 0) + 1);
  CHECK_EQ_INT(mica_operators_json(text, (size_t)size + 1), size);
  whole(size, text);
  mica_arena arena;
  mica_arena_init(&arena, NULL);
  mica_json *all = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_json_parse(&arena, text, (size_t)size, &all, &error), &error);
  if (CHECK(all && all->kind == MICA_JSON_ARRAY)) {
    CHECK_EQ_INT(all->count, MICA_OP_COUNT - 3); /* all but none, result and argument */
    const mica_json *op = operator_named(all, "add");
    check_member(op, "kind", "pointwise", 0);
    check_member(op, "dtypes", "number", 0);
    check_member(op, "operands", NULL, 2);
    check_member(op, "results", NULL, 1);
    check_member(op, "composite", NULL, false);
    check_member(op, "effect", NULL, false);
    op = operator_named(all, "gelu");
    check_member(op, "composite", NULL, true);
    check_member(operator_named(all, "mark"), "effect", NULL, true);
    check_member(operator_named(all, "concatenate"), "operands", NULL, -1);
    const mica_json *optional = mica_json_get(operator_named(all, "attention"), "operand_names");
    CHECK(optional && optional->count == 4 && !strcmp(optional->first->string, "q"));
    op = operator_named(all, "compare");
    const mica_json *attributes = mica_json_get(op, "attributes");
    if (CHECK(attributes && attributes->count == 1)) {
      check_member(attributes->first, "name", "kind", 0);
      check_member(attributes->first, "kind", "enum", 0);
      const mica_json *values = mica_json_get(attributes->first, "values");
      CHECK(values && values->count == 6 && !strcmp(values->first->string, "eq"));
    }
    for (op = all->first; op; op = op->next) {
      const mica_json *formula = mica_json_get(op, "formula");
      if (!formula || !formula->string || !formula->string[0])
        CHECK_FAIL("%s has no formula", mica_json_get(op, "name")->string);
      const mica_json *names = mica_json_get(op, "operand_names"),
                      *accepts = mica_json_get(op, "accepts");
      int64_t operands = mica_json_get(op, "operands")->integer;
      if (names && operands >= 0 && (int64_t)names->count != operands)
        CHECK_FAIL("%s: the formula names %d operands", mica_json_get(op, "name")->string,
                   (int)names->count);
      CHECK(accepts && accepts->count > 0);
    }
  }
  mica_arena_deinit(&arena);
  free(text);
}

TEST_MAIN(TEST_CASE(html_follows_scopes_and_regions), TEST_CASE(operators_as_json))
