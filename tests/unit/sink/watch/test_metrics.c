/*
 * metrics.c, page_html.c, page_json.c, health.c, markup.c: what is made of a snapshot. The snapshot
 * is made by hand. One thread.
 */
#include "sink/watch/health.h"
#include "sink/watch/markup.h"
#include "sink/watch/metrics.h"
#include "sink/watch/page.h"

#include "base/mem.h"

#include "unit.h"

#include <string.h>

#define EVIL "<b a=\"'\">&\\\n\x01\xff"

static snapshot_str add(struct snapshot *s, const char *text)
{
    snapshot_str at = (snapshot_str) s->texts.n;

    buf_add(&s->texts, text, strlen(text) + 1);
    return at;
}

/* Topics b with one partition that stands, a with two; one of b is gone; a route. */
static struct snapshot *shown(void)
{
    struct snapshot *s = mem_zalloc(sizeof *s);

    buf_add_u8(&s->texts, 0);
    s->wall_ms = 1700000000500;
    s->ready = true;
    s->workers = 2;
    s->partition_count = 3;
    s->partitions = mem_array(3, sizeof *s->partitions);
    s->partitions[0] = (struct snapshot_partition){.topic = add(s, "b"),
                                                   .standing = STANDING_PARKED,
                                                   .stored = 5,
                                                   .end = 15,
                                                   .timestamp_ms = 1700000000000,
                                                   .records = 5,
                                                   .why = add(s, EVIL),
                                                   .sqlstate = "42501"};
    s->partitions[1] = (struct snapshot_partition){.topic = add(s, "a"),
                                                   .number = 10,
                                                   .is_fetched = true,
                                                   .stored = 7,
                                                   .end = 7,
                                                   .timestamp_ms = -1,
                                                   .records = 7};
    s->partitions[2] = (struct snapshot_partition){
        .topic = add(s, "a"), .number = 9, .stored = -1, .end = -1, .timestamp_ms = -1};
    s->topic_count = 4; /* a topic comes again for each partition that is being released */
    s->topics = mem_array(4, sizeof *s->topics);
    s->topics[0] = (struct snapshot_topic){.name = add(s, "gone"), .records = 1};
    s->topics[1] = (struct snapshot_topic){.name = add(s, "b"), .records = 90};
    s->topics[2] = (struct snapshot_topic){.name = add(s, "gone"), .records = 2};
    s->topics[3] = (struct snapshot_topic){.name = add(s, "b"), .records = 10};
    s->route_count = 1;
    s->routes = mem_array(1, sizeof *s->routes);
    s->routes[0].name = add(s, EVIL);
    s->routes[0].rows = 12;
    s->routes[0].code_count = 1;
    struct route_stats r = {0};
    stats_route_letter(&r, "23505");
    s->routes[0].codes[0].code = r.codes[0].code;
    s->routes[0].codes[0].count = 1;
    s->totals.batch_rows.counts[1] = 2;
    s->totals.batch_rows.counts[HISTOGRAM_BOUNDS - 1] = 1;
    s->totals.batch_rows.sum = 99;
    snapshot_sort(s);
    return s;
}

static void print(const struct snapshot *s, size_t limit, enum metrics_format format,
                  struct buf *out)
{
    struct metrics m = {
        .sink = "t", .librdkafka = "2", .partition_limit = limit, .snapshot = s, .ready = true};

    buf_clear(out);
    metrics_print(&m, format, out);
}

#define HAS(out, text) assert_non_null(strstr(buf_cstr(out), text))
#define LACKS(out, text) assert_null(strstr(buf_cstr(out), text))

static void test_samples(void **state)
{
    struct snapshot *s = shown();
    _cleanup_buf_ struct buf out = {0};

    (void) state;
    print(s, 100, METRICS_TEXT, &out);
    HAS(&out, "\npgsinkd_records_total{sink=\"t\",topic=\"a\"} 7\n");
    HAS(&out, "\npgsinkd_records_total{sink=\"t\",topic=\"b\"} 105\n");
    HAS(&out, "\npgsinkd_records_total{sink=\"t\",topic=\"gone\"} 3\n");
    HAS(&out, "\npgsinkd_lag_records{sink=\"t\",topic=\"a\",partition=\"10\"} 0\n");
    HAS(&out, "\npgsinkd_lag_records{sink=\"t\",topic=\"b\",partition=\"0\"} 10\n");
    HAS(&out, "\npgsinkd_lag_seconds{sink=\"t\",topic=\"b\",partition=\"0\"} 0.5\n");
    LACKS(&out, "pgsinkd_lag_records{sink=\"t\",topic=\"a\",partition=\"9\"}"); /* not known */
    HAS(&out, "\npgsinkd_standing_partitions{sink=\"t\",state=\"parked\"} 1\n");
    HAS(&out, "{sink=\"t\",route=\"<b a=\\\"'\\\">&\\\\\\n");
    HAS(&out, "sqlstate=\"23505\"} 1\n");
    HAS(&out, "\npgsinkd_batch_rows_bucket{sink=\"t\",le=\"1\"} 0\n");
    HAS(&out, "\npgsinkd_batch_rows_bucket{sink=\"t\",le=\"5\"} 2\n");
    HAS(&out, "\npgsinkd_batch_rows_bucket{sink=\"t\",le=\"+Inf\"} 3\n");
    HAS(&out, "\npgsinkd_batch_rows_sum{sink=\"t\"} 99\n");
    HAS(&out, "\npgsinkd_batch_rows_count{sink=\"t\"} 3\n");
    LACKS(&out, "# EOF");
    snapshot_free(s);
}

/* Addresses first, those without a place of their own last; le counts upwards. */
static void test_brokers(void **state)
{
    struct snapshot *s = shown();
    _cleanup_buf_ struct buf out = {0};

    (void) state;
    s->broker_count = 3;
    s->brokers[0] = (struct traffic_broker){.id = TRAFFIC_REST, .connects = 4};
    s->brokers[1] = (struct traffic_broker){.id = 7, .received_bytes = 5, .throttled_ms = 250};
    s->brokers[1].failed[TRAFFIC_TIMEOUT] = 3;
    s->brokers[1].round_trip[TRAFFIC_FETCH].counts[1] = 2;
    s->brokers[1].round_trip[TRAFFIC_FETCH].counts[TRAFFIC_BOUNDS] = 1;
    s->brokers[1].round_trip[TRAFFIC_FETCH].sum_usec = 7500000;
    s->brokers[2] = (struct traffic_broker){.id = TRAFFIC_BOOTSTRAP, .disconnects = 6};
    s->rebalances = (struct crew_rebalances){.assigned = 2, .lost = 1, .last_ms = 1500};
    snapshot_sort(s);
    print(s, 100, METRICS_TEXT, &out);
    HAS(&out,
        "\npgsinkd_broker_round_trip_seconds_bucket{sink=\"t\",broker=\"7\",request=\"fetch\","
        "le=\"0.0005\"} 0\n");
    HAS(&out, "broker=\"7\",request=\"fetch\",le=\"0.001\"} 2\n");
    HAS(&out, "broker=\"7\",request=\"fetch\",le=\"+Inf\"} 3\n");
    HAS(&out, "_sum{sink=\"t\",broker=\"7\",request=\"fetch\"} 7.5\n");
    HAS(&out, "_count{sink=\"t\",broker=\"7\",request=\"other\"} 0\n");
    HAS(&out, "requests_total{sink=\"t\",broker=\"7\",reason=\"timeout\"} 3\n");
    HAS(&out, "\npgsinkd_broker_throttled_seconds_total{sink=\"t\",broker=\"7\"} 0.25\n");
    HAS(&out, "pgsinkd_broker_disconnects_total{sink=\"t\",broker=\"bootstrap\"} 6\n"
              "pgsinkd_broker_disconnects_total{sink=\"t\",broker=\"7\"} 0\n"
              "pgsinkd_broker_disconnects_total{sink=\"t\",broker=\"other\"} 0\n");
    HAS(&out, "\npgsinkd_broker_connects_total{sink=\"t\",broker=\"other\"} 4\n");
    HAS(&out, "\npgsinkd_broker_received_bytes_total{sink=\"t\",broker=\"7\"} 5\n");
    HAS(&out, "\npgsinkd_rebalances_total{sink=\"t\",kind=\"assigned\"} 2\n");
    HAS(&out, "\npgsinkd_last_rebalance_timestamp_seconds{sink=\"t\"} 1.5\n");
    snapshot_free(s);
}

static void test_too_many_partitions(void **state)
{
    struct snapshot *s = shown();
    _cleanup_buf_ struct buf out = {0};

    (void) state;
    print(s, 2, METRICS_TEXT, &out);
    HAS(&out, "\npgsinkd_lag_records{sink=\"t\",topic=\"a\",partition=\"all\"} 0\n");
    HAS(&out, "\npgsinkd_lag_seconds{sink=\"t\",topic=\"b\",partition=\"all\"} 0.5\n");
    LACKS(&out, "pgsinkd_next_offset{");
    snapshot_free(s);
}

/* As many series as before, whatever the number of topics. */
static void test_too_many_topics(void **state)
{
    struct snapshot *s = mem_zalloc(sizeof *s);
    _cleanup_buf_ struct buf out = {0};
    char name[32];

    (void) state;
    buf_add_u8(&s->texts, 0);
    s->partition_count = 1001;
    s->partitions = mem_array(s->partition_count, sizeof *s->partitions);
    for (size_t i = 0; i < s->partition_count; i++) {
        snprintf(name, sizeof name, "t%zu", i);
        s->partitions[i] = (struct snapshot_partition){
            .topic = add(s, name), .end = 3, .records = 2, .timestamp_ms = -1};
    }
    s->topic_count = 1;
    s->topics = mem_array(1, sizeof *s->topics);
    s->topics[0] = (struct snapshot_topic){.name = add(s, "t7"), .records = 5};
    snapshot_sort(s);
    print(s, 10, METRICS_TEXT, &out);
    LACKS(&out, "topic=");
    HAS(&out, "\npgsinkd_records_total{sink=\"t\"} 2007\n");
    HAS(&out, "\npgsinkd_partitions{sink=\"t\"} 1001\n");
    HAS(&out, "\npgsinkd_lag_records{sink=\"t\",partition=\"all\"} 3003\n");
    print(s, 1001, METRICS_TEXT, &out);
    HAS(&out, "\npgsinkd_records_total{sink=\"t\",topic=\"t7\"} 7\n");
    snapshot_free(s);
}

/* Those that have gone are too many, those that are here few: no two samples have equal labels. */
static void test_too_many_topics_have_gone(void **state)
{
    struct snapshot *s = mem_zalloc(sizeof *s);
    _cleanup_buf_ struct buf out = {0};
    char name[32];

    (void) state;
    buf_add_u8(&s->texts, 0);
    s->partition_count = 2;
    s->partitions = mem_array(2, sizeof *s->partitions);
    for (size_t i = 0; i < 2; i++) {
        s->partitions[i] = (struct snapshot_partition){
            .topic = add(s, i == 0 ? "a" : "b"), .stored = 1, .end = 3, .timestamp_ms = -1};
    }
    s->topic_count = 1001;
    s->topics = mem_array(s->topic_count, sizeof *s->topics);
    for (size_t i = 0; i < s->topic_count; i++) {
        snprintf(name, sizeof name, "t%zu", i);
        s->topics[i] = (struct snapshot_topic){.name = add(s, name), .records = 1};
    }
    snapshot_sort(s);
    print(s, 1000, METRICS_TEXT, &out);
    LACKS(&out, "topic=");
    LACKS(&out, "pgsinkd_next_offset{");
    HAS(&out, "\npgsinkd_lag_records{sink=\"t\",partition=\"all\"} 4\n");
    snapshot_free(s);
}

static void test_openmetrics(void **state)
{
    struct snapshot *s = shown();
    _cleanup_buf_ struct buf out = {0};

    (void) state;
    assert_int_equal(metrics_format_of("*/*"), METRICS_TEXT);
    assert_int_equal(metrics_format_of("application/openmetrics-text;version=1.0.0,*/*;q=0.1"),
                     METRICS_OPENMETRICS);
    print(s, 100, METRICS_OPENMETRICS, &out);
    HAS(&out, "# TYPE pgsinkd_records counter\n# UNIT pgsinkd_records records\n");
    HAS(&out, "\npgsinkd_records_total{sink=\"t\",topic=\"a\"} 7\n");
    LACKS(&out, "# UNIT pgsinkd_lag_records_total");
    assert_string_equal(buf_cstr(&out) + out.n - 6, "# EOF\n");
    snapshot_free(s);
}

static void test_before_main_has_shown_anything(void **state)
{
    _cleanup_buf_ struct buf out = {0};

    (void) state;
    print(NULL, 100, METRICS_TEXT, &out);
    HAS(&out, "\npgsinkd_ready{sink=\"t\"} 1\n");
    HAS(&out,
        "\npgsinkd_build_info{sink=\"t\",version=\"" PGSINKD_VERSION "\",librdkafka=\"2\"} 1\n");
    LACKS(&out, "pgsinkd_records");
}

static void test_texts_are_no_markup(void **state)
{
    _cleanup_buf_ struct buf out = {0};

    (void) state;
    markup_html(&out, EVIL "\xc3\xa4\xc3");
    assert_string_equal(buf_cstr(&out),
                        "&lt;b a=&quot;&#39;&quot;&gt;&amp;\\  &#xfffd;\xc3\xa4&#xfffd;");
    buf_clear(&out);
    markup_json(&out, EVIL "\xc3\xa4\xc3");
    assert_string_equal(buf_cstr(&out),
                        "\"<b a=\\u0022'\\u0022>&\\u005c\\u000a\\u0001\\ufffd\xc3\xa4\\ufffd\"");
}

static void test_page_and_status(void **state)
{
    struct snapshot *s = shown();
    struct samples samples = {0};
    _cleanup_buf_ struct buf out = {0};
    struct page p = {.sink = "t",
                     .librdkafka = "2",
                     .owner = "h:1",
                     .reason = EVIL,
                     .limit = 1 << 20,
                     .snapshot = s,
                     .samples = &samples};

    (void) state;
    s->troubles[0] = (struct trouble){.wall_ms = s->wall_ms - 5000, .times = 2, .text = EVIL};
    samples_add(&samples, s);
    s->at += 10 * USEC_PER_SEC;
    s->totals.rows += 50;
    page_json(&p, &out);
    HAS(&out, "\"rows_per_second\":5.000");
    HAS(&out, "{\"topic\":\"a\",\"partition\":9,\"state\":\"starting\",\"next_offset\":null");
    HAS(&out, "\"state\":\"parked\"");
    HAS(&out, "\"sqlstate\":\"42501\"");
    HAS(&out, "\"times\":2");
    LACKS(&out, "\n\"");
    samples_add(&samples, s);
    buf_clear(&out);
    page_html(&p, "n", &out);
    LACKS(&out, "<b a");
    HAS(&out, "&lt;b a=&quot;");
    HAS(&out, "Not ready");
    HAS(&out, "<polyline points=\"300.0,0.0 \"/>");
    HAS(&out, "5.0 s ago, 2 times");
    p.limit = out.n; /* less than one partition more */
    buf_clear(&out);
    page_json(&p, &out);
    HAS(&out, "\"partitions\":[],\"partitions_omitted\":3}");
    buf_clear(&out);
    page_html(&p, "n", &out);
    HAS(&out, "and 3 more");
    snapshot_free(s);
}

static void test_readiness(void **state)
{
    struct snapshot *s = shown();
    _cleanup_buf_ struct buf why = {0};

    (void) state;
    assert_false(health_is_ready(NULL, false, &why));
    buf_clear(&why);
    assert_true(health_is_ready(s, false, &why)); /* one of three stands */
    HAS(&why, "1 of 3 partitions stands: b-0 is parked: ");
    s->partition_count = 1;
    s->partitions[0] = s->partitions[2];
    assert_false(health_is_ready(s, false, &why)); /* all do */
    s->partition_count = 0;
    assert_true(health_is_ready(s, false, &why));
    assert_false(health_is_ready(s, true, &why));
    s->workers_down = 1;
    assert_true(health_is_ready(s, false, &why));
    s->workers_down = 2;
    assert_false(health_is_ready(s, false, &why));
    s->workers_down = 0;
    s->brokers_away = true;
    assert_false(health_is_ready(s, false, &why));
    s->brokers_away = false;
    s->ready = false;
    assert_false(health_is_ready(s, false, &why));
    s->ready = s->stopping = true;
    assert_false(health_is_ready(s, false, &why));
    snapshot_free(s);
}

/* Paused on purpose is not unable; what stands beside it is. */
static void test_a_pause_is_no_lack_of_readiness(void **state)
{
    struct snapshot *s = shown();
    _cleanup_buf_ struct buf why = {0};

    (void) state;
    for (size_t i = 0; i < s->partition_count; i++) {
        s->partitions[i].standing = STANDING_PAUSED;
    }
    assert_true(health_is_ready(s, false, &why));
    HAS(&why, "3 of 3 partitions stand: a-9 is paused: ");
    buf_clear(&why);
    s->partitions[2].standing = STANDING_PARKED;
    assert_false(health_is_ready(s, false, &why));
    HAS(&why, "3 of 3 partitions stand, 2 of them paused: b-0 is parked: ");
    buf_clear(&why);
    s->partitions[0].standing = STANDING_NONE;
    assert_true(health_is_ready(s, false, &why));
    HAS(&why, "2 of 3 partitions stand, 1 of them paused: b-0 is parked: ");
    snapshot_free(s);
}

static void test_troubles_are_counted_and_bounded(void **state)
{
    struct troubles t = {0};
    char text[16];

    (void) state;
    assert_int_equal(troubles_at(&t, 0)->wall_ms, 0);
    troubles_add(&t, 1, "x");
    troubles_add(&t, 2, "x");
    assert_int_equal(troubles_at(&t, 0)->times, 2);
    assert_int_equal(troubles_at(&t, 0)->wall_ms, 2);
    assert_int_equal(troubles_at(&t, 1)->wall_ms, 0);
    for (int i = 0; i < 2 * TROUBLES; i++) {
        snprintf(text, sizeof text, "n%d", i);
        troubles_add(&t, 10 + i, text);
    }
    assert_string_equal(troubles_at(&t, 0)->text, "n31");
    assert_string_equal(troubles_at(&t, TROUBLES - 1)->text, "n16");
}

static void test_the_ring_of_samples(void **state)
{
    struct snapshot *s = shown();
    struct samples samples = {0};

    (void) state;
    for (size_t i = 0; i < SAMPLES + 10; i++) {
        s->at = (i + 1) * SAMPLE_INTERVAL;
        s->totals.rows = i * 10;
        samples_add(&samples, s);
        samples_add(&samples, s); /* too early */
    }
    assert_int_equal(samples.count, SAMPLES);
    assert_int_equal(samples_at(&samples, 0)->rows, 100);
    assert_int_equal(samples_at(&samples, SAMPLES - 1)->rows, (SAMPLES + 9) * 10);
    assert_int_equal(samples_at(&samples, 0)->lag, 10);
    assert_int_equal((int) (samples_rates(&samples, 5).rows * 1000), 2000);
    assert_int_equal(samples_due(&samples), s->at + SAMPLE_INTERVAL);
    snapshot_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_brokers),
        cmocka_unit_test(test_too_many_partitions),
        cmocka_unit_test(test_too_many_topics),
        cmocka_unit_test(test_too_many_topics_have_gone),
        cmocka_unit_test(test_openmetrics),
        cmocka_unit_test(test_before_main_has_shown_anything),
        cmocka_unit_test(test_texts_are_no_markup),
        cmocka_unit_test(test_page_and_status),
        cmocka_unit_test(test_readiness),
        cmocka_unit_test(test_a_pause_is_no_lack_of_readiness),
        cmocka_unit_test(test_troubles_are_counted_and_bounded),
        cmocka_unit_test(test_the_ring_of_samples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
