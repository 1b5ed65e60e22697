/* SPDX-License-Identifier: Apache-2.0 */
/* generator.h: random well-typed programs, made from a tape of decisions.
 *
 * Every choice reads the next word of the tape; past its end all choices are 0, the simplest one. So a
 * shorter or smaller tape is a simpler program, and a failing program shrinks by cutting its tape. The same
 * tape builds the same program wherever it is built: in a graph of its own, or inside a vmap block.
 * A program's statements take operands from a pool of the values made so far, which are converted,
 * broadcast and reshaped until they fit. */
#ifndef RANDOM_GENERATOR_H
#define RANDOM_GENERATOR_H
#include "graph/graph_internal.h"
#include "mica/custom.h"

/* ---- the tape ---------------------------------------------------------------------------------- */

enum { TAPE_WORDS = 4096 };
typedef struct {
  uint32_t word[TAPE_WORDS];
  size_t count;  /* words that are there; those that an endless tape lacks come from its seed */
  uint64_t seed; /* of an endless tape; 0: the tape ends */
} random_tape;
void random_tape_begin(random_tape *tape, uint64_t seed);
uint64_t random_mixed(uint64_t z);                 /* splitmix64 */
double random_unit(uint64_t seed, uint64_t index); /* uniform in [0, 1) */

/* ---- a program --------------------------------------------------------------------------------- */

enum { PROGRAM_INPUTS = 8, PROGRAM_OUTPUTS = 8, PROGRAM_DEPTH = 3 };
/* What may be differentiated how: blocks differ in it. */
typedef enum { BOTH_MODES, REVERSE_ONLY, FORWARD_ONLY } program_modes;
typedef enum { INPUT_UNIFORM, INPUT_WHOLE, INPUT_GRID, INPUT_SPECIAL } input_kind;
typedef struct {
  bool
      smooth; /* f64, and no operator whose derivative is a convention: differences are its oracle */
  program_modes modes;
  mica_dtype base; /* what most floats are */
  int64_t most;    /* elements of one value, about */
  size_t in_count; /* the last one is a key, u32 [2] */
  mica_type in[PROGRAM_INPUTS];
  input_kind in_kind[PROGRAM_INPUTS];
  uint32_t in_seed[PROGRAM_INPUTS];
} random_plan;
/* Reads the head of the tape. */
void random_plan_read(random_tape *tape, random_plan *plan, size_t *out_at);
/* The value of input i; `example` 0, 1, .. are different ones. */
mica_tensor *random_input(const random_plan *plan, size_t i, uint64_t example);

/* Statements, for shrinking: words [begin, end) of the tape. */
enum { PROGRAM_SPANS = 512 };
typedef struct {
  size_t begin, end;
} tape_span;
typedef struct {
  size_t out_count;
  mica_value out[PROGRAM_OUTPUTS];
  double bound[PROGRAM_OUTPUTS];
  size_t span_count, tape_end;
  int depth; /* of blocks in blocks */
  tape_span span[PROGRAM_SPANS];
  /* holds reduce_precision, which also rounds tangents and cotangents: the modes differ */
  bool rounds_derivatives;
} random_program;
/* Builds the program of the tape from values of the plan's input types, in the present block. */
void random_program_build(random_tape *tape, const random_plan *plan, mica_graph *graph,
                          const mica_value *in, random_program *out);

/* ---- rows -------------------------------------------------------------------------------------- */

typedef struct {
  mica_value value;
  double bound; /* of |value|, infinity if unknown */
  bool used;
} pool_entry;

enum { POOL_ENTRIES = 512 };
typedef struct generator {
  mica_graph *graph;
  random_tape *tape;
  size_t at;
  const random_plan *plan;
  random_program *program;
  pool_entry pool[POOL_ENTRIES];
  size_t count, base; /* entries below base are out of sight */
  int depth, derivatives, made;
  bool closed_gradient; /* inside a custom gradient: what it holds is differentiated in reverse */
  int64_t batch;        /* examples of the vmap blocks that are open */
  int32_t vmaps;        /* how many are */
  mica_value key;       /* u32 [2] */
} generator;

/* A row makes one statement; false: it does not fit here. */
enum { ROW_ROUGH = 1, ROW_REGION = 2, ROW_DERIVATIVE = 4 }; /* rough: not in smooth programs */
typedef struct {
  const char *name; /* of the operator, or of a function of graph.h */
  bool (*make)(generator *g);
  uint32_t flags, weight;
} random_row;
extern const random_row random_shape_rows[], random_array_rows[], random_control_rows[],
    random_region_rows[], random_matrix_rows[]; /* each ends with a name of NULL */

/* All rows and the pointwise operators that need none; made once. Statement i of the table. */
size_t random_statement_count(void);
const char *random_statement_name(size_t i);
/* Whether some statement makes the operator, on its own or beside others. */
bool random_operator_has_row(mica_op op);
/* Layouts and collectives need a mesh around them whose sizes divide those of the arrays: their cases, nestings and
 * mutants (conformance.*, mutation.mutation) and unit.backend.mesh_step hold them. */
bool random_leaves_out(mica_op op);
/* In all programs that were built while uses were counted. */
int64_t random_statement_uses(const char *name);
void random_count_uses(bool count);
bool random_make_pointwise(generator *g, size_t which);
size_t random_pointwise_count(void); /* finds out on first use which operators take which dtypes */
const char *random_pointwise_name(size_t which);
bool random_pointwise_rough(size_t which);
void random_statements(generator *g, uint32_t count); /* into the present frame */

/* ---- what rows are written with ------------------------------------------------------------------ */

uint32_t random_draw(generator *g, uint32_t count);         /* 0 .. count - 1 */
int64_t random_between(generator *g, int64_t a, int64_t b); /* a first */
bool random_chance(generator *g, uint32_t percent);

#define DTYPE_BIT(dtype) (UINT32_C(1) << (dtype))
enum {
  ANY_FLOAT = 1u << MICA_F64 | 1u << MICA_F32 | 1u << MICA_F16 | 1u << MICA_BF16,
  WIDE_FLOAT = 1u << MICA_F64 | 1u << MICA_F32,
  ANY_INTEGER = 1u << MICA_I8 | 1u << MICA_U8 | 1u << MICA_I16 | 1u << MICA_U16 | 1u << MICA_I32 |
                1u << MICA_U32 | 1u << MICA_I64 | 1u << MICA_U64,
  ANY_COMPLEX = 1u << MICA_C64 | 1u << MICA_C128,
  ANY_REAL = ANY_FLOAT | ANY_INTEGER,
  ANY_NUMBER = ANY_REAL | ANY_COMPLEX,
  ANY_DTYPE = ANY_NUMBER | 1u << MICA_BOOL
};
/* A dtype of the mask that the program may use, floats of its base first; NONE: there is none. */
mica_dtype random_dtype(generator *g, uint32_t mask);
mica_dtype random_real_part(mica_dtype dtype); /* f32 of c64, f64 of c128 */

pool_entry random_pick(generator *g, uint32_t mask); /* converted if nothing in sight fits */
pool_entry random_pick_as(generator *g, mica_dtype dtype);
pool_entry random_pick_ranked(generator *g, uint32_t mask, int32_t least, int32_t most);
pool_entry random_pick_typed(generator *g, mica_type type); /* and of that shape, mild */
mica_value random_as(generator *g, mica_value x, mica_dtype dtype);
mica_value random_fit(generator *g, mica_value x, mica_shape shape);
pool_entry random_mild(generator *g, pool_entry x);     /* floats: |x| <= 8 */
mica_value random_positive(generator *g, pool_entry x); /* a float of at least 1/4, mild */
mica_value random_index(generator *g, mica_shape shape,
                        int64_t below);                   /* i32, now and then outside */
mica_value random_number(generator *g, mica_dtype dtype); /* a constant [] */
mica_shape random_shape(generator *g, int32_t least, int32_t most);
int64_t random_size(generator *g);
bool random_has_room(const generator *g, mica_shape shape);

void random_push(generator *g, mica_value value, double bound);
void random_push_node(generator *g, mica_value first, double bound); /* all results of a node */
mica_value random_build(generator *g, const char *name, const mica_value *in, size_t count,
                        const char *format, ...) MICA_PRINTF(5, 6);
void random_text_ints(char *text, size_t size, const int64_t *list, int32_t count); /* "[1, 2]" */

/* What programs share: variables and operators of the host's, made once. */
enum { SHARED_VARIABLES = 3, SHARED_CUSTOMS = 3 };
mica_variable *random_variable(size_t i);
mica_custom_operator *random_custom(size_t i);
int64_t random_effect_count(void); /* calls of the operator with an effect so far */
void random_release_shared(void);
#endif
