/* Where to listen, as http.listen says it. Private to config/. Any thread. */
#ifndef CONFIG_ADDRESS_H
#define CONFIG_ADDRESS_H

#include "base/str.h"
#include "config/config.h"

/* "off", "127.0.0.1:9477" or "[::1]:9477". False: it is none of these, *out is untouched. */
bool address_parse(struct str text, struct config_address *out) _must_;

#endif
