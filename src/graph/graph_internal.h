/* SPDX-License-Identifier: Apache-2.0 */
/* graph_internal.h: the data structures of a graph, shared with backends and jit.
 *
 * A graph is one growing array of nodes. A node's index is its id; id 0 is "no value". A node with
 * n results takes n consecutive entries: its own, which is result 0, and n - 1 entries of operator
 * `result`. Ids are a topological order, so passes are plain loops.
 *
 * A region is an interval of ids [begin, end). A nested region lies inside its parent's interval
 * and is followed by the node that owns it. A region reads outer values only through `argument`
 * nodes: first the declared ones, then one for each captured value, made where it is used first.
 * The owner's operands are its declared operands and then, region by region, the captured
 * values. So every closed region is closed in the mathematical sense, and no id ever moves. */
#ifndef MICA_GRAPH_INTERNAL_H
#define MICA_GRAPH_INTERNAL_H
#include "core/memory.h"
#include "core/text.h"
#include "mica/graph.h"

/* ---- operators ------------------------------------------------------------------------------- */

typedef enum {
  MICA_OP_NONE,
#define MICA_OP(NAME, name) MICA_OP_##NAME,
#include "graph/ops.def"
#undef MICA_OP
  MICA_OP_COUNT
} mica_op;

/* Attributes are one plain struct for each operator, described by a table of fields; printing,
 * parsing, comparing, hashing and bindings work from the table. Unused bytes are zero. */
typedef enum {
  MICA_ATTR_I64,      /* int64_t */
  MICA_ATTR_F64,      /* double */
  MICA_ATTR_BOOL,     /* bool */
  MICA_ATTR_ENUM,     /* int32_t, index into `names` */
  MICA_ATTR_DTYPE,    /* mica_dtype */
  MICA_ATTR_SHAPE,    /* mica_shape */
  MICA_ATTR_INTS,     /* mica_ints */
  MICA_ATTR_TENSOR,   /* mica_tensor *, retained by the graph */
  MICA_ATTR_VARIABLE, /* mica_variable *, retained by the graph; printed as its name */
  MICA_ATTR_CUSTOM,   /* mica_custom_operator *, retained by the graph; its name is a field */
  MICA_ATTR_TEXT      /* const char *, in the graph's arena */
} mica_attr_kind;

typedef struct {
  int32_t count;
  int64_t at[MICA_MAX_RANK];
} mica_ints;

typedef struct {
  const char *name;
  mica_attr_kind kind;
  uint32_t offset;
  const char *const *names; /* ENUM: terminated by NULL */
} mica_attr_field;

enum { MICA_MAX_ATTR_SIZE = 512 };

/* How an operator is made, and so which of the entries below it fills. */
typedef enum {
  MICA_KIND_LEAF,   /* parameter, argument, constant, variable: no operands, no rules */
  MICA_KIND_RESULT, /* entry for a further result of the node in front of it */
  /* out[i] depends on in[*][i] only; equal shapes; `derivative` serves jvp and vjp */
  MICA_KIND_POINTWISE,
  /* linear in each operand of `linear_operands`: `transpose`; jvp is the operator itself */
  MICA_KIND_LINEAR,
  MICA_KIND_CONSTANT, /* derivative zero everywhere (comparisons, iota, bits); no rule needed */
  MICA_KIND_GENERAL,  /* own `jvp` and `vjp` */
  MICA_KIND_REGION    /* owns regions; own rules on replayed regions */
} mica_op_kind;

/* Dtypes that operand 0 (or the attribute dtype of a leaf) may have. */
typedef enum {
  MICA_CLASS_ANY,     /* all */
  MICA_CLASS_NUMBER,  /* integers, f16 .. f64, bf16, complex */
  MICA_CLASS_REAL,    /* integers, f16 .. f64, bf16 */
  MICA_CLASS_FLOAT,   /* f16, bf16, f32, f64 */
  MICA_CLASS_INEXACT, /* FLOAT and complex */
  MICA_CLASS_INTEGER, /* i8 .. u64 */
  MICA_CLASS_LOGICAL, /* bool and INTEGER */
  MICA_CLASS_BOOL,
  MICA_CLASS_DOT,          /* NUMBER and f8, i4, u4: what products accept */
  MICA_CLASS_VALUE,        /* bool and NUMBER */
  MICA_CLASS_ORDERED,      /* bool and REAL */
  MICA_CLASS_COMPLEX,      /* c64, c128 */
  MICA_CLASS_WIDE,         /* f32, f64 */
  MICA_CLASS_WIDE_COMPLEX, /* f32, f64, complex */
  MICA_CLASS_KEY,          /* u32 */
  MICA_CLASS_BITS,         /* all but bool */
  MICA_CLASS_COUNT
} mica_dtype_class;
/* Whether `dtype` belongs to it; otherwise *out_expected says what does. */
bool mica_class_accepts(mica_dtype_class class, mica_dtype dtype, const char **out_expected);

/* What inference sees, and fills: out[0 .. out_count). */
typedef struct {
  const struct mica_op_def *def;
  const mica_graph *graph;
  const mica_type *in;
  size_t in_count;
  void *attr;                          /* may be completed: defaults, negative axes */
  const uint32_t *regions;             /* owner: indices into graph->regions */
  size_t region_count, declared_count; /* operands without captures */
  mica_type *out;
  size_t
      out_count; /* wanted results; 0: unknown yet (a parsed or generic build), inference sets it */
  char *message; /* MICA_MESSAGE_SIZE bytes: what is wrong, without operator and types */
  bool no_memory; /* that is wrong */
} mica_infer;
enum { MICA_MESSAGE_SIZE = 512 };
/* Writes the message; returns false, so that a rule ends with `return mica_infer_fail(...)`. */
bool mica_infer_fail(mica_infer *infer, const char *format, ...) MICA_PRINTF(2, 3);

/* What a derivative, batching or expansion rule sees: a node whose operands may have been
 * mapped. An absent tangent or cotangent (a zero) is a value with id 0. */
typedef struct {
  mica_graph *graph;
  const struct mica_op_def *def;
  uint32_t id; /* of the node; 0 in a batching rule of a replayed region */
  const void *attr;
  const mica_value *in;
  size_t in_count;
  const mica_value *out; /* NULL in batching and expansion rules */
  size_t out_count;
} mica_rule;

typedef struct mica_op_def {
  const char *name;
  mica_op_kind kind;
  mica_dtype_class dtypes;
  int8_t arity;             /* operands; -1: any number, at least one */
  int8_t results;           /* -1: any number */
  bool effect;              /* never dropped, shared or reordered */
  bool barrier;             /* equal ones are not shared */
  uint32_t linear_operands; /* LINEAR: bit i: linear in operand i */
  bool
      /* LINEAR: linear in all of them together (add, concatenate), not in each (dot) */
      linear_jointly;
  size_t attr_size;
  const mica_attr_field *fields; /* terminated by a name of NULL */
  const char *formula;           /* one line for docs and bindings, shapes in brackets */

  bool (*infer)(mica_infer *infer);
  /* POINTWISE: t * d out / d in[i]; also right for a cotangent since the Jacobian is diagonal.
   * Returns {0} where the derivative is zero. */
  mica_value (*derivative)(const mica_rule *rule, size_t operand, mica_value t);
  /* LINEAR: the cotangent of operand i. `cotangents` are those of the results. */
  mica_value (*transpose)(const mica_rule *rule, size_t operand, const mica_value *cotangents);
  /* GENERAL, REGION: fill out_tangents[out_count] / in_cotangents[in_count] ({0}: zero). */
  void (*jvp)(const mica_rule *rule, const mica_value *tangents, mica_value *out_tangents);
  void (*vjp)(const mica_rule *rule, const mica_value *cotangents, mica_value *in_cotangents);
  /* All but LEAF and POINTWISE (whose rule is shared): build the operator for `size` examples.
   * Batched operands (batched[i]) have the examples as axis 0; so have all results. */
  void (*batch)(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out);
  /* Composites: the same from simpler operators. */
  void (*expand)(const mica_rule *rule, mica_value *out);
} mica_op_def;

#define MICA_OP(NAME, name) extern const mica_op_def mica_op_##name;
#include "graph/ops.def"
#undef MICA_OP
const mica_op_def *mica_op_definition(mica_op op);
mica_op mica_op_find(const char *name); /* MICA_OP_NONE if unknown */
static inline bool mica_op_is_composite(const mica_op_def *def) { return def->expand != NULL; }

/* Pointers to what outlives the graph do not stand in texts; their names are fields of their own. */
static inline bool mica_attr_hidden(mica_attr_kind kind) {
  return kind == MICA_ATTR_VARIABLE || kind == MICA_ATTR_CUSTOM;
}
bool mica_attr_equal(const mica_op_def *def, const void *a, const void *b);
uint64_t mica_attr_hash(const mica_op_def *def, const void *attr);
void mica_attr_print(const mica_op_def *def, const void *attr,
                     mica_text *text); /* "axes=[0], kind=sum" */
void mica_print_quoted(const char *value, mica_text *text);
void mica_print_tensor(const mica_tensor *tensor,
                       mica_text *text); /* "f32[] 0.5", "f32[2] 0x0000803f.." */

/* ---- nodes, regions, graph ------------------------------------------------------------------- */

typedef struct {
  uint16_t op;                           /* mica_op */
  uint16_t region_count;                 /* owner: how many */
  uint32_t region;                       /* index of the region it stands in; 0 is the root */
  uint32_t operand_first, operand_count; /* in graph->operands: ids of the same region */
  uint32_t region_first;                 /* owner: in graph->owned */
  uint32_t result_count;                 /* of the node; in a `result` entry its own index */
  uint32_t declared_count;               /* owner: operands in front of the captured ones */
  uint32_t scope;                        /* offset into graph->scopes; 0 is "" */
  uint32_t
      /* a later node of the same region with the same meaning and more results, or 0 */
      superseded_by,
      stacked_by; /* of a loop the one that also gives all of its states (control_reverse.c), or 0 */
  const void *attr; /* in the arena; NULL when the operator has none */
  mica_type type;   /* of this result */
} mica_node;

typedef enum { MICA_REGION_OPEN, MICA_REGION_CLOSED, MICA_REGION_ABANDONED } mica_region_state;

typedef struct {
  uint32_t parent;     /* region index */
  uint32_t begin, end; /* ids; end counts from the close on */
  uint32_t owner;      /* node id, 0 until the owner stands (and for the root) */
  uint32_t declared_count, argument_count; /* arguments: declared, then captured */
  uint32_t *arguments;                     /* [argument_count] ids of the argument nodes */
  /* [argument_count - declared_count] ids of outer values; 0: see capture_variables */
  uint32_t *captures;
  /* a variable read inside whose outer node is made at the close */
  mica_variable **capture_variables;
  uint32_t argument_capacity;
  uint32_t result_count;
  uint32_t *results; /* ids, in the arena, set at the close */
  mica_region_state state;
} mica_region_data;

/* A block that is being built (or was): what mica_region handles point to. */
typedef struct {
  mica_op op;       /* NONE for vmap and what is folded by a block: they leave no node */
  const char *name; /* of one that leaves none, NULL: vmap */
  void *plan;       /* arena: what its end needs to know */
  bool done;
  uint32_t parent_region, current_region; /* region indices; current 0 between regions */
  /* declared operands; results promised by the first region */
  uint32_t operand_count, result_count;
  uint32_t *operands; /* arena */
  uint32_t region_count, region_capacity;
  uint32_t *regions;                   /* indices, grown */
  const void *attr;                    /* arena */
  uint32_t scope, scope_depth;         /* at the begin */
  const void *caller;                  /* of the begin */
  struct mica_pending_assign *assigns; /* call, recompute: lifted at the end */
  int32_t *vmap_axis;                  /* vmap: [operand_count], arena */
} mica_block;

typedef struct mica_pending_assign {
  mica_variable *variable;
  uint32_t value;
  struct mica_pending_assign *next;
} mica_pending_assign;

typedef struct {
  mica_variable *variable;
  uint32_t read;   /* node of its value when the trace began, 0: not read in the root yet */
  uint32_t assign; /* node of the newest assigned value in the root, 0: none */
  uint32_t seen;   /* what reads of the root get: `read`, or that laid out on a mesh */
} mica_graph_variable;

/* What an attribute points to and the graph keeps alive: one of them. */
typedef struct {
  mica_tensor *tensor;
  struct mica_custom_operator *custom;
} mica_retained;

struct mica_graph {
  mica_allocator allocator;
  uint32_t epoch;
  mica_status status;
  char message[1012];
  const void *caller;    /* of the builder that runs now, NULL: none (MICA_ENTRY) */
  const void *failed_at; /* what `caller` was at the failure */

  mica_arena arena; /* attributes, names, region lists */
  mica_node *nodes;
  uint32_t count, capacity;
  uint32_t *operands;
  uint32_t operand_count, operand_capacity;
  uint32_t *owned; /* region indices of owners */
  uint32_t owned_count, owned_capacity;
  mica_region_data *regions;
  uint32_t region_count, region_capacity;
  uint32_t current; /* region that is being built */
  mica_block *blocks;
  uint32_t block_count, block_capacity;

  char *scopes; /* interned paths, each terminated; offset 0 is "" */
  uint32_t scope_size, scope_capacity, scope, scope_depth;
  uint32_t backward_of, backward_is; /* the newest pair of mica_backward_scope */
  bool stacks_devices; /* what is batched now are the devices of a manual region (collectives.h) */

  uint32_t *parameters; /* ids by index */
  uint32_t parameter_count, parameter_capacity;
  uint32_t *outputs;
  uint32_t output_count, output_capacity;
  mica_graph_variable *variables;
  uint32_t variable_count, variable_capacity;
  mica_retained *retained; /* to release */
  uint32_t retained_count, retained_capacity;
};

/* A graph over the caller's memory (false: no memory, nothing is held, the graph is in error), and
 * back to empty with the next epoch (all values become stale). */
bool mica_graph_init(mica_graph *graph, const mica_allocator *allocator);
void mica_graph_deinit(mica_graph *graph);
/* Releases it with the graph, at once when there is no memory (false). */
bool mica_graph_keep(mica_graph *graph, mica_retained retained);
void mica_graph_reset(mica_graph *graph);

static inline const mica_node *mica_node_at(const mica_graph *graph, uint32_t id) {
  return &graph->nodes[id];
}
static inline const uint32_t *mica_node_operands(const mica_graph *graph, const mica_node *node) {
  return graph->operands == NULL ? NULL : graph->operands + node->operand_first;
}
static inline const mica_region_data *mica_node_region(const mica_graph *graph,
                                                       const mica_node *node, uint32_t index) {
  return &graph->regions[graph->owned[node->region_first + index]];
}
static inline mica_value mica_value_of(mica_graph *graph, uint32_t id) {
  return (mica_value){graph, id, graph->epoch};
}
static inline mica_value mica_no_value(mica_graph *graph) {
  return (mica_value){graph, 0, graph ? graph->epoch : 0};
}
static inline bool mica_has_value(mica_value value) { return value.id != 0; }
static inline const char *mica_scope_text(const mica_graph *graph, uint32_t scope) {
  return graph->scopes ? graph->scopes + scope : "";
}
/* The node whose result `id` is, and which result. */
uint32_t mica_owner_of_result(const mica_graph *graph, uint32_t id, uint32_t *out_index);

/* ---- building -------------------------------------------------------------------------------- */

bool mica_set_scope(mica_graph *graph,
                    const char *path); /* the whole path at once; false on failure */
/* As mica_emit_results, for owners: operands from declared_count on are captured values. */
bool mica_emit_node(mica_graph *graph, mica_op op, const mica_value *in, size_t in_count,
                    size_t declared_count, const uint32_t *regions, size_t region_count,
                    const void *attr, mica_value *out, size_t out_count);
/* Appends a node with its results. Checks operands, captures outer ones, infers types; on any
 * problem the graph fails and all out values are the failed value. `attr` is copied. */
void mica_emit_results(mica_graph *graph, mica_op op, const mica_value *in, size_t in_count,
                       const void *attr, mica_value *out, size_t out_count);
mica_value mica_emit(mica_graph *graph, mica_op op, const mica_value *in, size_t in_count,
                     const void *attr);
/* The graph of the first operand that has one: builders start with it; NULL when none has. */
mica_graph *mica_graph_of(const mica_value *in, size_t count);
/* mica_fail with operator, operand types and scope path around the message. */
mica_value mica_fail_operator(mica_graph *graph, const char *op, const mica_value *in,
                              size_t in_count, const char *format, ...) MICA_PRINTF(5, 6);
/* The same for a function of an open block: the types are those of the block's operands. */
mica_value mica_fail_block(mica_region region, const char *function, const char *format, ...)
    MICA_PRINTF(3, 4);
/* Whether `value` can be used where building stands now; says what is wrong in `message`. */
bool mica_value_usable(const mica_graph *graph, mica_value value, char *message, size_t size);
/* Whether a list of `count` values is there; otherwise the graph fails in the name of `op`. `what`:
 * what each of them is. */
bool mica_list_given(mica_graph *graph, const char *op, const char *what, const mica_value *values,
                     size_t count);
/* Results are no values until they are made: call it once in[] has been read, for callers may take
 * them in the same array. Whether there is a place for them; otherwise the graph fails too. */
bool mica_results_clear(mica_graph *graph, const char *op, const mica_value *in, size_t in_count,
                        mica_value *out, size_t count);
/* A declared argument of a block's first region, used while its second one is open, means the
 * argument of the same number there (the state of a while in condition and body); other values
 * are themselves. */
mica_value mica_canonical(const mica_graph *graph, mica_value value);
/* Where a mistake was made: every public builder begins with MICA_ENTRY(graph), which notes its return
 * address until it returns. A builder that another one calls, or a rule, finds the outermost address
 * noted already. */
#if defined(__GNUC__) && !defined(__wasm__)
#define MICA_CALLER __builtin_return_address(0)
static inline mica_graph *mica_enter(mica_graph *graph, const void *caller) {
  if (!graph || graph->status != MICA_OK || graph->caller) return NULL;
  graph->caller = caller;
  return graph;
}
static inline void mica_leave(mica_graph **entered) {
  if (*entered) (*entered)->caller = NULL;
}
#define MICA_ENTRY(of_graph)                                         \
  __attribute__((cleanup(mica_leave), unused)) mica_graph *entered = \
      mica_enter((of_graph), MICA_CALLER)
#else
#define MICA_CALLER          NULL
#define MICA_ENTRY(of_graph) ((void)(of_graph))
#endif
/* The same for operands, of which the first may have no graph. */
#define MICA_ENTRY_OF(...)                                    \
  MICA_ENTRY(mica_graph_of((const mica_value[]){__VA_ARGS__}, \
                           sizeof((const mica_value[]){__VA_ARGS__}) / sizeof(mica_value)))

/* Makes `value` an id of the current region, capturing it through every region in between; 0 on
 * failure. */
uint32_t mica_resolve(mica_graph *graph, mica_value value);

/* Blocks (region.c). A rule builds an owner as: open, then for each region enter .. leave, then
 * close. */
uint32_t mica_block_open(mica_graph *graph, mica_op op, const mica_value *in, size_t count,
                         const void *attr);
bool mica_block_enter(mica_graph *graph, uint32_t block, const mica_type *arguments, size_t count);
void mica_block_leave(mica_graph *graph, uint32_t block, const mica_value *results, size_t count);
void mica_block_close(mica_graph *graph, uint32_t block, mica_value *out, size_t out_count);
mica_value mica_block_argument(mica_graph *graph, uint32_t block, size_t index);
const char *mica_block_name(const mica_block *block); /* of its operator; "vmap" leaves none */
/* Whether a public handle is the innermost open block, of operator `op`; fails the graph if not. */
bool mica_region_check(mica_region region, const char *function, mica_op op);
/* The same for a block without an operator. */
bool mica_region_check_named(mica_region region, const char *function, const char *name);

/* Rebuilds the nodes of a region in the current place: arguments[i] stands for its i-th argument
 * (declared and captured). `rule`, if given, is asked first for each node: true when it set
 * out[]. results [region.result_count]. `from` may be another graph (passes) or the same. */
typedef bool mica_replay_rule(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                              const mica_value *in, size_t in_count, mica_value *out);
void mica_replay(mica_graph *to, const mica_graph *from, uint32_t region,
                 const mica_value *arguments, mica_replay_rule *rule, void *context,
                 mica_value *results);
/* Rebuilds one node on mapped operands (regions included, rule applied inside them). */
void mica_replay_node(mica_graph *to, const mica_graph *from, uint32_t id, const mica_value *in,
                      mica_replay_rule *rule, void *context, mica_value *out);

/* The value that a rebuilt graph has for `id`: of the node that superseded its own, or itself. */
uint32_t mica_stand_in(const mica_graph *graph, uint32_t id);
/* Rebuilds all of `from` in the empty graph `to`: parameters, variables, nodes (through `rule`),
 * outputs and assigns keep their order. What every pass is made of. */
mica_status mica_rewrite(const mica_graph *from, mica_graph *to, mica_replay_rule *rule,
                         void *context, mica_error *error);
/* The arguments of region `index` of the owner `id` on operands in[]: its declared ones are not
 * filled, captured ones are the operands that feed them. out[argument_count]. */
void mica_captured_arguments(const mica_graph *graph, uint32_t id, uint32_t index,
                             const mica_value *in, mica_value *out);

/* Derivatives, built in the current region, of values in open regions (reverse.c, forward.c).
 * Only nodes from `floor` on are looked through: with the first id of a replayed body as the
 * floor, x are independent inputs. out: {0} where nothing depends; equal x share: only the first
 * one gets it. */
void mica_reverse_mode(mica_graph *graph, uint32_t floor, const mica_value *y,
                       const mica_value *y_cotangent, size_t y_count, const mica_value *x,
                       size_t x_count, mica_value *out);
void mica_forward_mode(mica_graph *graph, uint32_t floor, const mica_value *y, size_t y_count,
                       const mica_value *x, const mica_value *x_tangent, size_t x_count,
                       mica_value *out);
/* Room for the results of the two, which are handed over at the end, since callers may take them in
 * the array of their inputs; with zeros of the type of like[i] where nothing depends. */
mica_value *mica_results_room(mica_graph *graph, size_t count);
void mica_results_hand_over(mica_graph *graph, const char *op, const mica_value *like,
                            mica_value *made, size_t count, mica_value *out);
/* The expansion of a rule's composite in the current region: *out_in [in_count] are its operands
 * as this region knows them (captured ones may stand in front of the floor), *out its results.
 * False on failure. */
bool mica_expand_here(const mica_rule *rule, uint32_t *out_floor, mica_value **out_in,
                      mica_value **out);
/* Rebuilds a region of the same graph for `size` examples in the current place. batched[i]:
 * arguments[i] has the examples as axis 0. out_batched may be NULL: then all results are made
 * batched. */
void mica_batch_region(mica_graph *graph, uint32_t region, const mica_value *arguments,
                       const bool *batched, int64_t size, mica_value *results, bool *out_batched);

bool mica_node_is_open(const mica_graph *graph, uint32_t id); /* stands in an open region */
uint32_t mica_captured_outer(const mica_graph *graph,
                             uint32_t id); /* of an argument node; 0: a declared one */
uint32_t mica_backward_scope(mica_graph *graph, uint32_t scope); /* "path (backward)" */

#ifdef MICA_MUTATION
/* Test builds only: spoils what one rule gives for one operand (jvp: what it is given, batch:
 * one result) at run time, to see that a test notices; and records which of them a test reaches
 * at all. */
typedef enum { MICA_MUTATE_NEGATE = 1, MICA_MUTATE_DOUBLE, MICA_MUTATE_DROP } mica_mutation_kind;
typedef enum { MICA_RULE_VJP = 1, MICA_RULE_JVP, MICA_RULE_BATCH, MICA_RULE_KINDS } mica_rule_kind;
typedef struct {
  int32_t op, rule, kind, operand; /* op 0: off */
  int64_t hits;
  bool recording;
  uint64_t seen[MICA_OP_COUNT][MICA_RULE_KINDS]; /* bit i: operand (batch: result) i */
} mica_mutation;
extern mica_mutation mica_mutate;
mica_value mica_mutated(mica_op op, mica_rule_kind rule, size_t operand, mica_value value);
#else
#define mica_mutated(op, rule, operand, value) (value)
#endif

void mica_graph_print(const mica_graph *graph, mica_text *text);

/* ---- helpers for rules ----------------------------------------------------------------------- */

mica_value mica_add_values(mica_value x, mica_value y);   /* {0} is zero on either side */
mica_value mica_sum_values(mica_value x, mica_axes axes); /* f8 too, as the former */
mica_dtype mica_sum_dtype(mica_dtype dtype);              /* that such sums are in */
/* Puts `size` examples in front: broadcasts an unbatched value, returns a batched one. */
mica_value mica_batched(mica_value x, bool batched, int64_t size);
mica_value mica_rule_failed(const mica_rule *rule, const char *format, ...) MICA_PRINTF(2, 3);
bool mica_is_constant_number(const mica_graph *graph, uint32_t id,
                             double *out_number); /* splats seen through broadcast */

/* ---- passes (passes/<pass>.c): each rebuilds `from` into the empty graph `to` ---------------- */

mica_status mica_pass_simplify(const mica_graph *from, mica_graph *to, mica_error *error);
mica_status mica_pass_share(const mica_graph *from, mica_graph *to, mica_error *error);
mica_status mica_pass_drop(const mica_graph *from, mica_graph *to,
                           mica_error *error); /* dead code */
/* Composites that `keep` refuses become simpler operators; calls, recompute and custom gradients
 * are inlined. */
mica_status mica_pass_expand(const mica_graph *from, mica_graph *to,
                             bool (*keep)(void *context, const mica_graph *graph, uint32_t id),
                             void *context, mica_error *error);
#endif
