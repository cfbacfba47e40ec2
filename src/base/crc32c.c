/* By table and by instruction, see crc32c.h. Any thread. */
#include "base/crc32c.h"

#include <string.h>

/* Four bits at a time: NIBBLES[i] is the remainder of the nibble i. */
static const uint32_t NIBBLES[16] = {
    0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
    0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75,
};

uint32_t crc32c_portable(uint32_t before, const void *p, size_t n)
{
    const uint8_t *at = p;
    uint32_t crc = ~before;

    for (size_t i = 0; i < n; i++) {
        crc ^= at[i];
        crc = (crc >> 4) ^ NIBBLES[crc & 15];
        crc = (crc >> 4) ^ NIBBLES[crc & 15];
    }
    return ~crc;
}

#ifdef __x86_64__

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t before, const uint8_t *at,
                                                               size_t n)
{
    uint64_t crc = ~before;

    for (; n >= sizeof(uint64_t); n -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    for (; n > 0; n--, at++) {
        crc = __builtin_ia32_crc32qi((uint32_t) crc, *at);
    }
    return ~(uint32_t) crc;
}

uint32_t crc32c(uint32_t before, const void *p, size_t n)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(before, p, n)
                                            : crc32c_portable(before, p, n);
}

#else

uint32_t crc32c(uint32_t before, const void *p, size_t n)
{
    return crc32c_portable(before, p, n);
}

#endif
