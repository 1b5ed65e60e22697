/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c: executables by key, least recently used first out: a hash table with chains, and a list
 * by last use through the ready entries. */
#include "jit/jit_internal.h"

#include <string.h>

/* The finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014) over a running sum. */
static uint64_t mix_hash(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
  hash = (hash ^ hash >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  return hash ^ hash >> 27;
}

void mica_jit_key_hash(jit_key *key) {
  uint64_t hash = mix_hash(key->count, key->variant);
  mica_type storage;
  for (size_t i = 0; i < key->count; i++) {
    const mica_type *type = mica_jit_key_type(key, i, &storage);
    hash = mix_hash(hash, (uint64_t)type->dtype << 32 | (uint32_t)type->shape.rank);
    for (int32_t axis = 0; axis < type->shape.rank && axis < MICA_MAX_RANK; axis++)
      hash = mix_hash(hash, (uint64_t)type->shape.dim[axis]);
  }
  key->hash = hash;
}

static bool keys_equal(const jit_key *entry, const jit_key *key) {
  if (entry->hash != key->hash || entry->count != key->count || entry->variant != key->variant)
    return false;
  mica_type storage;
  for (size_t i = 0; i < key->count; i++)
    if (!mica_type_equal(entry->types[i], *mica_jit_key_type(key, i, &storage))) return false;
  return true;
}

static jit_entry **bucket_of(const mica_jit *jit, const jit_key *key) {
  return &jit->buckets[key->hash & (jit->bucket_count - 1)];
}

jit_entry *mica_jit_cache_find(const mica_jit *jit, const jit_key *key) {
  for (jit_entry *entry = *bucket_of(jit, key); entry != NULL; entry = entry->next)
    if (keys_equal(&entry->key, key)) return entry;
  return NULL;
}

jit_entry *mica_jit_cache_insert(mica_jit *jit, const jit_key *key) {
  size_t bytes, whole;
  if (!mica_size_multiply(key->count, sizeof(mica_type), &bytes) ||
      !mica_size_add(bytes, sizeof(jit_entry), &whole))
    return NULL;
  jit_entry *entry = mica_allocate(&jit->allocator, whole);
  if (entry == NULL) return NULL;
  mica_type *types = (mica_type *)(void *)(entry + 1);
  mica_type storage;
  for (size_t i = 0; i < key->count; i++) types[i] = *mica_jit_key_type(key, i, &storage);
  *entry = (jit_entry){.state = JIT_COMPILING, .key = *key, .allocation_size = whole};
  entry->key.types = types;
  entry->key.tensors = NULL;
  jit_entry **bucket = bucket_of(jit, key);
  entry->next = *bucket;
  *bucket = entry;
  return entry;
}

static void unlink_by_use(mica_jit *jit, jit_entry *entry) {
  if (entry->newer != NULL)
    entry->newer->older = entry->older;
  else
    jit->newest = entry->older;
  if (entry->older != NULL)
    entry->older->newer = entry->newer;
  else
    jit->oldest = entry->newer;
}

static void link_newest(mica_jit *jit, jit_entry *entry) {
  entry->newer = NULL;
  entry->older = jit->newest;
  if (jit->newest != NULL)
    jit->newest->newer = entry;
  else
    jit->oldest = entry;
  jit->newest = entry;
}

void mica_jit_cache_use(mica_jit *jit, jit_entry *entry) {
  if (jit->newest == entry) return;
  unlink_by_use(jit, entry);
  link_newest(jit, entry);
}

void mica_jit_cache_remove(mica_jit *jit, jit_entry *entry) {
  if (entry->state == JIT_READY) {
    unlink_by_use(jit, entry);
    jit->ready_count--;
  }
  jit_entry **place = bucket_of(jit, &entry->key);
  while (*place != entry) place = &(*place)->next;
  *place = entry->next;
  mica_free(&jit->allocator, entry, entry->allocation_size);
}

mica_executable *mica_jit_cache_ready(mica_jit *jit, jit_entry *entry,
                                      mica_executable *executable) {
  entry->state = JIT_READY;
  entry->executable = executable;
  link_newest(jit, entry);
  if (++jit->ready_count <= jit->limit) return NULL;
  mica_executable *pushed_out = jit->oldest->executable;
  mica_jit_cache_remove(jit, jit->oldest);
  return pushed_out;
}
