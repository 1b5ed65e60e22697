/* SPDX-License-Identifier: Apache-2.0 */
/* picture_svg.c: the boxes of a model as SVG: rows below each other, values as curves from the bottom
 * of one box to the top of another; those that pass rows go round on the right. */
#include <stdlib.h>
#include <string.h>

#include "ui/picture_internal.h"

enum {
  PAD = 16,
  ROW_GAP = 34,
  BESIDE = 26,
  LINE = 17,
  SCOPE_HEAD = 46,
  LANE = 14,
  MOST_LANES = 10
};
enum { WIDE_TEXT = 40 }; /* characters of a line in a box */

typedef struct {
  int32_t x, y, width, height; /* in the parent */
  int32_t lanes;               /* of a parent: values that go round */
} svg_box;

typedef struct {
  const mica_picture *picture;
  const mica_picture_options *options;
  svg_box *boxes;
  mica_ui_text *out;
} svg_picture;

/* What a box says, in up to three lines: its name, what it does, the shape and the parameters. */
static int32_t box_lines(const mica_picture_item *item, char lines[3][256]) {
  char type[160], count[40];
  int32_t used = 1;
  snprintf(lines[0], 256, "%s", item->name);
  if (*item->does)
    snprintf(lines[used++], 256, "%.*s%s", WIDE_TEXT, item->does,
             strlen(item->does) > WIDE_TEXT ? "..." : "");
  mica_picture_type(item, type, sizeof type);
  mica_picture_count(item->parameters, count, sizeof count);
  if (*type || item->parameters)
    snprintf(lines[used++], 256, "%s%s%s%s", type, *type && item->parameters ? "  \xc2\xb7  " : "",
             item->parameters ? count : "", item->parameters ? " parameters" : "");
  return used;
}

static bool goes_round(const mica_picture *p, const mica_picture_edge *e) {
  return p->items[e->to].rank != p->items[e->from].rank + 1;
}

/* Sizes from the inside out: items stand behind their parents. */
static bool lay_out(svg_picture *s) {
  const mica_picture *p = s->picture;
  int32_t *first = malloc(((size_t)p->count + 1) * 2 * sizeof *first); /* children by parent */
  if (!first) return false;
  int32_t *next = first + p->count + 1;
  for (int32_t i = 0; i < p->count; i++) first[i] = -1;
  for (int32_t i = p->count - 1; i > 0; i--)
    next[i] = first[p->items[i].parent], first[p->items[i].parent] = i;
  for (int32_t i = 0; i < p->edge_count; i++)
    if (goes_round(p, &p->edges[i])) s->boxes[p->items[p->edges[i].from].parent].lanes++;
  bool ok = true;
  for (int32_t i = p->count - 1; i >= 0 && ok; i--) {
    svg_box *box = &s->boxes[i];
    char lines[3][256];
    int32_t count = box_lines(&p->items[i], lines), wide = 0;
    for (int32_t k = 0; k < count; k++) {
      int32_t w = (int32_t)mica_ui_columns(lines[k]) * (k ? 13 : 16) / 2 + 28;
      if (w > wide) wide = w;
    }
    box->width = wide > 120 ? wide + wide % 2 : 120, box->height = count * LINE + 15;
    if (!mica_picture_open(p, s->options, i) || p->items[i].rows == 0) continue;
    int32_t rows = p->items[i].rows;
    int32_t *sizes = calloc((size_t)rows * 3, sizeof *sizes); /* width, height, place of each row */
    if (!(ok = sizes != NULL)) break;
    for (int32_t c = first[i]; c >= 0; c = next[c]) {
      int32_t *row = sizes + 3 * p->items[c].rank;
      row[0] += s->boxes[c].width + (row[0] ? BESIDE : 0);
      if (s->boxes[c].height > row[1]) row[1] = s->boxes[c].height;
    }
    int32_t inner = box->width - 2 * PAD > 388 || i ? box->width - 2 * PAD : 388,
            y = i ? SCOPE_HEAD + 14 : 56;
    for (int32_t r = 0; r < rows; r++)
      if (sizes[3 * r] > inner) inner = sizes[3 * r];
    for (int32_t r = 0; r < rows; r++) {
      int32_t height = sizes[3 * r + 1];
      sizes[3 * r + 1] = y, sizes[3 * r + 2] = PAD + (inner - sizes[3 * r]) / 2;
      y += height + ROW_GAP;
    }
    for (int32_t c = first[i]; c >= 0; c = next[c]) {
      int32_t *row = sizes + 3 * p->items[c].rank;
      s->boxes[c].x = row[2], s->boxes[c].y = row[1];
      row[2] += s->boxes[c].width + BESIDE;
    }
    int32_t lanes = box->lanes < MOST_LANES ? box->lanes : MOST_LANES;
    box->width = inner + 2 * PAD + (lanes ? lanes * LANE + 10 : 0);
    box->height = y - ROW_GAP + PAD + 4;
    free(sizes);
  }
  free(first);
  return ok;
}

static void place(const svg_picture *s, int32_t item, int32_t *x, int32_t *y) {
  for (*x = *y = 0; item > 0; item = s->picture->items[item].parent)
    *x += s->boxes[item].x, *y += s->boxes[item].y;
}

static bool is_shown(const svg_picture *s, int32_t item) {
  for (item = s->picture->items[item].parent; item >= 0; item = s->picture->items[item].parent)
    if (!mica_picture_open(s->picture, s->options, item)) return false;
  return true;
}

static void box_text(const svg_picture *s, int32_t x, int32_t y, const char *kind,
                     const char *text) {
  mica_ui_format(s->out, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, kind);
  mica_ui_xml(s->out, text);
  mica_ui_string(s->out, "</text>\n");
}

static void draw_box(const svg_picture *s, int32_t item) {
  static const char *const kinds[] = {"scope", "op", "end", "end"};
  const mica_picture_item *i = &s->picture->items[item];
  bool open = mica_picture_open(s->picture, s->options, item);
  char lines[3][256];
  int32_t x, y, count = box_lines(i, lines);
  place(s, item, &x, &y);
  mica_ui_format(s->out, "<g class=\"%s\"><title>", open ? "open" : kinds[i->kind]);
  mica_ui_xml(s->out, i->name);
  mica_ui_string(s->out, *i->does ? ": " : "");
  mica_ui_xml(s->out, i->does);
  mica_ui_format(s->out, "</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n",
                 x, y, s->boxes[item].width, s->boxes[item].height);
  if (open) {
    box_text(s, x + PAD, y + 21, "name", lines[0]);
    if (count > 1) box_text(s, x + PAD, y + 38, "small", lines[count - 1]);
  } else {
    for (int32_t k = 0; k < count; k++)
      box_text(s, x + s->boxes[item].width / 2, y + 20 + LINE * k,
               k ? "small middle" : "name middle", lines[k]);
  }
  mica_ui_string(s->out, "</g>\n");
}

static void draw_edge(const svg_picture *s, const mica_picture_edge *e, int32_t *lane) {
  int32_t x0, y0, x1, y1, parent = s->picture->items[e->from].parent;
  const svg_box *from = &s->boxes[e->from], *to = &s->boxes[e->to];
  place(s, e->from, &x0, &y0), place(s, e->to, &x1, &y1);
  bool back = s->picture->items[e->to].rank <= s->picture->items[e->from].rank;
  if (!goes_round(s->picture, e)) {
    x0 += from->width / 2, y0 += from->height, x1 += to->width / 2;
    int32_t bend = (y1 - y0) / 2;
    mica_ui_format(s->out, "<path class=\"edge\" d=\"M%d %dC%d %d %d %d %d %d\"/>\n", x0, y0, x0,
                   y0 + bend, x1, y1 - bend, x1, y1 - 3);
    return;
  }
  int32_t px, py, mine = lane[parent]++ % MOST_LANES;
  place(s, parent, &px, &py);
  int32_t lanes = s->boxes[parent].lanes < MOST_LANES ? s->boxes[parent].lanes : MOST_LANES;
  int32_t across = px + s->boxes[parent].width - PAD - (lanes - 1 - mine) * LANE;
  x0 += from->width, x1 += to->width;
  y0 += from->height / 2 + 3 * (mine % 3), y1 += to->height / 2 - 6 + 4 * (mine % 3);
  int32_t turn = y1 > y0 ? 8 : -8;
  mica_ui_format(s->out,
                 "<path class=\"edge round%s\" d=\"M%d %dH%dQ%d %d %d %dV%dQ%d %d %d %dH%d\"/>\n",
                 back ? " back" : "", x0, y0, across - 8, across, y0, across, y0 + turn, y1 - turn,
                 across, y1, across - 8, y1, x1 + 3);
}

/* From outside of a frame: from above into its first row, from the left further below. */
static void draw_entry(const svg_picture *s, int32_t item) {
  const mica_picture_item *i = &s->picture->items[item];
  int32_t x, y;
  if (!i->entered || i->parent <= 0) return;
  place(s, item, &x, &y);
  if (i->rank == 0)
    mica_ui_format(s->out, "<path class=\"edge\" d=\"M%d %dV%d\"/>\n", x + s->boxes[item].width / 2,
                   y - 12, y - 3);
  else
    mica_ui_format(s->out, "<path class=\"edge\" d=\"M%d %dH%d\"/>\n", x - 13,
                   y + s->boxes[item].height / 2, x - 3);
}

static const char *const picture_style[] = {
    "svg{--paper:#fff;--ink:#1f2430;--soft:#667085;--rule:#c9d0dc;--fill:#eaf3fb;--line:#0072b2;",
    "--op:#f6f7f9;--end:#fdf3e0;--endline:#b97a00;--frame:#fafbfc;background:var(--paper);",
    "font-family:system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif}\n",
    "@media(prefers-color-scheme:dark){svg{--paper:#14161c;--ink:#e8eaf0;--soft:#9aa3b5;",
    "--rule:#3a4150;--fill:#16283a;--line:#4aa3df;--op:#1c2029;--end:#33290f;--endline:#d9a53f;",
    "--frame:#181b23}}\n",
    "rect{fill:var(--op);stroke:var(--rule)}.scope rect{fill:var(--fill);stroke:var(--line)}",
    ".end rect{fill:var(--end);stroke:var(--endline)}.open rect{fill:var(--frame)}",
    "rect.paper{fill:var(--paper);stroke:none}",
    ".name{font-size:14px;font-weight:600;fill:var(--ink)}",
    ".small{font-size:11.5px;fill:var(--soft)}.middle{text-anchor:middle}",
    ".head{font-size:18px;font-weight:600;fill:var(--ink)}",
    ".edge{fill:none;stroke:var(--soft);stroke-width:1.4;marker-end:url(#tip)}",
    ".back{stroke-dasharray:5 4}#tip path{fill:var(--soft)}\n",
    NULL};

mica_status mica_picture_svg(const char *path, const mica_graph *graph,
                             const mica_picture_options *options, mica_error *error) {
  mica_picture_options o = mica_picture_options_of(options);
  mica_picture picture;
  mica_status status = mica_picture_build(graph, &o, &picture, error);
  if (status != MICA_OK) return status;
  mica_ui_text out = {0};
  svg_picture s = {.picture = &picture, .options = &o, .out = &out};
  s.boxes = calloc((size_t)picture.count, sizeof *s.boxes);
  int32_t *lane = calloc((size_t)picture.count, sizeof *lane);
  if (s.boxes && lane && lay_out(&s)) {
    char count[40];
    int32_t width = s.boxes[0].width > 420 ? s.boxes[0].width : 420, height = s.boxes[0].height;
    mica_picture_count(picture.items[0].parameters, count, sizeof count);
    mica_ui_format(&out,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
                   "height=\"%d\" role=\"img\">\n<title>",
                   width, height, width, height);
    mica_ui_xml(&out, o.title);
    mica_ui_string(&out, "</title>\n<style>\n");
    mica_ui_strings(&out, picture_style);
    mica_ui_format(&out,
                   "</style>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"6\" refY=\"4\" "
                   "markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">"
                   "<path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n"
                   "<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n",
                   width, height);
    box_text(&s, PAD, 27, "head", o.title);
    mica_ui_format(&out,
                   "<text x=\"%d\" y=\"45\" class=\"small\">%s parameters in %d variables</text>\n",
                   PAD, count, picture.variables);
    for (int32_t i = 1; i < picture.count; i++)
      if (is_shown(&s, i)) draw_box(&s, i);
    for (int32_t i = 0; i < picture.edge_count; i++)
      if (is_shown(&s, picture.edges[i].from)) draw_edge(&s, &picture.edges[i], lane);
    for (int32_t i = 1; i < picture.count; i++)
      if (is_shown(&s, i)) draw_entry(&s, i);
    mica_ui_string(&out, "</svg>\n");
  } else {
    out.failed = true;
  }
  free(s.boxes), free(lane);
  mica_picture_free(&picture);
  return mica_ui_write_file("picture_svg", path, &out, error);
}
