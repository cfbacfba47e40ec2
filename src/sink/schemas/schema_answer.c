/* See schema_answer.h. */
#include "sink/schemas/schema_answer.h"

#include "base/buf.h"
#include "base/mem.h"
#include "row/json/document.h"
#include "row/json/elements.h"

#include <stdlib.h>
#include <string.h>

static void link_done(struct schema_link *l)
{
    free(l->name);
    free(l->group);
    free(l->subject);
    free(l->version);
}

void schema_answer_done(struct schema_answer *a)
{
    for (size_t i = 0; i < a->link_count; i++) {
        link_done(&a->links[i]);
    }
    free(a->links);
    free(a->type);
    free(a->text);
    *a = (struct schema_answer){0};
}

/* The texts of it are checked, so that elements may walk over them. */
static bool check(struct str body, struct error *err)
{
    struct document *d = document_new();
    bool ok = document_read(d, body, NULL, NULL, err);

    document_free(d);
    if (!ok) {
        err->class = ERROR_SETUP;
        return error_wrap(err, "the registry's answer");
    }
    return true;
}

/* A string or a number as a C string; NULL: it is lacking, or is something else. */
static char *member(struct str object, const char *name)
{
    _cleanup_buf_ struct buf plain = {0};
    struct cell c;

    if (!elements_find(object, name, &plain, &c) ||
        (c.kind != CELL_STRING && c.kind != CELL_NUMBER) || memchr(c.text.p, 0, c.text.n) != NULL) {
        return NULL;
    }
    return mem_strndup(c.text.p, c.text.n);
}

static bool read_link(const struct cell *c, struct schema_link *out)
{
    if (!cell_is_object(c)) {
        return false;
    }
    *out = (struct schema_link){
        .name = member(c->text, "name"),
        .group = member(c->text, "groupId"),
        .subject = member(c->text, "subject"),
        .version = member(c->text, "version"),
    };
    if (out->subject == NULL) {
        out->subject = member(c->text, "artifactId");
        out->group = out->group != NULL ? out->group : mem_strdup("default");
    }
    if (out->name != NULL && out->subject != NULL && out->version != NULL) {
        return true;
    }
    link_done(out);
    return false;
}

static bool read_links(struct str list, struct schema_answer *out, struct error *err)
{
    _cleanup_buf_ struct buf plain = {0};
    struct elements e;

    elements_open(&e, list, &plain);
    while (elements_next(&e)) {
        struct cell c;
        elements_value(&e, &c);
        if (out->link_count == SCHEMA_ANSWER_PARTS) {
            return error_set(err, ERROR_SETUP, "the schema has more than %u references",
                             SCHEMA_ANSWER_PARTS);
        }
        out->links = mem_realloc(out->links, out->link_count + 1, sizeof *out->links);
        if (!read_link(&c, &out->links[out->link_count])) {
            return error_set(err, ERROR_SETUP,
                             "a reference in the registry's answer lacks its name, its subject or "
                             "its version");
        }
        out->link_count++;
    }
    return true;
}

/* Confluent's client-side encryption of fields: its rules are the only sign of it. */
static bool is_encrypted(struct str body)
{
    _cleanup_buf_ struct buf plain = {0};
    struct cell rules;

    return elements_find(body, "ruleSet", &plain, &rules) && rules.kind == CELL_JSON &&
           memmem(rules.text.p, rules.text.n, "\"ENCRYPT", 8) != NULL;
}

static bool read_all(struct str body, struct schema_answer *out, struct error *err)
{
    _cleanup_buf_ struct buf plain = {0};
    struct cell c;

    if (body.n == 0 || *body.p != '{') {
        return error_set(err, ERROR_SETUP, "the registry's answer is no JSON object");
    }
    out->text = member(body, "schema");
    if (out->text == NULL) {
        return error_set(err, ERROR_SETUP, "the registry's answer has no schema");
    }
    if (elements_find(body, "schemaType", &plain, &c) && c.kind != CELL_NULL) {
        out->type = c.kind == CELL_STRING ? member(body, "schemaType") : NULL;
        if (out->type == NULL) {
            return error_set(err, ERROR_SETUP,
                             "the schemaType in the registry's answer is no text");
        }
    } else {
        out->type = mem_strdup("AVRO");
    }
    out->is_encrypted = is_encrypted(body);
    if (!elements_find(body, "references", &plain, &c) || c.kind == CELL_NULL) {
        return true;
    }
    if (!cell_is_array(&c)) {
        return error_set(err, ERROR_SETUP, "the references in the registry's answer are no list");
    }
    return read_links(c.text, out, err);
}

bool schema_answer_read(struct str body, struct schema_answer *out, struct error *err)
{
    *out = (struct schema_answer){0};
    body = str_trim(body);
    if (check(body, err) && read_all(body, out, err)) {
        return true;
    }
    schema_answer_done(out);
    return false;
}

bool schema_answer_read_links(struct str body, struct schema_answer *out, struct error *err)
{
    *out = (struct schema_answer){0};
    body = str_trim(body);
    if (!check(body, err)) {
        return false;
    }
    if (*body.p != '[') {
        return error_set(err, ERROR_SETUP, "the registry's list of references is no list");
    }
    if (read_links(body, out, err)) {
        return true;
    }
    schema_answer_done(out);
    return false;
}

/* Avro's is an object with a type, the name of one, or a union; that of JSON Schema has other
 * keywords, of which a document that describes an object has at least one. */
const char *schema_answer_guess(struct str text)
{
    static const char *const keywords[] = {"$schema", "properties", "$ref",  "oneOf",
                                           "anyOf",   "allOf",      "$defs", "$id"};
    _cleanup_buf_ struct buf plain = {0};
    struct error ignored;
    struct cell c;

    text = str_trim(text);
    if (text.n == 0 || !check(text, &ignored)) {
        return "PROTOBUF";
    }
    for (size_t i = 0; *text.p == '{' && i < ARRAY_LEN(keywords); i++) {
        if (elements_find(text, keywords[i], &plain, &c)) {
            return "JSON";
        }
    }
    return "AVRO";
}
