/* SPDX-License-Identifier: Apache-2.0 */
/* income.c: who has a high income? A table of categories and numbers: embeddings, calibrated numbers, and behind them an
 * ensemble of feed-forward networks or a Kolmogorov-Arnold network. Reads the survey `income` and the UCI set Adult. README.md
 * beside it tells more. */
#include "../ensemble.h"

enum { BATCH = 64, MOST = 16, KEYPOINTS = 16, LEVELS = 9 };

/* ---- tables ----------------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  bool number, left_out;
} column;
typedef struct {
  const char *name, *label, *levels[LEVELS]; /* beginnings of the labels, from the lowest on */
  int32_t high;                              /* the first level that is a high income */
  const char *train, *valid, *test;          /* files; valid NULL: a tenth of the training's rows */
  const char *hint;
  mica_csv_options csv;
  column columns[MOST];
  int32_t count;
} table;

static const char *const adult_names[] = {"age",
                                          "workclass",
                                          "fnlwgt",
                                          "education",
                                          "education_num",
                                          "marital_status",
                                          "occupation",
                                          "relationship",
                                          "race",
                                          "sex",
                                          "capital_gain",
                                          "capital_loss",
                                          "hours_per_week",
                                          "native_country",
                                          "income"};
static const table tables[] = {
    {.name = "income",
     .label = "income",
     .levels = {"-10", "[10", "[15", "[20", "[25", "[30", "[40", "[50", "[75"},
     .high = 7,
     .train = "train.csv",
     .valid = "valid.csv",
     .test = "test.csv",
     .hint = "tools/fetch_data income gets it",
     .columns = {{"sex", 0, 0},
                 {"marital_status", 0, 0},
                 {"age", true, 0},
                 {"education", true, 0},
                 {"occupation", 0, 0},
                 {"area", true, 0},
                 {"dual_incomes", 0, 0},
                 {"household_size", true, 0},
                 {"under18", true, 0},
                 {"householder", 0, 0},
                 {"home_type", 0, 0},
                 {"ethnic_class", 0, 0},
                 {"language", 0, 0}},
     .count = 13},
    {.name = "adult",
     .label = "income",
     .levels = {"<=50K", ">50K"},
     .high = 1,
     .train = "adult.data",
     .test = "adult.test",
     .hint = "adult.data and adult.test come from the UCI Machine Learning Repository",
     .csv = {.no_header = true,
             .names = adult_names,
             .name_count = 15,
             .missing = "?",
             .comment = '|', /* the first line of adult.test */
             .strip = "."},  /* behind the labels of adult.test */
     .columns = {{"age", true, 0},
                 {"workclass", 0, 0},
                 {"fnlwgt", 0, true}, /* how many people a row stands for */
                 {"education", 0, 0},
                 {"education_num", true, 0},
                 {"marital_status", 0, 0},
                 {"occupation", 0, 0},
                 {"relationship", 0, 0},
                 {"race", 0, 0},
                 {"sex", 0, 0},
                 {"capital_gain", true, 0},
                 {"capital_loss", true, 0},
                 {"hours_per_week", true, 0},
                 {"native_country", 0, 0}},
     .count = 14}};

typedef struct {
  const table *table;
  mica_csv *train; /* its vocabularies number the words of the others */
  double
      level_share; /* of the loss: how much of it asks for the level, and not only for the side */
  int32_t categories, numbers;
  int64_t words[MOST];
  mica_tensor *keypoints;   /* f32 [numbers, KEYPOINTS] */
  mica_tensor *rows[3][3];  /* of train, valid, test: categories, numbers, labels */
  int64_t *order, begin[3]; /* a split of the training, where there is no file */
} survey;

/* Columns of one kind side by side, and the label as the number of its level. */
static bool read_rows(example *ex, const survey *s, const mica_csv *csv, mica_tensor *out[3]) {
  int32_t categories[MOST], numbers[MOST], c = 0, n = 0;
  for (int32_t i = 0; i < s->table->count; i++) {
    const column *wanted = &s->table->columns[i];
    int32_t at = mica_csv_index(csv, wanted->name);
    if (wanted->left_out) continue;
    if (wanted->number)
      numbers[n++] = at;
    else
      categories[c++] = at;
  }
  int32_t label = mica_csv_index(csv, s->table->label);
  if (mica_csv_features(csv, categories, c, &out[0], &ex->error) != MICA_OK ||
      mica_csv_features(csv, numbers, n, &out[1], &ex->error) != MICA_OK)
    return false;
  const mica_vocabulary *words = mica_csv_vocabulary(csv, label);
  const int32_t *ids = mica_tensor_data(mica_csv_tensor(csv, label));
  int64_t rows = mica_csv_row_count(csv);
  int32_t *levels = calloc((size_t)rows + 1, sizeof *levels);
  for (int64_t i = 0; levels && words && i < rows; i++) {
    const char *text = mica_vocabulary_word(words, ids[i]);
    for (int32_t k = 0; text && k < LEVELS && s->table->levels[k]; k++)
      if (!strncmp(text, s->table->levels[k], strlen(s->table->levels[k]))) levels[i] = k;
  }
  out[2] = levels ? mica_tensor_from(MICA_I32, MICA_DIMS(rows), levels) : NULL;
  free(levels);
  if (!out[2]) mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  return example_good(ex);
}

static bool read_file(example *ex, survey *s, const char *folder, const char *file, int part) {
  char path[700];
  mica_csv_column columns[MOST];
  mica_csv_options options = s->table->csv;
  options.struct_size = sizeof options, options.columns = columns;
  for (int32_t i = 0; i < s->table->count; i++) {
    const column *c = &s->table->columns[i];
    columns[i] =
        (mica_csv_column){c->name,
                          c->left_out ? MICA_CSV_SKIP
                          : c->number ? MICA_CSV_FLOAT
                                      : MICA_CSV_CATEGORY,
                          c->left_out || c->number || part == 0
                              ? NULL
                              : mica_csv_vocabulary(s->train, mica_csv_index(s->train, c->name))};
  }
  columns[s->table->count] = (mica_csv_column){s->table->label, MICA_CSV_CATEGORY, NULL};
  options.column_count = s->table->count + 1;
  snprintf(path, sizeof path, "%.600s/%s", folder, file);
  mica_csv *csv = NULL;
  if (!example_good(ex) || mica_csv_load(path, &options, &csv, &ex->error) != MICA_OK) return false;
  bool good = read_rows(ex, s, csv, s->rows[part]);
  if (part == 0)
    s->train = csv;
  else
    mica_csv_destroy(csv);
  return good;
}

/* Quantiles of each number; where there are fewer different ones, points beyond the last follow. */
static bool find_keypoints(example *ex, survey *s) {
  float points[MOST * KEYPOINTS];
  for (int32_t i = 0, n = 0; i < s->table->count && example_good(ex); i++) {
    const column *c = &s->table->columns[i];
    int32_t at = mica_csv_index(s->train, c->name);
    if (!c->number && !c->left_out)
      s->words[s->categories++] = mica_vocabulary_count(mica_csv_vocabulary(s->train, at));
    if (!c->number) continue;
    mica_tensor *found = NULL;
    if (mica_quantiles(mica_csv_tensor(s->train, at), KEYPOINTS, true, &found, &ex->error) !=
        MICA_OK)
      return false;
    int64_t count = mica_tensor_type(found).shape.dim[0];
    const float *values = mica_tensor_data(found);
    for (int64_t k = 0; k < KEYPOINTS; k++)
      points[n * KEYPOINTS + k] =
          k < count ? values[k] : values[count - 1] + (float)(k - count + 1);
    mica_tensor_release(found);
    s->numbers = ++n;
  }
  s->keypoints = mica_tensor_from(MICA_F32, MICA_DIMS(s->numbers, KEYPOINTS), points);
  return example_good(ex);
}

static bool read_survey(example *ex, survey *s, const char *folder) {
  if (!read_file(ex, s, folder, s->table->train, 0) || !find_keypoints(ex, s)) return false;
  int64_t rows = mica_csv_row_count(s->train);
  if (s->table->valid)
    return read_file(ex, s, folder, s->table->valid, 1) &&
           read_file(ex, s, folder, s->table->test, 2);
  s->order = malloc((size_t)rows * sizeof *s->order);
  if (!s->order) return mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory") == MICA_OK;
  mica_split_rows(7, rows, (double[]){0.9, 0.1}, 2, s->order, s->begin, &ex->error);
  return example_good(ex) && read_file(ex, s, folder, s->table->test, 2);
}

/* part 0: train, 1: valid, 2: test; of a split file, train and valid are parts of its rows. */
static mica_dataset *rows_of(example *ex, survey *s, int part, int64_t *out_rows) {
  bool split = s->order && part < 2;
  mica_tensor **rows = s->rows[split ? 0 : part];
  int64_t count = mica_tensor_type(rows[2]).shape.dim[0];
  mica_memory_options options = {.struct_size = sizeof options,
                                 .tensors = rows,
                                 .count = 3,
                                 .shuffle = part == 0,
                                 .drop_last = part == 0,
                                 .seed = ex->seed};
  int64_t *whole = split ? NULL : malloc(((size_t)count + 1) * sizeof *whole);
  for (int64_t i = 0; whole && i < count; i++) whole[i] = i;
  if (split) count = s->begin[part + 1] - s->begin[part];
  if (ex->limit && ex->limit < count) count = ex->limit;
  options.rows = split ? s->order + s->begin[part] : whole;
  options.row_count = count;
  *out_rows = count;
  if (!options.rows) {
    mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
    return NULL;
  }
  options.batch = part == 0 ? BATCH : count; /* evaluated at once, as areas have to be */
  mica_dataset *made = mica_dataset_from_tensors(&options, &ex->error);
  free(whole);
  return made;
}

/* ---- the model: categories f32 [batch, c], -1: missing, numbers f32 [batch, n], NaN: missing -> logits [batch,
 * members, levels or 2] --- */

static mica_value features(mica_scope *scope, const mica_value *inputs, const survey *s) {
  mica_value part[2 * MOST + 2];
  size_t count = 0;
  mica_value ids = mica_convert(mica_add(inputs[0], 1.0), MICA_I32);
  int64_t width = mica_scope_get_integer(scope, "embedding", 0), rows = mica_dim_of(ids, 0);
  for (int32_t i = 0; i < s->categories; i++) {
    mica_value one = mica_reshape(mica_slice_axis(ids, 1, i, i + 1, 1), MICA_DIMS(rows));
    part[count++] = mica_nn_embedding(mica_scope_in_index(scope, "category", i), one,
                                      .count = s->words[i] + 1, .units = width);
  }
  /* A number has an embedding too, of the last point that it reaches. */
  mica_value missing = mica_not_equal(inputs[1], inputs[1]);
  mica_value points = mica_constant(mica_scope_graph(scope), s->keypoints);
  mica_value reached = mica_greater_equal(mica_expand_dims(inputs[1], -1), points);
  mica_value place = mica_reduce_sum(mica_convert(reached, MICA_I32), MICA_AXES(-1));
  for (int32_t i = 0; i < s->numbers; i++) {
    mica_value one = mica_reshape(mica_slice_axis(place, 1, i, i + 1, 1), MICA_DIMS(rows));
    part[count++] = mica_nn_embedding(mica_scope_in_index(scope, "number", i), one,
                                      .count = KEYPOINTS + 1, .units = width);
  }
  mica_value x = mica_select(missing, mica_zeros_like(inputs[1]), inputs[1]);
  x = mica_nn_calibration(mica_scope_in(scope, "calibration"), x, s->keypoints, -1, 1, false);
  part[count++] = mica_select(missing, mica_zeros_like(x), x);
  part[count++] = mica_convert(missing, MICA_F32);
  return mica_concatenate(part, count, -1);
}

static int64_t level_count(const survey *s) {
  int64_t count = 0;
  while (count < LEVELS && s->table->levels[count]) count++;
  return count;
}

static mica_value model(mica_scope *scope, const mica_value *inputs, void *user) {
  const char *kind = mica_scope_get_text(scope, "model", "fnn");
  int64_t levels = level_count(user);
  mica_value x = features(scope, inputs, user);
  double dropout = mica_scope_get_number(scope, "dropout", 0);
  if (!strcmp(kind, "fnn"))
    return mica_nn_fnn(mica_scope_in(scope, "fnn"), x, .out = levels,
                       .ensemble = mica_scope_get_integer(scope, "members", 1));
  x = mica_nn_dropout(mica_scope_in(scope, "dropout"), x, dropout);
  x = mica_nn_kan(mica_scope_in(scope, "kan0"), x,
                  .units = mica_scope_get_integer(scope, "kan_units", 0), .low = -2, .high = 2);
  x = mica_nn_kan(mica_scope_in(scope, "kan1"), mica_tanh(x), .units = 2);
  return mica_expand_dims(x, 1);
}

/* ---- what is learned, and what is asked -------------------------------------------------------------- */

/* Logits of levels, or of sides -> logarithms of the probabilities of a low and a high income [batch, members, 2]. */
static mica_value sides(mica_value prediction, const survey *s) {
  mica_value p = mica_log_softmax(prediction, -1);
  int64_t high = s->table->high, count = mica_dim_of(prediction, -1);
  if (count == 2) return p; /* of a model that tells no levels, or of a table with two */
  mica_value side[] = {
      mica_logsumexp(mica_slice_axis(p, 2, 0, high, 1), MICA_AXES(-1)),
      mica_logsumexp(mica_slice_axis(p, 2, high, count, 1), MICA_AXES(-1)),
  };
  return mica_stack(side, 2, -1);
}

static mica_value is_high(mica_value level, const survey *s) {
  return mica_convert(mica_greater_equal(level, s->table->high), MICA_I32);
}

/* The question is the side, but the level says more of a row: the last members learn that, the others the side alone. */
static mica_value loss(mica_value prediction, const mica_value *targets, void *user) {
  const survey *s = user;
  int64_t members = mica_dim_of(prediction, 1);
  bool tells = mica_dim_of(prediction, -1) == level_count(s); /* not so the KAN */
  int64_t split = members - (tells ? (int64_t)(s->level_share * (double)members) : 0);
  mica_value high = is_high(targets[0], s), part[2];
  size_t count = 0;
  if (split > 0)
    part[count++] =
        ensemble_loss(sides(mica_slice_axis(prediction, 1, 0, split, 1), s), &high, NULL);
  if (split < members)
    part[count++] = ensemble_loss(mica_slice_axis(prediction, 1, split, members, 1), targets, NULL);
  return count == 2 ? mica_add(part[0], part[1]) : part[0];
}

static void accuracy(mica_value prediction, const mica_value *targets, mica_value *out,
                     void *user) {
  mica_value high = is_high(targets[0], user);
  ensemble_accuracy(sides(prediction, user), &high, out, NULL);
}

/* in: prediction, levels -> the area under the curve of right against wrong alarms, exactly. */
static void area(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_value one = mica_slice(ensemble_decision(sides(in[0], user)), ":, 1");
  (void)graph;
  out[0] = mica_roc_auc(one, is_high(in[1], user));
}

/* ---- the program --------------------------------------------------------------------------------------- */

static bool report(example *ex, survey *s, int part, mica_dataset *data) {
  static const char *const parts[] = {"train", "validation", "test"};
  mica_batch batch = {0};
  mica_tensor *prediction = NULL, *result = NULL;
  double auc = 0;
  if (!example_evaluate(ex, data, parts[part])) return false;
  mica_status status = mica_dataset_begin(data, 0, &ex->error);
  if (status == MICA_OK) status = mica_dataset_next(data, &batch, &ex->error);
  if (status == MICA_OK)
    status = mica_trainer_predict(ex->trainer, batch.tensor, 2, &prediction, &ex->error);
  if (status == MICA_OK)
    status = mica_call_once(ex->device, area, s, (mica_tensor *[]){prediction, batch.tensor[2]}, 2,
                            &result, 1, &ex->error);
  if (status == MICA_OK) status = mica_tensor_read_doubles(result, &auc, 1, &ex->error);
  if (status == MICA_OK)
    printf("income: %s accuracy %.2f %%, area under the curve %.4f after %.0f s\n", parts[part],
           100 * mica_trainer_evaluation(ex->trainer).measures[0], auc, ex->seconds);
  mica_tensor_release(prediction), mica_tensor_release(result);
  mica_batch_clear(&batch);
  return status == MICA_OK;
}

static int run(int count, char **arguments) {
  const char *validate = NULL, *adult = NULL;
  const example_option options[] = {
      {"--validate", NULL, "evaluate on the validation set, for trying settings", &validate},
      {"--adult", NULL, "the UCI set Adult: adult.data and adult.test in --data", &adult},
      {0}};
  example ex = {.name = "income",
                .summary = "a table: embeddings, calibration, FNN, KAN",
                .epochs = 20,
                .options = options,
                .measures = ensemble_accuracy_names,
                .measure_count = 1};
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  mica_store_set_choice(ex.store, "model", "fnn", "fnn, kan", &ex.error);
  mica_store_set_number(ex.store, "lr", 2e-3, &ex.error);
  mica_store_set_number(ex.store, "weight_decay", 0.01, &ex.error);
  mica_store_set_number(ex.store, "levels", 0.25, &ex.error);
  mica_store_set_integer(ex.store, "embedding", 8, &ex.error);
  mica_store_set_integer(ex.store, "members", 32, &ex.error);
  mica_store_set_integer(ex.store, "fnn_layers", 2, &ex.error);
  mica_store_set_integer(ex.store, "fnn_units", 64, &ex.error);
  mica_store_set_number(ex.store, "fnn_dropout", 0.3, &ex.error);
  mica_store_set_text(ex.store, "fnn_activation", "relu", &ex.error);
  mica_store_set_integer(ex.store, "kan_units", 8, &ex.error);
  mica_store_set_number(ex.store, "dropout", 0.1, &ex.error);
  if (!example_settings(&ex)) return example_end(&ex);

  survey s = {.table = &tables[adult != NULL]};
  s.level_share = mica_store_get_number(ex.store, "levels", 0);
  char folder[600];
  mica_dataset *training = NULL, *testing = NULL;
  if (!example_find(&ex, adult ? "MICA_ADULT" : "MICA_INCOME", NULL, s.table->name, s.table->train,
                    folder, sizeof folder))
    mica_error_set(&ex.error, MICA_NOT_FOUND, "the data is not there: %s", s.table->hint);
  else
    read_survey(&ex, &s, folder);
  int64_t rows = 0, tested = 0;
  int part = validate ? 1 : 2;
  if (example_good(&ex)) training = rows_of(&ex, &s, 0, &rows);
  if (example_good(&ex)) testing = rows_of(&ex, &s, part, &tested);
  example_batches(&ex, rows, BATCH);
  mica_schedule *rate =
      mica_schedule_one_cycle(.start = mica_store_get_number(ex.store, "lr", 0),
                              .steps = example_total_steps(&ex), .error = &ex.error);
  mica_optimizer optimizer =
      mica_optimizer_adamw(.weight_decay = mica_store_get_number(ex.store, "weight_decay", 0));
  ex.trainer = mica_trainer_create(ex.store, model, loss, .user = &s, .inputs = 2,
                                   .optimizer = optimizer, .rate = mica_schedule_rate,
                                   .rate_user = rate, .measures = accuracy, .measure_count = 1);
  if (example_train(&ex, training)) report(&ex, &s, part, testing);

  int code = example_end(&ex);
  mica_schedule_destroy(rate);
  mica_dataset_destroy(training), mica_dataset_destroy(testing);
  for (int i = 0; i < 9; i++) mica_tensor_release(s.rows[i / 3][i % 3]);
  mica_tensor_release(s.keypoints);
  mica_csv_destroy(s.train);
  free(s.order);
  return code;
}

EXAMPLE(income, "a table: embeddings, calibration, FNN, KAN", run)
