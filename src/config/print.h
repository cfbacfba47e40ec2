/*
 * The parts of config_print that config_compare also uses. Private to config/. Reads the
 * configuration only; any thread.
 */
#ifndef CONFIG_PRINT_H
#define CONFIG_PRINT_H

#include "base/buf.h"
#include "base/str.h"
#include "config/config.h"
#include "config/option.h"

/*
 * Appends s, well-formed UTF-8, as a scalar that reads back as exactly s: plain where no YAML
 * reader can misread it, else in double quotes.
 */
void print_scalar(struct str s, struct buf *out);

/*
 * Appends an option's value as config_print shows it after "name:", with the blank or the line feed
 * before it. base: cfg, or the route that the option is of.
 */
void print_option_value(const struct config *cfg, const struct option *o, const void *base,
                        struct buf *out);

/* The same of one property, and of one column. */
void print_property_value(const struct config *cfg, const struct config_property *p,
                          struct buf *out);
void print_column_value(const struct config *cfg, const struct config_column *c, struct buf *out);

#endif
