#include <immintrin.h>

#include "quantize.h"

/* Lanes whose index is below `count`, for a masked load of 8 floats. */
static inline __m256i lanes_below(size_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline uint32_t signs_f32x8(__m256 x) {
  return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ));
}

void bnn_quantize_float32_avx2(const void *values, int32_t zero_point, size_t rows, size_t channels,
                               uint32_t *words) {
  const float *x = values;
  (void)zero_point;
  /* Rows without a partial word lie end to end, as if they were one. */
  if (channels % 32 == 0) channels *= rows, rows = 1;
  for (; rows; rows--) {
    size_t left = channels;
    for (; left >= 32; left -= 32, x += 32)
      *words++ = signs_f32x8(_mm256_loadu_ps(x)) | signs_f32x8(_mm256_loadu_ps(x + 8)) << 8 |
                 signs_f32x8(_mm256_loadu_ps(x + 16)) << 16 |
                 signs_f32x8(_mm256_loadu_ps(x + 24)) << 24;
    if (!left) continue;
    uint32_t word = 0;
    for (size_t i = 0; i < left; i += 8)
      word |= signs_f32x8(_mm256_maskload_ps(x + i, lanes_below(left - i))) << i;
    *words++ = word;
    x += left;
  }
}

void bnn_quantize_int8_avx2(const void *values, int32_t zero_point, size_t rows, size_t channels,
                            uint32_t *words) {
  const int8_t *x = values;
  const __m256i zero = _mm256_set1_epi8((char)zero_point);
  if (channels % 32 == 0) channels *= rows, rows = 1;
  for (; rows; rows--) {
    size_t left = channels;
    for (; left >= 32; left -= 32, x += 32) {
      __m256i bytes = _mm256_loadu_si256((const __m256i *)x);
      *words++ = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(zero, bytes));
    }
    if (!left) continue;
    uint32_t word = 0;
    for (size_t i = 0; i < left; i++) word |= (uint32_t)(x[i] < zero_point) << i;
    *words++ = word;
    x += left;
  }
}
