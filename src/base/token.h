/*
 * A bearer token as programs print it and identity providers answer: itself, or a JSON document.
 * Only as much of JSON and JWT is understood as that takes; nothing is verified, that is the matter
 * of whoever is shown it. Pure; any thread.
 */
#ifndef BASE_TOKEN_H
#define BASE_TOKEN_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

/* Of a token that does not say how long it is valid; the library asks again after 80 % of it. */
#define TOKEN_LIFE_MS (INT64_C(300) * 1000)

struct token {
    char *text;         /* to be freed */
    char *principal;    /* to be freed; the JWT's `sub`, "unknown" where there is none */
    int64_t expires_ms; /* Unix time */
};

/*
 * Reads what was printed: a bare token, blanks around it left out, or {"access_token": ...,
 * "expires_in": seconds}. The end is the JWT's `exp`, else `expires_in`, else TOKEN_LIFE_MS from
 * now_ms. ERROR_SETUP: it is neither, or has expired; the text has nothing of the token in it.
 */
bool token_read(struct str printed, int64_t now_ms, struct token *out, struct error *err) _must_;
void token_done(struct token *t);

/*
 * Makes one word or line fit for a message: the last line of it that is not empty, without control
 * characters, cut, and everything masked that could be a token or a password: 20 characters and
 * more out of the alphabets of base64, unless they look like a path, and what stands after the name
 * of a secret, such as "password=" or "Bearer ", up to the next blank or the quote that closes it.
 */
void token_last_line(struct str text, char *out, size_t size);

#endif
