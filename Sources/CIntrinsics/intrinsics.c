#define _GNU_SOURCE
#include "intrinsics.h"

#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

int sn_available_processors(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count < 1 ? 1 : (int)count;
}

static _Thread_local int thread_number = 0;

int sn_thread_number(void) { return thread_number; }

void sn_set_thread_number(int number) { thread_number = number; }

static _Thread_local int own_blocks = 0;

int sn_has_own_blocks(void) { return own_blocks; }

void sn_set_own_blocks(int own) { own_blocks = own; }
