/* The counting loop of `x86_avx2.c`. Compilers cannot be talked into it: they look rows up far ahead
 * of their use, or keep sums in memory for the sake of the rare widening, and lose up to a half.
 *
 * void bnn_bconv2d_count_64_avx2(const bnn_count *work);
 * void bnn_bconv2d_count_32_avx2(const bnn_count *work);
 *
 * count 4 pixels × 64 channels, or the first 32 of them. A bnn_count holds, 8 bytes each: */
#define TAPS 0 /* 4 arrays of pointers to pixels' half bytes */
#define TAP_COUNT 32
#define FIRST 40 /* bytes from there on to the first half byte */
#define WORDS 48 /* of 8 half bytes, in each tap */
#define WEIGHTS 56
#define ROWS 64 /* [16][16] bytes */
#define SUMS 72 /* 16-bit [4 pixels][2 halves of the channels][2][16], aligned to 32 bytes */

/* ymm0 … ymm7 are sums of bytes: of a pixel's first 32 channels, and its others. */
#define WORDS_IN_BYTES 7 /* 7 words · 8 half bytes · 4 bits = 224 ≤ 255 */

/* One half byte of one pixel, against the weights in ymm8 and ymm9. */
.macro pixel halves, nibble, nibbles, index, first, second
  movzbl \nibble(%\nibbles), %\index\()d
  vbroadcasti128 (%rdx,%\index), %ymm10
  vpshufb %ymm8, %ymm10, %ymm11
  vpaddb %ymm11, %ymm\first, %ymm\first
  .if \halves == 2
  vpshufb %ymm9, %ymm10, %ymm10
  vpaddb %ymm10, %ymm\second, %ymm\second
  .endif
.endm

.macro half_byte halves, nibble
  vmovdqa 64*\nibble(%rsi), %ymm8
  .if \halves == 2
  vmovdqa 64*\nibble+32(%rsi), %ymm9
  .endif
  pixel \halves, \nibble, r8, r12, 0, 1
  pixel \halves, \nibble, r9, r13, 2, 3
  pixel \halves, \nibble, r10, r14, 4, 5
  pixel \halves, \nibble, r11, r15, 6, 7
.endm

/* Adds a sum of bytes to its 16-bit sums at rax, and empties it. */
.macro widen sum
  vpunpcklbw %ymm15, %ymm\sum, %ymm10
  vpunpckhbw %ymm15, %ymm\sum, %ymm11
  vpaddw 64*\sum(%rax), %ymm10, %ymm10
  vpaddw 64*\sum+32(%rax), %ymm11, %ymm11
  vmovdqa %ymm10, 64*\sum(%rax)
  vmovdqa %ymm11, 64*\sum+32(%rax)
  vpxor %ymm\sum, %ymm\sum, %ymm\sum
.endm

.macro widen_all halves
  .irp sum, 0, 2, 4, 6
  widen \sum
  .endr
  .if \halves == 2
  .irp sum, 1, 3, 5, 7
  widen \sum
  .endr
  .endif
.endm

.macro count name, halves
  .globl \name
  .hidden \name
  .type \name, @function
  .p2align 4
\name:
  .irp saved, rbx, rbp, r12, r13, r14, r15
  push %\saved
  .endr
  mov SUMS(%rdi), %rax
  mov WEIGHTS(%rdi), %rsi
  mov ROWS(%rdi), %rdx
  vpxor %ymm15, %ymm15, %ymm15
  .irp sum, 0, 1, 2, 3, 4, 5, 6, 7
  vpxor %ymm\sum, %ymm\sum, %ymm\sum
  vmovdqa %ymm15, 64*\sum(%rax)
  vmovdqa %ymm15, 64*\sum+32(%rax)
  .endr
  xor %ecx, %ecx /* the tap */
  mov $WORDS_IN_BYTES, %ebp
1: /* the next tap */
  .irp array, 0, 1, 2, 3
  mov TAPS+8*\array(%rdi), %r12
  mov (%r12,%rcx,8), %r12
  add FIRST(%rdi), %r12
  .if \array == 0
  mov %r12, %r8
  .elseif \array == 1
  mov %r12, %r9
  .elseif \array == 2
  mov %r12, %r10
  .else
  mov %r12, %r11
  .endif
  .endr
  mov WORDS(%rdi), %rbx
  .p2align 5
2: /* the next word */
  .irp nibble, 0, 1, 2, 3, 4, 5, 6, 7
  half_byte \halves, \nibble
  .endr
  add $512, %rsi
  .irp nibbles, r8, r9, r10, r11
  add $8, %\nibbles
  .endr
  dec %ebp
  jz 4f
3:
  dec %rbx
  jnz 2b
  inc %rcx
  cmp TAP_COUNT(%rdi), %rcx
  jne 1b
  widen_all \halves
  .irp saved, r15, r14, r13, r12, rbp, rbx
  pop %\saved
  .endr
  ret
4:
  widen_all \halves
  mov $WORDS_IN_BYTES, %ebp
  jmp 3b
  .size \name, . - \name
.endm

  .text
  count bnn_bconv2d_count_64_avx2, 2
  count bnn_bconv2d_count_32_avx2, 1

  .section .note.GNU-stack, "", @progbits
