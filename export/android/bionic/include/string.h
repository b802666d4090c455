#pragma once
#include <stddef.h>

int memcmp(const void *a, const void *b, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *memory, int byte, size_t size);
char *strcat(char *restrict to, const char *restrict from);
int strcmp(const char *a, const char *b);
size_t strlen(const char *text);
size_t strspn(const char *text, const char *characters);
