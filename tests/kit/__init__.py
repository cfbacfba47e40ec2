"""The test kit: real servers, the daemon under test, a network that fails, and the checker.

    wait.py      wait for a condition, with a deadline
    process.py   start, stop, freeze and kill processes
    postgres.py  a PostgreSQL server of our own, and a standby of it
    kafka.py     an Apache Kafka broker of our own
    cluster.py   three brokers, and an unclean election
    records.py   produce records whose every offset is known
    proxy.py     a TCP proxy that cuts, resets, swallows and delays
    disk.py      a full disk
    bad.py       bad records of every kind
    daemon.py    pgsinkd: config file, start, readiness, log
    ledger.py    THE checker: each offset exactly once
    generations.py   its part about topics created again and truncated logs
    dead_letters.py  its part about dead letters
    bench.py     all of that for one test: own database, topics, sink
    tally.py     adds up junit files for tools/test
"""
