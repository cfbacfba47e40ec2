/*
 * registrar.c: which question is put when, to our own table and to the registry, and what main
 * hears. The test is the registry, PostgreSQL, the clock and the thread: waiting is a step of the
 * clock. One thread.
 */
#include "sink/schemas/registrar.h"

#include "base/mem.h"
#include "base/thread.h"
#include "row/schema/compile.h"
#include "sink/plan/prepare.h"
#include "sink/schemas/schema_source.h"

#include "row/kit.h"

#include <poll.h>

enum { IDS = 10 };

/* How PostgreSQL answers. */
enum postgres { TABLE_WELL, TABLE_AWAY, TABLE_REFUSES };

static struct {
    usec_t now;
    usec_t until; /* then the registrar is stopped, and run() returns */
    bool stop;
    void (*body)(void *arg);
    void *arg;
    bool has_registry;
    bool has_table;
    enum registry_outcome says[IDS];
    enum error_class away; /* of REGISTRY_AWAY */
    bool is_encrypted;
    enum postgres table;
    bool kept[IDS];
    struct buf asked; /* what was asked, in order: "recall 7, fetch 7, keep 7, " */
    char ours;        /* stands for the connection and the source */
} world;

/* ---- the clock, and the thread ---- */

usec_t __wrap_clock_mono(void);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
void __wrap_thread_start(struct thread *t, const char *name, void (*body)(void *arg), void *arg);
bool __wrap_thread_join_until(struct thread *t, uint64_t timeout_usec);

usec_t __wrap_clock_mono(void)
{
    return world.now;
}

/* One descriptor: is it to stop? Two: it waits, and nothing comes meanwhile. */
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
    (void) fds;
    if (n == 1) {
        return world.stop ? 1 : 0;
    }
    usec_t at = timeout < 0 ? USEC_NEVER : world.now + (usec_t) timeout * USEC_PER_MSEC;
    world.stop = at > world.until;
    world.now = MIN(at, world.until);
    return 0;
}

void __wrap_thread_start(struct thread *t, const char *name, void (*body)(void *arg), void *arg)
{
    (void) t;
    (void) name;
    world.body = body;
    world.arg = arg;
}

bool __wrap_thread_join_until(struct thread *t, uint64_t timeout_usec)
{
    (void) t;
    (void) timeout_usec;
    return true;
}

/* ---- PostgreSQL ---- */

bool __wrap_config_has_registry(const struct config *cfg);
bool __wrap_config_needs_schema(const struct config *cfg);
struct conn_settings __wrap_prepare_conn_settings(const struct config *cfg, const char *name);
struct conn *__wrap_conn_new(const struct conn_settings *settings);
struct conn *__wrap_conn_free(struct conn *c);
bool __wrap_conn_is_open(const struct conn *c);
bool __wrap_conn_open_wait(struct conn *c, int stop_fd, struct error *err);
void __wrap_conn_close(struct conn *c);

bool __wrap_config_has_registry(const struct config *cfg)
{
    (void) cfg;
    return world.has_registry;
}

bool __wrap_config_needs_schema(const struct config *cfg)
{
    (void) cfg;
    return world.has_table;
}

struct conn_settings __wrap_prepare_conn_settings(const struct config *cfg, const char *name)
{
    (void) cfg;
    (void) name;
    return (struct conn_settings){0};
}

struct conn *__wrap_conn_new(const struct conn_settings *settings)
{
    (void) settings;
    return (struct conn *) &world.ours;
}

struct conn *__wrap_conn_free(struct conn *c)
{
    (void) c;
    return NULL;
}

bool __wrap_conn_is_open(const struct conn *c)
{
    (void) c;
    return false;
}

bool __wrap_conn_open_wait(struct conn *c, int stop_fd, struct error *err)
{
    (void) c;
    (void) stop_fd;
    return world.table != TABLE_AWAY || error_set(err, ERROR_LINK, "no answer");
}

void __wrap_conn_close(struct conn *c)
{
    (void) c;
}

/* ---- what is known of a schema ---- */

struct schema_source *__wrap_schema_source_new(const struct config *cfg, int stop_fd);
struct schema_source *__wrap_schema_source_free(struct schema_source *s);
enum registry_outcome __wrap_schema_source_fetch(struct schema_source *s,
                                                 const struct schema_ref *ref,
                                                 struct schema_text *out, bool *out_encrypted,
                                                 struct error *err);
bool __wrap_schema_source_recall(const struct config *cfg, const struct schema_ref *ref,
                                 struct conn *c, bool *out_found, struct schema_text *out,
                                 struct error *err);
bool __wrap_schema_source_keep(const struct config *cfg, const struct schema_ref *ref,
                               struct conn *c, const struct schema_text *t, struct error *err);

struct schema_source *__wrap_schema_source_new(const struct config *cfg, int stop_fd)
{
    (void) cfg;
    (void) stop_fd;
    return (struct schema_source *) &world.ours;
}

struct schema_source *__wrap_schema_source_free(struct schema_source *s)
{
    (void) s;
    return NULL;
}

/* An odd number's is one that nobody can read. */
static struct schema_text text_of(const struct schema_ref *ref)
{
    return (struct schema_text){
        .type = mem_strdup("AVRO"),
        .text = mem_strdup(ref->id % 2 == 0 ? "\"int\"" : "{"),
    };
}

enum registry_outcome __wrap_schema_source_fetch(struct schema_source *s,
                                                 const struct schema_ref *ref,
                                                 struct schema_text *out, bool *out_encrypted,
                                                 struct error *err)
{
    (void) s;
    *out = (struct schema_text){0};
    *out_encrypted = world.is_encrypted;
    buf_printf(&world.asked, "fetch %d, ", (int) ref->id);
    switch (world.says[ref->id]) {
    case REGISTRY_FOUND:
        *out = text_of(ref);
        break;
    case REGISTRY_ABSENT:
        error_set(err, ERROR_RECORD, "not found");
        break;
    case REGISTRY_UNUSABLE:
        error_set(err, ERROR_SETUP, "too long");
        break;
    case REGISTRY_AWAY:
        error_set(err, world.away, "no answer");
        break;
    }
    return world.says[ref->id];
}

static bool table_is_well(struct error *err)
{
    return world.table == TABLE_WELL || error_set(err, ERROR_SETUP, "permission denied");
}

bool __wrap_schema_source_recall(const struct config *cfg, const struct schema_ref *ref,
                                 struct conn *c, bool *out_found, struct schema_text *out,
                                 struct error *err)
{
    (void) cfg;
    (void) c;
    buf_printf(&world.asked, "recall %d, ", (int) ref->id);
    *out_found = false;
    if (!table_is_well(err)) {
        return false;
    }
    *out_found = world.kept[ref->id];
    if (*out_found) {
        *out = text_of(ref);
    }
    return true;
}

bool __wrap_schema_source_keep(const struct config *cfg, const struct schema_ref *ref,
                               struct conn *c, const struct schema_text *t, struct error *err)
{
    (void) cfg;
    (void) c;
    assert_non_null(t->text);
    buf_printf(&world.asked, "keep %d, ", (int) ref->id);
    if (!table_is_well(err)) {
        return false;
    }
    world.kept[ref->id] = true;
    return true;
}

/* ---- main ---- */

struct rig {
    struct config cfg;
    struct mailbox answers;
    struct registrar *registrar;
    struct buf heard;
};

static void rig_begin(struct rig *r)
{
    static char sink[] = "s";

    *r = (struct rig){.cfg.sink = sink};
    mailbox_init(&r->answers);
    r->registrar = registrar_start(&r->cfg, &r->answers);
}

static int world_begin(void **state)
{
    (void) state;
    memset(&world, 0, sizeof world);
    world.now = 1000 * USEC_PER_SEC;
    world.has_registry = true;
    world.has_table = true;
    world.away = ERROR_LINK;
    return 0;
}

static void ask(struct rig *r, int id)
{
    struct schema_mail *m = schema_mail_new(SCHEMA_ASK);

    m->ref = (struct schema_ref){.kind = SCHEMA_REF_ID, .id = id};
    registrar_ask(r->registrar, m);
}

static void run(usec_t time)
{
    world.until = world.now + time;
    world.stop = false;
    world.body(world.arg);
}

static void print_answer(struct buf *out, const struct schema_mail *m)
{
    static const char *const kinds[] = {
        [SCHEMA_CONFIGURE] = "configured", [SCHEMA_AWAY] = "away",       [SCHEMA_BACK] = "back",
        [SCHEMA_ENCRYPTED] = "encrypted",  [SCHEMA_REFUSED] = "refused",
    };
    static const char *const classes[] = {
        [ERROR_LINK] = "link", [ERROR_SETUP] = "setup", [ERROR_RECORD] = "record"};

    if (m->kind == SCHEMA_ASK) {
        buf_printf(out, "%d", (int) m->ref.id);
        buf_add_z(out, m->schema != NULL ? " is there" : "");
    } else {
        buf_add_z(out, kinds[m->kind]);
    }
    if (m->error.class != ERROR_NONE) {
        buf_printf(out, " %s", classes[m->error.class]);
    }
    buf_add_z(out, ", ");
}

static void expect_heard(struct rig *r, const char *want)
{
    buf_clear(&r->heard);
    for (struct mail *m = mailbox_take(&r->answers); m != NULL;) {
        struct mail *next = m->next;
        print_answer(&r->heard, (struct schema_mail *) m);
        schema_mail_free((struct schema_mail *) m);
        m = next;
    }
    kit_assert_text(buf_cstr(&r->heard), want);
}

static void expect_asked(const char *want)
{
    kit_assert_text(buf_cstr(&world.asked), want);
    buf_clear(&world.asked);
}

/* How often it was put to the registry. */
static int count_fetches(void)
{
    int n = 0;

    for (const char *p = buf_cstr(&world.asked); (p = strstr(p, "fetch ")) != NULL; p++) {
        n++;
    }
    buf_clear(&world.asked);
    return n;
}

static void rig_end(struct rig *r)
{
    assert_true(registrar_stop(r->registrar, 0));
    expect_heard(r, "");
    mailbox_done(&r->answers);
    buf_done(&r->heard);
    buf_done(&world.asked);
}

/* ---- tests ---- */

static void test_the_table_then_the_registry(void **state)
{
    (void) state;
    struct rig r;
    rig_begin(&r);
    world.kept[2] = true;
    ask(&r, 2);
    ask(&r, 4);
    run(0);
    expect_asked("recall 2, recall 4, fetch 4, keep 4, ");
    expect_heard(&r, "2 is there, 4 is there, ");
    ask(&r, 4);
    run(0);
    expect_asked("recall 4, ");
    expect_heard(&r, "4 is there, ");
    rig_end(&r);
}

static void test_what_cannot_be_used(void **state)
{
    (void) state;
    struct rig r;
    rig_begin(&r);
    world.says[2] = REGISTRY_UNUSABLE;
    world.is_encrypted = true;
    ask(&r, 2);
    ask(&r, 3); /* no schema, but it is what the registry has: kept */
    run(0);
    expect_asked("recall 2, fetch 2, recall 3, fetch 3, keep 3, ");
    expect_heard(&r, "2 setup, encrypted, 3 setup, ");
    rig_end(&r);
}

static void test_without_a_schema_of_ours(void **state)
{
    (void) state;
    struct rig r;
    world.has_table = false;
    rig_begin(&r);
    ask(&r, 2);
    run(0);
    expect_asked("fetch 2, ");
    expect_heard(&r, "2 is there, ");
    rig_end(&r);
}

/* A copy of the registry may not have yet what its leader has just been given. */
static void test_that_it_is_absent_is_believed_after_a_while(void **state)
{
    (void) state;
    struct rig r;
    rig_begin(&r);
    world.says[2] = REGISTRY_ABSENT;
    ask(&r, 2);
    run(9 * USEC_PER_SEC);
    assert_int_equal(count_fetches(), 10);
    expect_heard(&r, "");
    world.says[2] = REGISTRY_FOUND;
    run(USEC_PER_SEC);
    expect_asked("fetch 2, keep 2, ");
    expect_heard(&r, "2 is there, ");

    world.says[4] = REGISTRY_ABSENT;
    ask(&r, 4);
    run(9 * USEC_PER_SEC);
    expect_heard(&r, "");
    buf_clear(&world.asked);
    run(USEC_PER_SEC);
    expect_asked("fetch 4, recall 4, "); /* another process may have kept it meanwhile */
    expect_heard(&r, "4 record, ");
    rig_end(&r);
}

static void test_it_is_asked_until_it_answers(void **state)
{
    (void) state;
    struct rig r;
    rig_begin(&r);
    world.says[2] = REGISTRY_AWAY;
    ask(&r, 2);
    run(60 * USEC_PER_SEC);
    expect_heard(&r, "away link, "); /* once */
    int times = count_fetches();
    assert_true(times > 6 && times < 60);
    world.says[2] = REGISTRY_FOUND;
    run(10 * USEC_PER_SEC);
    expect_heard(&r, "back, 2 is there, ");
    rig_end(&r);
}

/* Another question each time, since a fault may be of one question alone. */
static void test_one_question_does_not_hold_up_the_others(void **state)
{
    (void) state;
    struct rig r;
    rig_begin(&r);
    world.says[2] = REGISTRY_AWAY;
    for (int id = 2; id <= 8; id += 2) {
        ask(&r, id);
    }
    run(10 * USEC_PER_SEC);
    buf_clear(&r.heard);
    for (struct mail *m = mailbox_take(&r.answers); m != NULL;) {
        struct mail *next = m->next;
        if (((struct schema_mail *) m)->kind == SCHEMA_ASK) {
            print_answer(&r.heard, (struct schema_mail *) m);
        }
        schema_mail_free((struct schema_mail *) m);
        m = next;
    }
    kit_assert_text(buf_cstr(&r.heard), "4 is there, 6 is there, 8 is there, ");
    rig_end(&r);
}

/* What somebody must do is said although the registry was away before; what needs nobody is not. */
static void test_that_somebody_must_act_is_said(void **state)
{
    (void) state;
    struct rig r;
    rig_begin(&r);
    world.says[2] = REGISTRY_AWAY;
    ask(&r, 2);
    run(USEC_PER_SEC);
    expect_heard(&r, "away link, ");
    world.away = ERROR_SETUP;
    run(60 * USEC_PER_SEC);
    expect_heard(&r, "away setup, ");
    world.away = ERROR_LINK;
    run(60 * USEC_PER_SEC);
    rig_end(&r);
}

/* A database that is away holds up no answer of the registry. */
static void test_postgres_is_away(void **state)
{
    (void) state;
    struct rig r;
    rig_begin(&r);
    world.table = TABLE_AWAY;
    ask(&r, 2);
    run(0);
    expect_asked("fetch 2, ");
    expect_heard(&r, "2 is there, ");
    world.table = TABLE_WELL;
    run(10 * USEC_PER_SEC);
    expect_asked("keep 2, ");
    rig_end(&r);
}

static void test_postgres_refuses(void **state)
{
    (void) state;
    struct rig r;
    rig_begin(&r);
    world.table = TABLE_REFUSES;
    ask(&r, 2);
    ask(&r, 4);
    run(60 * USEC_PER_SEC);
    expect_heard(&r, "refused setup, 2 is there, 4 is there, ");
    rig_end(&r);
}

static void configure(struct rig *r, bool is_other)
{
    struct schema_mail *m = schema_mail_new(SCHEMA_CONFIGURE);

    m->cfg = &r->cfg;
    m->is_other = is_other;
    registrar_ask(r->registrar, m);
}

/* What waits is asked of the registry that is configured now, at once. */
static void test_another_configuration(void **state)
{
    (void) state;
    struct rig r;
    rig_begin(&r);
    world.says[2] = REGISTRY_AWAY;
    ask(&r, 2);
    run(60 * USEC_PER_SEC);
    buf_clear(&world.asked);
    world.says[2] = REGISTRY_FOUND;
    configure(&r, false);
    run(0);
    expect_asked("recall 2, fetch 2, keep 2, ");
    expect_heard(&r, "away link, configured, back, 2 is there, ");

    world.says[4] = REGISTRY_AWAY;
    ask(&r, 4);
    run(0);
    world.has_registry = false;
    configure(&r, true);
    run(0);
    expect_heard(&r, "away link, configured, 4 setup, ");
    rig_end(&r);
}

/* The text is that of another registry: under the same number it would be a lie. */
static void test_what_is_not_kept_yet_is_dropped_with_its_registry(void **state)
{
    (void) state;
    for (int is_other = 0; is_other <= 1; is_other++) {
        struct rig r;
        world_begin(state);
        rig_begin(&r);
        world.table = TABLE_AWAY;
        ask(&r, 2);
        run(0);
        configure(&r, is_other == 1);
        world.table = TABLE_WELL;
        run(60 * USEC_PER_SEC);
        expect_asked(is_other == 1 ? "fetch 2, " : "fetch 2, keep 2, ");
        expect_heard(&r, "2 is there, configured, ");
        rig_end(&r);
    }
}

static void test_it_ends_with_questions(void **state)
{
    (void) state;
    struct rig r;
    rig_begin(&r);
    world.says[2] = REGISTRY_AWAY;
    ask(&r, 2);
    run(0);
    expect_heard(&r, "away link, ");
    ask(&r, 4); /* not even taken */
    rig_end(&r);
}

#define TEST(name) cmocka_unit_test_setup(name, world_begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_table_then_the_registry),
        TEST(test_what_cannot_be_used),
        TEST(test_without_a_schema_of_ours),
        TEST(test_that_it_is_absent_is_believed_after_a_while),
        TEST(test_it_is_asked_until_it_answers),
        TEST(test_one_question_does_not_hold_up_the_others),
        TEST(test_that_somebody_must_act_is_said),
        TEST(test_postgres_is_away),
        TEST(test_postgres_refuses),
        TEST(test_another_configuration),
        TEST(test_what_is_not_kept_yet_is_dropped_with_its_registry),
        TEST(test_it_ends_with_questions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
