/* SPDX-License-Identifier: Apache-2.0 */
/* report.c: how well a classifier does, class by class. */
#include <string.h>

#include "mica/ui.h"

void mica_report_classes(FILE *out, const char *const *names, const int64_t *confusion,
                         int64_t classes) {
  if (!out || !names || !confusion || classes < 1) return;
  int widest = 5;
  for (int64_t c = 0; c < classes; c++)
    if ((int)strlen(names[c]) > widest) widest = (int)strlen(names[c]);
  fprintf(out, "%-*s %9s %9s %9s %7s\n", widest, "class", "accuracy", "precision", "f1", "count");
  for (int64_t c = 0; c < classes; c++) {
    int64_t row = 0, column = 0, right = confusion[c * classes + c];
    for (int64_t k = 0; k < classes; k++)
      row += confusion[c * classes + k], column += confusion[k * classes + c];
    double recall = row ? 100.0 * (double)right / (double)row : 0,
           precision = column ? 100.0 * (double)right / (double)column : 0;
    double f1 = recall + precision > 0 ? 2 * recall * precision / (recall + precision) : 0;
    fprintf(out, "%-*s %8.1f%% %8.1f%% %8.1f%% %7lld\n", widest, names[c], recall, precision, f1,
            (long long)row);
  }
  fprintf(out, "\nconfusion (row: true class, column: predicted)\n%-*s", widest, "");
  for (int64_t k = 0; k < classes; k++) fprintf(out, " %6.6s", names[k]);
  fprintf(out, "\n");
  for (int64_t c = 0; c < classes; c++) {
    fprintf(out, "%-*s", widest, names[c]);
    for (int64_t k = 0; k < classes; k++) {
      int64_t n = confusion[c * classes + k];
      if (n)
        fprintf(out, " %6lld", (long long)n);
      else
        fprintf(out, " %6s", ".");
    }
    fprintf(out, "\n");
  }
}
