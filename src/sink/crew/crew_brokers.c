/*
 * Brokers that cannot be reached: a line with the reasons when that begins, again when the first
 * reason that says something becomes known, and while it lasts, and one when it is over. The same
 * for some of them, while others answer: nobody asks for that, what the library reports is looked
 * at. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "sink/shared/delays.h"

#include <stdio.h>

#define LOOK_EVERY USEC_PER_SEC

static void look(struct crew *c)
{
    client_why_away(c->cc.client, c->why_otherwise, &c->why_away);
    c->why_changes = client_why_changes(c->cc.client);
}

static void say(struct crew *c, usec_t now)
{
    struct error fault = c->why_away;

    error_set(&fault, ERROR_LINK, "kafka: %s; trying again until they can", c->why_away.text);
    error_hint(&fault, "%s", c->why_away.hint);
    log_fault(LOG_brokers_away, &fault);
    c->why_was_known = client_why_is_known(c->cc.client);
    c->away_say_at = now + delay_repeat();
}

void crew_brokers_away(struct crew *c, const char *otherwise)
{
    c->away = true;
    snprintf(c->why_otherwise, sizeof c->why_otherwise, "%s", otherwise);
    look(c);
    say(c, clock_mono());
}

void crew_brokers_back(struct crew *c)
{
    c->away = false;
    client_reached(c->cc.client);
    log_event(LOG(brokers_back));
}

/* ---- some of them ---- */

static bool is_named(const struct crew *c, uint64_t name)
{
    for (size_t i = 0; i < MIN(c->missing_said, ARRAY_LEN(c->missing_named)); i++) {
        if (c->missing_named[i] == name) {
            return true;
        }
    }
    return false;
}

/* Is one among them that the log has not named? One that comes and goes is no news each time, and
 * one that comes as another goes is. */
static bool is_news(const struct crew *c)
{
    for (size_t i = 0; i < c->missing; i++) {
        if (!is_named(c, c->missing_names[i])) {
            return true;
        }
    }
    return false;
}

static void say_missing(struct crew *c, usec_t now)
{
    struct error fault = c->why_missing;

    error_set(&fault, ERROR_LINK, "kafka: %s; trying again until they can", c->why_missing.text);
    error_hint(&fault, "%s", c->why_missing.hint);
    log_fault(LOG_brokers_missing, &fault);
    for (size_t i = 0; i < c->missing; i++) {
        if (!is_named(c, c->missing_names[i])) {
            c->missing_named[c->missing_said++ % ARRAY_LEN(c->missing_named)] = c->missing_names[i];
        }
    }
    c->missing_say_at = now + delay_repeat();
}

/* Some do not answer. Where none does, that line has all of them. */
static void look_for_missing(struct crew *c, usec_t now)
{
    bool was = c->missing > 0;

    c->missing = c->away ? 0 : client_missing(c->cc.client, c->missing_names, &c->why_missing);
    c->missing_said = c->missing > 0 ? c->missing_said : 0;
    if (is_news(c) || (c->missing > 0 && now >= c->missing_say_at)) {
        say_missing(c, now);
    } else if (was && c->missing == 0 && !c->away) {
        log_event(LOG(brokers_complete));
    }
}

void crew_brokers_turn(struct crew *c, usec_t now)
{
    if (now >= c->missing_look_at || c->away) {
        c->missing_look_at = now + LOOK_EVERY;
        look_for_missing(c, now);
    }
    if (!c->away) {
        return;
    }
    if (client_why_changes(c->cc.client) != c->why_changes) {
        look(c);
    }
    bool is_known_now = !c->why_was_known && client_why_is_known(c->cc.client);
    if (is_known_now || now >= c->away_say_at) {
        say(c, now);
    }
}

usec_t crew_brokers_deadline(const struct crew *c)
{
    return c->away ? c->away_say_at : c->missing_look_at;
}
