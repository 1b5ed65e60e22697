/* SPDX-License-Identifier: Apache-2.0 */
/* Model files: what opens verifies, has the variables that it names, and can be listed. */
#include "fuzz.h"

#include "mica/model.h"

FUZZ_TARGET(model) {
  mica_model *model;
  mica_error error = {0};
  mica_status status = mica_model_parse(bytes, size, &model, &error);
  FUZZ_REQUIRE((status == MICA_OK) == (model != NULL) && error.status == status);
  for (int64_t i = 0; i < mica_model_program_count(model); i++) {
    mica_model_program program = mica_model_program_at(model, i);
    FUZZ_REQUIRE(mica_model_program_index(model, program.name) == i);
    FUZZ_REQUIRE(mica_graph_verify(program.graph, NULL) == MICA_OK);
    for (int64_t k = 0; k < mica_model_input_count(model, i); k++)
      FUZZ_REQUIRE(program.input_names[k] != NULL && mica_model_input_type(model, i, k).dtype != 0);
    for (int64_t k = 0; k < mica_model_output_count(model, i); k++)
      FUZZ_REQUIRE(program.output_names[k] != NULL);
  }
  for (int64_t i = 0; i < mica_model_variable_count(model); i++)
    FUZZ_REQUIRE(mica_variable_name(mica_model_variable(model, i)) != NULL);
  mica_model_destroy(model);
}
