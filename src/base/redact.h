/*
 * Secrets out of texts that others have written: a library's message may quote what it did not
 * understand, and that may be a part of a password. Pure; any thread.
 */
#ifndef BASE_REDACT_H
#define BASE_REDACT_H

#include "base/base.h"

/* Shorter pieces than this, in bytes, say little about a secret, and are in many words. */
#define REDACT_MIN 4
/* A shorter one than this may also be a part of an ordinary word. */
#define REDACT_WORD 8

/*
 * Puts *** in the place of every piece of text, a buffer of `size` bytes with a C string, that is
 * also a piece of `secret` and at least REDACT_MIN bytes long; what does not fit any more is cut
 * off. Not so where that piece is part of one of `plain` (`plain_count` texts, of which some may be
 * NULL), which may be printed: a database is often called like its user, and the password as well.
 * Nor where it is shorter than REDACT_WORD, not the whole secret, and part of a longer word of
 * letters alone: of a secret with "word" in it, "pass***" would say more than "password" does. A
 * server that knows the secret could print a few letters of it so, but it can also print them
 * backwards.
 */
void redact(char *text, size_t size, const char *secret, const char *const *plain,
            size_t plain_count);

#endif
