/* Numbers of PostgreSQL's built-in types (pg_type.dat), which never change. */
#ifndef PG_OIDS_H
#define PG_OIDS_H

#define OID_TEXT 25U
#define OID_TEXT_ARRAY 1009U
#define OID_INT4 23U
#define OID_INT4_ARRAY 1007U
#define OID_INT8 20U
#define OID_INT8_ARRAY 1016U

#endif
