/* See schema_source.h. */
#include "sink/schemas/schema_source.h"

#include "base/mem.h"
#include "row/schema/compile.h"
#include "sink/schemas/schema_answer.h"

#include <stdlib.h>
#include <string.h>

struct schema_source {
    const struct config *cfg;
    struct registry *registry;
    struct http_response answer;
    enum registry_api apicurio; /* the version that has answered */
};

struct schema_source *schema_source_new(const struct config *cfg, int stop_fd)
{
    struct schema_source *s = mem_zalloc(sizeof *s);

    s->cfg = cfg;
    s->registry = registry_new(cfg, stop_fd);
    s->apicurio = REGISTRY_APICURIO_3;
    return s;
}

struct schema_source *schema_source_free(struct schema_source *s)
{
    if (s != NULL) {
        registry_free(s->registry);
        http_response_done(&s->answer);
        free(s);
    }
    return NULL;
}

void schema_source_configure(struct schema_source *s, const struct config *cfg)
{
    s->cfg = cfg;
    registry_configure(s->registry, cfg);
    s->apicurio = REGISTRY_APICURIO_3;
}

/* ---- names ---- */

static void add_guid(const uint8_t guid[16], struct buf *out)
{
    for (size_t i = 0; i < 16; i++) {
        buf_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", guid[i]);
    }
}

void schema_source_ref_text(const struct schema_ref *ref, struct buf *out)
{
    switch (ref->kind) {
    case SCHEMA_REF_NONE:
        buf_add_z(out, "none");
        break;
    case SCHEMA_REF_ID:
        buf_printf(out, "id %lld", (long long) ref->id);
        break;
    case SCHEMA_REF_GUID:
        buf_add_z(out, "guid ");
        add_guid(ref->guid, out);
        break;
    case SCHEMA_REF_GLOBAL:
        buf_printf(out, "globalId %lld", (long long) ref->id);
        break;
    case SCHEMA_REF_CONTENT:
        buf_printf(out, "contentId %lld", (long long) ref->id);
        break;
    case SCHEMA_REF_SUBJECT:
        buf_printf(out, "subject %lld", (long long) ref->id);
        break;
    }
}

void schema_source_subject(const struct config *cfg, const char *topic, struct buf *out)
{
    static const char hole[] = "{topic}";
    const char *at = *cfg->registry.subject != '\0' ? cfg->registry.subject : "{topic}-value";
    const char *next;

    while ((next = strstr(at, hole)) != NULL) {
        buf_add(out, at, (size_t) (next - at));
        buf_add_z(out, topic);
        at = next + sizeof hole - 1;
    }
    buf_add_z(out, at);
}

void schema_source_key_subject(const char *topic, struct buf *out)
{
    buf_printf(out, "%s-key", topic);
}

/* A subject within the context that is configured, unless it names one itself. */
static void add_subject(const struct config *cfg, const char *subject, struct buf *out)
{
    _cleanup_buf_ struct buf whole = {0};

    if (*cfg->registry.context != '\0' && strncmp(subject, ":.", 2) != 0) {
        buf_printf(&whole, ":.%s:", cfg->registry.context);
    }
    buf_add_z(&whole, subject);
    http_encode(out, buf_str(&whole));
}

/* ---- Confluent's API ---- */

/* What has been fetched of a schema, and where more is refers to. */
struct gather {
    struct schema_source *s;
    struct schema_text *out;
    uint64_t bytes;
    char **seen; /* paths of the parts that are there, or on the way */
    size_t seen_count;
    size_t seen_cap;
    unsigned depth;
};

#define DEPTH_MOST 64U

static enum registry_outcome gather_links(struct gather *g, const struct schema_answer *a,
                                          struct error *err);

static bool unusable(struct error *err, const char *what)
{
    return error_set(err, ERROR_SETUP, "%s", what);
}

/* False: it is there already. */
static bool is_new(struct gather *g, const char *path)
{
    for (size_t i = 0; i < g->seen_count; i++) {
        if (strcmp(g->seen[i], path) == 0) {
            return false;
        }
    }
    g->seen = mem_grow(g->seen, &g->seen_cap, g->seen_count, sizeof *g->seen);
    g->seen[g->seen_count++] = mem_strdup(path);
    return true;
}

static bool add_part(struct gather *g, const char *name, char **text, struct error *err)
{
    g->bytes += strlen(*text);
    if (g->bytes > SCHEMA_SOURCE_BYTES) {
        return error_set(err, ERROR_SETUP,
                         "the schema and what it refers to are longer than %llu MiB",
                         (unsigned long long) (SCHEMA_SOURCE_BYTES >> 20));
    }
    if (g->out->part_count == SCHEMA_SOURCE_PARTS) {
        return error_set(err, ERROR_SETUP, "the schema refers to more than %u others",
                         SCHEMA_SOURCE_PARTS);
    }
    g->out->parts = mem_realloc(g->out->parts, g->out->part_count + 1, sizeof *g->out->parts);
    g->out->parts[g->out->part_count++] = (struct schema_text_part){mem_strdup(name),
                                                                    TAKE_PTR(*text)};
    return true;
}

static enum registry_outcome ask(struct schema_source *s, enum registry_api api, const char *path,
                                 struct error *err)
{
    return registry_get(s->registry, api, path, &s->answer, err);
}

static enum registry_outcome ask_schema(struct schema_source *s, const char *path,
                                        struct schema_answer *out, struct error *err)
{
    enum registry_outcome outcome = ask(s, REGISTRY_CONFLUENT, path, err);

    if (outcome != REGISTRY_FOUND) {
        return outcome;
    }
    return schema_answer_read(buf_str(&s->answer.body), out, err) ? REGISTRY_FOUND
                                                                  : REGISTRY_UNUSABLE;
}

/* A part that the registry does not have makes the schema unusable: it is not the record's number
 * that is wrong. */
static enum registry_outcome of_part(enum registry_outcome outcome, const struct schema_link *l,
                                     struct error *err)
{
    if (outcome != REGISTRY_ABSENT) {
        return outcome;
    }
    err->class = ERROR_SETUP;
    error_wrap(err, "what the schema refers to as '%.200s'", l->name);
    return REGISTRY_UNUSABLE;
}

static enum registry_outcome gather_confluent(struct gather *g, const struct schema_link *l,
                                              struct error *err)
{
    struct schema_answer a;
    _cleanup_buf_ struct buf path = {0};

    buf_add_z(&path, "/subjects/");
    add_subject(g->s->cfg, l->subject, &path);
    buf_add_z(&path, "/versions/");
    http_encode(&path, str_of(l->version));
    if (!is_new(g, buf_cstr(&path))) {
        return REGISTRY_FOUND;
    }
    enum registry_outcome outcome = of_part(ask_schema(g->s, buf_cstr(&path), &a, err), l, err);
    if (outcome != REGISTRY_FOUND) {
        return outcome;
    }
    outcome = gather_links(g, &a, err);
    if (outcome == REGISTRY_FOUND && !add_part(g, l->name, &a.text, err)) {
        outcome = REGISTRY_UNUSABLE;
    }
    schema_answer_done(&a);
    return outcome;
}

/* ---- Apicurio's own ---- */

/* Apicurio 2 has no version 3 of its API, and says so as it says that it lacks a schema. */
static enum registry_outcome ask_apicurio(struct schema_source *s, const char *path,
                                          struct error *err)
{
    enum registry_outcome outcome = ask(s, s->apicurio, path, err);
    bool is_other = outcome == REGISTRY_AWAY && err->class == ERROR_SETUP;

    if (!is_other || s->apicurio == REGISTRY_APICURIO_2 || s->answer.status != 404) {
        return outcome;
    }
    outcome = ask(s, REGISTRY_APICURIO_2, path, err);
    if (outcome == REGISTRY_FOUND) {
        s->apicurio = REGISTRY_APICURIO_2;
    }
    return outcome;
}

static char *take_body(struct schema_source *s)
{
    return mem_strndup((const char *) s->answer.body.p, s->answer.body.n);
}

static void add_artifact(const struct schema_link *l, struct buf *path)
{
    buf_add_z(path, "/groups/");
    http_encode(path, l->group != NULL ? str_of(l->group) : STR_LIT("default"));
    buf_add_z(path, "/artifacts/");
    http_encode(path, str_of(l->subject));
    buf_add_z(path, "/versions/");
    http_encode(path, str_of(l->version));
}

static enum registry_outcome gather_apicurio(struct gather *g, const struct schema_link *l,
                                             struct error *err)
{
    _cleanup_buf_ struct buf path = {0};
    _cleanup_buf_ struct buf more = {0};
    struct schema_answer a = {0};

    add_artifact(l, &path);
    if (!is_new(g, buf_cstr(&path))) {
        return REGISTRY_FOUND;
    }
    buf_printf(&more, "%s/references", buf_cstr(&path));
    enum registry_outcome outcome = of_part(ask_apicurio(g->s, buf_cstr(&more), err), l, err);
    if (outcome == REGISTRY_FOUND &&
        !schema_answer_read_links(buf_str(&g->s->answer.body), &a, err)) {
        outcome = REGISTRY_UNUSABLE;
    }
    if (outcome == REGISTRY_FOUND) {
        outcome = gather_links(g, &a, err);
    }
    schema_answer_done(&a);
    if (outcome != REGISTRY_FOUND) {
        return outcome;
    }
    buf_add_z(&path, g->s->apicurio == REGISTRY_APICURIO_3 ? "/content" : "");
    outcome = of_part(ask_apicurio(g->s, buf_cstr(&path), err), l, err);
    if (outcome != REGISTRY_FOUND) {
        return outcome;
    }
    _cleanup_mem_ char *text = take_body(g->s);
    return add_part(g, l->name, &text, err) ? REGISTRY_FOUND : REGISTRY_UNUSABLE;
}

/* ---- both ---- */

static enum registry_outcome gather_links(struct gather *g, const struct schema_answer *a,
                                          struct error *err)
{
    enum registry_outcome outcome = REGISTRY_FOUND;

    if (++g->depth > DEPTH_MOST) {
        unusable(err, "the schema's references lead too deep, or in a circle");
        return REGISTRY_UNUSABLE;
    }
    for (size_t i = 0; outcome == REGISTRY_FOUND && i < a->link_count; i++) {
        const struct schema_link *l = &a->links[i];
        outcome = l->group != NULL ? gather_apicurio(g, l, err) : gather_confluent(g, l, err);
    }
    g->depth--;
    return outcome;
}

static void gather_done(struct gather *g)
{
    for (size_t i = 0; i < g->seen_count; i++) {
        free(g->seen[i]);
    }
    free(g->seen);
}

/* The parts of an answer, and the answer itself. Takes its texts. */
static enum registry_outcome complete(struct schema_source *s, struct schema_answer *a,
                                      struct schema_text *out, struct error *err)
{
    struct gather g = {.s = s, .out = out, .bytes = strlen(a->text)};
    enum registry_outcome outcome = gather_links(&g, a, err);

    gather_done(&g);
    out->type = TAKE_PTR(a->type);
    out->text = TAKE_PTR(a->text);
    schema_answer_done(a);
    if (outcome != REGISTRY_FOUND) {
        schema_text_done(out);
    }
    return outcome;
}

static enum registry_outcome fetch_confluent(struct schema_source *s, const char *path,
                                             struct schema_text *out, bool *out_encrypted,
                                             struct error *err)
{
    struct schema_answer a;
    enum registry_outcome outcome = ask_schema(s, path, &a, err);

    if (outcome != REGISTRY_FOUND) {
        return outcome;
    }
    *out_encrypted = a.is_encrypted;
    return complete(s, &a, out, err);
}

static enum registry_outcome fetch_apicurio(struct schema_source *s, const struct schema_ref *ref,
                                            struct schema_text *out, struct error *err)
{
    _cleanup_buf_ struct buf path = {0};
    _cleanup_buf_ struct buf more = {0};
    struct schema_answer a = {0};

    buf_printf(&path, "/ids/%s/%lld", ref->kind == SCHEMA_REF_GLOBAL ? "globalIds" : "contentIds",
               (long long) ref->id);
    buf_printf(&more, "%s/references", buf_cstr(&path));
    buf_add_z(&path, ref->kind == SCHEMA_REF_GLOBAL ? "?returnArtifactType=true" : "");
    enum registry_outcome outcome = ask_apicurio(s, buf_cstr(&path), err);
    if (outcome != REGISTRY_FOUND) {
        return outcome;
    }
    _cleanup_mem_ char *text = take_body(s);
    _cleanup_mem_ char *type = mem_strdup(s->answer.kind.n > 0 ? buf_cstr(&s->answer.kind)
                                                               : schema_answer_guess(str_of(text)));
    outcome = ask_apicurio(s, buf_cstr(&more), err);
    if (outcome != REGISTRY_FOUND) {
        return outcome;
    }
    if (!schema_answer_read_links(buf_str(&s->answer.body), &a, err)) {
        return REGISTRY_UNUSABLE;
    }
    a.text = TAKE_PTR(text);
    a.type = TAKE_PTR(type);
    return complete(s, &a, out, err);
}

enum registry_outcome schema_source_fetch(struct schema_source *s, const struct schema_ref *ref,
                                          struct schema_text *out, bool *out_encrypted,
                                          struct error *err)
{
    _cleanup_buf_ struct buf path = {0};

    *out = (struct schema_text){0};
    *out_encrypted = false;
    if (ref->kind == SCHEMA_REF_GLOBAL || ref->kind == SCHEMA_REF_CONTENT) {
        return fetch_apicurio(s, ref, out, err);
    }
    if (ref->kind == SCHEMA_REF_GUID) {
        buf_add_z(&path, "/schemas/guids/");
        add_guid(ref->guid, &path);
    } else {
        buf_printf(&path, "/schemas/ids/%lld", (long long) ref->id);
        if (*s->cfg->registry.context != '\0') {
            buf_add_z(&path, "?subject=");
            add_subject(s->cfg, "", &path);
        }
    }
    return fetch_confluent(s, buf_cstr(&path), out, out_encrypted, err);
}

enum registry_outcome schema_source_latest(struct schema_source *s, const char *subject,
                                           struct schema_text *out, struct error *err)
{
    _cleanup_buf_ struct buf path = {0};
    bool ignored;

    *out = (struct schema_text){0};
    buf_add_z(&path, "/subjects/");
    add_subject(s->cfg, subject, &path);
    buf_add_z(&path, "/versions/latest");
    return fetch_confluent(s, buf_cstr(&path), out, &ignored, err);
}

/* ---- what is kept ---- */

bool schema_source_recall(const struct config *cfg, const struct schema_ref *ref, struct conn *c,
                          bool *out_found, struct schema_text *out, struct error *err)
{
    _cleanup_buf_ struct buf registry = {0};
    _cleanup_buf_ struct buf name = {0};

    registry_name(cfg, &registry);
    schema_source_ref_text(ref, &name);
    struct schema_text_key key = {cfg->postgres.schema, buf_cstr(&registry), buf_cstr(&name)};
    return schema_text_read(c, &key, out_found, out, err);
}

bool schema_source_keep(const struct config *cfg, const struct schema_ref *ref, struct conn *c,
                        const struct schema_text *t, struct error *err)
{
    _cleanup_buf_ struct buf registry = {0};
    _cleanup_buf_ struct buf name = {0};

    registry_name(cfg, &registry);
    schema_source_ref_text(ref, &name);
    struct schema_text_key key = {cfg->postgres.schema, buf_cstr(&registry), buf_cstr(&name)};
    return schema_text_write(c, &key, t, err);
}

static bool language_of(const char *type, enum schema_language *out)
{
    static const enum schema_language languages[] = {SCHEMA_AVRO, SCHEMA_PROTOBUF, SCHEMA_JSON};

    for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
        if (strcmp(type, schema_language_name(languages[i])) == 0) {
            *out = languages[i];
            return true;
        }
    }
    return false;
}

bool schema_source_compile(const struct schema_text *t, const struct schema **out,
                           struct error *err)
{
    enum schema_language language;

    if (!language_of(t->type, &language)) {
        return error_set(err, ERROR_SETUP,
                         "the registry has it as a schema of type '%.40s', which "
                         "is not known",
                         t->type);
    }
    struct schema_part *parts = mem_array(t->part_count, sizeof *parts);
    for (size_t i = 0; i < t->part_count; i++) {
        parts[i] = (struct schema_part){str_of(t->parts[i].name), str_of(t->parts[i].text)};
    }
    bool ok = schema_compile(language, str_of(t->text), parts, t->part_count, out, err);
    free(parts);
    return ok;
}

/* ---- all of it ---- */

static bool recall(struct schema_source *s, const struct schema_ref *ref, struct conn *c,
                   bool *out_found, struct schema_text *out, struct error *err)
{
    *out_found = false;
    return c == NULL || schema_source_recall(s->cfg, ref, c, out_found, out, err);
}

bool schema_source_get(struct schema_source *s, const struct schema_ref *ref, struct conn *c,
                       const struct schema **out, struct error *err)
{
    _cleanup_buf_ struct buf name = {0};
    struct schema_text t;
    struct error ignored;
    bool found;
    bool encrypted;

    if (!recall(s, ref, c, &found, &t, err)) {
        return false;
    }
    schema_source_ref_text(ref, &name);
    if (!found) {
        if (schema_source_fetch(s, ref, &t, &encrypted, err) != REGISTRY_FOUND) {
            return error_wrap(err, "schema %s", buf_cstr(&name));
        }
        if (c != NULL && !schema_source_keep(s->cfg, ref, c, &t, &ignored)) {
            c = NULL; /* the next one is asked for again */
        }
    }
    bool ok = schema_source_compile(&t, out, err) || error_wrap(err, "schema %s", buf_cstr(&name));
    schema_text_done(&t);
    return ok;
}
