/* Where metrics, health and the page are served: from the start on, and another place by a reload.
 * Main thread. */
#include "sink/app/app_state.h"

#include "base/failpoint.h"

#include <string.h>

static struct site *open_at(struct app *a, const struct config *cfg, struct error *err)
{
    struct site_config sc = {
        .cfg = cfg,
        .owner = a->owner,
        .vitals = &a->vitals,
        .asks = &a->asks,
        .buffer_limit = app_buffer_limit(a),
    };

    return site_open(&sc, err);
}

static void begin(struct app *a, struct site *site, struct site *former, const struct config *cfg)
{
    site_start(site, former);
    a->site = site;
    log_event(LOG(http_listens), cfg->http.listen);
}

/*
 * Before anything else, so that health and metrics can be seen from the start. What is in the way
 * may pass: a former process that is still stopping has the port, an address comes up with its
 * network. So the service manager is to try again (1), unless the file asks for what cannot be (3).
 */
bool app_site_open(struct app *a)
{
    struct error err;
    struct site *site = open_at(a, a->cfg, &err);

    if (site != NULL) {
        begin(a, site, NULL, a->cfg);
    }
    if (err.class == ERROR_NONE) {
        return true;
    }
    log_fault(LOG_http_refused, &err);
    a->code = err.class == ERROR_SETUP ? EXIT_CONFIG : EXIT_FAULT;
    return false;
}

/* Our own listener may be what is in the way: all addresses of a port, or one of them. */
static bool may_collide(const struct app *a, const struct config *cfg)
{
    return a->site != NULL && cfg->http.address.port == a->cfg->http.address.port;
}

/* Where it was. That may fail, too: another process has been faster, an address has gone. */
static struct site *open_again(struct app *a, struct error *err)
{
    if (failpoint_hit(FAILPOINT_SITE_AGAIN)) {
        error_set(err, ERROR_AGAIN, "failpoint");
        return NULL;
    }
    return open_at(a, a->cfg, err);
}

/* Without the one that is there. If that does not help, it is to be there again. */
static bool open_instead(struct app *a, const struct config *cfg, struct error *err)
{
    struct site *former = TAKE_PTR(a->site);

    site_end(former);
    struct site *next = open_at(a, cfg, err);
    if (next != NULL) {
        begin(a, next, former, cfg);
        return true;
    }
    struct error again;
    struct site *same = open_again(a, &again);
    if (same == NULL) {
        site_stop(former);
        log_fault(LOG_http_refused, &again);
        return false;
    }
    begin(a, same, former, a->cfg);
    return false;
}

bool app_site_move(struct app *a, const struct config *cfg, struct error *err)
{
    struct site *next = open_at(a, cfg, err);

    if (next != NULL) {
        begin(a, next, TAKE_PTR(a->site), cfg);
        return true;
    }
    if (err->class == ERROR_NONE) {
        site_stop(TAKE_PTR(a->site));
        return true;
    }
    return may_collide(a, cfg) && open_instead(a, cfg, err);
}
