/* See key_arrays.h. Any thread. */
#include "pg/key_arrays.h"

#include "pg/sql.h"

void key_arrays_begin(struct key_arrays *a)
{
    for (size_t i = 0; i < KEY_ARRAYS_MAX; i++) {
        buf_clear(&a->of[i]);
        sql_array_open(&a->of[i]);
    }
}

void key_arrays_add(struct key_arrays *a, const char *topic, int32_t partition)
{
    sql_array_text(&a->of[KEY_ARRAYS_TOPIC], topic);
    sql_array_i64(&a->of[KEY_ARRAYS_PARTITION], partition);
}

const char *key_arrays_end(struct key_arrays *a, size_t i)
{
    sql_array_close(&a->of[i]);
    return buf_cstr(&a->of[i]);
}

void key_arrays_done(struct key_arrays *a)
{
    for (size_t i = 0; i < KEY_ARRAYS_MAX; i++) {
        buf_done(&a->of[i]);
    }
}
