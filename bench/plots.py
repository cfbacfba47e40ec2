"""The plots of bench/run: bars as SVG, which every browser shows. Each workload has a scale of its own."""

from html import escape

from report import NOT_HERE, RATES, median, rates, summary
from workloads import Drain

WIDTH = 960
LEFT = 230  # where the bars begin
LONGEST = 520  # ... and how long the longest is
BAR = 16
STEP = 21
GAP = 30

COLOURS = {
    "pgsinkd": "#1f6f8b", "pgsinkd_whole": "#7fb3c4", "copy_binary": "#55565a", "copy_text": "#8b8c90",
    "upsert": "#6f6f86", "kcat": "#c2a878",
}  # fmt: skip
PARTS = {
    "cpu": ("the program itself", "#1f6f8b"),
    "cpu_backends": ("PostgreSQL's backends", "#55565a"),
    "cpu_postgres_helpers": ("its WAL writer and checkpointer", "#a9aaad"),
    "cpu_kafka": ("Kafka", "#c2a878"),
}


class Drawing:
    """Grows downwards."""

    def __init__(self, title, subtitle):
        self.parts = []
        self.y = 34
        self.text(20, title, size=18, weight="bold")
        self.y += 22
        self.text(20, subtitle, colour="#555555")
        self.y += GAP

    def text(self, x, text, size=12, colour="#222222", anchor="start", weight="normal"):
        self.parts.append(
            f'<text x="{x:.1f}" y="{self.y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"'
            f' font-weight="{weight}">{escape(text)}</text>'
        )

    def bar(self, x, width, colour):
        self.parts.append(
            f'<rect x="{x:.1f}" y="{self.y - 12}" width="{max(width, 0.5):.1f}" height="{BAR}" fill="{colour}"/>'
        )

    def spread(self, low, high):
        """From the slowest round to the fastest."""
        y = self.y - 12 + BAR / 2
        self.parts.append(f'<path d="M{low:.1f} {y}H{high:.1f}" stroke="#222222" stroke-width="1.5"/>')

    def save(self, path):
        height = self.y + 10
        path.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
            f' viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">\n'
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n' + "\n".join(self.parts) + "\n</svg>\n"
        )


def draw_rates(drains, rounds_count):
    drawing = Drawing(
        "Rows per second",
        f"medians of {rounds_count} round{'s' if rounds_count > 1 else ''}; the thin line goes from the slowest to the"
        " fastest; in brackets the ratio to \\copy binary",
    )
    for result in drains:
        work, rounds = result.work, result.rounds
        found = summary(result)
        medians = {name: value for name, value in found["rows_per_second"].items() if name in COLOURS}
        scale = LONGEST / max(max(rates(rounds, name)) for name in medians)
        drawing.text(20, f"{work.name}: {work.title}, {result.records:,} records", size=13, weight="bold")
        drawing.y += STEP
        for name in COLOURS:
            if name not in medians and name != "pgsinkd":
                continue
            drawing.text(LEFT - 10, RATES[name], anchor="end")
            if name not in medians:
                drawing.text(LEFT, NOT_HERE, colour="#777777")
            else:
                value = medians[name]
                all_of_them = rates(rounds, name)
                drawing.bar(LEFT, value * scale, COLOURS[name])
                drawing.spread(LEFT + min(all_of_them) * scale, LEFT + max(all_of_them) * scale)
                ratio = found["ratio_to_copy_binary"][name]
                drawing.text(LEFT + max(all_of_them) * scale + 8, f"{value:,.0f}  ({ratio:.2f})")
            drawing.y += STEP
        if "encode" in found["rows_per_second"]:
            drawing.text(LEFT - 10, RATES["encode"], anchor="end")
            drawing.text(LEFT, f"{found['rows_per_second']['encode']:,.0f}")
            drawing.y += STEP
        drawing.y += GAP - STEP
    return drawing


def draw_cpu(drains):
    drawing = Drawing("CPU seconds per million records", "medians; each process's own accounting")
    x = LEFT
    for title, colour in PARTS.values():
        drawing.bar(x, BAR, colour)
        drawing.text(x + BAR + 6, title)
        x += BAR + 30 + 7 * len(title)
    drawing.y += GAP
    for result in drains:
        work, rounds = result.work, result.rounds
        shares = {
            name: [median(rounds, name, part) for part in PARTS]
            for name in COLOURS
            if median(rounds, name, "cpu") is not None
        }
        scale = LONGEST / max(sum(share) for share in shares.values())
        drawing.text(20, f"{work.name}: {work.title}", size=13, weight="bold")
        drawing.y += STEP
        for name, share in shares.items():
            drawing.text(LEFT - 10, RATES[name].partition(",")[0], anchor="end")
            x = LEFT
            for value, (_, colour) in zip(share, PARTS.values(), strict=True):
                drawing.bar(x, value * scale, colour)
                x += value * scale
            drawing.text(x + 8, f"{sum(share):.2f}  ({share[0]:.2f} itself)")
            drawing.y += STEP
        drawing.y += GAP - STEP
    return drawing


def write(folder, results):
    """rates.svg and cpu.svg of the drains."""
    drains = [result for result in results if isinstance(result.work, Drain)]
    if not drains:
        return
    folder.mkdir(parents=True, exist_ok=True)
    draw_rates(drains, len(drains[0].rounds)).save(folder / "rates.svg")
    draw_cpu(drains).save(folder / "cpu.svg")
