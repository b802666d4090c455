/* A run of neighbouring 1-bit operators, which LiteRT sees as one. */
#ifndef BNN_PARTITION_H
#define BNN_PARTITION_H

#include "keras_bnn.h"
#include "litert.h"

/* What the partitions of one interpreter share. */
typedef struct {
  bnn_isa isa;
  bnn_threads *threads;
  int thread_count;
} bnn_shared;

/* LiteRT's interface to a partition; `buffer` is a TfLiteDelegateParams whose delegate's `data_` is
 * a bnn_shared. */
void *bnn_partition_init(TfLiteContext *context, const char *buffer, size_t length);
void bnn_partition_free(TfLiteContext *context, void *partition);
TfLiteStatus bnn_partition_prepare(TfLiteContext *context, TfLiteNode *node);
TfLiteStatus bnn_partition_invoke(TfLiteContext *context, TfLiteNode *node);

#endif
