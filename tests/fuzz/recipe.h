/* From a fuzzer's bytes to a graph: first operators that fit each other, then damage to them. */
#ifndef FUZZ_RECIPE_H
#define FUZZ_RECIPE_H

#include "stand_in.h"

void fuzz_cook(fuzz_graph *graph, fuzz_bytes *bytes);

/* Gives the graph's inputs other shapes. */
void fuzz_reshape_inputs(fuzz_graph *graph, fuzz_bytes *bytes);

#endif
