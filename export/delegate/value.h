/* What a partition knows of one tensor: where its elements are and what they are. */
#ifndef BNN_VALUE_H
#define BNN_VALUE_H

#include "keras_bnn.h"
#include "litert.h"

enum { BNN_RANK = 8 };

typedef enum {
  BNN_CONSTANT, /* in the file */
  BNN_OUTSIDE,  /* LiteRT's: an input or output of the partition */
  BNN_INSIDE    /* only between operators of the partition, in its own buffer */
} bnn_place;

typedef struct {
  int tensor; /* its number in LiteRT's graph */
  bnn_place place;
  TfLiteType type;
  int rank;
  int32_t dims[BNN_RANK];
  float scale;
  int32_t zero_point;
  size_t bytes;
  const char *name;
  const void *data;        /* of a constant */
  int first_use, last_use; /* operators of the partition; of an inside value */
  size_t offset;           /* in the buffer; of an inside value */
} bnn_value;

const char *bnn_type_name(TfLiteType type);

/* The words that hold so many channels. */
int32_t bnn_words_for(int32_t channels);

/* Sets `bytes` from type and shape; false if they overflow. */
bool bnn_value_measure(bnn_value *value, bnn_error *error);

/* Gives `value` the shape of `other` with a last axis of its own; returns the number of rows. */
size_t bnn_value_like(bnn_value *value, const bnn_value *other, int32_t last);

#endif
