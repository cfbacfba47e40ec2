/* log.c: the shapes of a line, thresholds, escaping, cutting, the journal, and the limiter. */
#include "base/log.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Bodies run in a child: stderr is its pipe. */
static void pretend_journal(int64_t inode_shift)
{
    struct stat st;

    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    _cleanup_mem_ char *stream = mem_printf("%llu:%llu", (unsigned long long) st.st_dev,
                                            (unsigned long long) st.st_ino +
                                                (unsigned long long) inode_shift);
    setenv("JOURNAL_STREAM", stream, 1);
}

static void say_all(void *arg)
{
    (void) arg;
    log_event(LOG_drain_topic_left, "e %d", 1);
    log_event(LOG_dead_letter, "w");
    log_event(LOG(program_ready));
    log_event(LOG_no_ledger, "i");
    log_event(LOG_library_says, "d");
}

static void journal_body(void *arg)
{
    (void) arg;
    pretend_journal(0);
    log_init(LOG_LEVEL_DEBUG);
    say_all(NULL);
}

static void test_journal(void **state)
{
    (void) state;
    struct unit_end end = unit_run(journal_body, NULL);

    assert_int_equal(end.status, 0);
    assert_string_equal(end.said,
                        "<3>main: e 1\n<4>main: w\n<5>main: ready\n<6>main: i\n<7>main: d\n");
}

static void terminal_body(void *arg)
{
    log_init(LOG_LEVEL_WARNING);
    say_all(arg);
}

static void check_terminal(const char *said)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ error main: e 1\n";

    assert_true(strlen(said) > strlen(shape));
    for (size_t i = 0; shape[i]; i++) {
        if (shape[i] == 'd') {
            assert_true(said[i] >= '0' && said[i] <= '9');
        } else {
            assert_int_equal(said[i], shape[i]);
        }
    }
    assert_non_null(strstr(said, "Z warning main: w\n"));
    assert_null(strstr(said, "notice"));
}

static void stale_journal_body(void *arg)
{
    pretend_journal(1);
    terminal_body(arg);
}

static void broken_journal_body(void *arg)
{
    setenv("JOURNAL_STREAM", arg, 1);
    terminal_body(NULL);
}

static void test_terminal(void **state)
{
    (void) state;
    static char broken[][8] = {"", "1", "x:1", "1:x", ":", "1:"};

    check_terminal(unit_run(terminal_body, NULL).said);
    check_terminal(unit_run(stale_journal_body, NULL).said);
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        check_terminal(unit_run(broken_journal_body, broken[i]).said);
    }
}

static void fault_body(void *arg)
{
    struct error err;

    (void) arg;
    pretend_journal(0);
    log_init(LOG_LEVEL_ERROR);
    error_set(&err, ERROR_SETUP, "table missing");
    log_fault(LOG_config_refused, &err);
    error_hint(&err, "Create it.");
    log_fault(LOG_config_refused, &err);
    log_fault(LOG_topic_unread, &err);
}

static void test_fault(void **state)
{
    (void) state;
    assert_string_equal(
        unit_run(fault_body, NULL).said,
        "<3>main: table missing\n<3>main: table missing\n<3>main: HINT: Create it. (PGS-110)\n");
}

static void control_body(void *arg)
{
    (void) arg;
    pretend_journal(0);
    log_init(LOG_LEVEL_ERROR);
    log_event(LOG_drain_topic_left, "a\nb\tc\x1b[1m\x7f\xC3\xA4");
}

static void test_control_characters(void **state)
{
    (void) state;
    assert_string_equal(unit_run(control_body, NULL).said, "<3>main: a b c\\x1b[1m\\x7f\xC3\xA4\n");
}

static void long_body(void *arg)
{
    char text[10000];

    pretend_journal(0);
    log_init(LOG_LEVEL_ERROR);
    memset(text, *(const char *) arg, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_event(LOG_drain_topic_left, "%s", text);
    log_event(LOG_drain_topic_left, "next");
}

/* Escaping makes a text longer: both ways of being too long end in dots and a line feed. */
static void test_too_long(void **state)
{
    (void) state;
    static char fills[][2] = {"x", "\x01"};

    for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
        struct unit_end end = unit_run(long_body, fills[i]);
        char *feed = strchr(end.said, '\n');
        assert_non_null(feed);
        assert_string_equal(feed - 3, "...\n<3>main: next\n");
        assert_true(feed - end.said < 4096 && feed - end.said > 2000);
    }
}

static void two_lines_too_long(void *arg)
{
    struct error err;

    (void) arg;
    log_init(LOG_LEVEL_ERROR);
    error_set(&err, ERROR_SETUP, "x");
    memset(err.text, 1, sizeof err.text - 1);
    memset(err.hint, 1, sizeof err.hint - 1);
    err.text[sizeof err.text - 1] = '\0';
    err.hint[sizeof err.hint - 1] = '\0';
    log_fault(LOG_config_refused, &err);
}

static void test_fault_always_ends_its_lines(void **state)
{
    (void) state;
    struct unit_end end = unit_run(two_lines_too_long, NULL);
    size_t n = strlen(end.said);

    assert_int_equal(end.said[n - 1], '\n');
    assert_non_null(strstr(end.said, "HINT: \\x01"));
}

static void unwritable_body(void *arg)
{
    (void) arg;
    log_init(LOG_LEVEL_ERROR);
    close(STDERR_FILENO);
    log_event(LOG_drain_topic_left, "into the void");
}

static void test_unwritable_is_no_fault(void **state)
{
    (void) state;
    unit_expect_exit(unwritable_body, NULL, 0);
}

static void test_levels(void **state)
{
    (void) state;
    static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
    enum log_level level = LOG_LEVEL_ERROR;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_true(log_level_parse(names[i], &level));
        assert_int_equal(level, i);
    }
    level = LOG_LEVEL_NOTICE;
    assert_false(log_level_parse("loud", &level));
    assert_int_equal(level, LOG_LEVEL_NOTICE);

    log_init(LOG_LEVEL_NOTICE);
    assert_true(log_enabled(LOG_LEVEL_NOTICE));
    assert_false(log_enabled(LOG_LEVEL_INFO));
}

/* ---- json ---- */

#define STAMP_SIZE (sizeof "{\"time\":\"2026-11-24T08:00:00.123Z\"" - 1)

static void json_body(void *arg)
{
    const struct log_where at = {.topic = "orders", .partition = 3, .offset = 0};
    struct error err;

    (void) arg;
    log_init(LOG_LEVEL_ERROR);
    log_set_format(LOG_FORMAT_JSON);
    log_event(LOG_drain_topic_left, "a\"b\\c\nd\x1b\x7f\xC3\xA4|\xFF|\xC3");
    log_open("shop", "");
    error_set(&err, ERROR_RECORD, "no");
    error_hint(&err, "Do.");
    error_sqlstate(&err, "22003");
    log_fault_at(at, LOG_partition_stopped, &err);
    log_event_at(LOG_NOWHERE, LOG_drain_topic_left, "%d", 1);
    log_event(LOG(program_ready));
}

static void test_json(void **state)
{
    (void) state;
    static const char *const want[] = {
        ",\"level\":\"error\",\"event\":\"PGS-603\",\"name\":\"drain_topic_left\",\"thread\":"
        "\"main\",\"message\":\"a\\\"b\\\\c\\u000ad\\u001b\\u007f\xC3\xA4|\\ufffd|\\ufffd\"}\n",
        ",\"level\":\"error\",\"event\":\"PGS-420\",\"name\":\"partition_stopped\",\"thread\":"
        "\"main\",\"sink\":\"shop\",\"topic\":\"orders\","
        "\"partition\":3,\"offset\":0,\"sqlstate\":\"22003\""
        ",\"message\":\"no\",\"hint\":\"Do.\"}\n",
        ",\"level\":\"error\",\"event\":\"PGS-603\",\"name\":\"drain_topic_left\",\"thread\":"
        "\"main\",\"sink\":\"shop\",\"message\":\"1\"}\n",
    };
    struct unit_end end = unit_run(json_body, NULL);
    const char *p = end.said;

    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(strncmp(p, "{\"time\":\"2", sizeof "{\"time\":\"2" - 1), 0);
        p += STAMP_SIZE;
        assert_int_equal(strncmp(p, want[i], strlen(want[i])), 0);
        p += strlen(want[i]);
    }
    assert_string_equal(p, "");
}

static void json_long_body(void *arg)
{
    struct error err;
    char topic[250];
    const struct log_where at = {.topic = topic, .partition = INT32_MAX, .offset = INT64_MAX};

    log_init(LOG_LEVEL_ERROR);
    log_set_format(LOG_FORMAT_JSON);
    memset(topic, *(const char *) arg, sizeof topic - 1);
    topic[sizeof topic - 1] = '\0';
    log_open(topic, "");
    error_set(&err, ERROR_SETUP, "x");
    memset(err.text, *(const char *) arg, sizeof err.text - 1);
    memset(err.hint, *(const char *) arg, sizeof err.hint - 1);
    err.text[sizeof err.text - 1] = '\0';
    err.hint[sizeof err.hint - 1] = '\0';
    log_fault_at(at, LOG_partition_stopped, &err);
}

/* Whatever is in them and however long they are, all texts fit, and end. */
static void test_json_is_bounded(void **state)
{
    (void) state;
    static char fills[][2] = {"x", "\x01", "\xFF", "\\", "\""};

    for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
        struct unit_end end = unit_run(json_long_body, fills[i]);
        size_t n = strlen(end.said);
        assert_true(n < 4096);
        assert_string_equal(end.said + n - 3, "\"}\n");
        assert_non_null(
            strstr(end.said, "\"partition\":2147483647,\"offset\":9223372036854775807"));
        assert_non_null(strstr(end.said, "\"hint\":\""));
        assert_true(str_utf8(str_of(end.said), NULL));
        assert_null(strchr(strchr(end.said, '\n') + 1, '\n'));
    }
}

/* ---- the journal ---- */

static char folder[] = "/tmp/pgsinkd-journal.XXXXXX";

/* The child is journald as well. */
static int journald_begin(struct sockaddr_un *at)
{
    *at = (struct sockaddr_un){.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(folder));
    snprintf(at->sun_path, sizeof at->sun_path, "%s/socket", folder);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *) at, sizeof *at), 0);
    pretend_journal(0);
    log_init(LOG_LEVEL_ERROR);
    log_set_format(LOG_FORMAT_JSON);
    log_open("shop", at->sun_path);
    return fd;
}

static size_t fill(const struct sockaddr_un *at)
{
    int filler = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    size_t n = 0;

    while (sendto(filler, "x", 1, 0, (const struct sockaddr *) at, sizeof *at) == 1) {
        n++;
    }
    close(filler);
    return n;
}

/* It reads nothing for a while: one line waits for it, the others do not. What was left out is said
 * before the first line that it takes. */
static void stuck_body(void *arg)
{
    struct sockaddr_un at;
    int fd = journald_begin(&at);
    char got[4096];

    (void) arg;
    size_t others = fill(&at);
    uint64_t begun = clock_mono();
    log_event(LOG_drain_topic_left, "not taken");
    uint64_t first = clock_mono() - begun;
    for (int i = 0; i < 1000; i++) {
        log_event(LOG_drain_topic_left, "not taken");
    }
    uint64_t took = clock_mono() - begun;
    assert(first >= 90 * USEC_PER_MSEC && took < 5 * USEC_PER_SEC);
    for (size_t i = 0; i < others; i++) {
        assert_int_equal(recv(fd, got, sizeof got, MSG_DONTWAIT), 1);
    }
    log_event(LOG_drain_topic_left, "taken");
    while (recv(fd, got, sizeof got, MSG_DONTWAIT) > 16) {
        fprintf(stderr, "%.*s\n", (int) strcspn(got + 16, "\n"), got + 16);
    }
    unlink(at.sun_path);
    rmdir(folder);
    close(fd);
}

static void test_a_journal_that_is_stuck_holds_up_nobody(void **state)
{
    (void) state;
    struct unit_end end = unit_run(stuck_body, NULL);

    assert_int_equal(end.status, 0);
    assert_string_equal(end.said, "1001 lines were left out here, because whoever reads the log "
                                  "did not take them\ntaken\n");
}

/* An error waits, although another line has just done so; at the end it is said what is missing. */
static void patient_body(void *arg)
{
    struct sockaddr_un at;
    int fd = journald_begin(&at);
    char got[4096];

    (void) arg;
    log_set_level(LOG_LEVEL_NOTICE);
    size_t others = fill(&at);
    log_event(LOG(program_ready));
    uint64_t begun = clock_mono();
    log_event(LOG_drain_topic_left, "not taken");
    uint64_t second = clock_mono() - begun;
    assert(second >= 90 * USEC_PER_MSEC);
    for (size_t i = 0; i < others; i++) {
        assert_int_equal(recv(fd, got, sizeof got, MSG_DONTWAIT), 1);
    }
    log_close();
    log_close(); /* says it once */
    while (recv(fd, got, sizeof got, MSG_DONTWAIT) > 16) {
        fprintf(stderr, "%.*s\n", (int) strcspn(got + 16, "\n"), got + 16);
    }
    unlink(at.sun_path);
    rmdir(folder);
    close(fd);
}

static void test_errors_have_a_patience_of_their_own(void **state)
{
    (void) state;
    struct unit_end end = unit_run(patient_body, NULL);

    assert_int_equal(end.status, 0);
    assert_string_equal(end.said, "2 lines were left out here, because whoever reads the log did "
                                  "not take them\n");
}

/* The same of a pipe that nobody empties. */
static void full_pipe_body(void *arg)
{
    int ends[2];
    char got[65536];
    uint64_t begun = clock_mono();

    (void) arg;
    int said = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    log_init(LOG_LEVEL_ERROR);
    for (int i = 0; i < 5000; i++) {
        log_event(LOG_drain_topic_left, "a line that is so long that 5,000 of them are too much");
    }
    uint64_t took = clock_mono() - begun;
    assert(took < 5 * USEC_PER_SEC);
    assert_true(read(ends[0], got, sizeof got) > 0);
    log_event(LOG_drain_topic_left, "taken");
    ssize_t n = read(ends[0], got, sizeof got);
    assert_true(n > 0);
    assert_true(write(said, got, (size_t) n) == n);
}

static void test_a_pipe_that_is_full_holds_up_nobody(void **state)
{
    (void) state;
    struct unit_end end = unit_run(full_pipe_body, NULL);

    assert_int_equal(end.status, 0);
    assert_non_null(strstr(end.said, " lines were left out here"));
    assert_non_null(strstr(end.said, "main: taken\n"));
}

/* What comes is said, its zeros as dots. */
static void native_body(void *arg)
{
    struct sockaddr_un at;
    const struct log_where where = {.topic = "orders", .partition = 3, .offset = 7};
    char got[4096];
    struct error err;

    (void) arg;
    int fd = journald_begin(&at);
    error_set(&err, ERROR_RECORD, "a\nPRIORITY=0\tb\x01\xFF\xC3\xA4");
    error_hint(&err, "Do.");
    error_sqlstate(&err, "22003");
    log_fault_at(where, LOG_partition_stopped, &err);
    ssize_t n = recv(fd, got, sizeof got, MSG_DONTWAIT);
    assert_true(n > 0);
    for (ssize_t i = 0; i < n; i++) {
        fputc(got[i] != '\0' ? got[i] : '.', stderr);
    }
    unlink(at.sun_path);
    log_event(LOG_drain_topic_left, "nobody listens");
    rmdir(folder);
}

static void test_journal_takes_fields(void **state)
{
    (void) state;
    struct unit_end end = unit_run(native_body, NULL);

    assert_int_equal(end.status, 0);
    assert_string_equal(end.said, "MESSAGE\n+.......a PRIORITY=0 b\\x01\xEF\xBF\xBD\xC3\xA4\n"
                                  "HINT: Do. (PGS-420)\n"
                                  "PRIORITY=3\nSYSLOG_IDENTIFIER=pgsinkd\n"
                                  "MESSAGE_ID=1cdb363d091241e0895a075deaa00420\n"
                                  "PGSINKD_EVENT=PGS-420\nPGSINKD_EVENT_NAME=partition_stopped\n"
                                  "THREAD=main\nSINK=shop\nTOPIC=orders\nPARTITION=3\nOFFSET=7\n"
                                  "SQLSTATE=22003\nHINT=Do.\n"
                                  "<3>main: nobody listens\n");
}

/* A number stands for one kind for ever, so that documentation and hints can name it. */
static void test_kinds_are_numbered_in_order(void **state)
{
    (void) state;
    for (enum log_kind i = 1; i < LOG_KINDS; i++) {
        assert_true(log_entry(i)->number > log_entry(i - 1)->number);
    }
    assert_int_equal(log_entry(LOG_program_ready)->number, 104);
    assert_string_equal(log_entry(LOG_program_ready)->name, "program_ready");
    assert_int_equal(log_entry(LOG_topic_unread)->level, LOG_LEVEL_WARNING);
    assert_true(log_entry(LOG_topic_unread)->is_fault);
}

static void test_limit(void **state)
{
    (void) state;
    struct log_limit l = {0};
    uint64_t held = 77;

    assert_true(log_limit_pass(&l, &held));
    assert_int_equal(held, 0);
    assert_false(log_limit_pass(&l, &held));
    assert_false(log_limit_pass(&l, &held));
    assert_true(l.next_usec > clock_mono() + 59 * USEC_PER_SEC);
    l.next_usec = clock_mono();
    assert_true(log_limit_pass(&l, &held));
    assert_int_equal(held, 2);
    assert_false(log_limit_pass(&l, &held));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_fault),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_fault_always_ends_its_lines),
        cmocka_unit_test(test_unwritable_is_no_fault),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_is_bounded),
        cmocka_unit_test(test_journal_takes_fields),
        cmocka_unit_test(test_a_journal_that_is_stuck_holds_up_nobody),
        cmocka_unit_test(test_errors_have_a_patience_of_their_own),
        cmocka_unit_test(test_a_pipe_that_is_full_holds_up_nobody),
        cmocka_unit_test(test_kinds_are_numbered_in_order),
        cmocka_unit_test(test_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
