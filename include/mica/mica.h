/* SPDX-License-Identifier: Apache-2.0 */
/* mica.h: everything of libmica. */
#ifndef MICA_H
#define MICA_H
#include "mica/core.h"
#include "mica/graph.h"
#include "mica/custom.h"
#include "mica/backend.h"
#include "mica/jit.h"
#include "mica/mesh.h"
#include "mica/data.h"
#include "mica/nn.h"
#include "mica/train.h"
#include "mica/train/losses.h"
#include "mica/model.h"
#endif
