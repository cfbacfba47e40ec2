"""Schemas in which somebody has put operators, functions and types that run code as whoever uses them.

PostgreSQL takes an operator or a function whose argument types match exactly, from whatever schema of the
search_path, before one of pg_catalog to which arguments must be coerced (CVE-2018-1058). Each trap gives the
answer of pg_catalog, and notes in the server's log who has run it.
"""

MARK = "hostile code ran as"

# What SQL names without its schema when it is written carelessly.
FUNCTIONS = (
    "abs array_length array_position array_to_string clock_timestamp concat concat_ws convert_from current_setting"
    " date_part encode format format_type generate_series generate_subscripts greatest has_column_privilege"
    " has_table_privilege hashtextextended jsonb_build_object left length lower md5 now octet_length pg_backend_pid"
    " pg_column_size pg_notify pg_table_is_visible quote_ident quote_literal replace right row_security_active"
    " set_config starts_with string_to_array substr substring to_char to_timestamp unnest upper"
).split()

# Types for which pg_catalog has no operators of their own, or few; an exact match is one that it lacks.
COERCED = "varchar bpchar text name int2 int4 int8 numeric oid".split()

TYPES = "bool bytea int2 int4 int8 jsonb name numeric oid regproc text timestamptz uuid".split()

NOTE = """
CREATE FUNCTION {schema}.note(what pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'hostile code ran as %: %', current_user, what;
    RETURN true;
END $$;
"""

# Every operator of pg_catalog, and the functions of the list.
COPIES = """
DO $do$
DECLARE
    o record;
BEGIN
    FOR o IN SELECT p.oprname, p.oprleft, p.oprright, p.oprresult::regtype AS result, p.oid
               FROM pg_operator p
              WHERE p.oprnamespace = 'pg_catalog'::regnamespace AND p.oprleft <> 0 AND p.oprcode <> 0
                AND p.oprname = ANY ('{=,<>,<,<=,>,>=,||,+,-,*,/,~~,!~~,~,->,->>,@>}')
    LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION {schema}.o%s(l %s, r %s) RETURNS %s LANGUAGE plpgsql AS %L',
                o.oid, o.oprleft::regtype, o.oprright::regtype, o.result,
                format('BEGIN PERFORM {schema}.note(%L); RETURN l OPERATOR(pg_catalog.%s) r; END',
                       format('%s %s %s', o.oprleft::regtype, o.oprname, o.oprright::regtype), o.oprname));
            EXECUTE format('CREATE OPERATOR {schema}.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = {schema}.o%s)',
                o.oprname, o.oprleft::regtype, o.oprright::regtype, o.oid);
        EXCEPTION WHEN OTHERS THEN -- of a pseudo-type that PL/pgSQL does not know
            NULL;
        END;
    END LOOP;
    FOR o IN SELECT p.oid, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, p.proretset,
                    pg_get_function_result(p.oid) AS result, p.pronargs
               FROM pg_proc p
              WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.proname = ANY (%s)
                AND p.proargnames IS NULL AND p.provariadic = 0
    LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION {schema}.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L',
                o.proname, o.arguments, o.result,
                format('BEGIN PERFORM {schema}.note(%L); RETURN %s pg_catalog.%s(%s); END', o.oid::regprocedure,
                       CASE WHEN o.proretset THEN 'QUERY SELECT' ELSE '' END, o.proname,
                       (SELECT string_agg('$' || n, ', ') FROM generate_series(1, o.pronargs) n)));
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END $do$;
CREATE AGGREGATE {schema}.count(*) (SFUNC = pg_catalog.int8inc, STYPE = pg_catalog.int8, INITCOND = '0');
"""

# Operators that pg_catalog does not have, because it coerces the arguments of another.
EXACT = """
DO $do$
DECLARE
    o record;
BEGIN
    FOR o IN SELECT n.name, l.type AS l, r.type AS r, row_number() OVER () AS number
               FROM unnest('{=,<>,<,<=,>,>=,||}'::text[]) AS n(name),
                    unnest(%s::regtype[]) AS l(type), unnest(%s::regtype[]) AS r(type)
              WHERE NOT EXISTS (SELECT FROM pg_operator p WHERE p.oprnamespace = 'pg_catalog'::regnamespace
                                   AND p.oprname = n.name AND p.oprleft = l.type AND p.oprright = r.type)
    LOOP
        EXECUTE format('CREATE FUNCTION {schema}.x%s(l %s, r %s) RETURNS %s LANGUAGE plpgsql AS %L',
            o.number, o.l, o.r, CASE o.name WHEN '||' THEN 'text' ELSE 'bool' END,
            format('BEGIN PERFORM {schema}.note(%L); RETURN l::text OPERATOR(pg_catalog.%s) r::text; END',
                   format('%s %s %s', o.l, o.name, o.r), o.name));
        EXECUTE format('CREATE OPERATOR {schema}.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = {schema}.x%s)',
            o.name, o.l, o.r, o.number);
    END LOOP;
END $do$;
"""

DOMAIN = """
CREATE FUNCTION {schema}.is_{name}(v pg_catalog.{name}) RETURNS pg_catalog.bool LANGUAGE plpgsql AS $$
BEGIN RETURN {schema}.note('type {name}'); END $$;
CREATE DOMAIN {schema}.{name} AS pg_catalog.{name} CHECK ({schema}.is_{name}(VALUE));
"""


def exact_operators(run, schema, more=()):
    """Operators beside those of pg_catalog, for pairs of common types; `run` runs SQL as whoever sets the trap."""
    types = "'{" + ",".join([*COERCED, *more]) + "}'"
    run(NOTE.format(schema=schema))
    run(EXACT.replace("{schema}", schema).replace("%s::regtype[]", f"{types}::regtype[]"))


def everything(run, schema, more=()):
    """Those, and copies of what pg_catalog has, for a search_path in which pg_catalog comes later."""
    exact_operators(run, schema, more)
    names = "'{" + ",".join(FUNCTIONS) + "}'"
    run(COPIES.replace("{schema}", schema).replace("ANY (%s)", f"ANY ({names})"))
    for name in TYPES:
        run(DOMAIN.format(schema=schema, name=name))


def syntax(run, schema):
    """Functions with the names of what is syntax in SQL; whoever writes schema.name or "name" would call them."""
    for name in ("coalesce", "greatest", "least", "nullif", "trim", "overlay", "position"):
        for types in ("text, text", "int4, int4", "int8, int8"):
            kind = types.split(",")[0]
            run(
                f'CREATE FUNCTION {schema}."{name}"(a pg_catalog.{kind}, b pg_catalog.{kind}) RETURNS pg_catalog.{kind}'
                f" LANGUAGE plpgsql AS $$ BEGIN PERFORM {schema}.note('{name}'); RETURN a; END $$"
            )


def traces(postgres, role):
    """What has run as the role: a line of the server's log for each different trap."""
    text = postgres.log.read_text(errors="replace")
    start = f"{MARK} {role}: "
    return sorted({line.split(start)[1] for line in text.splitlines() if start in line})
