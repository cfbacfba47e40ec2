/* lines.c: which of the library's lines reach main. One thread. */
#include "kafka/lines.h"

#include "base/log.h"

#include "unit.h"

#include <poll.h>
#include <sys/eventfd.h>

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void test_nobody_wants_to_see_them(void **state)
{
    struct lines l;
    int fd = eventfd(0, EFD_NONBLOCK);

    (void) state;
    log_init(LOG_LEVEL_INFO);
    lines_init(&l, fd);
    for (int i = 0; i < 100; i++) {
        lines_add(&l, 7, "PARTSTATE", "orders [3] changed state");
    }
    assert_false(is_readable(fd));
    assert_null(lines_take(&l));
    lines_add(&l, 7, "BROKERUA", "orders [3]: broker unavailable: fetch: x");
    assert_true(is_readable(fd));
    struct line *line = lines_take(&l);
    assert_non_null(line);
    assert_true(line->is_doubt);
    assert_string_equal(line->text, "BROKERUA: orders [3]: broker unavailable: fetch: x");
    free(line);
    lines_add(&l, 4, "CONFWARN", "Configuration property x does not go with y");
    line = lines_take(&l);
    assert_non_null(line);
    assert_true(line->is_warning);
    free(line);
    assert_null(lines_take(&l));
    lines_done(&l);
    close(fd);
}

/* In their order, and no more than so many; a doubt in any case. */
static void test_people_want_to_see_them(void **state)
{
    struct lines l;
    int fd = eventfd(0, EFD_NONBLOCK);
    char text[32];
    size_t n = 0;

    (void) state;
    log_init(LOG_LEVEL_DEBUG);
    lines_init(&l, fd);
    for (int i = 0; i < LINES_MOST + 5; i++) {
        snprintf(text, sizeof text, "%d", i);
        lines_add(&l, 6, "X", text);
    }
    lines_add(&l, 7, "BROKERUA", "orders [3]: broker unavailable: fetch: x");
    for (struct line *line; n < LINES_MOST && (line = lines_take(&l)) != NULL; n++) {
        snprintf(text, sizeof text, "X: %zu", n);
        assert_string_equal(line->text, text);
        assert_int_equal(line->level, 6);
        free(line);
    }
    assert_int_equal(n, LINES_MOST);
    lines_done(&l); /* with one that nobody has taken */
    close(fd);
}

/* A doubt is said again until main has done something about it: some may be dropped. */
static void test_too_many_doubts(void **state)
{
    struct lines l;
    int fd = eventfd(0, EFD_NONBLOCK);
    size_t n = 0;

    (void) state;
    log_init(LOG_LEVEL_INFO);
    lines_init(&l, fd);
    for (int i = 0; i < DOUBTS_MOST + 5; i++) {
        lines_add(&l, 7, "BROKERUA", "orders [3]: broker unavailable: fetch: x");
    }
    for (struct line *line; (line = lines_take(&l)) != NULL; n++) {
        free(line);
    }
    assert_int_equal(n, DOUBTS_MOST);
    lines_done(&l);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_wants_to_see_them),
        cmocka_unit_test(test_people_want_to_see_them),
        cmocka_unit_test(test_too_many_doubts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
