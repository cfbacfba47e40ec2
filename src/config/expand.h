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

/* Does the text hold anything that expand_text would change? */
bool expand_needed(struct str text) _pure_;

/*
 * Appends text with everything expanded. ERROR_SETUP when a variable is not set, a file cannot be
 * read, or a reference is malformed; the error names the variable or file, never its content.
 */
bool expand_text(struct str text, const char *dir, struct buf *out, struct error *err) _must_;

/* Length of the ${...} that text starts with, 0 if it does not ($${ does not). */
size_t expand_reference(struct str text) _pure_;

#endif
