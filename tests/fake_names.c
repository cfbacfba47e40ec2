/*
 * A getaddrinfo of our own, for tests: linked into a program, or preloaded into the daemon. The
 * file that FAKE_NAMES names has a line for each host name that it knows:
 *     db.test 127.0.0.9 127.0.0.1        these addresses, in this order
 *     dead.test -                        no answer, as long as this line is there
 * Everything else is the C library's business. Any thread.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static int real(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    getaddrinfo_fn *f = NULL;

    *(void **) &f = dlsym(RTLD_NEXT, "getaddrinfo");
    return f(node, service, hints, out);
}

/* What the file says after the name; false: nothing. */
static bool find_line(const char *node, char *out, size_t size)
{
    const char *path = getenv("FAKE_NAMES");
    FILE *f = path != NULL ? fopen(path, "re") : NULL;
    size_t n = strlen(node);
    bool found = false;

    while (f != NULL && !found && fgets(out, (int) size, f) != NULL) {
        found = strncmp(out, node, n) == 0 && out[n] == ' ';
    }
    if (f != NULL) {
        fclose(f);
    }
    if (found) {
        memmove(out, out + n, strlen(out + n) + 1);
    }
    return found;
}

static int add(char *address, const char *service, const struct addrinfo *hints,
               struct addrinfo **end)
{
    struct addrinfo numeric = *hints;

    numeric.ai_flags |= AI_NUMERICHOST;
    return real(address, service, &numeric, end);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    char line[400];
    const struct timespec pause = {.tv_nsec = 10000000};
    bool asks = node != NULL && hints != NULL && !(hints->ai_flags & AI_NUMERICHOST);
    bool known = asks && find_line(node, line, sizeof line);

    while (known && strchr(line, '-') != NULL) {
        nanosleep(&pause, NULL);
        known = find_line(node, line, sizeof line);
    }
    if (!known) {
        return real(node, service, hints, out);
    }
    char *rest = NULL;
    struct addrinfo **end = out;
    *out = NULL;
    for (char *a = strtok_r(line, " \n", &rest); a != NULL; a = strtok_r(NULL, " \n", &rest)) {
        int code = add(a, service, hints, end);
        if (code != 0) {
            return code;
        }
        while (*end != NULL) {
            end = &(*end)->ai_next;
        }
    }
    return *out != NULL ? 0 : EAI_NONAME;
}
