// Operations on whole vectors that Swift's SIMD types do lane by lane: roots and conversions.
#ifndef SWIFTNET_VECTORS_H
#define SWIFTNET_VECTORS_H

#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

// clang's extended vectors; Swift imports them as SIMD16<Float>, SIMD8<Double> and so on.
typedef float sn_float16 __attribute__((ext_vector_type(16)));
typedef int32_t sn_int16 __attribute__((ext_vector_type(16)));
typedef uint32_t sn_uint16 __attribute__((ext_vector_type(16)));
typedef uint16_t sn_ushort16 __attribute__((ext_vector_type(16)));
typedef float sn_float8 __attribute__((ext_vector_type(8)));
typedef int32_t sn_int8 __attribute__((ext_vector_type(8)));
typedef uint32_t sn_uint8 __attribute__((ext_vector_type(8)));
typedef uint16_t sn_ushort8 __attribute__((ext_vector_type(8)));
typedef float sn_float4 __attribute__((ext_vector_type(4)));
typedef int32_t sn_int4 __attribute__((ext_vector_type(4)));
typedef uint32_t sn_uint4 __attribute__((ext_vector_type(4)));
typedef uint16_t sn_ushort4 __attribute__((ext_vector_type(4)));
typedef double sn_double4 __attribute__((ext_vector_type(4)));
typedef int64_t sn_long4 __attribute__((ext_vector_type(4)));
typedef double sn_double2 __attribute__((ext_vector_type(2)));
typedef int64_t sn_long2 __attribute__((ext_vector_type(2)));
typedef double sn_double8 __attribute__((ext_vector_type(8)));
typedef int64_t sn_long8 __attribute__((ext_vector_type(8)));
typedef uint8_t sn_byte16 __attribute__((ext_vector_type(16)));
typedef uint8_t sn_byte8 __attribute__((ext_vector_type(8)));

#define SN_INLINE static inline __attribute__((always_inline))

SN_INLINE sn_float16 sn_sqrt_f16(sn_float16 x) { return __builtin_elementwise_sqrt(x); }
SN_INLINE sn_double8 sn_sqrt_d8(sn_double8 x) { return __builtin_elementwise_sqrt(x); }

/// a * b + c in one rounding. Only for processors that have it: elsewhere it is a call for each lane.
SN_INLINE sn_float16 sn_fma_f16(sn_float16 a, sn_float16 b, sn_float16 c) {
  return __builtin_elementwise_fma(a, b, c);
}
SN_INLINE sn_double8 sn_fma_d8(sn_double8 a, sn_double8 b, sn_double8 c) {
  return __builtin_elementwise_fma(a, b, c);
}
SN_INLINE sn_float8 sn_fma_f8(sn_float8 a, sn_float8 b, sn_float8 c) { return __builtin_elementwise_fma(a, b, c); }
SN_INLINE sn_double4 sn_fma_d4(sn_double4 a, sn_double4 b, sn_double4 c) {
  return __builtin_elementwise_fma(a, b, c);
}

/// Truncation; lanes out of range are unspecified.
SN_INLINE sn_int16 sn_int_from_f16(sn_float16 x) { return __builtin_convertvector(x, sn_int16); }
SN_INLINE sn_float16 sn_f16_from_int(sn_int16 x) { return __builtin_convertvector(x, sn_float16); }
SN_INLINE sn_float8 sn_f8_from_d8(sn_double8 x) { return __builtin_convertvector(x, sn_float8); }
SN_INLINE sn_double8 sn_d8_from_f8(sn_float8 x) { return __builtin_convertvector(x, sn_double8); }

/// `a` where the mask is all ones, `b` where it is zero.
SN_INLINE sn_float16 sn_select_f16(sn_int16 mask, sn_float16 a, sn_float16 b) {
  return (sn_float16)((mask & (sn_int16)a) | (~mask & (sn_int16)b));
}
SN_INLINE sn_double8 sn_select_d8(sn_long8 mask, sn_double8 a, sn_double8 b) {
  return (sn_double8)((mask & (sn_long8)a) | (~mask & (sn_long8)b));
}

// Where x is more than `best`, or no number.
SN_INLINE sn_int16 sn_wins_f16(sn_float16 x, sn_float16 best) { return (x > best) | (x != x); }
SN_INLINE sn_long8 sn_wins_d8(sn_double8 x, sn_double8 best) { return (x > best) | (x != x); }

// `a` where the mask is all ones, `b` where it is zero.
SN_INLINE sn_int16 sn_choose_i16(sn_int16 mask, sn_int16 a, sn_int16 b) { return (mask & a) | (~mask & b); }
SN_INLINE sn_long8 sn_choose_l8(sn_long8 mask, sn_long8 a, sn_long8 b) { return (mask & a) | (~mask & b); }

/// 1 where a byte in memory is not 0, else 0.
SN_INLINE sn_float16 sn_load_flags_f16(const void *flags) {
  sn_byte16 bytes;
  __builtin_memcpy(&bytes, flags, sizeof bytes);
  return (sn_float16)(__builtin_convertvector(bytes != 0, sn_int16) & 0x3f800000);
}

// The lowest byte, or word, of each lane, to memory.
SN_INLINE void sn_store_bytes_i16(sn_int16 x, void *to) {
  sn_byte16 bytes = __builtin_convertvector(x, sn_byte16);
  __builtin_memcpy(to, &bytes, sizeof bytes);
}
SN_INLINE void sn_store_bytes_l8(sn_long8 x, void *to) {
  sn_byte8 bytes = __builtin_convertvector(x, sn_byte8);
  __builtin_memcpy(to, &bytes, sizeof bytes);
}
SN_INLINE void sn_store_words_l8(sn_long8 x, void *to) {
  sn_int8 words = __builtin_convertvector(x, sn_int8);
  __builtin_memcpy(to, &words, sizeof words);
}

// sum + g where the marks in memory are the given one. Bytes are compared as bytes.
SN_INLINE sn_float16 sn_add_marked_bytes_f16(sn_float16 sum, sn_float16 g, const void *marks, int32_t mark) {
  sn_byte16 bytes;
  __builtin_memcpy(&bytes, marks, sizeof bytes);
  return sum + (sn_float16)(__builtin_convertvector(bytes == (sn_byte16)(uint8_t)mark, sn_int16) & (sn_int16)g);
}
SN_INLINE sn_double8 sn_add_marked_bytes_d8(sn_double8 sum, sn_double8 g, const void *marks, int32_t mark) {
  sn_byte8 bytes;
  __builtin_memcpy(&bytes, marks, sizeof bytes);
  return sum + (sn_double8)(__builtin_convertvector(bytes == (sn_byte8)(uint8_t)mark, sn_long8) & (sn_long8)g);
}
SN_INLINE sn_float16 sn_add_marked_words_f16(sn_float16 sum, sn_float16 g, const void *marks, int32_t mark) {
  sn_int16 words;
  __builtin_memcpy(&words, marks, sizeof words);
  return sum + (sn_float16)((words == (sn_int16)mark) & (sn_int16)g);
}
SN_INLINE sn_double8 sn_add_marked_words_d8(sn_double8 sum, sn_double8 g, const void *marks, int32_t mark) {
  sn_int8 words;
  __builtin_memcpy(&words, marks, sizeof words);
  return sum + (sn_double8)(__builtin_convertvector(words == (sn_int8)mark, sn_long8) & (sn_long8)g);
}

// Past the caches, for what nobody reads soon; the address is a multiple of the vector's size.
SN_INLINE void sn_stream_f16(sn_float16 x, void *to) { __builtin_nontemporal_store(x, (sn_float16 *)to); }
SN_INLINE void sn_stream_f8(sn_float8 x, void *to) { __builtin_nontemporal_store(x, (sn_float8 *)to); }
SN_INLINE void sn_stream_f4(sn_float4 x, void *to) { __builtin_nontemporal_store(x, (sn_float4 *)to); }
SN_INLINE void sn_stream_d8(sn_double8 x, void *to) { __builtin_nontemporal_store(x, (sn_double8 *)to); }
SN_INLINE void sn_stream_d4(sn_double4 x, void *to) { __builtin_nontemporal_store(x, (sn_double4 *)to); }
SN_INLINE void sn_stream_d2(sn_double2 x, void *to) { __builtin_nontemporal_store(x, (sn_double2 *)to); }

/// 1 where a number is below the bound, else 0, a byte for each.
SN_INLINE void sn_store_below_l8(sn_long8 x, int64_t bound, void *to) {
  sn_byte8 bytes = __builtin_convertvector((x < (sn_long8)bound) & 1, sn_byte8);
  __builtin_memcpy(to, &bytes, sizeof bytes);
}

// Zero where a lane is negative.
SN_INLINE sn_float16 sn_relu_f16(sn_float16 x) { return (sn_float16)(~(x < 0) & (sn_int16)x); }
SN_INLINE sn_float8 sn_relu_f8(sn_float8 x) { return (sn_float8)(~(x < 0) & (sn_int8)x); }
SN_INLINE sn_float4 sn_relu_f4(sn_float4 x) { return (sn_float4)(~(x < 0) & (sn_int4)x); }
SN_INLINE sn_double8 sn_relu_d8(sn_double8 x) { return (sn_double8)(~(x < 0) & (sn_long8)x); }
SN_INLINE sn_double4 sn_relu_d4(sn_double4 x) { return (sn_double4)(~(x < 0) & (sn_long4)x); }
SN_INLINE sn_double2 sn_relu_d2(sn_double2 x) { return (sn_double2)(~(x < 0) & (sn_long2)x); }

// g, but zero where y is zero or less.
SN_INLINE sn_float16 sn_mask_f16(sn_float16 g, sn_float16 y) { return (sn_float16)(~(y <= 0) & (sn_int16)g); }
SN_INLINE sn_double8 sn_mask_d8(sn_double8 g, sn_double8 y) { return (sn_double8)(~(y <= 0) & (sn_long8)g); }

// Numbers of bfloat16 in memory, the upper halves of floats, as floats and back, rounded to nearest even.
#define SN_BFLOATS(n)                                                                                     \
  SN_INLINE sn_float##n sn_load_bfloat_f##n(const void *from) {                                           \
    sn_ushort##n numbers;                                                                                 \
    __builtin_memcpy(&numbers, from, 2 * n);                                                              \
    return (sn_float##n)(__builtin_convertvector(numbers, sn_uint##n) << 16);                             \
  }                                                                                                       \
  SN_INLINE sn_ushort##n sn_rounded_bfloat_f##n(sn_float##n x) {                                          \
    sn_uint##n bits = (sn_uint##n)x, nan = (sn_uint##n)(x != x);                                          \
    sn_uint##n rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;                                      \
    return __builtin_convertvector((nan & 0x7fc0) | (~nan & rounded), sn_ushort##n);                      \
  }
SN_BFLOATS(16)
SN_BFLOATS(8)
SN_BFLOATS(4)
#undef SN_BFLOATS

#if defined(__AVX512BF16__)
SN_INLINE void sn_store_bfloat_f16(sn_float16 x, void *to) {
  _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh((__m512)x));
}
#else
SN_INLINE void sn_store_bfloat_f16(sn_float16 x, void *to) {
  sn_ushort16 numbers = sn_rounded_bfloat_f16(x);
  __builtin_memcpy(to, &numbers, 32);
}
#endif
SN_INLINE void sn_store_bfloat_f8(sn_float8 x, void *to) {
  sn_ushort8 numbers = sn_rounded_bfloat_f8(x);
  __builtin_memcpy(to, &numbers, 16);
}
SN_INLINE void sn_store_bfloat_f4(sn_float4 x, void *to) {
  sn_ushort4 numbers = sn_rounded_bfloat_f4(x);
  __builtin_memcpy(to, &numbers, 8);
}

// Lane i of the result is lane `lanes[i]` of x: one instruction.
#if defined(__AVX512F__)
SN_INLINE sn_float16 sn_permute_f16(sn_float16 x, sn_int16 lanes) {
  return (sn_float16)_mm512_permutexvar_ps((__m512i)lanes, (__m512)x);
}
#elif defined(__AVX2__)
SN_INLINE sn_float8 sn_permute_f8(sn_float8 x, sn_int8 lanes) {
  return (sn_float8)_mm256_permutevar8x32_ps((__m256)x, (__m256i)lanes);
}
#endif

// Halves of a vector as doubles, and back. Taken as shuffles: lane by lane the compiler would take the
// arithmetic around them apart as well.
SN_INLINE sn_double8 sn_low_d8(sn_float16 x) {
  return __builtin_convertvector(__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7), sn_double8);
}
SN_INLINE sn_double8 sn_high_d8(sn_float16 x) {
  return __builtin_convertvector(
      __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15), sn_double8);
}
SN_INLINE sn_float16 sn_f16_from_d8(sn_double8 low, sn_double8 high) {
  return __builtin_shufflevector(
      __builtin_convertvector(low, sn_float8), __builtin_convertvector(high, sn_float8), 0, 1, 2, 3, 4, 5,
      6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

#endif
