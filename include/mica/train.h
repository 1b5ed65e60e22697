/* SPDX-License-Identifier: Apache-2.0 */
/* train.h: what trains. */
#ifndef MICA_TRAIN_H
#define MICA_TRAIN_H
#include "mica/train/checkpoints.h"
#include "mica/train/loop.h"
#include "mica/train/losses.h"
#include "mica/train/metrics.h"
#include "mica/train/schedules.h"
#include "mica/train/optimizers.h"
#include "mica/train/trainer.h"
#endif
