/* reasons.c: the library's texts, as versions 2.0.2 and later write them, in few words. */
#include "kafka/events.h"
#include "kafka/reasons.h"

#include "unit.h"

#define SECOND USEC_PER_SEC
#define REFUSED                                                                                    \
    "Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)"

static const struct reason *note(struct reasons *r, const char *text, usec_t now)
{
    bool is_news;

    return reasons_note(r, text, false, now, &is_news);
}

static void expect(const char *text, enum reason_kind kind, const char *broker, const char *want)
{
    struct reasons r;

    reasons_init(&r);
    const struct reason *reason = note(&r, text, SECOND);
    assert_non_null(reason);
    assert_string_equal(reason->broker, broker);
    assert_string_equal(reason->text, want);
    assert_int_equal(reason->kind, kind);
    char hint[384];
    reasons_hint(&r, kind, hint, sizeof hint);
    assert_true(hint[0] != '\0');
    reasons_done(&r);
}

static void test_each_text(void **state)
{
    (void) state;
    expect("kafka1:9092/bootstrap: " REFUSED, REASON_REFUSED, "kafka1:9092", "Connection refused");
    expect("GroupCoordinator: 10.0.0.1:9092: " REFUSED, REASON_REFUSED, "10.0.0.1:9092",
           "Connection refused");
    expect("k.invalid:9092/bootstrap: Failed to resolve 'k.invalid:9092': Name or service not "
           "known (after 1ms in state CONNECT, 1 identical error(s) suppressed)",
           REASON_RESOLVE, "k.invalid:9092", "Failed to resolve: Name or service not known");
    expect("[::1]:9092/12: Disconnected while requesting ApiVersion: might be caused by incorrect "
           "security.protocol configuration (connecting to a SSL listener?) or broker version is "
           "< 0.10 (see api.version.request) (after 55ms in state APIVERSION_QUERY)",
           REASON_TLS_LISTENER, "[::1]:9092",
           "it ends the connection at the first request (a TLS listener?)");
    expect("ssl://k:9093/1: Disconnected: verify that security.protocol is correctly configured, "
           "broker might require SASL authentication (after 1ms in state UP)",
           REASON_SASL_LISTENER, "k:9093",
           "it ends the connection because there was no login (a SASL listener?)");
    expect("ssl://k:9092/bootstrap: SSL handshake failed: error:0A000126:SSL routines::unexpected "
           "eof while reading (after 3ms in state SSL_HANDSHAKE)",
           REASON_NO_TLS, "k:9092",
           "SSL handshake failed: it ends the connection (a listener without TLS?)");
    expect("ssl://k:9092/bootstrap: SSL handshake failed: error:0A00010B:SSL routines::wrong "
           "version number (after 3ms in state SSL_HANDSHAKE)",
           REASON_NO_TLS, "k:9092",
           "SSL handshake failed: it does not answer by TLS (a listener without TLS?)");
    expect("ssl://k:9092/bootstrap: error:0A000126:SSL routines::unexpected eof while reading "
           "(after 1ms in state CONNECT)",
           REASON_NO_TLS, "k:9092",
           "SSL handshake failed: it ends the connection (a listener without TLS?)");
    expect("ssl://k:9092/bootstrap: error:0A00010B:SSL routines::wrong version number (after 1ms "
           "in state CONNECT)",
           REASON_NO_TLS, "k:9092",
           "SSL handshake failed: it does not answer by TLS (a listener without TLS?)");
    expect("ssl://k:9093/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate "
           "verify failed: broker certificate could not be verified, verify that ssl.ca.location",
           REASON_CERTIFICATE, "k:9093",
           "SSL handshake failed: its certificate cannot be verified");
    expect("ssl://k:9093/bootstrap: Receive failed: error:0A000412:SSL routines::sslv3 alert bad "
           "certificate: SSL alert number 42 (after 2ms in state APIVERSION_QUERY)",
           REASON_OWN_CERTIFICATE, "k:9093",
           "Receive failed: sslv3 alert bad certificate: SSL alert number 42");
    expect("ssl://k:9093/bootstrap: Receive failed: "
           "../ssl/record/rec_layer_s3.c:1601:ssl3_read_bytes error:0A000416:SSL "
           "routines::sslv3 alert certificate unknown: SSL alert number 46 (after 2ms in state X)",
           REASON_OWN_CERTIFICATE, "k:9093",
           "Receive failed: sslv3 alert certificate unknown: SSL alert number 46");
    expect("sasl_ssl://k:9093/bootstrap: SASL authentication error: Authentication failed: Invalid "
           "username or password (after 301ms in state AUTH_REQ)",
           REASON_LOGIN, "k:9093",
           "SASL authentication error: Authentication failed: Invalid username or password");
    expect("sasl_ssl://k:9093/bootstrap: SASL SCRAM-SHA-512 mechanism handshake failed: Broker: "
           "Unsupported SASL mechanism: broker's supported mechanisms: PLAIN (after 302ms in state "
           "AUTH_HANDSHAKE)",
           REASON_MECHANISM, "k:9093",
           "SASL SCRAM-SHA-512 mechanism handshake failed: Broker: Unsupported SASL mechanism: "
           "broker's supported mechanisms: PLAIN");
    expect("sasl_plaintext://k:9092/bootstrap: SASL PLAIN mechanism handshake failed: Broker: "
           "Request not valid in current SASL state: broker's supported mechanisms:  (after 1ms)",
           REASON_NO_SASL, "k:9092", "it knows no login (not a SASL listener)");
    expect("k:9092/bootstrap: Connection setup timed out in state CONNECT (after 30028ms in state "
           "CONNECT)",
           REASON_OTHER, "k:9092", "Connection setup timed out in state CONNECT");
}

static void test_texts_without_a_broker(void **state)
{
    struct reasons r;
    struct error err;

    (void) state;
    reasons_init(&r);
    assert_null(note(&r, "", 0));
    assert_null(note(&r, "1/1 brokers are down", 0));
    assert_null(note(&r, "FindCoordinator response error: Group authorization failed.", 0));
    assert_null(note(&r, "k:9092/x1: Disconnected", 0));
    assert_null(note(&r, "k:9092: Disconnected", 0));
    reasons_explain(&r, "Local: Timed out", &err);
    assert_string_equal(err.text, "brokers cannot be reached (Local: Timed out)");
    assert_string_equal(err.hint, "Check kafka.brokers and kafka.properties (TLS, SASL).");
    reasons_done(&r);
}

/* A refusal is said once, and again when it is of another kind, or after long. */
static void test_what_is_news(void **state)
{
    const char *login = "k:1/1: SASL authentication error: x (after 7ms)";
    struct reasons r;
    bool is_news;

    (void) state;
    reasons_init(&r);
    assert_non_null(reasons_note(&r, "k:1/1: " REFUSED, false, SECOND, &is_news));
    assert_false(is_news);
    assert_non_null(reasons_note(&r, login, true, SECOND, &is_news));
    assert_true(is_news);
    uint64_t changes = r.changes;
    assert_non_null(reasons_note(&r, "k:1/bootstrap: SASL authentication error: x", true,
                                 2 * SECOND, &is_news));
    assert_false(is_news);
    assert_int_equal(r.changes, changes);
    assert_int_equal(r.count, 1);
    assert_non_null(reasons_note(&r, "k:1/1: " REFUSED, false, 3 * SECOND, &is_news));
    assert_true(r.changes > changes);
    assert_non_null(reasons_note(&r, login, true, 4 * SECOND, &is_news));
    assert_false(is_news);
    assert_non_null(reasons_note(&r, login, true, 601 * SECOND, &is_news));
    assert_true(is_news);
    assert_non_null(reasons_note(&r, "k:1/1: SSL handshake failed: certificate verify failed", true,
                                 602 * SECOND, &is_news));
    assert_true(is_news);
    reasons_clear(&r);
    assert_int_equal(r.count, 0);
    reasons_done(&r);
}

/* Under load the library sometimes has a poorer text for the same failure, before or after. */
static void test_a_poorer_text_replaces_no_better_one(void **state)
{
    static const char better[] = "k:1/1: SSL handshake failed: error:0A000126:SSL "
                                 "routines::unexpected eof while reading (after 3ms in state X)";
    static const char poorer[] = "k:1/1: Disconnected (after 1ms in state SSL_HANDSHAKE)";
    static const char want[] = "SSL handshake failed: it ends the connection (a listener without "
                               "TLS?)";
    struct reasons r;
    bool is_news;

    (void) state;
    reasons_init(&r);
    assert_false(reasons_are_known(&r));
    assert_string_equal(note(&r, poorer, SECOND)->text,
                        "Disconnected"); /* nothing better is known */
    assert_false(reasons_are_known(&r));
    assert_string_equal(note(&r, better, 2 * SECOND)->text, want);
    assert_true(reasons_are_known(&r));
    uint64_t changes = r.changes;
    assert_string_equal(note(&r, poorer, 3 * SECOND)->text, want);
    assert_int_equal(r.changes, changes);
    /* Nor does it make it last: the attempts may fail for another reason by now. */
    assert_string_equal(note(&r, poorer, 122 * SECOND)->text, want);
    assert_string_equal(note(&r, poorer, 123 * SECOND)->text, "Disconnected");
    reasons_clear(&r);
    /* A refusal says more than that nothing listened before. */
    assert_non_null(note(&r, "k:1/1: " REFUSED, SECOND));
    assert_string_equal(reasons_note(&r, "k:1/1: handshake: any", true, 2 * SECOND, &is_news)->text,
                        "handshake: any");
    assert_true(is_news);
    assert_string_equal(note(&r, better, 3 * SECOND)->text, want);
    assert_string_equal(reasons_note(&r, "k:1/1: handshake: any", true, 4 * SECOND, &is_news)->text,
                        want);
    assert_false(is_news);
    assert_string_equal(note(&r, "k:1/1: " REFUSED, 5 * SECOND)->text, "Connection refused");
    reasons_done(&r);
}

static size_t missing(const struct reasons *r, usec_t now, struct error *err)
{
    uint64_t names[REASONS_MOST];

    return reasons_missing(r, now, names, err);
}

/* A broker that does not answer while others do. */
static void test_what_is_missing(void **state)
{
    static const char lost[] = "k.invalid:9092/1: Failed to resolve 'k.invalid:9092': Name or "
                               "service not known (after 1ms in state CONNECT)";
    static const char down[] = "GroupCoordinator: b:1: " REFUSED;
    static const char login[] = "s:1/3: Disconnected: broker might require SASL authentication";
    struct reasons r;
    struct error err;

    (void) state;
    reasons_init(&r);
    assert_non_null(note(&r, lost, 100 * SECOND));
    assert_non_null(note(&r, lost, 109 * SECOND)); /* soon again: it may be over */
    assert_int_equal(missing(&r, 115 * SECOND, &err), 0);
    assert_non_null(note(&r, lost, 131 * SECOND));
    assert_int_equal(missing(&r, 131 * SECOND, &err), 1);
    assert_string_equal(err.text, "some brokers cannot be reached (k.invalid:9092: Failed to "
                                  "resolve: Name or service not known)");
    assert_non_null(strstr(err.hint, "advertised.listeners"));
    assert_int_equal(missing(&r, 191 * SECOND, &err), 1);
    assert_int_equal(missing(&r, 192 * SECOND, &err), 0); /* not reported any more */

    assert_non_null(note(&r, down, 200 * SECOND));
    assert_non_null(note(&r, down, 229 * SECOND)); /* it may be restarting */
    assert_int_equal(missing(&r, 229 * SECOND, &err), 0);
    assert_non_null(note(&r, down, 231 * SECOND));
    assert_non_null(note(&r, lost, 231 * SECOND)); /* a new one: since has begun again */
    assert_int_equal(missing(&r, 231 * SECOND, &err), 1);
    assert_string_equal(err.text, "some brokers cannot be reached (b:1: Connection refused)");
    assert_non_null(strstr(err.hint, "Is Kafka running there"));
    assert_non_null(strstr(err.hint, "gives out (its advertised.listeners)"));
    reasons_up(&r, 1, 232 * SECOND);
    assert_int_equal(missing(&r, 233 * SECOND, &err), 0);
    assert_non_null(note(&r, down, 240 * SECOND));
    assert_int_equal(missing(&r, 240 * SECOND, &err), 0);

    assert_non_null(note(&r, login, 300 * SECOND));
    assert_non_null(note(&r, login, 340 * SECOND));
    reasons_up(&r, 2, 341 * SECOND); /* as each of its connections is for a moment */
    assert_int_equal(missing(&r, 341 * SECOND, &err), 1);
    reasons_done(&r);
}

/* That it fails is news enough, also where the text is not. */
static void test_a_poorer_text_shows_that_it_is_still_missing(void **state)
{
    static const char lost[] = "k:1/1: Failed to resolve 'k:1': Name or service not known";
    static const char poorer[] = "k:1/1: Connection setup timed out in state CONNECT";
    struct reasons r;
    struct error err;

    (void) state;
    reasons_init(&r);
    assert_non_null(note(&r, lost, 100 * SECOND));
    assert_non_null(note(&r, lost, 120 * SECOND));
    for (usec_t at = 150; at <= 400; at += 30) {
        assert_non_null(note(&r, poorer, at * SECOND));
        assert_int_equal(missing(&r, at * SECOND, &err), 1);
        assert_int_equal(missing(&r, (at + 29) * SECOND, &err), 1);
    }
    assert_non_null(strstr(err.text, "k:1: Connection setup timed out"));
    assert_int_equal(missing(&r, 451 * SECOND, &err), 0);

    reasons_clear(&r); /* it came up, and has failed again since */
    assert_non_null(note(&r, lost, 100 * SECOND));
    reasons_up(&r, 0, 110 * SECOND);
    assert_non_null(note(&r, poorer, 120 * SECOND));
    assert_int_equal(missing(&r, 120 * SECOND, &err), 0);
    assert_non_null(note(&r, poorer, 131 * SECOND));
    assert_int_equal(missing(&r, 131 * SECOND, &err), 1);
    assert_string_equal(err.text, "some brokers cannot be reached (k:1: Failed to resolve: Name or "
                                  "service not known)");
    reasons_done(&r);
}

/* By their numbers it is known which are missing, and which of them the text names. */
static void test_which_are_missing(void **state)
{
    uint64_t four[REASONS_MOST];
    uint64_t three[REASONS_MOST];
    struct reasons r;
    struct error err;
    char text[64];

    (void) state;
    reasons_init(&r);
    for (int i = 0; i < 8; i++) {
        snprintf(text, sizeof text, "k%d:1/1: Failed to resolve 'k': unknown", i % 4);
        assert_non_null(note(&r, text, (usec_t) (100 + 20 * (i / 4)) * SECOND));
    }
    assert_int_equal(reasons_missing(&r, 120 * SECOND, four, &err), 4);
    assert_non_null(strstr(err.text, "k2:1: Failed to resolve: unknown and 1 more"));
    reasons_up(&r, 0, 121 * SECOND);
    assert_int_equal(reasons_missing(&r, 122 * SECOND, three, &err), 3);
    assert_true(three[0] == four[1] && three[1] == four[2]);
    assert_true(three[2] != four[3]); /* it has not been named before */
    assert_true(four[0] != four[1] && four[0] != three[2]);
    reasons_done(&r);
}

static void test_what_lasts(void **state)
{
    struct reasons r;

    (void) state;
    reasons_init(&r);
    reasons_all_failed(&r, SECOND);
    assert_false(reasons_are_lasting(&r, 100 * SECOND)); /* nobody knows why */
    assert_non_null(note(&r, "k:1/bootstrap: SASL authentication error: x", SECOND));
    assert_false(reasons_are_lasting(&r, SECOND));
    assert_true(reasons_are_lasting(&r, 2 * SECOND));
    assert_non_null(note(&r, "l:1/bootstrap: " REFUSED, SECOND)); /* it may be starting */
    assert_false(reasons_are_lasting(&r, 2 * SECOND));
    reasons_all_failed(&r, 3 * SECOND);
    assert_true(reasons_are_lasting(&r, 4 * SECOND));
    assert_non_null(note(&r, "m:1/bootstrap: Connection setup timed out", SECOND));
    assert_false(reasons_are_lasting(&r, 100 * SECOND));
    reasons_done(&r);
}

static void test_many_brokers(void **state)
{
    struct reasons r;
    struct error err;
    char text[64];

    (void) state;
    reasons_init(&r);
    assert_non_null(note(&r, "old:9092/1: Disconnected", SECOND));
    for (int i = 0; i < REASONS_MOST + 3; i++) {
        snprintf(text, sizeof text, "k%d:9092/bootstrap: Disconnected", i);
        assert_non_null(note(&r, text, (usec_t) (100 + i) * SECOND));
    }
    assert_int_equal(r.count, REASONS_MOST);
    reasons_explain(&r, "", &err);
    assert_non_null(strstr(err.text, ": Disconnected and 13 more)"));
    assert_null(strstr(err.text, "old"));
    reasons_clear(&r);
    assert_non_null(note(&r, "old:9092/1: Disconnected", SECOND));
    assert_non_null(note(&r, "a:1/bootstrap: " REFUSED, 200 * SECOND));
    assert_non_null(note(&r, "b:1/bootstrap: SASL authentication error: x", 201 * SECOND));
    reasons_explain(&r, "", &err);
    assert_string_equal(err.text, "brokers cannot be reached (a:1: Connection refused, b:1: SASL "
                                  "authentication error: x)");
    assert_non_null(strstr(err.hint, "Check sasl.username")); /* nothing to do about a, perhaps */
    reasons_done(&r);
}

static void test_scram_that_the_library_cannot_do(void **state)
{
    struct reasons r;
    struct error err;

    (void) state;
    reasons_init(&r);
    r.library = "2.0.2";
    r.scram_fails = true;
    assert_non_null(note(&r, "k:1/bootstrap: SASL authentication error: Authentication failed", 1));
    reasons_explain(&r, "", &err);
    assert_string_equal(err.text, "brokers cannot be reached (k:1: Authentication failed; "
                                  "librdkafka 2.0.2 cannot do SCRAM with Kafka 4)");
    assert_non_null(strstr(err.hint, "librdkafka 2.0.2 cannot do SCRAM with Kafka 4 (needs 2.6.1). "
                                     "Use PLAIN over TLS, or a newer librdkafka (Debian 13 has "
                                     "2.8)."));
    reasons_done(&r);
}

static void test_a_login_without_its_protocol(void **state)
{
    struct reasons r;
    struct error err;

    (void) state;
    reasons_init(&r);
    reasons_warn(&r, "CONFWARN: something else");
    assert_false(r.lacks_protocol);
    reasons_warn(&r, "CONFWARN: Configuration property `sasl.mechanism` set to `PLAIN` but "
                     "`security.protocol` is not configured for SASL: recommend setting");
    assert_non_null(note(&r, "k:1/1: Disconnected: broker might require SASL authentication", 1));
    reasons_explain(&r, "", &err);
    assert_non_null(strstr(err.hint, "no security.protocol: set it to SASL_SSL"));
    reasons_done(&r);
}

/* Without a token no broker can be reached, whatever else is reported after it. */
static void test_a_token_is_missing(void **state)
{
    static const char one[] = "'/bin/t': it ended with exit status 3: request 17 is refused";
    struct reasons r;
    struct error err;

    (void) state;
    reasons_init(&r);
    assert_true(reasons_no_token(&r, one, 100 * SECOND));
    assert_false(reasons_no_token(&r, one, 110 * SECOND));
    assert_false(reasons_no_token(
        &r, "'/bin/t': it ended with exit status 4: request 18 took too long", 120 * SECOND));
    assert_true(reasons_no_token(&r, "'/bin/t': it cannot be executed", 130 * SECOND));
    assert_false(reasons_no_token(&r, "'/bin/t': it cannot be executed", 140 * SECOND));
    assert_true(reasons_no_token(&r, "'/bin/t': it cannot be executed", 730 * SECOND));
    assert_true(reasons_are_known(&r));
    assert_non_null(note(&r, "k:1/1: Disconnected", 740 * SECOND));
    reasons_explain(&r, "Local: Timed out", &err);
    assert_string_equal(err.text, "brokers cannot be reached (no token for SASL OAUTHBEARER: "
                                  "'/bin/t': it cannot be executed)");
    assert_string_equal(err.hint, TOKEN_HINT);
    /* There must have been one since. */
    assert_non_null(note(&r, "k:1/1: Disconnected", 791 * SECOND));
    reasons_explain(&r, "", &err);
    assert_string_equal(err.text, "brokers cannot be reached (k:1: Disconnected)");
    assert_false(reasons_are_known(&r));
    assert_false(reasons_no_token(&r, "'/bin/t': it cannot be executed", 795 * SECOND));
    reasons_clear(&r);
    reasons_explain(&r, "it", &err);
    assert_string_equal(err.text, "brokers cannot be reached (it)");
    reasons_done(&r);
}

static void test_secrets_are_hidden(void **state)
{
    struct reasons r;

    (void) state;
    reasons_init(&r);
    reasons_hide(&r, "password-of-kafka1");
    reasons_hide(&r, NULL);
    reasons_show(&r, NULL);
    reasons_show(&r, "Invalid username or password");
    for (int i = 0; i < 20; i++) { /* more than there is room for */
        reasons_hide(&r, "s3cret");
        reasons_show(&r, "k:1");
    }
    const struct reason *reason = note(
        &r, "k:1/1: SASL error: Invalid username or password: of-kafka1, s3cret", 1);
    assert_non_null(reason);
    assert_string_equal(reason->text, "SASL error: Invalid username or password: ***, ***");
    reasons_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_text),
        cmocka_unit_test(test_texts_without_a_broker),
        cmocka_unit_test(test_what_is_news),
        cmocka_unit_test(test_a_poorer_text_replaces_no_better_one),
        cmocka_unit_test(test_what_is_missing),
        cmocka_unit_test(test_a_poorer_text_shows_that_it_is_still_missing),
        cmocka_unit_test(test_which_are_missing),
        cmocka_unit_test(test_what_lasts),
        cmocka_unit_test(test_many_brokers),
        cmocka_unit_test(test_scram_that_the_library_cannot_do),
        cmocka_unit_test(test_a_login_without_its_protocol),
        cmocka_unit_test(test_a_token_is_missing),
        cmocka_unit_test(test_secrets_are_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
