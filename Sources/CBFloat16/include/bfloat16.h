// Instructions for bfloat16: dot products of pairs, rounding, and the interleaving of two rows into pairs. For modules
// that are compiled with -mavx512bf16.
#ifndef SWIFTNET_BFLOAT16_H
#define SWIFTNET_BFLOAT16_H

#include <stdint.h>

#if defined(__AVX512BF16__)
#include <immintrin.h>

typedef float sn_pair_sums __attribute__((ext_vector_type(16)));

#define SN_BF16_INLINE static inline __attribute__((always_inline))

/// sum + a.low * b.low + a.high * b.high in each lane; a and b hold a pair of bfloat16 per lane.
SN_BF16_INLINE sn_pair_sums sn_add_pair_products(sn_pair_sums sum, sn_pair_sums a, sn_pair_sums b) {
  return (sn_pair_sums)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

/// Rounds to nearest even and stores the first `count` (1 to 16) lanes as bfloat16.
SN_BF16_INLINE void sn_store_rounded(sn_pair_sums values, void *out, int32_t count) {
  __m256i rounded = (__m256i)_mm512_cvtneps_pbh((__m512)values);
  if (count == 16) {
    _mm256_storeu_si256((__m256i *)out, rounded);
  } else {
    _mm256_mask_storeu_epi16(out, (__mmask16)((1u << count) - 1), rounded);
  }
}

/// Writes `width` (up to 16) pairs (even[i], odd[i]); pairs from `valid` on are zero and not read. Without `odd` its
/// numbers are zero.
SN_BF16_INLINE void sn_store_pairs(const void *even, const void *odd, int32_t valid, int32_t width, void *out) {
  __mmask16 reads = (__mmask16)((1u << valid) - 1), writes = (__mmask16)((1u << width) - 1);
  __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(reads, even));
  __m512i high = _mm512_setzero_si512();
  if (odd) high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(reads, odd)), 16);
  _mm512_mask_storeu_epi32(out, writes, _mm512_or_si512(low, high));
}

/// Writes 32 pairs (even[i], odd[i]).
SN_BF16_INLINE void sn_store_pair_line(const void *even, const void *odd, void *out) {
  typedef uint16_t line __attribute__((ext_vector_type(32), aligned(2)));
  line a = *(const line *)even, b = *(const line *)odd;
  line low = __builtin_shufflevector(
      a, b, 0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14,
      46, 15, 47);
  line high = __builtin_shufflevector(
      a, b, 16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55, 24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29,
      61, 30, 62, 31, 63);
  ((line *)out)[0] = low;
  ((line *)out)[1] = high;
}

/// Copies 32 numbers.
SN_BF16_INLINE void sn_copy_row(const void *from, void *to) {
  _mm512_storeu_si512(to, _mm512_loadu_si512(from));
}

#endif
#endif
