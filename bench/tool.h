/*
 * What the programs of bench/ share: how they end, and how they read numbers. Any thread.
 */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <stdint.h>

/* Prints "PROGRAM: " and the text as one line on stderr, and ends the process with 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The whole word as a decimal number from min to max; ends the process when it is something else.
 */
uint64_t number_of(const char *word, uint64_t min, uint64_t max);

#endif
