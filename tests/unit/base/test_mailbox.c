/* mailbox.c: order, wake-ups, and many posters at once. */
#include "base/mailbox.h"

#include "base/mem.h"
#include "base/thread.h"
#include "unit.h"

#include <poll.h>

enum { POSTERS = 4, POSTS = 5000 };

struct note {
    struct mail mail;
    int poster;
    int number;
};

static bool readable(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1;
}

static void test_order_and_descriptor(void **state)
{
    (void) state;
    struct mailbox m;
    struct note notes[3] = {{.number = 0}, {.number = 1}, {.number = 2}};

    mailbox_init(&m);
    assert_false(readable(m.fd, 0));
    assert_null(mailbox_take(&m));
    for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
        mailbox_post(&m, &notes[i].mail);
    }
    assert_true(readable(m.fd, 0));
    struct mail *mail = mailbox_take(&m);
    assert_false(readable(m.fd, 0));
    for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
        assert_ptr_equal(mail, &notes[i].mail);
        mail = mail->next;
    }
    assert_null(mail);

    mailbox_post(&m, &notes[0].mail);
    mail = mailbox_take(&m);
    assert_ptr_equal(mail, &notes[0].mail);
    assert_null(mail->next);
    mailbox_done(&m);
    assert_int_equal(m.fd, -1);
}

struct poster {
    struct thread thread;
    struct mailbox *to;
    int number;
};

static void poster_body(void *arg)
{
    struct poster *p = arg;

    for (int i = 0; i < POSTS; i++) {
        struct note *note = mem_zalloc(sizeof *note);
        note->poster = p->number;
        note->number = i;
        mailbox_post(p->to, &note->mail);
    }
}

static void test_many_posters(void **state)
{
    (void) state;
    struct mailbox m;
    struct poster posters[POSTERS];
    int next[POSTERS] = {0};
    int seen = 0;

    mailbox_init(&m);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.to = &m, .number = i};
        thread_start(&posters[i].thread, "poster", poster_body, &posters[i]);
    }
    while (seen < POSTERS * POSTS) {
        /* Sleeps until woken: a lost wake-up would time out here. */
        assert_true(readable(m.fd, 30000));
        for (struct mail *mail = mailbox_take(&m); mail != NULL; seen++) {
            struct note *note = (struct note *) mail;
            mail = mail->next;
            assert_int_equal(note->number, next[note->poster]++);
            free(note);
        }
    }
    for (int i = 0; i < POSTERS; i++) {
        thread_join(&posters[i].thread);
    }
    assert_null(mailbox_take(&m));
    mailbox_done(&m);
}

static void done_with_mail(void *arg)
{
    struct mailbox m;
    struct note note;

    (void) arg;
    mailbox_init(&m);
    mailbox_post(&m, &note.mail);
    mailbox_done(&m);
}

static void test_mail_left_behind_aborts(void **state)
{
    (void) state;
    unit_expect_abort(done_with_mail, NULL, "head");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_descriptor),
        cmocka_unit_test(test_many_posters),
        cmocka_unit_test(test_mail_left_behind_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
