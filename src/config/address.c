/* See address.h. Numeric addresses only: nothing waits for a name server. Any thread. */
#include "config/address.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

/* The host without its brackets; false: it is no address. */
static bool parse_host(struct str text, struct config_address *out)
{
    struct in6_addr ignored;
    bool v6 = text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
    size_t n = v6 ? text.n - 2 : text.n;

    if (n == 0 || n >= sizeof out->host) {
        return false;
    }
    memcpy(out->host, text.p + v6, n);
    out->host[n] = '\0';
    return inet_pton(v6 ? AF_INET6 : AF_INET, out->host, &ignored) == 1;
}

bool address_parse(struct str text, struct config_address *out)
{
    struct config_address a = {0};
    uint64_t port;

    if (str_eq_z(text, "off")) {
        *out = a;
        return true;
    }
    const char *colon = memrchr(text.p, ':', text.n);
    if (colon == NULL) {
        return false;
    }
    size_t n = (size_t) (colon - text.p);
    struct str digits = {.p = colon + 1, .n = text.n - n - 1};
    if (!parse_host((struct str){.p = text.p, .n = n}, &a) || !str_to_u64(digits, &port) ||
        port == 0 || port > UINT16_MAX) {
        return false;
    }
    a.port = (uint16_t) port;
    *out = a;
    return true;
}
