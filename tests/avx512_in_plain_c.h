/* The AVX-512 intrinsics that our kernels use, in plain C, so that they run on any processor.
 *
 * Takes the place of <immintrin.h>. Semantics: Intel's Intrinsics Guide. */
#ifndef AVX512_IN_PLAIN_C_H
#define AVX512_IN_PLAIN_C_H
#define _IMMINTRIN_H_INCLUDED

#include <stdint.h>
#include <string.h>

typedef struct {
  int32_t lanes[16];
} __attribute__((aligned(64))) __m512i;
typedef struct {
  float lanes[16];
} __attribute__((aligned(64))) __m512;
typedef uint16_t __mmask16;
typedef uint64_t __mmask64;
enum { _CMP_LT_OQ = 17, _CMP_LE_OQ = 18 };

#define LANES for (int i = 0; i < 16; i++)
#define INTEGERS(name, expression)                   \
  static inline __m512i name(__m512i a, __m512i b) { \
    __m512i r;                                       \
    LANES r.lanes[i] = (int32_t)(expression);        \
    return r;                                        \
  }
#define FLOATS(name, expression)                  \
  static inline __m512 name(__m512 a, __m512 b) { \
    __m512 r;                                     \
    LANES r.lanes[i] = expression;                \
    return r;                                     \
  }
INTEGERS(_mm512_add_epi32, (uint32_t)a.lanes[i] + (uint32_t)b.lanes[i])
INTEGERS(_mm512_xor_si512, a.lanes[i] ^ b.lanes[i])
INTEGERS(_mm512_max_epi32, a.lanes[i] > b.lanes[i] ? a.lanes[i] : b.lanes[i])
INTEGERS(_mm512_min_epi32, a.lanes[i] < b.lanes[i] ? a.lanes[i] : b.lanes[i])
FLOATS(_mm512_add_ps, a.lanes[i] + b.lanes[i])
FLOATS(_mm512_mul_ps, a.lanes[i] * b.lanes[i])
/* Of a NaN and a number these give the second. */
FLOATS(_mm512_min_ps, a.lanes[i] < b.lanes[i] ? a.lanes[i] : b.lanes[i])

static inline __m512i _mm512_popcnt_epi32(__m512i a) {
  LANES a.lanes[i] = __builtin_popcount((uint32_t)a.lanes[i]);
  return a;
}

static inline __m512i _mm512_set1_epi32(int x) {
  __m512i r;
  LANES r.lanes[i] = x;
  return r;
}

static inline __m512i _mm512_set1_epi8(char x) {
  __m512i r;
  memset(&r, x, sizeof r);
  return r;
}

static inline __m512 _mm512_set1_ps(float x) {
  __m512 r;
  LANES r.lanes[i] = x;
  return r;
}

static inline __m512i _mm512_setzero_si512(void) { return _mm512_set1_epi32(0); }
static inline __m512 _mm512_setzero_ps(void) { return _mm512_set1_ps(0); }

static inline __m512 _mm512_cvtepi32_ps(__m512i a) {
  __m512 r;
  LANES r.lanes[i] = (float)a.lanes[i];
  return r;
}

static inline __m512i _mm512_castps_si512(__m512 a) {
  __m512i r;
  memcpy(&r, &a, sizeof r);
  return r;
}

static inline __m512 _mm512_castsi512_ps(__m512i a) {
  __m512 r;
  memcpy(&r, &a, sizeof r);
  return r;
}

/* Bit 4·a + 2·b + c of `table` is the result for bits a, b and c. */
static inline __m512i _mm512_ternarylogic_epi32(__m512i a, __m512i b, __m512i c, int table) {
  __m512i r = _mm512_setzero_si512();
  for (int bit = 0; bit < 32; bit++) LANES {
      uint32_t index = ((uint32_t)a.lanes[i] >> bit & 1) << 2 |
                       ((uint32_t)b.lanes[i] >> bit & 1) << 1 | ((uint32_t)c.lanes[i] >> bit & 1);
      r.lanes[i] |= (int32_t)(((uint32_t)table >> index & 1) << bit);
    }
  return r;
}

/* What is out of range becomes INT32_MIN, as NaN does. */
static inline __m512i _mm512_cvttps_epi32(__m512 a) {
  __m512i r;
  LANES r.lanes[i] =
      a.lanes[i] > -0x1p31f && a.lanes[i] < 0x1p31f ? (int32_t)a.lanes[i] : INT32_MIN;
  return r;
}

static inline __m512i _mm512_loadu_si512(const void *p) {
  __m512i r;
  memcpy(&r, p, sizeof r);
  return r;
}

/* These two end the program at an address that is not aligned, as the processor does. */
static inline __m512i _mm512_load_si512(const void *p) {
  if ((uintptr_t)p % 64) __builtin_trap();
  return _mm512_loadu_si512(p);
}

static inline __m512 _mm512_load_ps(const void *p) {
  __m512 r;
  if ((uintptr_t)p % 64) __builtin_trap();
  memcpy(&r, p, sizeof r);
  return r;
}

static inline __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const void *p) {
  __m512 r = _mm512_setzero_ps();
  LANES if (mask >> i & 1) memcpy(&r.lanes[i], (const char *)p + 4 * i, 4);
  return r;
}

static inline __m512 _mm512_loadu_ps(const void *p) { return _mm512_maskz_loadu_ps(0xffff, p); }

static inline __m512i _mm512_maskz_loadu_epi8(__mmask64 mask, const void *p) {
  __m512i r = _mm512_setzero_si512();
  for (int i = 0; i < 64; i++)
    if (mask >> i & 1) ((char *)&r)[i] = ((const char *)p)[i];
  return r;
}

static inline void _mm512_mask_storeu_ps(void *p, __mmask16 mask, __m512 a) {
  LANES if (mask >> i & 1) memcpy((char *)p + 4 * i, &a.lanes[i], 4);
}

static inline void _mm512_mask_cvtsepi32_storeu_epi8(void *p, __mmask16 mask, __m512i a) {
  LANES {
    int32_t x = a.lanes[i] < INT8_MIN ? INT8_MIN : a.lanes[i] > INT8_MAX ? INT8_MAX : a.lanes[i];
    if (mask >> i & 1) ((char *)p)[i] = (char)x;
  }
}

static inline __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate) {
  __mmask16 mask = 0;
  LANES {
    int less = a.lanes[i] < b.lanes[i], equal = a.lanes[i] == b.lanes[i];
    mask |= (__mmask16)((less | (equal & (predicate == _CMP_LE_OQ))) << i);
  }
  return mask;
}

static inline __mmask16 _mm512_mask_cmpgt_epi32_mask(__mmask16 mask, __m512i a, __m512i b) {
  __mmask16 result = 0;
  LANES result |= (__mmask16)((a.lanes[i] > b.lanes[i]) << i);
  return result & mask;
}

static inline __mmask64 _mm512_mask_cmpgt_epi8_mask(__mmask64 mask, __m512i a, __m512i b) {
  __mmask64 result = 0;
  for (int i = 0; i < 64; i++)
    result |= (__mmask64)(((signed char *)&a)[i] > ((signed char *)&b)[i]) << i;
  return result & mask;
}

#endif
