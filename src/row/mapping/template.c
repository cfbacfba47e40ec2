/* See template.h. */
#include "row/mapping/template.h"

#include "base/mem.h"
#include "row/mapping/place.h"
#include "row/path/path.h"

#include <stdlib.h>
#include <string.h>

bool template_next(const char **template, struct template_piece *out)
{
    const char *p = *template;

    *out = (struct template_piece){0};
    if (*p == '{') {
        size_t n = strcspn(p, "}");
        bool topic = strncmp(p, "{topic}", n + 1) == 0;
        out->path = topic ? mem_strdup("meta.topic") : mem_strndup(p + 1, n - 1);
        *template = p + n + (p[n] == '}' ? 1 : 0);
        return true;
    }
    out->text = (struct str){.p = p, .n = strcspn(p, "{")};
    *template = p + out->text.n;
    return *p != '\0';
}

void template_mention(struct mapping *m, const char *template)
{
    struct error ignored;
    struct template_piece piece;

    while (template_next(&template, &piece)) {
        struct path path = {0};
        if (piece.path != NULL && path_parse(piece.path, &path, &ignored)) {
            (void) place_operand(m, &path);
        }
        path_done(&path);
        free(piece.path);
    }
}
