/*
 * The condition of a route, `when:`, compiled once. Pure; the compiled form is immutable once it is
 * bound, and any number of threads may use it.
 *
 *     condition  = all { "or" all } ;
 *     all        = one { "and" one } ;
 *     one        = "not" one | "(" condition ")" | test ;
 *     test       = "exists" "(" path ")"
 *                | operand                                    (* a boolean that is true *)
 *                | operand compare operand
 *                | operand [ "not" ] "in" "(" literal { "," literal } ")"
 *                | path "is" [ "not" ] "null" ;
 *     compare    = "=" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ;
 *     operand    = path | literal ;
 *     literal    = text | number | "true" | "false" ;
 *     text       = "'" { any character, a quote doubled } "'" ;
 *     number     = [ "+" | "-" ] digits [ "." digits ] [ "e" [ "+" | "-" ] digits ] ;
 *     path       = as in columns:, see row/mapping/mapping.h
 *
 * Words are taken in either case, names in paths as they are. `not` binds tighter than `and`, that
 * tighter than `or`.
 *
 * There are two answers, no third one. A comparison with null, or with something that the record
 * lacks, does not hold; this includes `!=` and `not in`. `not (...)` negates the answer of a whole
 * comparison. So `value.a != 1` wants a field a that is not 1, and `not (value.a = 1)` also takes
 * records without it. `is null` holds for null and for what is missing; `exists` for a field or
 * header that is there, also if it is null.
 *
 * How values are compared is in row/cell/compare.h. Values of different kinds (a text and a number)
 * are not equal, so `!=` holds, and neither is less than the other.
 */
#ifndef ROW_PATH_CONDITION_H
#define ROW_PATH_CONDITION_H

#include "base/error.h"
#include "row/cell/cell.h"
#include "row/path/path.h"

#define CONDITION_TEXT_MAX 8192
#define CONDITION_DEPTH_MAX 50 /* of nested parentheses and `not` */

struct condition;

/* Compiles the text. ERROR_SETUP: "expected ')' at byte 17, before 'and'". */
struct condition *condition_new(const char *text, struct error *err) _must_;
struct condition *condition_free(struct condition *c); /* returns NULL */

/* The paths that it names, each one once. They belong to the condition. */
size_t condition_path_count(const struct condition *c);
const struct path *condition_path(const struct condition *c, size_t i);

/* Path i is read into that cell. To be called for each path before condition_holds. */
void condition_bind(struct condition *c, size_t i, uint32_t cell);

/* Does it hold for the record that was read into these cells? */
bool condition_holds(const struct condition *c, const struct cell *cells);

#endif
