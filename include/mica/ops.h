/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h: the operators, one header for each family. All of them take and give values of one graph;
 * a mistake makes the graph fail (graph.h). Nothing here runs anything. */
#ifndef MICA_OPS_H
#define MICA_OPS_H
#include "mica/ops/arrange.h"
#include "mica/ops/bits.h"
#include "mica/ops/complex.h"
#include "mica/ops/composite.h"
#include "mica/ops/cumulative.h"
#include "mica/ops/einsum.h"
#include "mica/ops/elementwise.h"
#include "mica/ops/fft.h"
#include "mica/ops/image.h"
#include "mica/ops/linalg.h"
#include "mica/ops/masked.h"
#include "mica/ops/product.h"
#include "mica/ops/quantize.h"
#include "mica/ops/random.h"
#include "mica/ops/reduce.h"
#include "mica/ops/region.h"
#include "mica/ops/segment.h"
#include "mica/ops/shape.h"
#include "mica/ops/sort.h"
#include "mica/ops/special.h"
#include "mica/ops/statistics.h"
#endif
