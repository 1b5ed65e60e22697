/* SPDX-License-Identifier: Apache-2.0 */
/* derivatives.h: finite-difference and looping oracles for one case, shared by the tests of rules
 * and by the
 * mutation check. Each returns whether everything agreed and reports failures unless quiet. */
#ifndef DERIVATIVES_H
#define DERIVATIVES_H
#include "conformance/conformance.h"

extern bool derivatives_quiet; /* no reports: the mutation check expects failures */
extern bool
    /* set when a program did not build or run, rather than gave other numbers */
    derivatives_broken;

bool check_gradient(const conformance_case *c, int order); /* 1 or 2 */
bool check_tangent(const conformance_case *c);
bool check_vmap(const conformance_case
                    *c); /* all operands batched, each alone, other axes; values and gradients */
#endif
