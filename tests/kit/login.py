"""A login with a password, for tests of what it may do and of how its password gets to the server."""

PASSWORD = "s3cret-1, with 'quotes'"


class Login:
    """A role without special rights, owner of the test's database and table, and what it connects with."""

    def __init__(self, bench):
        self.bench = bench
        self.role = f"{bench.sink}_login"
        bench.plain_table()
        self.sql(f"CREATE ROLE {self.role} LOGIN")
        self.sql(f"ALTER DATABASE {bench.database} OWNER TO {self.role}")
        self.sql(f"ALTER TABLE events OWNER TO {self.role}")
        self.set_password(PASSWORD)
        self.write_password(PASSWORD)
        self.hba = bench.postgres.data / "pg_hba.conf"
        self.hba_before = self.hba.read_text()

    def sql(self, statement):
        with self.bench.postgres.connect(self.bench.database) as admin:
            admin.execute(statement)

    def set_password(self, password):
        self.password = password
        self.sql("ALTER ROLE {} PASSWORD '{}'".format(self.role, password.replace("'", "''")))

    def write_password(self, password):
        (self.bench.root / "pg-password").write_text(password + "\n")

    def dsn(self, **changes):
        """What is changed to None is left out."""
        parts = {"user": self.role, "password": "${file:pg-password}"} | changes
        return self.bench.dsn(**{k: v for k, v in parts.items() if v is not None})

    def set_hba(self, text):
        self.hba.write_text(text)
        with self.bench.postgres.connect() as admin:
            admin.execute("SELECT pg_reload_conf()")

    def close(self):
        self.set_hba(self.hba_before)
        if self.bench.database != self.bench.sink:
            self.rename(self.bench.sink)
        self.drop()

    def drop(self):
        self.sql(f"REASSIGN OWNED BY {self.role} TO operator; DROP OWNED BY {self.role}; DROP ROLE {self.role}")

    def rename(self, name):
        """The database gets another name: sessions in it end first, and the daemon must not make new ones."""
        running = [d for d in self.bench.daemons if d.running]
        for d in running:
            d.freeze()
        self.bench.db.close()
        with self.bench.postgres.connect() as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [self.bench.database]
            )
            admin.execute(f"ALTER DATABASE {self.bench.database} RENAME TO {name}")
        self.bench.database = name
        for d in running:
            d.thaw()
