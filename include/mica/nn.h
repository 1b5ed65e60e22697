/* SPDX-License-Identifier: Apache-2.0 */
/* nn.h: parameters by path, and layers that use them. docs/training.md shows how. */
#ifndef MICA_NN_H
#define MICA_NN_H
#include "mica/nn/activation.h"
#include "mica/nn/attention.h"
#include "mica/nn/initializer.h"
#include "mica/nn/layers.h"
#include "mica/nn/lora.h"
#include "mica/nn/networks.h"
#include "mica/nn/norm.h"
#include "mica/nn/recurrent.h"
#include "mica/nn/store.h"
#endif
