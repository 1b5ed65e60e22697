/* SPDX-License-Identifier: Apache-2.0 */
/* picture.c: from a graph to boxes. Every node belongs to the box of its scope; a value between two
 * nodes becomes an edge between the two boxes, of their common parent, that hold them; rows follow
 * from the longest path (Sugiyama, Tagawa and Toda 1981, the first step). */
#include <stdlib.h>
#include <string.h>

#include "ui/picture_internal.h"

/* So many operators beside each other are drawn; more become one box. */
enum { MOST_OPERATORS = 24 };

typedef struct {
  const mica_graph *graph;
  mica_picture *picture;
  bool backward;
  uint32_t count;
  int32_t *box;            /* [count + 1] the innermost scope of each node */
  int32_t *source;         /* [count + 1] the item that gives the value; -1: none that is drawn */
  int32_t *owner;          /* [count + 1] the scope that a block's owner became, 0: none */
  unsigned char *constant; /* [count + 1] depends on constants only */
} picture_builder;

static int32_t add_item(mica_picture *p, mica_item_kind kind, int32_t parent, const char *name,
                        size_t size, uint32_t id) {
  if (p->count == p->capacity) {
    int32_t capacity = p->capacity ? p->capacity * 2 : 64;
    mica_picture_item *grown = realloc(p->items, (size_t)capacity * sizeof *grown);
    if (!grown || capacity > 1 << 26) {
      if (grown) p->items = grown;
      p->failed = true;
      return 0;
    }
    p->items = grown, p->capacity = capacity;
  }
  mica_picture_item item = {.kind = kind, .parent = parent, .order = id, .last = id};
  if (size >= sizeof item.name) size = sizeof item.name - 1;
  memcpy(item.name, name, size);
  if (parent >= 0) {
    item.depth = p->items[parent].depth + 1;
    p->items[parent].children++;
    p->items[parent].scopes += kind == MICA_ITEM_SCOPE;
  }
  p->items[p->count] = item;
  return p->count++;
}

static int32_t child_scope(mica_picture *p, int32_t parent, const char *name, size_t size,
                           uint32_t id) {
  for (int32_t i = parent + 1; i < p->count; i++)
    if (p->items[i].parent == parent && p->items[i].kind == MICA_ITEM_SCOPE &&
        strlen(p->items[i].name) == size && !memcmp(p->items[i].name, name, size))
      return i;
  return add_item(p, MICA_ITEM_SCOPE, parent, name, size, id);
}

/* Descends the path "encoder/layer0" from `base`. */
static int32_t descend(picture_builder *b, int32_t base, const char *path, uint32_t id) {
  while (*path && !b->picture->failed) {
    size_t size = strcspn(path, "/");
    size_t most = sizeof b->picture->items->name - 1;
    if (size) base = child_scope(b->picture, base, path, size < most ? size : most, id);
    path += size + (path[size] == '/');
  }
  return base;
}

static int32_t box_of(picture_builder *b, const mica_graph_result *r, uint32_t id);

/* The box of a block such as scan, in its owner's scope. */
static int32_t owner_box(picture_builder *b, uint32_t owner, uint32_t id) {
  mica_graph_result r;
  if (b->owner[owner] || !mica_graph_result_at(b->graph, owner, &r)) return b->owner[owner];
  int32_t outer = box_of(b, &r, id);
  return b->owner[owner] = add_item(b->picture, MICA_ITEM_SCOPE, outer, r.op, strlen(r.op), id);
}

static int32_t box_of(picture_builder *b, const mica_graph_result *r, uint32_t id) {
  const char *path = r->scope;
  int32_t base = 0;
  if (r->owner) {
    mica_graph_result owner;
    base = owner_box(b, r->owner, id);
    if (mica_graph_result_at(b->graph, r->owner, &owner)) {
      size_t size = strlen(owner.scope);
      if (size && !strncmp(path, owner.scope, size) && (path[size] == '/' || !path[size]))
        path += size;
    }
  }
  return descend(b, base, path, id);
}

static bool is_op(const mica_graph_result *r, const char *op) { return !strcmp(r->op, op); }

static bool only_constants(const picture_builder *b, const mica_graph_result *r) {
  if (is_op(r, "constant") || is_op(r, "iota")) return true;
  /* Counters, and so the keys and bits of random numbers: what is drawn by chance is no part of the picture. */
  if (is_op(r, "variable") && mica_dtype_is_integer(r->type.dtype) &&
      mica_shape_count(r->type.shape) <= 4)
    return true;
  if (r->operand_count == 0) return false;
  for (size_t i = 0; i < r->operand_count; i++)
    if (!b->constant[r->operands[i]]) return false;
  return true;
}

/* Added by derivatives, or in a block that was: blocks are rebuilt with the scopes they had. */
static bool is_backward(const picture_builder *b, mica_graph_result r) {
  while (!strstr(r.scope, "(backward)"))
    if (!r.owner || !mica_graph_result_at(b->graph, r.owner, &r)) return false;
  return true;
}

/* Reads the nodes: boxes, what is constant, and how many operators stand where. */
static void place_nodes(picture_builder *b) {
  mica_graph_result r;
  for (uint32_t id = 1; id <= b->count && !b->picture->failed; id++) {
    b->box[id] = b->source[id] = -1;
    if (!mica_graph_result_at(b->graph, id, &r)) continue;
    if (r.index) {
      b->box[id] = b->box[r.node], b->constant[id] = b->constant[r.node];
      continue;
    }
    b->constant[id] = only_constants(b, &r);
    bool hidden = b->constant[id] || (!b->backward && is_backward(b, r));
    if (hidden || is_op(&r, "argument") || is_op(&r, "variable") || is_op(&r, "parameter"))
      continue;
    int32_t box = b->owner[id] ? b->picture->items[b->owner[id]].parent : box_of(b, &r, id);
    b->box[id] = box;
    if (!is_op(&r, "broadcast") && !b->owner[id]) b->picture->items[box].operators++;
  }
}

/* The operators that say what a scope does, in their order, without moving and converting. */
static void note_operator(mica_picture_item *item, const char *op) {
  static const char *const plain[] = {"broadcast", "reshape", "convert", "transpose", NULL};
  size_t used = strlen(item->does), size = strlen(op);
  for (int i = 0; plain[i]; i++)
    if (!strcmp(plain[i], op)) return;
  for (const char *c = item->does; (c = strstr(c, op)); c += size)
    if ((c == item->does || c[-1] == ' ') && (c[size] == ',' || !c[size])) return;
  if (used >= 3 && !strcmp(item->does + used - 3, "...")) return;
  if (used + size + 8 > sizeof item->does)
    snprintf(item->does + used, sizeof item->does - used, ", ...");
  else
    snprintf(item->does + used, sizeof item->does - used, "%s%s", used ? ", " : "", op);
}

/* The item of each node: one of its own, that of all operators beside scopes, or the scope itself. */
static void make_items(picture_builder *b) {
  mica_picture *p = b->picture;
  mica_graph_result r;
  int32_t boxes = p->count, inputs = 0;
  int32_t *others = calloc((size_t)boxes, sizeof *others);
  int32_t *direct = calloc((size_t)boxes, sizeof *direct);
  if (!others || !direct) p->failed = true;
  for (int32_t i = 0; i < boxes && direct; i++) direct[i] = p->items[i].operators;
  for (uint32_t id = 1; id <= b->count && !p->failed; id++) {
    if (!mica_graph_result_at(b->graph, id, &r)) continue;
    if (r.index) {
      b->source[id] = b->source[r.node];
    } else if (is_op(&r, "parameter")) {
      char name[32];
      snprintf(name, sizeof name, "input %d", inputs++);
      b->source[id] = add_item(p, MICA_ITEM_INPUT, 0, name, strlen(name), id);
      if (!p->failed) p->items[b->source[id]].type = r.type;
    } else if (b->box[id] < 0) {
      continue;
    } else if (is_op(&r, "broadcast")) {
      b->source[id] = r.operand_count ? b->source[r.operands[0]] : -1;
    } else if (b->owner[id]) {
      b->source[id] = b->owner[id];
    } else {
      int32_t box = b->box[id];
      bool many = direct[box] > MOST_OPERATORS;
      int32_t item = many && p->items[box].scopes == 0 && box > 0 ? box : others[box];
      if (!item) item = add_item(p, MICA_ITEM_OPERATOR, box, r.op, strlen(r.op), id);
      if (p->failed) break;
      if (many && item != box) {
        if (!others[box])
          snprintf(p->items[item].name, sizeof p->items[item].name, "%d operators", direct[box]);
        others[box] = item;
        note_operator(&p->items[item], r.op);
      }
      p->items[item].type = r.type;
      b->source[id] = item;
    }
    if (b->source[id] < 0) continue;
    for (int32_t i = b->source[id]; i >= 0; i = p->items[i].parent) {
      mica_picture_item *item = &p->items[i];
      if (id < item->order) item->order = id;
      if (id > item->last || !item->type.dtype) item->type = item->leaves ? item->type : r.type;
      if (id > item->last) item->last = id;
      if (item->kind == MICA_ITEM_SCOPE && !is_op(&r, "parameter")) note_operator(item, r.op);
    }
  }
  free(others), free(direct);
}

/* The children of the lowest common parent that hold a and b; equal when one holds the other. */
static bool common_children(const mica_picture *p, int32_t *a, int32_t *b) {
  int32_t x = *a, y = *b;
  while (p->items[x].depth > p->items[y].depth) x = p->items[x].parent;
  while (p->items[y].depth > p->items[x].depth) y = p->items[y].parent;
  if (x == y) return false;
  while (p->items[x].parent != p->items[y].parent) x = p->items[x].parent, y = p->items[y].parent;
  *a = x, *b = y;
  return true;
}

static void add_edge(mica_picture *p, int32_t from, int32_t to, mica_type type) {
  int32_t a = from, b = to;
  if (from < 0 || to < 0 || p->failed || !common_children(p, &a, &b)) return;
  for (int32_t i = from;; i = p->items[i].parent) {
    p->items[i].type = type, p->items[i].leaves = true;
    if (i == a) break;
  }
  for (int32_t i = to; i != b; i = p->items[i].parent) p->items[i].entered = true;
  if (p->edge_count == p->edge_capacity) {
    int32_t capacity = p->edge_capacity ? p->edge_capacity * 2 : 128;
    mica_picture_edge *grown = realloc(p->edges, (size_t)capacity * sizeof *grown);
    if (!grown || capacity > 1 << 26) {
      if (grown) p->edges = grown;
      p->failed = true;
      return;
    }
    p->edges = grown, p->edge_capacity = capacity;
  }
  p->edges[p->edge_count++] = (mica_picture_edge){a, b};
}

static void connect_items(picture_builder *b) {
  mica_picture *p = b->picture;
  mica_graph_result r;
  for (uint32_t id = 1; id <= b->count && !p->failed; id++) {
    if (!mica_graph_result_at(b->graph, id, &r) || r.index || b->source[id] < 0 ||
        is_op(&r, "broadcast"))
      continue;
    for (size_t i = 0; i < r.operand_count; i++) {
      mica_graph_result operand;
      if (mica_graph_result_at(b->graph, r.operands[i], &operand))
        add_edge(p, b->source[r.operands[i]], b->source[id], operand.type);
    }
  }
  uint32_t outputs[64];
  size_t count = mica_graph_output_ids(b->graph, outputs, 64);
  for (size_t i = 0; i < count && i < 64 && !p->failed; i++) {
    char name[32];
    if (!mica_graph_result_at(b->graph, outputs[i], &r)) continue;
    snprintf(name, sizeof name, "output %zu", i);
    int32_t item = add_item(p, MICA_ITEM_OUTPUT, 0, name, strlen(name), b->count + 1 + (uint32_t)i);
    if (p->failed) break;
    p->items[item].type = r.type;
    add_edge(p, b->source[outputs[i]], item, r.type);
  }
}

/* Variables belong to the innermost box that holds all their uses, and to all around it. */
static void count_parameters(picture_builder *b) {
  mica_picture *p = b->picture;
  int32_t *holder = malloc(((size_t)b->count + 1) * sizeof *holder);
  mica_graph_result r, v;
  if (!holder) {
    p->failed = true;
    return;
  }
  for (uint32_t id = 0; id <= b->count; id++) holder[id] = -1;
  for (uint32_t id = 1; id <= b->count; id++) {
    if (!mica_graph_result_at(b->graph, id, &r) || r.index || b->box[id] < 0) continue;
    for (size_t i = 0; i < r.operand_count; i++) {
      uint32_t used = r.operands[i];
      int32_t box = b->owner[id] ? b->owner[id] : b->box[id], old = holder[used];
      if (!mica_graph_result_at(b->graph, used, &v) || !is_op(&v, "variable")) continue;
      while (old >= 0 && old != box) { /* the lowest common one */
        if (p->items[old].depth >= p->items[box].depth)
          old = p->items[old].parent;
        else
          box = p->items[box].parent;
      }
      holder[used] = box;
    }
  }
  for (uint32_t id = 1; id <= b->count; id++) {
    if (holder[id] < 0 || !mica_graph_result_at(b->graph, id, &r)) continue;
    int64_t count = mica_shape_count(r.type.shape);
    p->variables++;
    for (int32_t i = holder[id]; i >= 0 && count > 0; i = p->items[i].parent)
      p->items[i].parameters += count;
  }
  free(holder);
}

typedef struct {
  uint32_t order;
  int32_t from, to;
} ordered_edge;

static int compare_edges(const void *a, const void *b) {
  const ordered_edge *x = a, *y = b;
  if (x->order != y->order) return x->order < y->order ? -1 : 1;
  if (x->to != y->to) return x->to < y->to ? -1 : 1;
  return x->from < y->from ? -1 : x->from > y->from;
}

/* Equal edges become one; each item stands below all in front of it; what begins stands right above
 * what needs it first. */
static void rank_items(mica_picture *p) {
  ordered_edge *edges = malloc(((size_t)p->edge_count + 1) * sizeof *edges);
  int32_t *above = malloc((size_t)p->count * sizeof *above), kept = 0;
  if (!edges || !above) p->failed = true;
  for (int32_t i = 0; i < p->edge_count && !p->failed; i++)
    edges[i] = (ordered_edge){p->items[p->edges[i].to].order, p->edges[i].from, p->edges[i].to};
  if (!p->failed) {
    qsort(edges, (size_t)p->edge_count, sizeof *edges, compare_edges);
    for (int32_t i = 0; i < p->count; i++)
      above[i] = -1; /* the first row that needs it; -2: has operands */
    for (int32_t i = 0; i < p->edge_count; i++) {
      int32_t from = edges[i].from, to = edges[i].to;
      if (kept && p->edges[kept - 1].from == from && p->edges[kept - 1].to == to) continue;
      p->edges[kept++] = (mica_picture_edge){from, to};
      if (p->items[from].order < p->items[to].order && p->items[to].rank <= p->items[from].rank)
        p->items[to].rank = p->items[from].rank + 1;
    }
    p->edge_count = kept;
    for (int32_t i = 0; i < kept; i++) above[p->edges[i].to] = -2;
    for (int32_t i = 0; i < kept; i++) {
      int32_t from = p->edges[i].from, row = p->items[p->edges[i].to].rank - 1;
      if (above[from] != -2 && row >= 0 && (above[from] < 0 || row < above[from]))
        above[from] = row;
    }
    for (int32_t i = 0; i < p->count; i++)
      if (above[i] >= 0) p->items[i].rank = above[i];
    for (int32_t i = 1; i < p->count; i++) {
      mica_picture_item *parent = &p->items[p->items[i].parent];
      if (p->items[i].rank >= parent->rows) parent->rows = p->items[i].rank + 1;
    }
  }
  free(edges), free(above);
}

mica_picture_options mica_picture_options_of(const mica_picture_options *options) {
  mica_picture_options o = {0};
  if (options)
    memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
  if (!o.title) o.title = "model";
  return o;
}

mica_status mica_picture_build(const mica_graph *graph, const mica_picture_options *options,
                               mica_picture *out, mica_error *error) {
  *out = (mica_picture){0};
  if (!graph) return mica_error_set(error, MICA_INVALID, "picture: there is no graph");
  mica_status status = mica_graph_status(graph, error);
  if (status != MICA_OK) return status;
  picture_builder b = {.graph = graph, .picture = out, .backward = options->backward};
  b.count = mica_graph_result_count(graph);
  size_t size = (size_t)b.count + 1;
  b.box = calloc(size, sizeof *b.box), b.source = calloc(size, sizeof *b.source);
  b.owner = calloc(size, sizeof *b.owner), b.constant = calloc(size, 1);
  out->failed = !b.box || !b.source || !b.owner || !b.constant;
  if (!out->failed) add_item(out, MICA_ITEM_SCOPE, -1, options->title, strlen(options->title), 1);
  if (!out->failed) place_nodes(&b);
  if (!out->failed) make_items(&b);
  if (!out->failed) connect_items(&b);
  if (!out->failed) count_parameters(&b);
  if (!out->failed) rank_items(out);
  free(b.box), free(b.source), free(b.owner), free(b.constant);
  if (!out->failed) {
    for (int32_t i = out->count - 1; i > 0; i--) /* children stand behind their parents */
      out->items[out->items[i].parent].operators += out->items[i].operators;
    return MICA_OK;
  }
  mica_picture_free(out);
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "picture: out of memory");
}

void mica_picture_free(mica_picture *picture) {
  free(picture->items), free(picture->edges);
  *picture = (mica_picture){0};
}

void mica_picture_count(int64_t count, char *out, size_t size) {
  char digits[32];
  int length = snprintf(digits, sizeof digits, "%lld", (long long)count);
  size_t used = 0;
  for (int i = 0; i < length && used + 2 < size; i++) {
    if (i && (length - i) % 3 == 0) out[used++] = ',';
    out[used++] = digits[i];
  }
  out[used] = 0;
}

bool mica_picture_open(const mica_picture *picture, const mica_picture_options *options,
                       int32_t item) {
  const mica_picture_item *i = &picture->items[item];
  if (item == 0) return true;
  if (i->kind != MICA_ITEM_SCOPE || i->children == 0) return false;
  return options->depth > 0 ? i->depth < options->depth : i->scopes > 0;
}

void mica_picture_type(const mica_picture_item *item, char *out, size_t size) {
  *out = 0;
  if (item->type.dtype) mica_type_format(item->type, out, size);
}
