/*
 * The page /, see page.h: a table and three plots, whole without a script. The script fetches the
 * page again and exchanges its content. Any thread.
 */
#include "sink/watch/markup.h"
#include "sink/watch/page.h"

#include <stdio.h>

/* Of partitions that move, this many are shown; those that stand are all shown, and come first. */
#define SHOWN_MAX 1000
#define PLOT_WIDTH 300
#define PLOT_HEIGHT 60

static const char STYLE[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1d2025;--dim:#667;--line:#d8dbe0;--card:#f5f6f8;"
    "--good:#17803d;--bad:#c0262d;--plot:#2563c9}"
    "@media(prefers-color-scheme:dark){:root{--bg:#14161a;--fg:#e4e6ea;--dim:#99a;--line:#343840;"
    "--card:#1d2026;--good:#4cc276;--bad:#ff7b80;--plot:#6aa5ff}}"
    "*{box-sizing:border-box}"
    "body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--bg);color:var(--fg);"
    "font:16px/1.5 system-ui,sans-serif}"
    "h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:1.6rem 0 .5rem}"
    "p{margin:.3rem 0;overflow-wrap:anywhere}.dim{color:var(--dim)}.good{color:var(--good)}"
    ".bad{color:var(--bad)}"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:.8rem;"
    "margin-top:1rem}"
    ".plot{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.6rem}"
    ".plot b{display:block;font-size:1.3rem}"
    "svg{display:block;width:100%;height:60px;overflow:visible}"
    "polyline{fill:none;stroke:var(--plot);stroke-width:1.5;vector-effect:non-scaling-stroke}"
    ".wide{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);"
    "vertical-align:top}"
    "th{color:var(--dim);font-weight:500}"
    "td{overflow-wrap:anywhere}td:first-child{min-width:7rem}"
    ".n{text-align:right;font-variant-numeric:tabular-nums;"
    "overflow-wrap:normal;white-space:nowrap}"
    "@media(max-width:40rem){body{padding:.6rem}.w{display:none}th,td{padding:.3rem}}";

static const char SCRIPT[] =
    "setInterval(async()=>{const old=document.querySelector('main');try{"
    "const t=await(await fetch('/')).text();"
    "old.replaceWith(new DOMParser().parseFromString(t,'text/html').querySelector('main'));"
    "}catch(e){"
    "const s=document.getElementById('state');s.className='bad';"
    "s.textContent='The daemon does not answer.'}},5000);";

/* ---- numbers ---- */

/* 1234567 with a thin space between thousands. */
static void add_number(struct buf *out, uint64_t n)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long) n);

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            buf_add_z(out, "&#8239;");
        }
        buf_add_u8(out, (uint8_t) digits[i]);
    }
}

static void add_seconds(struct buf *out, double seconds)
{
    if (seconds < 100) {
        buf_printf(out, "%.*f s", seconds < 10 ? 1 : 0, seconds);
    } else if (seconds < 2 * 3600) {
        buf_printf(out, "%.0f min", seconds / 60);
    } else if (seconds < 48 * 3600) {
        buf_printf(out, "%.0f h", seconds / 3600);
    } else {
        buf_printf(out, "%.0f d", seconds / 86400);
    }
}

static void cell_offset(struct buf *out, const char *class, int64_t n)
{
    buf_printf(out, "<td class=\"%s\">", class);
    if (n >= 0) {
        add_number(out, (uint64_t) n);
    } else {
        buf_add_z(out, "?");
    }
}

/* ---- plots ---- */

typedef double (*plot_value)(const struct samples *s, size_t i);

static double value_rows(const struct samples *s, size_t i)
{
    return samples_rates(s, i).rows;
}

static double value_bytes(const struct samples *s, size_t i)
{
    return samples_rates(s, i).bytes;
}

static double value_lag(const struct samples *s, size_t i)
{
    return (double) samples_at(s, i)->lag;
}

/* The newest at the right, the greatest at the top. `first`: rates begin with the second sample. */
static void add_line(struct buf *out, const struct samples *s, size_t first, plot_value value)
{
    double most = 1;

    for (size_t i = first; i < s->count; i++) {
        double v = value(s, i);
        most = MAX(most, v);
    }
    buf_printf(out, "<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
               PLOT_WIDTH, PLOT_HEIGHT);
    buf_add_z(out, "<polyline points=\"");
    for (size_t i = first; i < s->count; i++) {
        double x = PLOT_WIDTH - (double) (s->count - 1 - i) * PLOT_WIDTH / (SAMPLES - 1);
        buf_printf(out, "%.1f,%.1f ", x, PLOT_HEIGHT - value(s, i) / most * PLOT_HEIGHT);
    }
    buf_add_z(out, "\"/></svg>");
}

static void add_plot(struct buf *out, const char *title, double now, const struct samples *s,
                     size_t first, plot_value value)
{
    buf_printf(out, "<div class=\"plot\"><span class=\"dim\">%s</span><b>", title);
    add_number(out, (uint64_t) (now + 0.5));
    buf_add_z(out, "</b>");
    add_line(out, s, first, value);
    buf_add_z(out, "</div>");
}

static void add_plots(const struct page *p, struct buf *out)
{
    struct rates now = samples_rates_now(p->samples, p->snapshot);
    uint64_t lag = 0;

    for (size_t i = 0; i < p->snapshot->partition_count; i++) {
        uint64_t one = snapshot_lag(&p->snapshot->partitions[i]);
        lag += one != UINT64_MAX ? one : 0;
    }
    buf_add_z(out, "<div class=\"plots\">");
    add_plot(out, "rows per second, last 15 minutes", now.rows, p->samples, 1, value_rows);
    add_plot(out, "bytes per second", now.bytes, p->samples, 1, value_bytes);
    add_plot(out, "lag in records", (double) lag, p->samples, 0, value_lag);
    buf_add_z(out, "</div>");
}

/* ---- partitions ---- */

static void add_partition(const struct snapshot *s, const struct snapshot_partition *p,
                          struct buf *out)
{
    uint64_t lag = snapshot_lag(p);
    double seconds = snapshot_lag_seconds(s, p);
    bool stands = p->standing != STANDING_NONE;

    buf_add_z(out, "<tr><td>");
    markup_html(out, snapshot_text(s, p->topic));
    buf_printf(out, "<td class=\"n\">%d<td%s>%s", p->number, stands ? " class=\"bad\"" : "",
               page_state(p));
    cell_offset(out, "n w", p->stored);
    cell_offset(out, "n w", p->end);
    cell_offset(out, "n", lag == UINT64_MAX ? -1 : (int64_t) lag);
    buf_add_z(out, "<td class=\"n\">");
    if (seconds >= 0) {
        add_seconds(out, seconds);
    }
    if (stands) {
        buf_add_z(out, "<tr><td><td colspan=\"6\">for ");
        add_seconds(out, (double) p->stands_usec / USEC_PER_SEC);
        buf_add_z(out, ": ");
        markup_html(out, snapshot_text(s, p->why));
    }
}

/* The largest that one can be: see page_json.c, and the markup around it. */
#define PARTITION_MOST 9000

static void add_partitions(const struct snapshot *s, uint64_t limit, struct buf *out)
{
    size_t left = SHOWN_MAX;
    size_t hidden = 0;

    buf_add_z(out, "<h2>Partitions</h2>");
    if (s->partition_count == 0) {
        buf_add_z(out, "<p class=\"dim\">none is assigned to this process</p>");
        return;
    }
    buf_add_z(out, "<div class=\"wide\"><table><tr><th>topic<th class=\"n\">partition<th>state"
                   "<th class=\"n w\">next offset<th class=\"n w\">end<th class=\"n\">lag"
                   "<th class=\"n\">age");
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < s->partition_count; i++) {
            const struct snapshot_partition *p = &s->partitions[i];
            if ((p->standing != STANDING_NONE) != (pass == 0)) {
                continue;
            }
            if (left == 0 || out->n + PARTITION_MOST > limit) {
                hidden++;
                continue;
            }
            left--;
            add_partition(s, p, out);
        }
    }
    buf_add_z(out, "</table></div>");
    if (hidden > 0) {
        buf_printf(out, "<p class=\"dim\">and %zu more, see <a href=\"/status\">/status</a></p>",
                   hidden);
    }
}

/* ---- routes, errors ---- */

static void add_routes(const struct snapshot *s, struct buf *out)
{
    buf_add_z(out, "<h2>Routes</h2><div class=\"wide\"><table><tr><th>route<th class=\"n\">rows"
                   "<th>dead letters, by SQLSTATE");
    for (size_t i = 0; i < s->route_count; i++) {
        const struct snapshot_route *r = &s->routes[i];
        buf_add_z(out, "<tr><td>");
        markup_html(out, snapshot_text(s, r->name));
        buf_add_z(out, "<td class=\"n\">");
        add_number(out, r->rows);
        buf_add_z(out, "<td>");
        for (size_t k = 0; k < r->code_count; k++) {
            char code[6];
            stats_code_text(r->codes[k].code, code);
            add_number(out, r->codes[k].count);
            buf_add_z(out, " \303\227 ");
            markup_html(out, *code != '\0' ? code : "none");
            buf_add_z(out, k + 1 < r->code_count ? ", " : "");
        }
    }
    buf_add_z(out, "</table></div>");
}

static void add_errors(const struct snapshot *s, struct buf *out)
{
    buf_add_z(out, "<h2>Last errors</h2>");
    if (s->troubles[0].wall_ms == 0) {
        buf_add_z(out, "<p class=\"dim\">none since the start</p>");
    }
    for (size_t i = 0; i < TROUBLES && s->troubles[i].wall_ms != 0; i++) {
        const struct trouble *t = &s->troubles[i];
        buf_add_z(out, "<p><span class=\"dim\">");
        add_seconds(out, (double) MAX(s->wall_ms - t->wall_ms, 0) / 1000);
        buf_add_z(out, " ago");
        if (t->times > 1) {
            buf_printf(out, ", %llu times", (unsigned long long) t->times);
        }
        buf_add_z(out, ":</span> ");
        markup_html(out, t->text);
        buf_add_z(out, "</p>");
    }
}

/* ---- the page ---- */

static void add_head(const struct page *p, const char *nonce, struct buf *out)
{
    buf_add_z(out, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                   "<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript><title>");
    markup_html(out, p->sink);
    buf_printf(out, " - pgsinkd</title><style nonce=\"%s\">%s</style><body><main>", nonce, STYLE);
}

static void add_state(const struct page *p, struct buf *out)
{
    buf_add_z(out, "<h1>");
    markup_html(out, p->sink);
    buf_printf(out, "</h1><p><span id=\"state\" class=\"%s\">%s</span>", p->ready ? "good" : "bad",
               p->ready ? "Ready" : "Not ready");
    if (*p->reason != '\0') {
        buf_add_z(out, p->ready ? "; " : ": ");
        markup_html(out, p->reason);
    }
    buf_add_z(out, "</p><p class=\"dim\">pgsinkd " PGSINKD_VERSION ", librdkafka ");
    markup_html(out, p->librdkafka);
    buf_add_z(out, ", ");
    markup_html(out, p->owner);
    buf_add_z(out, "</p>");
}

void page_html(const struct page *p, const char *nonce, struct buf *out)
{
    add_head(p, nonce, out);
    add_state(p, out);
    if (p->snapshot != NULL) {
        add_plots(p, out);
        add_partitions(p->snapshot, p->limit, out);
        add_routes(p->snapshot, out);
        add_errors(p->snapshot, out);
    }
    buf_printf(out,
               "<p class=\"dim\"><a href=\"/status\">/status</a> \302\267 "
               "<a href=\"/metrics\">/metrics</a></p></main><script nonce=\"%s\">%s</script>"
               "</body></html>\n",
               nonce, SCRIPT);
}
