/*
 * CRC-32C (Castagnoli), the checksum of RFC 3720 section 12.1: reflected polynomial 0x82F63B78,
 * initial value and final inversion included. Uses the CPU's instruction where it has one. Any
 * thread.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/base.h"

/* The checksum of n bytes, continued from that of the bytes before them; 0 for the first ones. */
uint32_t crc32c(uint32_t before, const void *p, size_t n) _pure_;

/* The same without that instruction, for the test. */
uint32_t crc32c_portable(uint32_t before, const void *p, size_t n) _pure_;

#endif
