/* The counting loop of `arm_neon.c`: 3 vector instructions for 128 products, behind which all loads
 * are hidden. From intrinsics GCC 12 makes half as many instructions again.
 *
 * Activations come four times from memory (BNN_FOURFOLD) rather than through LD1R, which takes one
 * of the two vector pipes as well: llvm-mca 19 sees 85.2 products a cycle instead of 77.2 on a
 * Cortex-A72, 85.2 instead of 78.7 on a Neoverse N1, of 85.3 that EOR, CNT and ADD allow. UDOT in
 * place of ADD, which would need no sums of bytes, leaves it at that.
 *
 * void bnn_bconv2d_count_neon(const uint32_t *const *pixels, size_t pairs, const size_t *taps,
 *                             size_t tap_count, size_t words, const uint32_t *weights,
 *                             uint16_t (*sums)[32]);
 *
 * counts the different signs of pairs of pixels × 32 channels, over at most 2047 words each:
 * 2047 · 32 = 65,504 ≤ 65,535.
 *
 * v0 … v7, v8 … v15   sums of bytes: of the first pixel, 4 channels each, and of the second
 * v16 … v23           weights of a word, 4 channels each
 * v24, v25            that word of either pixel, four times; v30, v31 the next word
 * v26 … v29           what is being counted */
#define PIXELS x0
#define PAIRS x1
#define TAPS x2
#define TAP_COUNT x3
#define WORDS x4
#define TILE x5
#define SUMS x6
#define TAP x7
#define TAPS_LEFT x8
#define ROOM x9   /* words before the sums of bytes are full */
#define NOW x10   /* words of this tap before that */
#define LATER x11 /* and after */
#define FIRST x12
#define SECOND x13
#define FIRST_AT x14
#define SECOND_AT x15
#define WEIGHTS x16
#define WIDENED x17 /* whether there is something in the sums */

#define WORDS_IN_BYTES 31 /* 31 words · 8 bits = 248 ≤ 255 */

/* A word of both pixels against weights a … d, which are 16 channels. Each step is done for eight
 * vectors before the next, for a Cortex-A53 waits for results. To empty sums nothing is added. */
.macro channels empty, first, second, a, b, c, d, a1, b1, c1, d1, a2, b2, c2, d2
  eor v26.16b, v\a\().16b, v\first\().16b
  eor v27.16b, v\b\().16b, v\first\().16b
  eor v28.16b, v\c\().16b, v\first\().16b
  eor v29.16b, v\d\().16b, v\first\().16b
  eor v\a\().16b, v\a\().16b, v\second\().16b
  eor v\b\().16b, v\b\().16b, v\second\().16b
  eor v\c\().16b, v\c\().16b, v\second\().16b
  eor v\d\().16b, v\d\().16b, v\second\().16b
  .if \empty
  cnt v\a1\().16b, v26.16b
  cnt v\b1\().16b, v27.16b
  cnt v\c1\().16b, v28.16b
  cnt v\d1\().16b, v29.16b
  cnt v\a2\().16b, v\a\().16b
  cnt v\b2\().16b, v\b\().16b
  cnt v\c2\().16b, v\c\().16b
  cnt v\d2\().16b, v\d\().16b
  .else
  cnt v26.16b, v26.16b
  cnt v27.16b, v27.16b
  cnt v28.16b, v28.16b
  cnt v29.16b, v29.16b
  cnt v\a\().16b, v\a\().16b
  cnt v\b\().16b, v\b\().16b
  cnt v\c\().16b, v\c\().16b
  cnt v\d\().16b, v\d\().16b
  add v\a1\().16b, v\a1\().16b, v26.16b
  add v\b1\().16b, v\b1\().16b, v27.16b
  add v\c1\().16b, v\c1\().16b, v28.16b
  add v\d1\().16b, v\d1\().16b, v29.16b
  add v\a2\().16b, v\a2\().16b, v\a\().16b
  add v\b2\().16b, v\b2\().16b, v\b\().16b
  add v\c2\().16b, v\c2\().16b, v\c\().16b
  add v\d2\().16b, v\d2\().16b, v\d\().16b
  .endif
.endm

.macro all_channels empty, first, second
  ld1 {v16.4s, v17.4s, v18.4s, v19.4s}, [WEIGHTS], #64
  ld1 {v20.4s, v21.4s, v22.4s, v23.4s}, [WEIGHTS], #64
  channels \empty, \first, \second, 16, 17, 18, 19, 0, 1, 2, 3, 8, 9, 10, 11
  channels \empty, \first, \second, 20, 21, 22, 23, 4, 5, 6, 7, 12, 13, 14, 15
.endm

.macro word empty
  ldr q24, [FIRST_AT], #16
  ldr q25, [SECOND_AT], #16
  all_channels \empty, 24, 25
.endm

.macro two_words
  ldp q24, q30, [FIRST_AT], #32
  ldp q25, q31, [SECOND_AT], #32
  all_channels 0, 24, 25
  all_channels 0, 30, 31
.endm

.macro next_tap
  ldr NOW, [TAP], #8
  add FIRST_AT, FIRST, NOW, lsl #2
  add SECOND_AT, SECOND, NOW, lsl #2
  mov NOW, WORDS
.endm

/* Adds the bytes of 16 channels of a pixel to its 16-bit sums. */
.macro widen empty, a, b, c, d, at
  uaddlp v\a\().8h, v\a\().16b
  uaddlp v\b\().8h, v\b\().16b
  uaddlp v\c\().8h, v\c\().16b
  uaddlp v\d\().8h, v\d\().16b
  addp v\a\().8h, v\a\().8h, v\b\().8h
  addp v\c\().8h, v\c\().8h, v\d\().8h
  .if !\empty
  ldp q24, q25, [SUMS, #\at]
  add v\a\().8h, v\a\().8h, v24.8h
  add v\c\().8h, v\c\().8h, v25.8h
  .endif
  stp q\a, q\c, [SUMS, #\at]
.endm

.macro widen_all empty
  widen \empty, 0, 1, 2, 3, 0
  widen \empty, 4, 5, 6, 7, 32
  widen \empty, 8, 9, 10, 11, 64
  widen \empty, 12, 13, 14, 15, 96
.endm

  .text
  .globl bnn_bconv2d_count_neon
  .hidden bnn_bconv2d_count_neon
  .type bnn_bconv2d_count_neon, %function
  .p2align 4
bnn_bconv2d_count_neon:
  stp d8, d9, [sp, #-64]!
  stp d10, d11, [sp, #16]
  stp d12, d13, [sp, #32]
  stp d14, d15, [sp, #48]
1: /* the next pair */
  ldp FIRST, SECOND, [PIXELS], #16
  mov WEIGHTS, TILE
  mov TAP, TAPS
  mov TAPS_LEFT, TAP_COUNT
  mov LATER, #0
  mov WIDENED, #0
  next_tap
2: /* NOW words, with empty sums of bytes */
  word 1
  sub NOW, NOW, #1
  mov ROOM, #WORDS_IN_BYTES - 1
  b 4f
3:
  next_tap
4: /* NOW words, or as many as there is room for */
  subs ROOM, ROOM, NOW
  b.lo 9f
5:
  tbz NOW, #0, 6f
  word 0
6:
  lsr NOW, NOW, #1
  cbz NOW, 8f
  .p2align 4
7:
  two_words
  subs NOW, NOW, #1
  b.ne 7b
8:
  cbnz LATER, 10f
  subs TAPS_LEFT, TAPS_LEFT, #1
  b.ne 3b
10: /* no room, or no more taps */
  cbnz WIDENED, 11f
  widen_all 1
  mov WIDENED, #1
  b 12f
11:
  widen_all 0
12:
  mov NOW, LATER
  mov LATER, #0
  cbnz TAPS_LEFT, 2b
  add SUMS, SUMS, #128
  subs PAIRS, PAIRS, #1
  b.ne 1b
  ldp d10, d11, [sp, #16]
  ldp d12, d13, [sp, #32]
  ldp d14, d15, [sp, #48]
  ldp d8, d9, [sp], #64
  ret
9: /* the rest of a tap: -ROOM words are left, and NOW + ROOM have room */
  neg LATER, ROOM
  add NOW, NOW, ROOM
  mov ROOM, #0
  b 5b
  .size bnn_bconv2d_count_neon, . - bnn_bconv2d_count_neon

  .section .note.GNU-stack, "", %progbits
