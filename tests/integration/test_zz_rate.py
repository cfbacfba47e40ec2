import json, random, re, time
import pytest

@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_rate(bench, mode):
    kinds = ["int DEFAULT 7", "text DEFAULT 'none'", "numeric DEFAULT 1.5", "bool DEFAULT true", "timestamptz DEFAULT now()"]
    cols = ", ".join(f"c{i} {kinds[i % 5]}" for i in range(20))
    made = [lambda i: i, lambda i: f"text {i}", lambda i: i + 0.5, lambda i: True, lambda i: "2021-03-04T05:06:07Z"]
    rng = random.Random(1)
    logs = {}
    for what in ("full", "few", "half"):
        logs[what] = bench.topic(partitions=2)
        recs = []
        for i in range(50000):
            v = {"id": i}
            few = rng.randrange(4)
            for k in range(20):
                if what == "full" or (what == "half" and rng.random() < 0.5) or (what == "few" and k % 4 != few):
                    v[f"c{k}"] = made[k % 5](i)
            recs.append((i % 2, None, json.dumps(v).encode(), None, None))
        logs[what].send_many(recs)
    for rnd in range(3):
        out = []
        for what in ("full", "few", "half"):
            bench.sql(f"DROP TABLE IF EXISTS things; CREATE TABLE things (id int {'PRIMARY KEY' if mode == 'upsert' else ''}, {cols})")
            bench.sql("CHECKPOINT")
            c = bench.config(logs[what], "things", route={"mode": mode})
            c["sink"] = f"{what}{rnd}{mode}"
            d = bench.drain(c)
            m = re.findall(r"stored ([\d]+) records.*?([\d.]+) s\b", d.log())
            secs = float(m[-1][1])
            out.append((what, int(50000 / secs)))
            assert bench.rows("things") == 50000
        print("RATE", mode, rnd, out, "ratio half/full %.2f few/full %.2f" % (out[2][1] / out[0][1], out[1][1] / out[0][1]))
