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
enum { _CMP_LT_OQ = 17, _CMP_LE_OQ = 18, _CMP_GE_OQ = 29 };

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
FLOATS(_mm512_sub_ps, a.lanes[i] - b.lanes[i])
FLOATS(_mm512_mul_ps, a.lanes[i] * b.lanes[i])
/* Of a NaN and a number these give the second. */
FLOATS(_mm512_max_ps, a.lanes[i] > b.lanes[i] ? a.lanes[i] : b.lanes[i])
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

static inline __m512i _mm512_cvttps_epi32(__m512 a) {
  __m512i r;
  LANES r.lanes[i] = (int32_t)a.lanes[i];
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

static inline void _mm512_mask_cvtepi32_storeu_epi8(void *p, __mmask16 mask, __m512i a) {
  LANES {
    if (mask >> i & 1) ((char *)p)[i] = (char)a.lanes[i];
  }
}

static inline __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate) {
  __mmask16 mask = 0;
  LANES {
    int holds = predicate == _CMP_LT_OQ   ? a.lanes[i] < b.lanes[i]
                : predicate == _CMP_LE_OQ ? a.lanes[i] <= b.lanes[i]
                                          : a.lanes[i] >= b.lanes[i];
    mask |= (__mmask16)(holds << i);
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

static inline __m512i _mm512_mask_add_epi32(__m512i source, __mmask16 mask, __m512i a, __m512i b) {
  LANES if (mask >> i & 1) source.lanes[i] = a.lanes[i] + b.lanes[i];
  return source;
}

static inline __m512i _mm512_mask_sub_epi32(__m512i source, __mmask16 mask, __m512i a, __m512i b) {
  LANES if (mask >> i & 1) source.lanes[i] = a.lanes[i] - b.lanes[i];
  return source;
}

#endif
