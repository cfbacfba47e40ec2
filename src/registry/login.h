/*
 * How one logs in to the registry: a user and a password, apart or in the URL, or a bearer token,
 * given or fetched. Everything is read again for each request, since it may have been exchanged; a
 * fetched token is kept until shortly before its end. Private to registry/. One thread at a time.
 */
#ifndef REGISTRY_LOGIN_H
#define REGISTRY_LOGIN_H

#include "config/config.h"
#include "registry/http_client.h"

/* Starts as zeros. */
struct login {
    char *header; /* "Authorization: Bearer ..."; NULL: none */
    char *user;   /* NULL: none */
    char *password;
    char *token;            /* that was fetched; NULL: none */
    int64_t token_until_ms; /* when another one is fetched, Unix time */
};

void login_done(struct login *l);

/* The token that was fetched is refused: the next request fetches another. */
void login_forget(struct login *l);

/* The user in a URL, as it is written there; empty: none. */
struct str login_url_user(struct str url);

/*
 * Fills q->user and q->password, which stay login's, and l->header. url: of the registry. May ask
 * for a token, by http. ERROR_LINK, or ERROR_SETUP with a hint.
 */
bool login_take(struct login *l, const struct config *cfg, struct http_client *http, struct str url,
                struct http_request *q, struct error *err) _must_;

#endif
