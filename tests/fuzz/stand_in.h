/* The part of LiteRT that a delegate sees: a graph of 1-bit operators, and what becomes of it.
 *
 * Everything is allocated at exactly its size, so that a step outside is seen. */
#ifndef FUZZ_STAND_IN_H
#define FUZZ_STAND_IN_H

#include "bytes.h"
#include "litert.h"

enum { FUZZ_MOST_NODES = 4, FUZZ_MOST_TENSORS = 32 };

typedef struct {
  TfLiteNode node;
  TfLiteRegistration registration; /* of the delegate */
  TfLiteDelegateParams params;
} fuzz_partition;

typedef struct {
  TfLiteContext context; /* its tensors are the graph's */
  int node_count;
  TfLiteNode nodes[FUZZ_MOST_NODES];
  TfLiteRegistration registrations[FUZZ_MOST_NODES];
  uint32_t graph_outputs; /* a bit for each tensor */
  uint8_t cuts;           /* a bit for each node before which a partition ends */
  int resizes_that_work;  /* before one fails */
  int unknown_node;       /* which LiteRT denies when a partition asks; or −1 */
  bool guarded;           /* whether inputs and outputs end at a page that cannot be read */
  TfLiteIntArray *plan;
  int partition_count;
  fuzz_partition partitions[FUZZ_MOST_NODES];
  int reports;
} fuzz_graph;

TfLiteIntArray *fuzz_array(int size, const int *data);

/* Adds a tensor and returns its number. */
int fuzz_add_tensor(fuzz_graph *graph, TfLiteType type, int rank, const int *dims);
/* Makes it a constant of `size` bytes. */
void fuzz_make_constant(fuzz_graph *graph, int tensor, size_t size, fuzz_bytes *bytes);

/* Whether an operator of the graph makes the tensor. */
bool fuzz_is_computed(const fuzz_graph *graph, int tensor);

/* Lets a delegate take the graph over. */
void fuzz_delegate(fuzz_graph *graph, TfLiteDelegate *delegate);
/* As LiteRT's AllocateTensors: prepares all partitions. */
bool fuzz_prepare(fuzz_graph *graph);
/* Allocates inputs and outputs of the partitions and runs them, if that does not take long. */
void fuzz_invoke(fuzz_graph *graph, fuzz_bytes *bytes);
void fuzz_free(fuzz_graph *graph);

#endif
