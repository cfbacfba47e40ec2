/*
 * What a worker reports to main. Worker thread.
 */
#include "base/mem.h"
#include "sink/worker/worker_state.h"

struct report *worker_report_new(struct worker *w, enum report_kind kind, const struct slot *s,
                                 int64_t offset, const struct error *err)
{
    struct report *r = mem_zalloc(sizeof *r);

    r->kind = kind;
    r->worker = w;
    r->partition = s != NULL ? s->partition : NULL;
    r->seq = s != NULL ? s->seq : 0;
    r->offset = offset;
    if (err != NULL) {
        r->error = *err;
    }
    return r;
}

void worker_report_post(struct worker *w, struct report *r)
{
    mailbox_post(w->wc.reports, &r->mail);
}

void worker_report(struct worker *w, enum report_kind kind, const struct slot *s, int64_t offset,
                   const struct error *err)
{
    worker_report_post(w, worker_report_new(w, kind, s, offset, err));
}
