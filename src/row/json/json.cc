/*
 * simdjson's first stage with a C interface. No exception leaves it: simdjson's
 * calls used here do not throw, and memory that is not there ends the process. One thread per
 * index.
 */
extern "C" {
#include "row/json/json.h"
}

#include <charconv>
#include <cstdlib>
#include <memory>
#include <new>
#include <simdjson.h>

static_assert(JSON_PADDING >= simdjson::SIMDJSON_PADDING,
              "row/json/json.h promises enough padding");

struct json_index {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
};

/* Enough for most records; larger ones double it. */
static const size_t CAPACITY_MIN = 16384;

extern "C" struct json_index *json_index_new(void)
{
    json_index *x = new (std::nothrow) json_index;

    if (!x || simdjson::get_active_implementation()->create_dom_parser_implementation(
                  CAPACITY_MIN, 1, x->stage) != simdjson::SUCCESS) {
        abort();
    }
    return x;
}

extern "C" struct json_index *json_index_free(struct json_index *x)
{
    delete x;

    return nullptr;
}

static enum json_fault fault_of(simdjson::error_code code)
{
    switch (code) {
    case simdjson::SUCCESS:
        return JSON_OK;
    case simdjson::EMPTY:
        return JSON_EMPTY;
    case simdjson::UTF8_ERROR:
        return JSON_UTF8;
    case simdjson::UNESCAPED_CHARS:
        return JSON_CONTROL;
    case simdjson::UNCLOSED_STRING:
        return JSON_OPEN_STRING;
    default:
        abort(); /* memory, or an answer that the first stage cannot give */
    }
}

extern "C" enum json_fault json_index_read(struct json_index *x, const char *text, size_t n,
                                           const uint32_t **out_at, size_t *out_count)
{
    if (n == 0) {
        return JSON_EMPTY;
    }
    if (n > simdjson::SIMDJSON_MAXSIZE_BYTES - JSON_PADDING) {
        return JSON_TOO_LARGE;
    }
    if (n > x->stage->capacity()) {
        size_t want = n < simdjson::SIMDJSON_MAXSIZE_BYTES / 2 ? 2 * n : n;
        if (x->stage->set_capacity(want) != simdjson::SUCCESS) {
            abort();
        }
    }
    simdjson::error_code code = x->stage->stage1(reinterpret_cast<const uint8_t *>(text), n,
                                                 simdjson::stage1_mode::regular);
    if (code == simdjson::SUCCESS) {
        *out_at = x->stage->structural_indexes.get();
        *out_count = x->stage->n_structural_indexes;
        x->stage->structural_indexes[*out_count] = static_cast<uint32_t>(n);
    }
    return fault_of(code);
}

template <typename T> static size_t print(char *to, T number)
{
    return static_cast<size_t>(std::to_chars(to, to + JSON_DOUBLE_MAX, number).ptr - to);
}

extern "C" size_t json_print_double(char to[JSON_DOUBLE_MAX], double d)
{
    return print(to, d);
}

extern "C" size_t json_print_float(char to[JSON_DOUBLE_MAX], float f)
{
    return print(to, f);
}
