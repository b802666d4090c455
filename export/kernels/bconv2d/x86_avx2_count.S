/* The counting loop of `x86_avx2.c`. Compilers cannot be talked into it: they look rows up far ahead
 * of their use, or keep sums in memory for the sake of the rare widening, and lose up to a half.
 *
 * void bnn_bconv2d_count_64_avx2(const bnn_count *work);
 * void bnn_bconv2d_count_32_avx2(const bnn_count *work);
 *
 * count 5 pixels × 64 channels, or the first 32 of them. A bnn_count holds, 8 bytes each: */
#define PIXELS 0 /* 5 pointers to half bytes, of the first tap */
#define TAPS 40  /* how many words of memory further each tap begins */
#define TAP_COUNT 48
#define WORDS 56 /* of 4 bytes, in each tap */
#define WEIGHTS 64
#define ROWS 72 /* [16][16] bytes */
#define SUMS 80 /* 16-bit [5 pixels][2 halves of the channels][2][16], aligned to 32 bytes */

/* ymm0 … ymm9 are sums in bytes: of a pixel's first 32 channels, and its others. ymm15 masks the
 * lower half bytes. */
#define WORDS_IN_BYTES 7 /* 7 words · 8 half bytes · 4 bits = 224 ≤ 255 */

/* One half byte of one pixel, against the weights in ymm10 and ymm11. */
.macro pixel halves, at, nibbles, index, first, second
  movzbq \at(%\nibbles), %\index
  vbroadcasti128 (%rdx,%\index), %ymm12
  vpshufb %ymm10, %ymm12, %ymm13
  vpaddb %ymm13, %ymm\first, %ymm\first
  .if \halves == 2
  vpshufb %ymm11, %ymm12, %ymm12
  vpaddb %ymm12, %ymm\second, %ymm\second
  .endif
.endm

.macro pixels halves, at
  pixel \halves, \at, r8, rax, 0, 1
  pixel \halves, \at, r9, r13, 2, 3
  pixel \halves, \at, r10, r14, 4, 5
  pixel \halves, \at, r11, r15, 6, 7
  pixel \halves, \at, r12, rax, 8, 9
.endm

/* Both halves of one byte of weights. Those of a word's activations lie 4 bytes apart. */
.macro both_halves halves, byte
  vpand 64*\byte(%rsi), %ymm15, %ymm10
  .if \halves == 2
  vpand 64*\byte+32(%rsi), %ymm15, %ymm11
  .endif
  pixels \halves, \byte
  vmovdqa 64*\byte(%rsi), %ymm10
  vpsrlw $4, %ymm10, %ymm10
  vpand %ymm10, %ymm15, %ymm10
  .if \halves == 2
  vmovdqa 64*\byte+32(%rsi), %ymm11
  vpsrlw $4, %ymm11, %ymm11
  vpand %ymm11, %ymm15, %ymm11
  .endif
  pixels \halves, 4+\byte
.endm

/* Adds a sum of bytes to its 16-bit sums at rax, and empties it. */
.macro widen sum
  vpunpcklbw %ymm14, %ymm\sum, %ymm10
  vpunpckhbw %ymm14, %ymm\sum, %ymm11
  vpaddw 64*\sum(%rax), %ymm10, %ymm10
  vpaddw 64*\sum+32(%rax), %ymm11, %ymm11
  vmovdqa %ymm10, 64*\sum(%rax)
  vmovdqa %ymm11, 64*\sum+32(%rax)
  vpxor %ymm\sum, %ymm\sum, %ymm\sum
.endm

.macro widen_all halves
  mov SUMS(%rdi), %rax
  vpxor %ymm14, %ymm14, %ymm14
  .irp sum, 0, 2, 4, 6, 8
  widen \sum
  .endr
  .if \halves == 2
  .irp sum, 1, 3, 5, 7, 9
  widen \sum
  .endr
  .endif
.endm

/* Points to a pixel's half bytes of the tap that begins rax words further. */
.macro next_pixel pixel, nibbles
  mov PIXELS+8*\pixel(%rdi), %\nibbles
  lea (%\nibbles,%rax,4), %\nibbles
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
  vpcmpeqd %ymm15, %ymm15, %ymm15
  vpsrlw $12, %ymm15, %ymm15
  vpackuswb %ymm15, %ymm15, %ymm15
  .irp sum, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
  vpxor %ymm\sum, %ymm\sum, %ymm\sum
  vmovdqa %ymm\sum, 64*\sum(%rax)
  vmovdqa %ymm\sum, 64*\sum+32(%rax)
  .endr
  xor %ecx, %ecx /* the tap */
  mov $WORDS_IN_BYTES, %ebp
1: /* the next tap */
  mov TAPS(%rdi), %rax
  mov (%rax,%rcx,8), %rax
  next_pixel 0, r8
  next_pixel 1, r9
  next_pixel 2, r10
  next_pixel 3, r11
  next_pixel 4, r12
  mov WORDS(%rdi), %rbx
  .p2align 5
2: /* the next word */
  .irp byte, 0, 1, 2, 3
  both_halves \halves, \byte
  .endr
  add $256, %rsi
  .irp nibbles, r8, r9, r10, r11, r12
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
