/* A binary convolution from C, without LiteRT and without Python:
 *
 *     cc -I export/include examples/binary_convolution.c -L build -lkeras_bnn -o convolution
 *     LD_LIBRARY_PATH=build ./convolution
 */
#include <stdio.h>

#include "keras_bnn.h"

int main(void) {
  /* One row of three pixels of one channel, + − −, seen by the kernel + + −. A bit of 1 is −. */
  const uint32_t image[3] = {0, 1, 1}, kernel[3] = {0, 0, 1};
  const float multiplier[1] = {2}, bias[1] = {0.5f};
  const bnn_bconv2d_options options = {
      .channels_in = 1,
      .channels_out = 1,
      .groups = 1,
      .kernel_height = 1,
      .kernel_width = 3,
      .stride_height = 1,
      .stride_width = 1,
      .dilation_height = 1,
      .dilation_width = 1,
      .padding = BNN_SAME_ONE,
      .activation = BNN_NONE,
      .output = BNN_float32,
  };
  bnn_error error;
  bnn_isa isa;
  bnn_image_shape shape;
  bnn_bconv2d *conv = NULL;
  if (!bnn_isa_choose(NULL, &isa, &error) ||
      !(conv = bnn_bconv2d_create(&options, kernel, multiplier, bias, NULL, isa, &error)) ||
      !bnn_bconv2d_reshape(conv, (bnn_image_shape){1, 1, 3}, &shape, &error)) {
    fprintf(stderr, "%s\n", error.text);
    bnn_bconv2d_free(conv);
    return 1;
  }
  float output[3];
  bnn_bconv2d_run(conv, image, output, NULL);
  /* The sums are 3, 1 and −3, for pixels outside of the image are +. */
  for (int32_t x = 0; x < shape.width; x++) printf("%g\n", output[x]);
  bnn_bconv2d_free(conv);
  return 0;
}
