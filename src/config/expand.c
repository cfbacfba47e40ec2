/*
 * Expansion of ${NAME} and ${file:PATH}. Does not know what a value is for, nor where it stands:
 * the caller adds the position and remembers the original text for printing. Any thread.
 */
#include "config/expand.h"

#include "config/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct str rest(struct str s, size_t from)
{
    return (struct str){s.p + from, s.n - from};
}

bool expand_needed(struct str text)
{
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] == '$' && text.p[i + 1] == '{') {
            return true;
        }
    }
    return false;
}

size_t expand_reference(struct str text)
{
    const char *end;

    if (!str_starts(text, "${")) {
        return 0;
    }
    end = memchr(text.p, '}', text.n);
    return end == NULL ? 0 : (size_t) (end - text.p) + 1;
}

static bool is_variable_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        bool digit = c >= '0' && c <= '9';

        if (!letter && !(digit && i > 0)) {
            return false;
        }
    }
    return s.n > 0;
}

bool expand_is_well_formed(struct str reference)
{
    struct str inside = {reference.p + 2, reference.n - 3};

    return is_variable_name(inside) || (str_starts(inside, "file:") && inside.n > strlen("file:"));
}

static bool add_variable(struct str name, struct buf *out, struct error *err)
{
    _cleanup_buf_ struct buf z = {0};
    const char *value;

    if (!is_variable_name(name)) {
        error_set(err, ERROR_SETUP,
                  "'${...}' contains neither the name of a variable nor 'file:' and a path");
        return error_hint(err, "Write $${ for a literal ${.");
    }
    buf_add_str(&z, name);
    value = getenv(buf_cstr(&z));
    if (value == NULL) {
        error_set(err, ERROR_SETUP, "environment variable '%s' is not set", buf_cstr(&z));
        return error_hint(err,
                          "Set it where pgsinkd is started, for a service with Environment= or "
                          "EnvironmentFile=. Where it is not needed: config --without-secrets.");
    }
    if (!str_utf8(str_of(value), NULL)) {
        return error_set(err, ERROR_SETUP, "environment variable '%s' is not valid UTF-8",
                         buf_cstr(&z));
    }
    buf_add_z(out, value);
    return true;
}

/* "dir/path"; an absolute path stays, and "./" is not added. */
static const char *join(const char *dir, struct str path, struct buf *z)
{
    buf_clear(z);
    if (!str_starts(path, "/") && strcmp(dir, ".") != 0) {
        buf_printf(z, "%s/", dir);
    }
    buf_add_str(z, path);
    return buf_cstr(z);
}

/* Where a relative path was looked for. */
static bool not_found(const char *credentials, const char *dir, struct error *err)
{
    bool here = strcmp(dir, ".") == 0;

    if (credentials == NULL || credentials[0] == '\0') {
        return error_hint(err,
                          "It was looked for in %s; $CREDENTIALS_DIRECTORY, which systemd sets for "
                          "LoadCredential=, is not set.",
                          here ? "the current directory" : dir);
    }
    return error_hint(err, "It was looked for in %s ($CREDENTIALS_DIRECTORY), then in %s.",
                      credentials, here ? "the current directory" : dir);
}

/* Only a file that is not there is looked for elsewhere: one that cannot be read is a mistake. */
static bool read_credential(struct str path, const char *dir, struct buf *content,
                            struct error *err)
{
    _cleanup_buf_ struct buf z = {0};
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    int code;

    if (credentials != NULL && credentials[0] != '\0' && !str_starts(path, "/")) {
        if (file_read(join(credentials, path, &z), content, &code, err)) {
            return true;
        }
        if (code != ENOENT) {
            return error_wrap(err, "file '%s'", buf_cstr(&z));
        }
    }
    if (!file_read(join(dir, path, &z), content, &code, err)) {
        if (code == ENOENT && !str_starts(path, "/")) {
            not_found(credentials, dir, err);
        } else if (code == ENOENT) {
            error_hint(err, "Write the file, or correct its path. Where it is not needed: config "
                            "--without-secrets.");
        } else if (code == EACCES) {
            error_hint(err, "The user that runs pgsinkd must be able to read it; a service gets it "
                            "with LoadCredential=.");
        }
        return error_wrap(err, "file '%s'", buf_cstr(&z));
    }
    return true;
}

/* Files written by an editor or by echo end with a line break that is not part of the value. */
static struct str without_line_end(struct str s)
{
    if (s.n > 0 && s.p[s.n - 1] == '\n') {
        s.n -= 1;
        if (s.n > 0 && s.p[s.n - 1] == '\r') {
            s.n -= 1;
        }
    }
    return s;
}

static bool add_file(struct str path, const char *dir, struct buf *out, struct error *err)
{
    _cleanup_buf_ struct buf content = {0};
    struct str text;

    if (path.n == 0) {
        return error_set(err, ERROR_SETUP, "'${file:}' names no file");
    }
    if (!read_credential(path, dir, &content, err)) {
        return false;
    }
    text = without_line_end(buf_str(&content));
    if (!str_utf8(text, NULL) || (text.n > 0 && memchr(text.p, '\0', text.n) != NULL)) {
        return error_set(err, ERROR_SETUP, "file '" STR_FMT "' is not UTF-8 text", STR_ARG(path));
    }
    buf_add_str(out, text);
    return true;
}

static bool add_reference(struct str inside, const char *dir, struct buf *out, struct error *err)
{
    if (str_starts(inside, "file:")) {
        return add_file(rest(inside, strlen("file:")), dir, out, err);
    }
    return add_variable(inside, out, err);
}

enum expand_piece expand_next(struct str *text, const char *dir, struct buf *out, struct error *err)
{
    struct str s = *text;
    size_t n = expand_reference(s);

    if (str_starts(s, "$${")) {
        buf_add_z(out, "${");
        *text = rest(s, 3);
        return EXPAND_LITERAL;
    }
    if (n > 0) {
        *text = rest(s, n);
        return add_reference((struct str){s.p + 2, n - 3}, dir, out, err) ? EXPAND_REFERENCE
                                                                          : EXPAND_FAILED;
    }
    if (str_starts(s, "${")) {
        error_set(err, ERROR_SETUP, "'${' has no closing '}'");
        error_hint(err, "Write $${ for a literal ${.");
        return EXPAND_FAILED;
    }
    buf_add(out, s.p, 1);
    *text = rest(s, 1);
    return EXPAND_LITERAL;
}

bool expand_text(struct str text, const char *dir, struct buf *out, struct error *err)
{
    while (text.n > 0) {
        if (expand_next(&text, dir, out, err) == EXPAND_FAILED) {
            return false;
        }
    }
    return true;
}
