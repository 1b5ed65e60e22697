/* SPDX-License-Identifier: Apache-2.0 */
/* platform.h: all that an operating system decides: files, memory maps, threads, clocks, CPU
 * features. One .c file for each concern and system (POSIX here; a browser or WASI build has no
 * threads or maps). */
#ifndef MICA_PLATFORM_H
#define MICA_PLATFORM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -- clocks -- */
int64_t mica_clock_nanoseconds(void); /* monotonic */

/* -- environment: a copy into text[size]; false when unset or too long -- */
bool mica_environment(const char *name, char *text, size_t size);

/* -- files. Each returns 0 or an errno value. -- */
int mica_file_size(const char *path, uint64_t *out_size);
/* When its content was changed last, in nanoseconds; and to say that this was now. */
int mica_file_time(const char *path, int64_t *out_nanoseconds);
int mica_file_touch(const char *path);
int mica_file_read(const char *path, uint64_t offset, void *bytes,
                   size_t size); /* all of it, else EIO */
/* Writes a whole file durably: temporary name beside it, fsync, rename. The second form takes the
 * bytes in pieces, so that a header and a tensor need not be copied together. Links are followed, and a device or a pipe is
 * written to as it is. */
typedef struct {
  const void *bytes;
  size_t size;
} mica_file_part;
int mica_file_write_atomic(const char *path, const void *bytes, size_t size);
int mica_file_write_parts(const char *path, const mica_file_part *parts, size_t count);
const char *mica_errno_text(int code, char *buffer, size_t size);
/* The same by hand, for what is too large to lie in memory at once: bytes go behind each other to the descriptor; the end gives
 * the file its name if `keep`, and otherwise leaves nothing. */
enum { MICA_FILE_NAME = 4096 };
typedef struct {
  int descriptor;
  bool in_place; /* no regular file */
  char path[MICA_FILE_NAME], temporary[MICA_FILE_NAME];
} mica_file_writer;
int mica_file_begin(const char *path, mica_file_writer *out);
int mica_file_end(mica_file_writer *writer, bool keep);
/* A new file (EEXIST if it is there), bytes behind each other, then the end, with `keep` on the disk for good. */
int mica_file_create(const char *path, int *out_descriptor);
int mica_file_append(int descriptor, const void *bytes, size_t size);
int mica_file_finish(int descriptor, bool keep);
/* A name beside `path` that nobody else uses; ENAMETOOLONG when it does not fit. */
int mica_file_temporary_name(const char *path, char *out_name, size_t size);
/* Moves a file or folder over another name and syncs the folder around it. */
int mica_file_rename(const char *from, const char *to);
int mica_file_remove(const char *path);
/* The whole file as read-only memory, page-aligned; a copy where there are no maps. A file that somebody else
 * cuts short while it is mapped raises SIGBUS at the reader, as with every map: replace files by rename. */
int mica_file_map(const char *path, const void **out_bytes, size_t *out_size);
void mica_file_unmap(const void *bytes, size_t size);
/* Reads on from an offset: at most `size` bytes, 0 at the end of the file. */
int mica_file_read_some(const char *path, uint64_t offset, void *bytes, size_t size,
                        size_t *out_size);

/* -- folders. Each returns 0 or an errno value. -- */
int mica_folder_create(const char *path); /* and those around it; fine if it is there */
int mica_folder_sync(const char *path);
int mica_folder_remove(const char *path); /* with the files in it, but not with folders in it */
bool mica_folder_exists(const char *path);
/* The names in it but "." and "..", in no order; a call that returns false ends it. */
int mica_folder_list(const char *path, bool (*visit)(void *context, const char *name),
                     void *context);
/* One process at a time: EWOULDBLOCK while another one, or another handle, holds the lock that the file `path`
 * stands for. It goes when the process ends, however it ends. */
int mica_folder_lock(const char *path, int *out_handle);
void mica_folder_unlock(int handle);

/* -- pages: large zeroed memory that keeps its pages and asks for huge ones; NULL when it fails
 * -- */
void *mica_pages_map(size_t size);
void mica_pages_unmap(void *pages, size_t size);

/* -- threads. The types are the system's; a build without threads has creation fail. -- */
typedef struct mica_thread mica_thread;
typedef struct mica_mutex {
  uint64_t state[8];
} mica_mutex; /* initialized by mica_mutex_init */
typedef struct mica_condition {
  uint64_t state[8];
} mica_condition;
int mica_mutex_init(mica_mutex *mutex);
void mica_mutex_deinit(mica_mutex *mutex);
void mica_mutex_lock(mica_mutex *mutex);
void mica_mutex_unlock(mica_mutex *mutex);
int mica_condition_init(mica_condition *condition);
void mica_condition_deinit(mica_condition *condition);
void mica_condition_wait(mica_condition *condition, mica_mutex *mutex);
void mica_condition_signal_all(mica_condition *condition);
/* The caller's slot for a thread, so that starting one allocates nothing of ours; it stays where it
 * is until the thread is joined. */
typedef struct mica_thread_handle {
  uintptr_t id;
  void (*run)(void *context);
  void *context;
} mica_thread_handle;
/* 0 or an errno value. The thread blocks all signals: handlers are the host's threads' business. */
int mica_thread_start(mica_thread_handle *handle, void (*run)(void *context), void *context);
void mica_thread_join(mica_thread_handle handle);
/* Tells the calling thread from all others that run; a later thread may get the number of one that
 * has ended. */
uintptr_t mica_thread_self(void);
int32_t mica_thread_core_count(void);             /* cores this process may use, at least 1 */
void mica_thread_pin(int32_t allowed_core_index); /* the calling thread; best effort */
void mica_thread_pause(void);                     /* spin-loop hint */
void mica_thread_yield(void);                     /* lets another thread have the core */
/* Sleeps while *word == expected, woken by mica_wake_all(word); may return early. The word is read
 * and written by atomics elsewhere. Where MICA_HAS_WAIT_WORD is 0 it returns at once: use a
 * condition. */
#ifndef MICA_HAS_WAIT_WORD
#ifdef __linux__
#define MICA_HAS_WAIT_WORD 1
#else
#define MICA_HAS_WAIT_WORD 0
#endif
#endif
void mica_wait_word(uint32_t *word, uint32_t expected);
void mica_wake_all(uint32_t *word);
uint64_t mica_process_id(void);

/* -- floating-point environment of the calling thread: round to nearest, denormals kept, exceptions
 *    masked; the previous state is restored by the second call -- */
uint64_t mica_float_state_enter(void);
void mica_float_state_leave(uint64_t previous);

#endif
