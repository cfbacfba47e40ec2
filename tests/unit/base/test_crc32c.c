/* crc32c.c: the examples of RFC 3720 appendix B.4, and both ways of computing agree. */
#include "base/crc32c.h"

#include "unit.h"

#include <string.h>

static void both(uint32_t want, const void *p, size_t n)
{
    assert_int_equal(crc32c(0, p, n), want);
    assert_int_equal(crc32c_portable(0, p, n), want);
}

static void test_examples_of_rfc_3720(void **state)
{
    (void) state;
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    both(0x8A9136AA, bytes, sizeof bytes);
    memset(bytes, 0xFF, sizeof bytes);
    both(0x62A8AB43, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t) i;
    }
    both(0x46DD794E, bytes, sizeof bytes);
    both(0xE3069283, "123456789", 9);
    both(0, "", 0);
}

static void test_in_pieces_of_any_length(void **state)
{
    (void) state;
    uint8_t bytes[100];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t) (i * 37 + 11);
    }
    uint32_t whole = crc32c_portable(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        uint32_t front = crc32c(0, bytes, cut);
        assert_int_equal(front, crc32c_portable(0, bytes, cut));
        assert_int_equal(crc32c(front, bytes + cut, sizeof bytes - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_rfc_3720),
        cmocka_unit_test(test_in_pieces_of_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
