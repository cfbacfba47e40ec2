/* identity.c: what a fingerprint covers, and what is concluded from it and the ids. */
#include "row/identity.h"

#include "unit.h"

#include <string.h>

static uint32_t crc_of(int64_t timestamp_ms, struct str key, struct str value)
{
    struct message m = {.offset = 7, .timestamp_ms = timestamp_ms, .key = key, .value = value};
    struct fingerprint fp = fingerprint_of(&m);

    assert_int_equal(fp.offset, 7);
    return fp.crc;
}

static void test_all_of_the_record_counts(void **state)
{
    (void) state;
    const struct str null = {.p = NULL, .n = 0};
    uint32_t crc = crc_of(1000, STR_LIT("key"), STR_LIT("value"));
    assert_int_equal(crc, crc_of(1000, STR_LIT("key"), STR_LIT("value")));
    assert_int_not_equal(crc, crc_of(1001, STR_LIT("key"), STR_LIT("value")));
    assert_int_not_equal(crc, crc_of(1000, STR_LIT("keyv"), STR_LIT("alue")));
    assert_int_not_equal(crc, crc_of(1000, STR_LIT("key"), STR_LIT("valuE")));
    assert_int_not_equal(crc, crc_of(1000, STR_LIT("key"), null));
    assert_int_not_equal(crc_of(1000, null, null), crc_of(1000, STR_LIT(""), null));
    assert_int_not_equal(crc_of(1000, null, null), crc_of(1000, null, STR_LIT("")));
    assert_int_not_equal(crc_of(-1, null, null), crc_of(0, null, null));
}

/* It is kept in databases: what a record's is must never change, on any machine. */
static void test_the_number_stays(void **state)
{
    (void) state;
    assert_int_equal(crc_of(1760000000000, STR_LIT("k"), STR_LIT("{\"id\": 1}")), 0xFC93468A);
}

struct judgement {
    enum log_evidence evidence;
    struct log_ids known;
    struct log_ids now;
    enum log_verdict want;
};

static void test_verdicts(void **state)
{
    (void) state;
    const struct judgement cases[] = {
        /* no ids at all */
        {EVIDENCE_NONE, {"", ""}, {"", ""}, LOG_SAME},
        {EVIDENCE_SAME, {"", ""}, {"", ""}, LOG_SAME},
        {EVIDENCE_OTHER, {"", ""}, {"", ""}, LOG_OTHER},
        /* ids that are the same, or known on one side only */
        {EVIDENCE_NONE, {"c", "t"}, {"c", "t"}, LOG_SAME},
        {EVIDENCE_NONE, {"", "t"}, {"c", ""}, LOG_SAME},
        {EVIDENCE_OTHER, {"c", "t"}, {"c", "t"}, LOG_OTHER},
        {EVIDENCE_OTHER, {"c", ""}, {"c", "t"}, LOG_OTHER},
        /* another topic */
        {EVIDENCE_NONE, {"c", "t"}, {"c", "u"}, LOG_CREATED_AGAIN},
        {EVIDENCE_OTHER, {"c", "t"}, {"c", "u"}, LOG_CREATED_AGAIN},
        {EVIDENCE_SAME, {"c", "t"}, {"c", "u"}, LOG_MOVED},
        /* another cluster */
        {EVIDENCE_NONE, {"c", "t"}, {"d", "u"}, LOG_OTHER_CLUSTER},
        {EVIDENCE_OTHER, {"c", ""}, {"d", ""}, LOG_OTHER_CLUSTER},
        {EVIDENCE_SAME, {"c", "t"}, {"d", "u"}, LOG_MOVED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct judgement *j = &cases[i];
        assert_int_equal(log_judge(j->evidence, &j->known, &j->now), j->want);
    }
}

static void test_ends(void **state)
{
    enum log_evidence evidence;

    (void) state;
    assert_true(log_look_at_ends(109, 0, 100, &evidence)); /* truncated */
    assert_int_equal(evidence, EVIDENCE_OTHER);
    assert_true(log_look_at_ends(109, 0, 109, &evidence));
    assert_int_equal(evidence, EVIDENCE_OTHER);
    assert_true(log_look_at_ends(109, 110, 140, &evidence)); /* deleted by retention */
    assert_int_equal(evidence, EVIDENCE_NONE);
    assert_true(log_look_at_ends(109, 0, 0, &evidence)); /* created again, and empty */
    assert_int_equal(evidence, EVIDENCE_OTHER);
    /* Truncated, and grown past the offset between the two questions. */
    assert_false(log_look_at_ends(109, 0, 140, &evidence));
    assert_false(log_look_at_ends(109, 109, 110, &evidence));
}

static void test_news(void **state)
{
    (void) state;
    const struct log_ids none = {"", ""};
    const struct log_ids cluster = {"c", ""};
    const struct log_ids both = {"c", "t"};
    const struct log_ids other = {"c", "u"};
    assert_false(log_ids_are_news(&none, &none));
    assert_true(log_ids_are_news(&none, &cluster));
    assert_false(log_ids_are_news(&both, &cluster));
    assert_true(log_ids_are_news(&cluster, &both));
    assert_true(log_ids_are_news(&both, &other));
    assert_false(log_ids_are_news(&both, &both));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_the_record_counts),
        cmocka_unit_test(test_the_number_stays),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_news),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
