/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h: what the trainer needs of a trace beside its public functions. */
#ifndef MICA_NN_GUARD_H
#define MICA_NN_GUARD_H
#include "mica/nn/store.h"

/* Whether `keep` (bool []) holds and all states that the trace has assigned so far are finite; where not, they stay what they
 * were. */
mica_value mica_nn_guard_states(mica_scope *root, mica_value keep);

#endif
