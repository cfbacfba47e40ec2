/* In which format a value is written. */
#ifndef ROW_FORMAT_FORMAT_H
#define ROW_FORMAT_FORMAT_H

enum format { FORMAT_JSON, FORMAT_RAW };

#endif
