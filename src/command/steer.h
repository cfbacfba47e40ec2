/*
 * What status, offsets, pause, resume, seek and reset share: a connection to the ledger of the
 * file's sink, a place as people name it (TOPIC, TOPIC:PARTITION), names that are looked up before
 * anything is done, what has changed in words. Main thread.
 */
#ifndef COMMAND_STEER_H
#define COMMAND_STEER_H

#include "command/command.h"
#include "command/place.h"
#include "pg/control.h"

struct steer {
    const struct command_args *args;
    struct conn *conn;
    struct control control;
    struct record_place place; /* the word that names a place: topic and partition */
    struct control_place at;   /* the same; all of the sink without one */
    enum exit_code code;       /* of a fault that says nothing else by its SQLSTATE */
};

/* Which topics may be named. */
enum steer_names {
    STEER_BEGUN,    /* those that the ledger knows */
    STEER_EXPECTED, /* those that a route of the file takes, too */
    STEER_FUTURE,   /* the same; and the sink may be one that nobody has heard of, with a warning */
};

/*
 * Reads the place (NULL: all of the sink), connects, checks the schema and the name, then calls
 * `act`. Whatever fails is said on stderr; the exit code is that of the whole command.
 */
enum exit_code steer_run(const struct command_args *args, const char *verb, const char *place,
                         enum steer_names names, bool (*act)(struct steer *s, struct error *err));

/* Connects, and checks that the schema has what is asked for. stop_fd as of conn_open_wait. Errors
 * as that has, and ERROR_SETUP. */
bool steer_connect(struct steer *s, int stop_fd, struct error *err) _must_;

/* One or two lines to stderr: something that is done, but may not be what was meant. Waits for what
 * has been printed. */
void steer_warn(const struct error *err);

/* Prints one line for each change, by `add`, which leaves out what it adds nothing for; with --json
 * each change as an object. Returns how many lines that were. */
size_t steer_print(const struct steer *s, const struct listing *changes,
                   bool (*add)(const struct listing *changes, size_t row, struct buf *out));

/* "orders-3" of a row of changes. */
void steer_add_place(const struct listing *changes, size_t row, struct buf *out);

/* "orders-3", "orders" or "sink 'x'": what was named. */
void steer_add_named(const struct steer *s, struct buf *out);

#endif
