/* SPDX-License-Identifier: Apache-2.0 */
/* picture_html.c: the boxes of a model as one page. The nesting is HTML's own (<details>), so that it
 * opens, closes and wraps without a script; the script draws the values between the boxes. */
#include <stdlib.h>
#include <string.h>

#include "ui/picture_internal.h"
#include "ui/page/picture.h"

typedef struct {
  const mica_picture *picture;
  const mica_picture_options *options;
  mica_ui_text *out;
  int32_t *first, *next; /* children of each item, by row and order */
} html_picture;

static void box_words(const html_picture *h, const mica_picture_item *item) {
  char type[160], count[40];
  mica_picture_type(item, type, sizeof type);
  mica_picture_count(item->parameters, count, sizeof count);
  mica_ui_string(h->out, "<b>");
  mica_ui_xml(h->out, item->name);
  mica_ui_string(h->out, "</b>");
  if (*item->does)
    mica_ui_string(h->out, "<span class=\"does\">"), mica_ui_xml(h->out, item->does),
        mica_ui_string(h->out, "</span>");
  if (*type) mica_ui_format(h->out, "<span class=\"type\">%s</span>", type);
  if (item->parameters) mica_ui_format(h->out, "<span class=\"count\">%s parameters</span>", count);
}

static void put_rows(const html_picture *h, int32_t parent);

static void put_item(const html_picture *h, int32_t item) {
  static const char *const kinds[] = {"scope", "op", "end", "end"};
  const mica_picture_item *i = &h->picture->items[item];
  const char *in = !i->entered ? "" : i->rank ? " in left" : " in";
  if (i->kind == MICA_ITEM_SCOPE && i->children > 0 && i->depth < 200) {
    mica_ui_format(h->out, "<details class=\"box scope%s\" id=\"i%d\"%s><summary>", in, item,
                   mica_picture_open(h->picture, h->options, item) ? " open" : "");
    box_words(h, i);
    mica_ui_string(h->out, "</summary>\n");
    put_rows(h, item);
    mica_ui_string(h->out, "</details>\n");
  } else {
    mica_ui_format(h->out, "<div class=\"box %s%s\" id=\"i%d\">", kinds[i->kind], in, item);
    box_words(h, i);
    mica_ui_string(h->out, "</div>\n");
  }
}

static void put_rows(const html_picture *h, int32_t parent) {
  int32_t rank = -1;
  mica_ui_format(h->out, "<div class=\"rows\" data-of=\"%d\">", parent);
  for (int32_t c = h->first[parent]; c >= 0; c = h->next[c]) {
    if (h->picture->items[c].rank != rank)
      mica_ui_string(h->out, rank < 0 ? "<div class=\"row\">\n" : "</div><div class=\"row\">\n");
    rank = h->picture->items[c].rank;
    put_item(h, c);
  }
  mica_ui_string(h->out, rank < 0 ? "</div>\n" : "</div></div>\n");
}

typedef struct {
  int32_t rank, item;
} ranked_item;

static int compare_ranks(const void *a, const void *b) {
  const ranked_item *x = a, *y = b;
  if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
  return x->item < y->item ? -1 : x->item > y->item;
}

/* Lists of children, the last row first, so that putting each in front leaves them in order. */
static bool list_children(html_picture *h) {
  const mica_picture *p = h->picture;
  h->first = malloc((size_t)p->count * 2 * sizeof *h->first);
  ranked_item *order = malloc((size_t)p->count * sizeof *order);
  if (h->first && order) {
    h->next = h->first + p->count;
    for (int32_t i = 0; i < p->count; i++)
      h->first[i] = -1, order[i] = (ranked_item){p->items[i].rank, i};
    qsort(order, (size_t)p->count, sizeof *order, compare_ranks);
    for (int32_t k = p->count - 1; k >= 0; k--) {
      int32_t i = order[k].item;
      if (i) h->next[i] = h->first[p->items[i].parent], h->first[p->items[i].parent] = i;
    }
  }
  bool ok = h->first && order;
  free(order);
  return ok;
}

mica_status mica_picture_html(const char *path, const mica_graph *graph,
                              const mica_picture_options *options, mica_error *error) {
  mica_picture_options o = mica_picture_options_of(options);
  mica_picture picture;
  mica_status status = mica_picture_build(graph, &o, &picture, error);
  if (status != MICA_OK) return status;
  mica_ui_text out = {0};
  html_picture h = {.picture = &picture, .options = &o, .out = &out};
  char count[40];
  mica_picture_count(picture.items[0].parameters, count, sizeof count);
  if (!list_children(&h)) out.failed = true;
  mica_ui_string(&out,
                 "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                 "<meta name=\"color-scheme\" content=\"light dark\"><title>");
  mica_ui_xml(&out, o.title);
  mica_ui_string(&out, "</title>\n<style>\n");
  mica_ui_strings(&out, picture_page_css);
  mica_ui_string(&out, "</style></head><body>\n<header><h1>");
  mica_ui_xml(&out, o.title);
  mica_ui_format(&out,
                 "</h1><span class=\"sum\">%s parameters in %d variables, %d operators</span>\n"
                 "<span class=\"buttons\"><button id=\"open\">open all</button> "
                 "<button id=\"close\">close all</button> "
                 "<button id=\"theme\">&#9680; theme</button></span></header>\n<main>",
                 count, picture.variables, picture.items[0].operators);
  if (!out.failed) put_rows(&h, 0);
  mica_ui_string(&out, "</main>\n<script type=\"application/json\" id=\"edges\">[");
  for (int32_t i = 0; i < picture.edge_count; i++)
    mica_ui_format(&out, "%s[%d,%d]", i ? "," : "", picture.edges[i].from, picture.edges[i].to);
  mica_ui_string(&out, "]</script>\n<script>\n");
  mica_ui_strings(&out, picture_page_js);
  mica_ui_string(&out, "</script></body></html>\n");
  free(h.first);
  mica_picture_free(&picture);
  return mica_ui_write_file("picture_html", path, &out, error);
}
