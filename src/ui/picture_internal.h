/* SPDX-License-Identifier: Apache-2.0 */
/* picture_internal.h: a model's boxes, nested, with the values between boxes of one parent. */
#ifndef MICA_PICTURE_INTERNAL_H
#define MICA_PICTURE_INTERNAL_H
#include "ui/ui_internal.h"

typedef enum {
  MICA_ITEM_SCOPE,
  MICA_ITEM_OPERATOR,
  MICA_ITEM_INPUT,
  MICA_ITEM_OUTPUT
} mica_item_kind;

typedef struct {
  mica_item_kind kind;
  char name[80];
  char does[160];           /* a scope's operators: "convolution, add, relu" */
  int32_t parent;           /* item, -1: it is the whole model, item 0 */
  int32_t depth;            /* of the parent, plus 1 */
  int32_t scopes, children; /* how many scopes are directly in it, and items */
  int32_t operators;        /* in it and below */
  uint32_t order;           /* its first node: operands stand in front */
  uint32_t last;            /* its last node */
  int32_t rank;             /* its row in the parent */
  int32_t rows;             /* of its children */
  int64_t parameters;       /* elements of variables that are used in it only */
  mica_type type;           /* of the value that leaves it, or of its last one */
  bool leaves, entered;     /* a value goes out of it, or comes in from beyond its parent */
} mica_picture_item;

typedef struct {
  int32_t from, to; /* items of one parent */
} mica_picture_edge;

typedef struct {
  mica_picture_item *items;
  int32_t count, capacity;
  mica_picture_edge *edges;
  int32_t edge_count, edge_capacity;
  int32_t variables;
  bool failed; /* memory ran out */
} mica_picture;

mica_picture_options mica_picture_options_of(const mica_picture_options *options);
mica_status mica_picture_build(const mica_graph *graph, const mica_picture_options *options,
                               mica_picture *out, mica_error *error);
void mica_picture_free(mica_picture *picture);
/* "1,234,567" */
void mica_picture_count(int64_t count, char *out, size_t size);
/* Whether a picture shows it open at first. */
bool mica_picture_open(const mica_picture *picture, const mica_picture_options *options,
                       int32_t item);
/* "f32[8, 28, 28, 1]", "" for none. */
void mica_picture_type(const mica_picture_item *item, char *out, size_t size);

#endif
