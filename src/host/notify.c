/*
 * sd_notify and the watchdog's interval, or nothing, see notify.h. sink/app/app.c decides when to
 * report what. Main thread.
 */
#include "host/notify.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#ifdef PGSINKD_SYSTEMD
#include <systemd/sd-daemon.h>

static void notify(const char *state)
{
    sd_notify(0, state);
}

usec_t notify_watchdog_interval(void)
{
    uint64_t usec = 0;

    return sd_watchdog_enabled(0, &usec) > 0 ? usec / 2 : 0;
}
#else
static void notify(const char *state)
{
    (void) state;
}

usec_t notify_watchdog_interval(void)
{
    return 0;
}
#endif

void notify_ready(void)
{
    notify("READY=1");
}

void notify_reloading(void)
{
    char state[64];

    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long) clock_mono());
    notify(state);
}

void notify_stopping(void)
{
    notify("STOPPING=1");
}

void notify_status(const char *fmt, ...)
{
    char text[1024];
    char state[512];
    struct error status;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    error_set(&status, ERROR_SETUP, "STATUS=%s", text);
    error_short_text(&status, state, sizeof state); /* half a character would void all of it */
    notify(state);
}

void notify_watchdog(void)
{
    notify("WATCHDOG=1");
}

void notify_extend_start(usec_t more)
{
    char state[64];

    snprintf(state, sizeof state, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long) more);
    notify(state);
}
