/* SPDX-License-Identifier: Apache-2.0 */
/* data.c: `mica data`: what files of data hold: arrays with their types and statistics, columns, images, lines, and a sample. */
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#ifdef MICA_HAVE_IMAGE
#include "mica/image.h"
#endif

enum { SHOWN_CLASSES = 20, SHOWN_WORDS = 6 };

/* What is printed of one path: a line for each array, or members of a JSON list. */
typedef struct {
  bool json;
  long sample; /* rows to show */
  int arrays;
} data_report;

static void report_begin(data_report *r, const char *path, const char *kind) {
  r->arrays = 0;
  if (!r->json) {
    printf("%s: %s\n", path, kind);
    return;
  }
  printf("{\"path\": ");
  cli_json_text(path);
  printf(", \"kind\": \"%s\", \"arrays\": [", kind);
}
static void report_end(const data_report *r) {
  if (r->json) puts("]}");
}

/* ---- statistics ------------------------------------------------------------------------------------ */

static void print_statistics(const cli_statistics *s, bool json) {
  if (json) {
    cli_json_number("least", s->least), cli_json_number("greatest", s->greatest);
    cli_json_number("mean", s->mean), cli_json_number("deviation", s->deviation);
    printf(", \"nan\": %" PRId64 ", \"infinite\": %" PRId64 ", \"zero\": %" PRId64, s->nan,
           s->infinite, s->zero);
    return;
  }
  printf("    %.6g .. %.6g, mean %.6g, deviation %.6g", s->least, s->greatest, s->mean,
         s->deviation);
  if (s->count > 0) printf(", %.3g %% zero", 100 * (double)s->zero / (double)s->count);
  if (s->nan > 0) printf(", %" PRId64 " NaN", s->nan);
  if (s->infinite > 0) printf(", %" PRId64 " infinite", s->infinite);
  putchar('\n');
}

/* How often each class occurs, where the numbers look like classes: whole, and at most one for each row. */
static void print_classes(const cli_statistics *s, mica_type type, bool json) {
  int distinct = 0;
  for (int i = 0; i < CLI_CLASSES; i++) distinct += s->classes[i] > 0;
  if (!s->whole || type.shape.rank > 1 || distinct < 2 || distinct * 2 > s->count) return;
  printf(json ? ", \"classes\": {" : "    classes:");
  for (int i = 0, shown = 0; i < CLI_CLASSES; i++) {
    if (s->classes[i] == 0) continue;
    if (json)
      printf("%s\"%d\": %" PRId64, shown > 0 ? ", " : "", i, s->classes[i]);
    else if (shown < SHOWN_CLASSES)
      printf("%s %d: %" PRId64, shown > 0 ? "," : "", i, s->classes[i]);
    else if (shown == SHOWN_CLASSES)
      printf(", ... (%d of them)", distinct);
    shown++;
  }
  fputs(json ? "}" : "\n", stdout);
}

/* ---- samples ----------------------------------------------------------------------------------------- */

/* A picture in characters, at most 64 wide: rows are twice as high as characters are wide. */
static void print_picture(const unsigned char *pixels, int64_t height, int64_t width,
                          int64_t channels) {
  static const char shades[] = " .:-=+*#%@";
  int64_t step = (width + 63) / 64, down = step * 2;
  if (height <= 32 && step == 1) down = 1;
  for (int64_t y = 0; y < height; y += down) {
    fputs("      ", stdout);
    for (int64_t x = 0; x < width; x += step) {
      int64_t sum = 0;
      for (int64_t c = 0; c < channels; c++) sum += pixels[(y * width + x) * channels + c];
      putchar(shades[sum * 10 / (256 * channels)]);
    }
    putchar('\n');
  }
}

static bool is_picture(mica_type type, int64_t *height, int64_t *width, int64_t *channels) {
  const mica_shape *s = &type.shape;
  bool colors = s->rank == 4 && (s->dim[3] == 1 || s->dim[3] == 3 || s->dim[3] == 4);
  *height = s->rank >= 3 ? s->dim[1] : 0, *width = s->rank >= 3 ? s->dim[2] : 0;
  *channels = colors ? s->dim[3] : 1;
  return type.dtype == MICA_U8 && (s->rank == 3 || colors) && *height >= 4 && *width >= 4;
}

/* The first rows of [n, ...], or the whole of a number. */
static void print_sample(const mica_tensor *tensor, long rows, bool json) {
  mica_type type = mica_tensor_type(tensor), part = type;
  int64_t height, width, channels;
  if (rows <= 0 || mica_shape_count(type.shape) == 0 || mica_dtype_bits(type.dtype) < 8) return;
  if (!json && is_picture(type, &height, &width, &channels)) {
    for (long i = 0; i < rows && i < type.shape.dim[0]; i++)
      print_picture((const unsigned char *)mica_tensor_data(tensor) + i * height * width * channels,
                    height, width, channels);
    return;
  }
  if (part.shape.rank > 0 && part.shape.dim[0] > rows) part.shape.dim[0] = rows;
  mica_tensor *first = mica_tensor_from(part.dtype, part.shape, mica_tensor_data(tensor));
  if (json) {
    double values[16];
    int64_t count = mica_shape_count(part.shape), shown = count < 16 ? count : 16;
    printf(", \"sample\": [");
    if (first != NULL && mica_convert_elements(MICA_F64, values, type.dtype,
                                               mica_tensor_data(first), shown) == MICA_OK)
      for (int64_t i = 0; i < shown; i++)
        values[i] - values[i] == 0 ? printf("%s%.9g", i > 0 ? ", " : "", values[i])
                                   : printf("%snull", i > 0 ? ", " : "");
    putchar(']');
  } else if (first != NULL) {
    char text[4096];
    mica_format_options options = {.struct_size = sizeof options, .threshold = 40, .edge_items = 2};
    if (mica_tensor_format(first, &options, text, sizeof text) < (int64_t)sizeof text)
      for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        printf("      %s\n", line);
  }
  mica_tensor_release(first);
}

static void report_array(data_report *r, const char *name, const mica_tensor *tensor) {
  static cli_statistics s;
  mica_type type = mica_tensor_type(tensor);
  cli_find_statistics(tensor, &s);
  if (r->json) {
    printf("%s{\"name\": ", r->arrays > 0 ? ", " : "");
    cli_json_text(name);
    printf(", \"type\": ");
    cli_json_type(type);
  } else {
    printf("  %s%s", name, *name ? "  " : "");
    cli_print_type(type);
    putchar('\n');
  }
  if (!r->json && mica_dtype_is_complex(type.dtype)) puts("    of the real parts:");
  if (s.count > 0) print_statistics(&s, r->json);
  print_classes(&s, type, r->json);
  print_sample(tensor, r->sample, r->json);
  if (r->json) putchar('}');
  r->arrays++;
}

/* ---- tables -------------------------------------------------------------------------------------------- */

static void report_words(const data_report *r, const mica_vocabulary *words) {
  mica_vocabulary *common = NULL;
  int64_t count = mica_vocabulary_count(words);
  if (r->json)
    printf(", \"words\": %" PRId64 ", \"most_frequent\": {", count);
  else
    printf("    %" PRId64 " words:", count);
  if (mica_vocabulary_prune(words, SHOWN_WORDS, 1, &common, NULL) == MICA_OK)
    for (int64_t i = 0; i < mica_vocabulary_count(common); i++) {
      if (r->json) {
        if (i > 0) printf(", ");
        cli_json_text(mica_vocabulary_word(common, i));
        printf(": %" PRId64, mica_vocabulary_uses(common, i));
      } else {
        printf("%s %s (%" PRId64 ")", i > 0 ? "," : "", mica_vocabulary_word(common, i),
               mica_vocabulary_uses(common, i));
      }
    }
  if (r->json)
    putchar('}');
  else
    puts(count > SHOWN_WORDS ? ", ..." : "");
  mica_vocabulary_destroy(common);
}

static int data_csv(data_report *r, const cli_arguments *arguments, const char *path, bool tabs) {
  static const char *const kinds[] = {"auto", "float", "double", "integer", "category", "skip"};
  const char *separator = cli_value(arguments, "separator", 0);
  if (separator != NULL && (strcmp(separator, "tab") == 0 || strcmp(separator, "\\t") == 0))
    separator = "\t";
  if (separator != NULL && (separator[0] == 0 || separator[1] != 0 || separator[0] == '"'))
    return cli_usage("--separator %s: expected one character, or tab", separator);
  mica_csv_options options = {.struct_size = sizeof options,
                              .separator = separator != NULL ? separator[0]
                                           : tabs            ? '\t'
                                                             : ',',
                              .no_quotes = tabs || cli_value(arguments, "no-quotes", 0) != NULL,
                              .no_header = cli_value(arguments, "no-header", 0) != NULL,
                              .missing = cli_value(arguments, "missing", 0)};
  mica_csv *csv = NULL;
  mica_error error = {0};
  if (mica_csv_load(path, &options, &csv, &error) != MICA_OK) return cli_fail("%s", error.message);
  report_begin(r, path, "csv");
  if (!r->json) cli_print_count("  ", mica_csv_row_count(csv), "row", "\n");
  for (int32_t i = 0; i < mica_csv_column_count(csv); i++) {
    const mica_vocabulary *words = mica_csv_vocabulary(csv, i);
    const mica_tensor *values = mica_csv_tensor(csv, i);
    if (values == NULL) continue;
    if (words == NULL) {
      report_array(r, mica_csv_name(csv, i), values);
      continue;
    }
    const int32_t *numbers = mica_tensor_data(values);
    int64_t missing = 0;
    for (int64_t row = 0; row < mica_csv_row_count(csv); row++) missing += numbers[row] < 0;
    if (r->json) {
      printf("%s{\"name\": ", r->arrays > 0 ? ", " : "");
      cli_json_text(mica_csv_name(csv, i));
      printf(", \"type\": ");
      cli_json_type(mica_tensor_type(values));
      printf(", \"missing\": %" PRId64, missing);
    } else {
      printf("  %s  %s of %" PRId64 " rows", mica_csv_name(csv, i),
             kinds[mica_csv_column_kind(csv, i)], mica_csv_row_count(csv));
      if (missing > 0) printf(", %" PRId64 " missing", missing);
      putchar('\n');
    }
    report_words(r, words);
    if (r->json) putchar('}');
    r->arrays++;
  }
  report_end(r);
  mica_csv_destroy(csv);
  return 0;
}

/* ---- text ------------------------------------------------------------------------------------------------ */

static int data_lines(data_report *r, const char *path) {
  mica_error error = {0};
  mica_batch batch = {0};
  int64_t count = 0, bytes = 0, shortest = INT64_MAX, longest = 0;
  mica_dataset *lines = mica_dataset_from_lines(path, 0, &error);
  mica_status status = lines != NULL ? MICA_OK : error.status;
  report_begin(r, path, "text");
  while (status == MICA_OK) {
    status = mica_dataset_next(lines, &batch, &error);
    if (status != MICA_OK || batch.count == 0) break;
    int64_t size = mica_tensor_type(batch.tensor[0]).shape.dim[0];
    if (!r->json && count < r->sample)
      printf("      %.*s\n", (int)(size < 100 ? size : 100),
             (const char *)mica_tensor_data(batch.tensor[0]));
    count++, bytes += size;
    if (size < shortest) shortest = size;
    if (size > longest) longest = size;
  }
  if (count == 0) shortest = 0;
  if (r->json)
    printf("{\"name\": \"lines\", \"count\": %" PRId64 ", \"bytes\": %" PRId64
           ", \"shortest\": %" PRId64 ", \"longest\": %" PRId64 "}",
           count, bytes, shortest, longest);
  else if (status == MICA_OK)
    printf("  %" PRId64 " lines of %" PRId64 " .. %" PRId64 " bytes, %" PRId64
           " in all, empty ones left out\n",
           count, shortest, longest, bytes);
  report_end(r);
  mica_batch_clear(&batch);
  mica_dataset_destroy(lines);
  return status == MICA_OK ? 0 : cli_fail("%s", error.message);
}

/* ---- images ------------------------------------------------------------------------------------------------ */

#ifdef MICA_HAVE_IMAGE
static int data_image(data_report *r, const char *path) {
  mica_tensor *image = NULL;
  mica_error error = {0};
  if (mica_image_load(path, NULL, &image, &error) != MICA_OK) return cli_fail("%s", error.message);
  mica_type type = mica_tensor_type(image), one = type;
  for (int i = 3; i > 0; i--) one.shape.dim[i] = type.shape.dim[i - 1];
  one.shape.rank = 4, one.shape.dim[0] = 1;
  mica_tensor *rows = mica_tensor_from(MICA_U8, one.shape, mica_tensor_data(image));
  report_begin(r, path, "image");
  report_array(r, "", rows != NULL ? rows : image);
  report_end(r);
  mica_tensor_release(rows), mica_tensor_release(image);
  return 0;
}

/* A folder whose folders are classes: how many images each has, their sizes, and which cannot be read. */
static int data_images(data_report *r, const cli_arguments *arguments, const char *path) {
  long most = cli_number(arguments, "most", 1, 10000);
  if (most < 0) return 2;
  mica_error error = {0};
  mica_vocabulary *classes = NULL;
  mica_image_folder_options options = {.struct_size = sizeof options, .path = path};
  mica_dataset *files = mica_image_folder(&options, &classes, &error);
  if (files == NULL) return cli_fail("%s", error.message);
  int64_t count = mica_vocabulary_count(classes), images = 0, broken = 0, least[3], greatest[3];
  int64_t *of_class = calloc((size_t)count + 1, sizeof *of_class);
  char first_broken[512] = "";
  mica_batch batch = {0};
  mica_status status = of_class != NULL ? MICA_OK : MICA_OUT_OF_MEMORY;
  while (status == MICA_OK && images < most) {
    status = mica_dataset_next(files, &batch, &error);
    if (status != MICA_OK || batch.count == 0) break;
    mica_tensor *image = NULL;
    mica_error why = {0};
    double label = 0;
    images++;
    if (mica_tensor_read_doubles(batch.tensor[1], &label, 1, NULL) == MICA_OK && label >= 0 &&
        label < (double)count)
      of_class[(int64_t)label]++;
    if (mica_image_parse(mica_tensor_data(batch.tensor[0]), mica_tensor_byte_size(batch.tensor[0]),
                         NULL, &image, &why) != MICA_OK) {
      if (broken++ == 0)
        snprintf(first_broken, sizeof first_broken, "image %" PRId64 ": %.400s", images - 1,
                 why.message);
      continue;
    }
    mica_shape shape = mica_tensor_type(image).shape;
    for (int i = 0; i < 3; i++) {
      if (images - broken == 1) least[i] = greatest[i] = shape.dim[i];
      if (shape.dim[i] < least[i]) least[i] = shape.dim[i];
      if (shape.dim[i] > greatest[i]) greatest[i] = shape.dim[i];
    }
    mica_tensor_release(image);
  }
  bool seen = images > broken;
  if (status == MICA_OK) {
    report_begin(r, path, "images");
    if (r->json) {
      printf("{\"name\": \"images\", \"count\": %" PRId64 ", \"broken\": %" PRId64, images, broken);
      if (seen)
        printf(", \"least\": [%" PRId64 ", %" PRId64 ", %" PRId64 "], \"greatest\": [%" PRId64
               ", %" PRId64 ", %" PRId64 "]",
               least[0], least[1], least[2], greatest[0], greatest[1], greatest[2]);
      printf(", \"classes\": {");
    } else {
      printf("  %" PRId64 " images in %" PRId64 " classes%s\n", images, count,
             images == most ? ", no more were looked at (--most)" : "");
      if (seen)
        printf("  height %" PRId64 " .. %" PRId64 ", width %" PRId64 " .. %" PRId64
               ", channels %" PRId64 " .. %" PRId64 "\n",
               least[0], greatest[0], least[1], greatest[1], least[2], greatest[2]);
    }
    for (int64_t i = 0; i < count; i++) {
      if (r->json) {
        if (i > 0) printf(", ");
        cli_json_text(mica_vocabulary_word(classes, i));
        printf(": %" PRId64, of_class[i]);
      } else {
        printf("  %-32s %8" PRId64 "\n", mica_vocabulary_word(classes, i), of_class[i]);
      }
    }
    if (r->json)
      printf("}}");
    else if (broken > 0)
      printf("  %" PRId64 " cannot be read; %s\n", broken, first_broken);
    report_end(r);
  }
  free(of_class);
  mica_batch_clear(&batch);
  mica_dataset_destroy(files);
  mica_vocabulary_destroy(classes);
  return status == MICA_OK ? 0 : cli_fail("%s", error.message);
}
#else
static int data_image(data_report *r, const char *path) {
  (void)r;
  return cli_fail("%s: this build has no images (libspng-dev, libturbojpeg0-dev)", path);
}
static int data_images(data_report *r, const cli_arguments *arguments, const char *path) {
  (void)arguments;
  return data_image(r, path);
}
#endif

/* ---- arrays ------------------------------------------------------------------------------------------------ */

static int data_array(data_report *r, const char *path, const char *kind, mica_status status,
                      mica_tensor *tensor, const mica_error *error) {
  if (status != MICA_OK) return cli_fail("%s", error->message);
  report_begin(r, path, kind);
  report_array(r, "", tensor);
  report_end(r);
  mica_tensor_release(tensor);
  return 0;
}

static int data_npz(data_report *r, const char *path) {
  mica_npz *npz = NULL;
  mica_error error = {0};
  if (mica_npz_load(path, &npz, &error) != MICA_OK) return cli_fail("%s", error.message);
  report_begin(r, path, "npz");
  for (int64_t i = 0; i < mica_npz_count(npz); i++)
    report_array(r, mica_npz_name(npz, i), mica_npz_tensor(npz, i));
  report_end(r);
  mica_npz_destroy(npz);
  return 0;
}

static int data_safetensors(data_report *r, const char *path) {
  mica_safetensors *file = NULL;
  mica_error error = {0};
  if (mica_safetensors_open(path, &file, &error) != MICA_OK) return cli_fail("%s", error.message);
  int result = 0;
  report_begin(r, path, "safetensors");
  for (int64_t i = 0; i < mica_safetensors_count(file); i++) {
    mica_tensor *tensor = NULL;
    mica_error why = {0};
    if (mica_safetensors_tensor(file, i, &tensor, &why) == MICA_OK)
      report_array(r, mica_safetensors_name(file, i), tensor);
    else
      result = cli_fail("%s", why.message);
    mica_tensor_release(tensor);
  }
  report_end(r);
  mica_safetensors_destroy(file);
  return result;
}

static int data_cifar(data_report *r, const char *path, int32_t labels) {
  mica_tensor *images = NULL, *classes = NULL;
  mica_error error = {0};
  if (mica_cifar_load(&path, 1, labels, &images, &classes, &error) != MICA_OK)
    return cli_fail("%s", error.message);
  report_begin(r, path, labels == 1 ? "cifar10" : "cifar100");
  report_array(r, "images", images);
  report_array(r, "labels", classes);
  report_end(r);
  mica_tensor_release(images), mica_tensor_release(classes);
  return 0;
}

/* ---- which kind a path is ------------------------------------------------------------------------------------ */

static bool has_ending(const char *path, const char *const *endings) {
  size_t length = strlen(path);
  for (; *endings != NULL; endings++) {
    size_t size = strlen(*endings);
    if (length >= size && strcmp(path + length - size, *endings) == 0) return true;
  }
  return false;
}
#define ENDS(path, ...) has_ending(path, (const char *const[]){__VA_ARGS__, NULL})

/* By the option, the path's end, or the first bytes; NULL: not known. */
static const char *kind_of(const cli_arguments *arguments, const char *path) {
  const char *given = cli_value(arguments, "kind", 0);
  struct stat status = {0};
  unsigned char first[8] = {0};
  if (given != NULL) return given;
  if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) return "images";
  FILE *file = fopen(path, "rb");
  size_t size = file != NULL ? fread(first, 1, sizeof first, file) : 0;
  if (file != NULL) fclose(file);
  if (size >= 6 && memcmp(first, "\x93NUMPY", 6) == 0) return "npy";
  if (size >= 2 && memcmp(first, "PK", 2) == 0) return "npz";
  if (size >= 4 && (memcmp(first, "\x89PNG", 4) == 0 || memcmp(first, "\xff\xd8\xff", 3) == 0))
    return "image";
  if (ENDS(path, ".csv")) return "csv";
  if (ENDS(path, ".tsv")) return "tsv";
  if (ENDS(path, ".txt", ".text", ".md", ".jsonl")) return "text";
  if (ENDS(path, ".bin") && status.st_size > 0 && status.st_size % 3073 == 0) return "cifar10";
  if (ENDS(path, ".bin") && status.st_size > 0 && status.st_size % 3074 == 0) return "cifar100";
  if (ENDS(path, ".safetensors", ".mica")) return "safetensors";
  if (size >= 2 && (memcmp(first, "\0\0", 2) == 0 || memcmp(first, "\x1f\x8b", 2) == 0))
    return "idx";
  return size == sizeof first && first[7] == 0 ? "safetensors" : NULL;
}

/* Whether a folder has folders in it, which may be classes of images. */
static bool has_folders(const char *path) {
  DIR *folder = opendir(path);
  bool found = folder == NULL; /* the error is told by who reads it */
  for (struct dirent *entry; folder != NULL && !found && (entry = readdir(folder)) != NULL;) {
    char inner[1400];
    struct stat status;
    snprintf(inner, sizeof inner, "%.1000s/%.300s", path, entry->d_name);
    found = entry->d_name[0] != '.' && stat(inner, &status) == 0 && S_ISDIR(status.st_mode);
  }
  if (folder != NULL) closedir(folder);
  return found;
}

static int data_path(const cli_arguments *arguments, data_report *r, const char *path) {
  const char *kind = kind_of(arguments, path);
  mica_tensor *tensor = NULL;
  mica_error error = {0};
  FILE *file = fopen(path, "rb");
  if (file == NULL) return cli_fail("%s: cannot be read", path);
  fclose(file);
  if (kind == NULL)
    return cli_fail(
        "%s: what is it? --kind idx, cifar10, cifar100, csv, tsv, npy, npz, "
        "safetensors, text, image or images says so",
        path);
  if (strcmp(kind, "idx") == 0) {
    mica_status status = mica_idx_load(path, &tensor, &error);
    return data_array(r, path, kind, status, tensor, &error);
  }
  if (strcmp(kind, "npy") == 0) {
    mica_status status = mica_npy_load(path, &tensor, &error);
    return data_array(r, path, kind, status, tensor, &error);
  }
  if (strcmp(kind, "npz") == 0) return data_npz(r, path);
  if (strcmp(kind, "safetensors") == 0) return data_safetensors(r, path);
  if (strcmp(kind, "cifar10") == 0) return data_cifar(r, path, 1);
  if (strcmp(kind, "cifar100") == 0) return data_cifar(r, path, 2);
  if (strcmp(kind, "csv") == 0) return data_csv(r, arguments, path, false);
  if (strcmp(kind, "tsv") == 0) return data_csv(r, arguments, path, true);
  if (strcmp(kind, "text") == 0) return data_lines(r, path);
  if (strcmp(kind, "image") == 0) return data_image(r, path);
  if (strcmp(kind, "images") == 0) return data_images(r, arguments, path);
  return cli_usage("--kind %s: there is no such kind", kind);
}

static int compare_names(const void *a, const void *b) { return strcmp(a, b); }

/* A folder of other files: each of those that are understood. */
static int data_folder(const cli_arguments *arguments, data_report *r, const char *path) {
  DIR *folder = opendir(path);
  char(*names)[256] = NULL;
  size_t count = 0, capacity = 0;
  int result = 0;
  for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
    char file[1400];
    struct stat status;
    snprintf(file, sizeof file, "%.1000s/%.300s", path, entry->d_name);
    if (entry->d_name[0] == '.' || stat(file, &status) != 0 || !S_ISREG(status.st_mode)) continue;
    if (kind_of(arguments, file) == NULL) continue;
    if (count == capacity) {
      capacity = 2 * capacity + 64;
      char(*more)[256] = realloc(names, capacity * sizeof *names);
      if (more == NULL) {
        free(names), closedir(folder);
        return cli_fail("out of memory");
      }
      names = more;
    }
    snprintf(names[count++], sizeof names[0], "%.255s", entry->d_name);
  }
  if (folder != NULL) closedir(folder);
  if (count == 0)
    return cli_fail("%s: no file in it is understood, and no folders of images are there", path);
  qsort(names, count, sizeof names[0], compare_names);
  for (size_t i = 0; i < count; i++) {
    char file[1400];
    snprintf(file, sizeof file, "%.1000s/%.300s", path, names[i]);
    int one = data_path(arguments, r, file);
    if (one > result) result = one;
  }
  free(names);
  return result;
}

static int run_data(const cli_arguments *arguments) {
  data_report report = {.json = arguments->json, .sample = cli_number(arguments, "sample", 0, 1)};
  int result = 0;
  if (report.sample < 0) return 2;
  if (arguments->operand_count == 0) return cli_usage("data: which files? mica data --help");
  for (int i = 0; i < arguments->operand_count; i++) {
    const char *path = arguments->operand[i];
    const char *kind = kind_of(arguments, path);
    bool others = cli_value(arguments, "kind", 0) == NULL && kind != NULL &&
                  strcmp(kind, "images") == 0 && !has_folders(path);
    int one = others ? data_folder(arguments, &report, path) : data_path(arguments, &report, path);
    if (one > result) result = one;
  }
  return result;
}

static const cli_option data_options[] = {
    {"kind", "KIND", "what the files are, where that cannot be seen: idx, cifar10, csv, text, ..."},
    {"sample", "N", "rows, images or lines to show; default: 1"},
    {"most", "N", "images of a folder to look at; default: 10000"},
    {"separator", "C", "between the fields of a table; default: a comma, of .tsv a tab"},
    {"missing", "TEXT", "a field of a table that is missing, such as '?' or NA"},
    {"no-header", NULL, "the first row of a table is a row"},
    {"no-quotes", NULL, "quotes in a table are characters like others, as they are in .tsv"},
    {NULL, NULL, NULL}};
const cli_command cli_data = {
    .name = "data",
    .operands = "PATH...",
    .summary = "look into files of data",
    .details =
        "Types, counts, least, greatest, mean and deviation, classes and a sample of what is in "
        "IDX\n"
        "(plain or .gz), CIFAR, CSV, .npy, .npz, safetensors, text, PNG and JPEG files, and in "
        "folders\n"
        "of such files, or of images whose folders are classes.",
    .options = data_options,
    .run = run_data};
