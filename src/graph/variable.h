/* SPDX-License-Identifier: Apache-2.0 */
/* variable.h: the inside of a variable, for those who run what reads and assigns it.
 *
 * One lock guards the value. A call that assigns holds the locks of all its variables, taken in
 * address order, from before it looks at the values until the new ones are stored; a call that
 * only reads one retains the value and gives the lock back before it runs. So whoever holds a
 * lock and sees a reference count of 1 knows that nobody else can look at the value, and that it
 * may be overwritten. */
#ifndef MICA_GRAPH_VARIABLE_H
#define MICA_GRAPH_VARIABLE_H
#include "mica/mesh.h"
#include "platform/platform.h"

#include <stdatomic.h>

struct mica_variable {
  _Atomic uint32_t reference_count;
  mica_type type; /* never changes */
  mica_mutex mutex;
  mica_tensor *value; /* NULL: lost, a call failed while it was being overwritten */
  uint64_t version;   /* counts the values stored; from 1 */
  mica_mesh *mesh;    /* on which traces lay it out; NULL: on none */
  char *sharding;
  size_t allocation_size;
  char name[];
};

/* One without a value yet, as if it were lost; NULL without memory or for an invalid type. */
mica_variable *mica_variable_create_empty(const char *name, mica_type type);

#endif
