/* Values of a result in text format, see libpq.h. Any thread. */
#include "pg/libpq.h"

#include <stdlib.h>

int64_t result_i64(const PGresult *res, int row, int column, int64_t null)
{
    return PQgetisnull(res, row, column) ? null : strtoll(PQgetvalue(res, row, column), NULL, 10);
}

bool result_is_true(const PGresult *res, int row, int column)
{
    return *PQgetvalue(res, row, column) == 't';
}

void result_clear(PGresult **res)
{
    PQclear(*res);
}
