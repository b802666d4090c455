/* One 1-bit operator of a partition, and the four kinds of it. */
#ifndef BNN_OPERATOR_H
#define BNN_OPERATOR_H

#include "options.h"
#include "value.h"

enum { BNN_MOST_INPUTS = 5 };

typedef struct bnn_operator bnn_operator;

typedef struct {
  const char *name; /* its custom code in the file */
  int inputs;
  /* Reads options and constants, once. `values` are those of the partition. */
  bool (*create)(bnn_operator *op, const bnn_value *values, bnn_isa isa, bnn_error *error);
  /* Checks types and shapes of all inputs, and sets the shape of the output. */
  bool (*reshape)(bnn_operator *op, bnn_value *values, bnn_error *error);
  void (*run)(bnn_operator *op, const void *input, void *output, bnn_threads *threads);
  void (*free)(bnn_operator *op); /* or NULL */
} bnn_kind;

struct bnn_operator {
  const bnn_kind *kind;
  int node;                    /* its number in LiteRT's graph */
  int inputs[BNN_MOST_INPUTS]; /* indices into `values`, or −1 where absent */
  int output;                  /* −1 until it is read */
  bnn_options options;
  bnn_isa isa;
  union {
    bnn_quantize_options quantize;
    bnn_dequantize_options dequantize;
    struct {
      bnn_bmaxpool2d_options options;
      bnn_image_shape input;
    } bmaxpool2d;
    struct {
      bnn_bconv2d_options options;
      int32_t words;
      bnn_bconv2d *conv;
    } bconv2d;
  } state;
};

extern const bnn_kind bnn_quantize_kind, bnn_dequantize_kind, bnn_bmaxpool2d_kind, bnn_bconv2d_kind;

/* The kind of a custom code, or NULL. */
const bnn_kind *bnn_kind_of(const char *custom_code);

/* The checks that the kinds share. Each says which tensor it is about, got and expected. */
bool bnn_expect_type(const bnn_value *value, const char *role, TfLiteType type, bnn_error *error);
bool bnn_expect_rank(const bnn_value *value, const char *role, int rank, bnn_error *error);
bool bnn_expect_zero_point(const bnn_value *value, const char *role, bnn_error *error);
bool bnn_expect_constant(const bnn_operator *op, const bnn_value *values, int input,
                         const char *role, TfLiteType type, int rank, bnn_error *error);
/* Reads SAME = 0, VALID = 1. */
bool bnn_option_padding(bnn_options options, bool *same, bnn_error *error);

#endif
