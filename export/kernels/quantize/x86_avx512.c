#include <immintrin.h>

#include "quantize.h"

static inline uint32_t signs_f32x16(__m512 x) {
  return _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
}

void bnn_quantize_float32_avx512(const void *values, int32_t zero_point, size_t rows,
                                 size_t channels, uint32_t *words) {
  const float *x = values;
  (void)zero_point;
  /* Rows without a partial word lie end to end, as if they were one. */
  if (channels % 32 == 0) channels *= rows, rows = 1;
  for (; rows; rows--) {
    size_t left = channels;
    for (; left >= 32; left -= 32, x += 32)
      *words++ = signs_f32x16(_mm512_loadu_ps(x)) | signs_f32x16(_mm512_loadu_ps(x + 16)) << 16;
    if (!left) continue;
    uint32_t exists = (1u << left) - 1;
    *words++ = signs_f32x16(_mm512_maskz_loadu_ps((__mmask16)exists, x)) |
               signs_f32x16(_mm512_maskz_loadu_ps((__mmask16)(exists >> 16), x + 16)) << 16;
    x += left;
  }
}

void bnn_quantize_int8_avx512(const void *values, int32_t zero_point, size_t rows, size_t channels,
                              uint32_t *words) {
  const int8_t *x = values;
  const __m512i zero = _mm512_set1_epi8((char)zero_point);
  if (channels % 32 == 0) channels *= rows, rows = 1;
  for (; rows; rows--) {
    size_t left = channels;
    for (; left; words += 2) {
      size_t count = left < 64 ? left : 64;
      __mmask64 exists = ~(__mmask64)0 >> (64 - count);
      __m512i bytes = _mm512_maskz_loadu_epi8(exists, x);
      __mmask64 signs = _mm512_mask_cmpgt_epi8_mask(exists, zero, bytes);
      words[0] = (uint32_t)signs;
      x += count;
      left -= count;
      if (count <= 32) {
        words++;
        break;
      }
      words[1] = (uint32_t)(signs >> 32);
    }
  }
}
