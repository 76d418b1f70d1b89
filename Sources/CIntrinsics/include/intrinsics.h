// The few things that Swift cannot spell: processor features, cache hints, the affinity mask.
#ifndef SWIFTNET_INTRINSICS_H
#define SWIFTNET_INTRINSICS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sn_vectors.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

/// What the processor and the operating system both support.
enum sn_cpu_feature {
  SN_CPU_AVX2_FMA = 1,    // x86-64-v3
  SN_CPU_AVX512 = 2,      // x86-64-v4: F, BW, CD, DQ, VL
  SN_CPU_AVX512_BF16 = 4,
};

static inline int sn_cpu_features(void) {
  int found = 0;
#if defined(__x86_64__)
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
  int fma = (c & bit_FMA) && (c & bit_MOVBE) && (c & bit_F16C);
  unsigned lo, hi;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  int ymm = (lo & 0x6) == 0x6, zmm = (lo & 0xe6) == 0xe6;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  if (ymm && fma && (b & bit_AVX2) && (b & bit_BMI) && (b & bit_BMI2)) found |= SN_CPU_AVX2_FMA;
  unsigned v4 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
  if (zmm && (found & SN_CPU_AVX2_FMA) && (b & v4) == v4) found |= SN_CPU_AVX512;
  if ((found & SN_CPU_AVX512) && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5)))
    found |= SN_CPU_AVX512_BF16;
#endif
  return found;
}

/// Processors that this process may run on.
int sn_available_processors(void);

/// The number of the calling thread in the pool, which it sets itself: 0 for any that is not one of the workers.
int sn_thread_number(void);
void sn_set_thread_number(int number);

/// Whether the calling thread works alone, in blocks of memory that nobody else has used before.
int sn_has_own_blocks(void);
void sn_set_own_blocks(int own);

/// Truncation; what does not fit, NaN included, gives the least integer, as the processor's instruction has it.
static inline int64_t sn_int64_of_float(float x) { return x >= -0x1p63f && x < 0x1p63f ? (int64_t)x : INT64_MIN; }
static inline int64_t sn_int64_of_double(double x) { return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN; }
static inline int32_t sn_int32_of_float(float x) { return x >= -0x1p31f && x < 0x1p31f ? (int32_t)x : INT32_MIN; }
static inline int32_t sn_int32_of_double(double x) {
  return x > -0x1.00000002p31 && x < 0x1p31 ? (int32_t)x : INT32_MIN;
}

static inline void sn_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }

/// Fetches a line into the second-level cache.
static inline void sn_prefetch_second_level(const void *p) { __builtin_prefetch(p, 0, 2); }

/// Fetches a line that is about to be written, so that no other core keeps it. (The builtin asks for the line as for one
/// to be read, unless told that the processor has the instruction; those with AVX2 do.)
static inline void sn_prefetch_write(const void *p) {
#if defined(__AVX2__)
  __asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
  __builtin_prefetch(p, 1, 3);
#endif
}

/// Copies an even number of bytes, fewer than a vector has, in two pieces that may overlap.
static inline void sn_copy_part(void *to, const void *from, size_t bytes) {
  char *t = (char *)to;
  const char *f = (const char *)from;
#define SN_PIECES(n) \
  if (bytes >= n) { \
    __builtin_memcpy(t, f, n); \
    __builtin_memcpy(t + bytes - n, f + bytes - n, n); \
    return; \
  }
  SN_PIECES(32)
  SN_PIECES(16)
  SN_PIECES(8)
  SN_PIECES(4)
  SN_PIECES(2)
#undef SN_PIECES
}

/// After stores past the caches: others see them before anything that is stored later.
static inline void sn_stream_fence(void) {
#if defined(__x86_64__)
  _mm_sfence();
#else
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/// Copies past the caches, if the target is aligned to 16 bytes; `sn_stream_fence` comes after the last of them.
static inline void sn_stream_copy(void *to, const void *from, size_t bytes) {
  size_t done = 0;
#if defined(__x86_64__)
  if (((uintptr_t)to & 15) == 0) {
    for (; done + 16 <= bytes; done += 16) {
      _mm_stream_si128((__m128i *)((char *)to + done), _mm_loadu_si128((const __m128i *)((const char *)from + done)));
    }
  }
#endif
  memcpy((char *)to + done, (const char *)from + done, bytes - done);
}

/// Tells the processor that this thread is waiting in a loop.
static inline void sn_spin_pause(void) {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
