/* SPDX-License-Identifier: Apache-2.0 */
/* float_state.c: the floating-point control register of the calling thread. A host that flushes
 * denormals, rounds upwards or traps must not change Mica's results, nor find its own state
 * changed: control bits and sticky flags are saved and put back whole. WASM and others have no such
 * state. */
#include "platform/platform.h"

/* Kept out of line, with memory clobbered: arithmetic must not be moved across the switch. */
#define OUT_OF_LINE __attribute__((noinline))

#if defined(__SSE__)

OUT_OF_LINE uint64_t mica_float_state_enter(void) {
  uint32_t previous;
  const uint32_t wanted =
      0x1F80; /* MXCSR at reset: all exceptions masked, nearest, no FTZ or DAZ */
  __asm__ volatile("stmxcsr %0" : "=m"(previous) : : "memory");
  __asm__ volatile("ldmxcsr %0" : : "m"(wanted) : "memory");
  return previous;
}

OUT_OF_LINE void mica_float_state_leave(uint64_t previous) {
  const uint32_t state = (uint32_t)previous;
  __asm__ volatile("ldmxcsr %0" : : "m"(state) : "memory");
}

#elif defined(__aarch64__)

OUT_OF_LINE uint64_t mica_float_state_enter(void) {
  uint64_t control, flags;
  const uint64_t wanted = 0; /* FPCR: nearest, no flushing, NaNs propagate, no traps */
  __asm__ volatile("mrs %0, fpcr" : "=r"(control) : : "memory");
  __asm__ volatile("mrs %0, fpsr" : "=r"(flags) : : "memory");
  __asm__ volatile("msr fpcr, %0" : : "r"(wanted) : "memory");
  return (control & 0xFFFFFFFF) | flags << 32;
}

OUT_OF_LINE void mica_float_state_leave(uint64_t previous) {
  const uint64_t control = previous & 0xFFFFFFFF, flags = previous >> 32;
  __asm__ volatile("msr fpsr, %0" : : "r"(flags) : "memory");
  __asm__ volatile("msr fpcr, %0" : : "r"(control) : "memory");
}

#else

uint64_t mica_float_state_enter(void) { return 0; }
void mica_float_state_leave(uint64_t previous) { (void)previous; }

#endif

#undef OUT_OF_LINE
