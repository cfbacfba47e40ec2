/*
 * The terminal of a command that shows something again and again: keys without Enter, its size.
 * What is not a terminal has neither. Main thread.
 */
#ifndef HOST_TERMINAL_H
#define HOST_TERMINAL_H

#include "base/clock.h"

/* May what goes to stdout be coloured? Not where it is no terminal, or NO_COLOR says no. */
bool terminal_has_colour(void);

/* Is stdout a terminal? */
bool terminal_is_there(void);

/* Keys come one by one and are not shown, until terminal_end. Nothing if stdin is no terminal. */
void terminal_begin(void);
void terminal_end(void);

struct terminal_size {
    unsigned rows;
    unsigned columns;
};
/* 0 = not known. */
struct terminal_size terminal_size(void);

/* Waits until the time is over, or fd (of signals_open) is readable, or the key q was pressed: true
 * for the latter two. */
bool terminal_wait_end(int fd, usec_t wait);

#endif
