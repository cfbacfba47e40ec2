/*
 * What the tests of this directory run: prints the documentation of the options, or loads a file
 * and prints the effective configuration (exit 3 and "text\nHINT: hint" on stderr when it is
 * refused), as the program does. print_options doc | example | metrics | config FILE
 */
#include "config/config.h"
#include "sink/watch/metrics.h"

#include <stdio.h>
#include <string.h>

static int print_config(const char *path, struct buf *out)
{
    struct error err = {0};
    _cleanup_config_ struct config *cfg = config_load(path, &err);

    if (cfg == NULL) {
        fprintf(stderr, "%s\n", err.text);
        if (err.hint[0] != '\0') {
            fprintf(stderr, "HINT: %s\n", err.hint);
        }
        return 3;
    }
    config_print(cfg, out);
    return 0;
}

int main(int argc, char **argv)
{
    _cleanup_buf_ struct buf out = {0};
    int code = 2;

    if (argc == 2 && strcmp(argv[1], "doc") == 0) {
        options_doc_markdown(&out);
        code = 0;
    } else if (argc == 2 && strcmp(argv[1], "example") == 0) {
        options_doc_example(&out);
        code = 0;
    } else if (argc == 2 && strcmp(argv[1], "metrics") == 0) {
        metrics_doc(&out);
        code = 0;
    } else if (argc == 3 && strcmp(argv[1], "config") == 0) {
        code = print_config(argv[2], &out);
    } else {
        fprintf(stderr, "usage: print_options doc | example | metrics | config FILE\n");
    }
    fwrite(out.p == NULL ? (const uint8_t *) "" : out.p, 1, out.n, stdout);
    return code;
}
