/* SPDX-License-Identifier: Apache-2.0 */
/* groups.c: rules for the parameters whose path matches a pattern. */
#include "nn/store_internal.h"

/* `*` and `?` cross no '/', `**` does. Where a later star fails, only the last one of each kind needs to be tried
 * again with one character more: a single star cannot help once a double one has passed it, so that the time
 * is at most the product of the lengths. */
bool mica_path_matches(const char *pattern, const char *path) {
  if (pattern == NULL || path == NULL) return false;
  const char *single = NULL, *single_at = NULL, *twice = NULL, *twice_at = NULL;
  while (true) {
    if (*pattern == '*' && pattern[1] == '*') {
      pattern += 2;
      twice = pattern, twice_at = path;
      single = NULL;
    } else if (*pattern == '*') {
      single = ++pattern, single_at = path;
    } else if (*path != 0 && (*pattern == *path || (*pattern == '?' && *path != '/'))) {
      pattern++, path++;
    } else if (*pattern == 0 && *path == 0) {
      return true;
    } else if (single != NULL && *single_at != 0 && *single_at != '/') {
      path = ++single_at, pattern = single;
    } else if (twice != NULL && *twice_at != 0) {
      path = ++twice_at, pattern = twice;
      single = NULL;
    } else {
      return false;
    }
  }
}

mica_status mica_store_group_with(const mica_store_group_args *given) {
  if (given == NULL) return MICA_INVALID;
  mica_store_group_args args;
  mica_copy_options(&args, sizeof args, given);
  mica_store *store = args.store;
  if (store == NULL || args.pattern == NULL)
    return mica_error_set(args.error, MICA_INVALID, "the %s of a group is NULL",
                          store == NULL ? "store" : "pattern");
  if (!(args.rate_factor >= 0) || !(args.decay_factor >= 0))
    return mica_error_set(args.error, MICA_INVALID,
                          "group \"%.100s\": factors are 0 (for 1) or above", args.pattern);
  mica_mutex_lock(&store->mutex);
  bool made = mica_grow(&store->allocator, &store->groups, &store->group_capacity,
                        store->group_count + 1u, sizeof(nn_group));
  if (made) {
    nn_group group = {.rate_factor = args.rate_factor == 0 ? 1 : args.rate_factor,
                      .decay_factor = args.no_decay            ? 0
                                      : args.decay_factor == 0 ? 1
                                                               : args.decay_factor,
                      .frozen = args.frozen,
                      .trained = args.trained};
    group.pattern = mica_nn_copy_text(store, args.pattern);
    group.name = mica_nn_copy_text(store, args.name == NULL ? args.pattern : args.name);
    made = group.pattern != NULL && group.name != NULL;
    if (made) {
      store->groups[store->group_count++] = group;
    } else {
      mica_nn_free_text(store, group.pattern);
      mica_nn_free_text(store, group.name);
    }
  }
  mica_mutex_unlock(&store->mutex);
  return made ? MICA_OK : mica_error_set(args.error, MICA_OUT_OF_MEMORY, "no memory for a group");
}

mica_status mica_store_check_groups(const mica_store *store, mica_error *error) {
  if (store == NULL) return mica_error_set(error, MICA_INVALID, "the store is NULL");
  mica_mutex *mutex = (mica_mutex *)(uintptr_t)&store->mutex; /* a lock is no part of the value */
  mica_text list;
  mica_text_init(&list, &store->allocator);
  mica_mutex_lock(mutex);
  for (uint32_t i = 0; i < store->group_count; i++) {
    bool found = false;
    for (uint32_t k = 0; k < store->entry_count && !found; k++)
      found = mica_path_matches(store->groups[i].pattern, store->entries[k]->path);
    if (!found)
      mica_text_format(&list, "%s\"%s\"", list.size > 0 ? ", " : "", store->groups[i].pattern);
  }
  mica_mutex_unlock(mutex);
  mica_status status = MICA_OK;
  if (list.size > 0)
    status = mica_error_set(error, MICA_INVALID, "groups that no variable belongs to: %.800s",
                            list.data);
  mica_text_deinit(&list);
  return status;
}

void mica_nn_free_groups(mica_store *store) {
  for (uint32_t i = 0; i < store->group_count; i++) {
    mica_nn_free_text(store, store->groups[i].pattern);
    mica_nn_free_text(store, store->groups[i].name);
  }
  mica_free(&store->allocator, store->groups, store->group_capacity * sizeof(nn_group));
}

mica_store_entry mica_nn_describe(const mica_store *store, const nn_entry *entry) {
  mica_store_entry out = {.path = entry->path,
                          .variable = entry->variable,
                          .type = entry->type,
                          .trainable = entry->trainable,
                          .group = "",
                          .rate_factor = 1,
                          .decay_factor = 1};
  for (uint32_t i = 0; i < store->group_count; i++) {
    const nn_group *group = &store->groups[i];
    if (!mica_path_matches(group->pattern, entry->path)) continue;
    out.group = group->name;
    out.rate_factor *= group->rate_factor;
    out.decay_factor *= group->decay_factor;
    if (group->frozen) out.trainable = false;
    if (group->trained) out.trainable = entry->trainable;
  }
  return out;
}
