/*
 * ${NAME} and ${file:PATH} in a value. NAME is an environment variable; PATH a file whose content,
 * without its final line break, takes the place. A relative PATH is looked up in
 * $CREDENTIALS_DIRECTORY first, then in `dir`, the directory of the configuration file. $${ is a
 * literal ${. What is put in is not expanded again.
 *
 * Reads the environment, which nobody changes, and files. Any thread.
 */
#ifndef CONFIG_EXPAND_H
#define CONFIG_EXPAND_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

/* What a piece of a text is: a byte (or ${ written as $${) of its own, or a reference. */
enum expand_piece {
    EXPAND_FAILED,
    EXPAND_LITERAL,
    EXPAND_REFERENCE,
};

/* Does the text hold anything that expand_text would change? */
bool expand_needed(struct str text) _pure_;

/*
 * Appends text with everything expanded. ERROR_SETUP when a variable is not set, a file cannot be
 * read, or a reference is malformed; the error names the variable or file, never its content.
 */
bool expand_text(struct str text, const char *dir, struct buf *out, struct error *err) _must_;

/*
 * As expand_text, for a connection string of libpq, keywords or URI: what a reference brings in
 * there is one value, whatever characters it has. After the = of a keyword it is quoted, and in a
 * URI's user, password, database or the value of a parameter it is percent-encoded. Elsewhere it is
 * put in as it is, so that it may stand for hosts, for keywords with their values, or for all of
 * the string; so is one that stands alone before a URI's @ (a user, or a user and a password).
 */
bool expand_dsn(struct str text, const char *dir, struct buf *out, struct error *err) _must_;

/* Length of the "postgresql://" or "postgres://" that a connection string starts with; 0: it is no
 * URI. */
size_t expand_dsn_scheme(struct str s) _pure_;

/* Takes the first piece off *text, which is not empty, and appends what it stands for. Fails as
 * expand_text does. */
enum expand_piece expand_next(struct str *text, const char *dir, struct buf *out,
                              struct error *err) _must_;

/* Length of the ${...} that text starts with, 0 if it does not ($${ does not). */
size_t expand_reference(struct str text) _pure_;

/* Is the ${...} a reference, whether or not it can be read? */
bool expand_is_well_formed(struct str reference) _pure_;

#endif
