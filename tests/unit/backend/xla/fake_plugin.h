/* SPDX-License-Identifier: Apache-2.0 */
/* fake_plugin.h: what a test tells the fake plugin, and what it sees of it. */
#ifndef FAKE_PLUGIN_H
#define FAKE_PLUGIN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  /* How it lies; 0 means that it does not. */
  int64_t fail_at;   /* this call (the first is 1) gives an error, the others do their work */
  int64_t fail_from; /* this call and all after it */
  int code;          /* of the error, 0: INTERNAL */
  int missing_slot;  /* its number + 1: NULL in the table */
  int slots;         /* how many the table has */
  int major, minor;
  bool no_table, no_devices, no_client, no_buffer, no_executable, no_output;
  bool failing_events;  /* waiting for any event gives an error */
  size_t outputs;       /* how many a program says it has */
  bool never_ready;     /* an event is asked */
  bool full_memory;     /* programs do not start for want of memory */
  bool consumes;        /* .. but take what was donated to them */
  bool refuses_entries; /* no serialized program is taken back */
  bool no_profiler;
  bool accelerator;           /* its platform is no CPU */
  bool unknown;               /* figures that it does not know are negative */
  bool no_events;             /* profiles have none, and a reason */
  bool shows_memory;          /* where buffers lie: what is lent there, outputs in `memory` */
  void *where;                /* .. or there */
  const char *unknown_option; /* programs compiled with it are refused, which names it */
  unsigned char fill;         /* the bytes of every output */
  /* What it saw. */
  int64_t calls;
  int64_t errors, events, clients, buffers, executables, loaded; /* alive */
  int64_t host_semantics[4];                                     /* uploads of each kind */
  int64_t serialized, profiles;                                  /* alive, too */
  int64_t kept;                                                  /* inputs of the last call */
  int64_t compiled, deserialized;
  int64_t refused;    /* programs for an unknown option */
  char text[1 << 16]; /* of the last module */
  _Alignas(64) unsigned char memory[64];
} fake_control;

/* The plugin's, found by dlsym. */
typedef fake_control *fake_control_function(void);
#define FAKE_CONTROL_NAME "fake_plugin_control"
#endif
