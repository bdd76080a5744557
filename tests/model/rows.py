"""Rules about tensors, rows and info."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis.stateful import initialize, rule

from tests.model.base import KINDS, SAMPLES, TWIN, Machine
from tests.model.state import Table, fresh_rows

WHO = st.integers(0, 1)
PICK = st.integers(0, 1 << 16)
ROWS = st.lists(PICK, min_size=1, max_size=3)
ROW_CHANGES = ("append", "extend", "extend one", "update", "update", "update", "pop", "pop one", "pop one", "clear")


class RowRules(Machine):
    """Appending, updating, deleting rows; tensors and info made, changed and deleted."""

    @initialize()
    def begin(self) -> None:
        """Two tensors with a few rows and a commit, so that the writers have something to dispute."""
        self.start()
        for kind in ("number", "text"):
            self.create_tensor(0, kind, len(self.world.state("main").tables))
            self.extend_one(0, 4, -1)
        self.do_commit(0, False)
        self.refresh(1, False)
        self.part()

    def part(self) -> None:
        """What else there is at the beginning."""

    @rule(who=WHO, what=st.sampled_from(ROW_CHANGES), pick=PICK, rows=ROWS)
    def rows(self, who: int, what: str, pick: int, rows: list[int]) -> None:
        match what:
            case "append":
                self.append(who, 1, True)
            case "extend":
                self.append(who, len(rows), False)
            case "extend one":
                self.extend_one(who, 1 + rows[0] % 6, pick)
            case "update":
                self.update(who, pick, rows, rows[0] % 4)
            case "pop":
                self.pop(who, rows)
            case "pop one":
                self.pop_one(who, pick, rows[0])
            case "clear":
                self.clear(who, pick, rows[0] % 3)

    @rule(who=WHO, what=st.sampled_from(ROW_CHANGES), pick=PICK, rows=ROWS)
    def more_rows(self, who: int, what: str, pick: int, rows: list[int]) -> None:
        """The same: rows change more often than anything else."""
        self.rows(who, what, pick, rows)

    @rule(
        who=WHO,
        what=st.sampled_from(("create", "rename", "delete", "info", "tensor info")),
        pick=PICK,
        to=st.integers(0, 5),
    )
    def structure(self, who: int, what: str, pick: int, to: int) -> None:
        match what:
            case "create":
                self.create_tensor(who, sorted(KINDS)[pick % len(KINDS)], to)
            case "rename":
                self.rename_tensor(who, pick, to)
            case "delete":
                self.delete_tensor(who, pick, to % 3)
            case "info":
                self.set_info(who, "ab"[to % 2], pick % 4)
            case "tensor info":
                self.set_tensor_info(who, pick, "ab"[to % 2], to)

    # ------------------------------------------------------------ tensors

    def create_tensor(self, who: int, kind: str, pick: int) -> None:
        writer = self.writers[who]
        name = f"t{pick % 5}"
        if name in writer.work.names or len(writer.work.tables) > 3:
            return
        key = self.fresh()
        writer.work = type(writer.work)({**writer.work.tables, key: Table(name, kind)}, writer.work.info)
        self.change(who, lambda: self.ds[who].create_tensor(name, **KINDS[kind]))

    def rename_tensor(self, who: int, pick: int, to: int) -> None:
        found, name = self.table(who, pick), f"t{to}"
        writer = self.writers[who]
        if found is None or name in writer.work.names or found[0] in writer.schema:
            return
        key, table = found
        writer.set_schema(key, name=name)
        self.change(who, lambda: self.ds[who].rename_tensor(table.name, name))

    def delete_tensor(self, who: int, pick: int, sure: int) -> None:
        found = self.table(who, pick)
        if found is None or sure:
            return
        writer = self.writers[who]
        writer.work = writer.work.without(found[0])
        writer.touched = frozenset(each for each in writer.touched if each[0] != found[0])
        writer.schema -= {found[0]}
        self.change(who, lambda: self.ds[who].delete_tensor(found[1].name))

    # ------------------------------------------------------------ rows

    def new_rows(self, n: int) -> dict[int, int]:
        return fresh_rows([self.fresh() for _ in range(n)], [self.fresh() for _ in range(n)])

    def append(self, who: int, n: int, single: bool) -> None:
        """One row, or several, to all tensors."""
        writer = self.writers[who]
        if not writer.work.tables:
            return
        tables = writer.work.tables
        uneven = len({len(table.rows) for table in tables.values()}) > 1
        new = {key: self.new_rows(1 if single else n) for key in tables}
        given = {t.name: [SAMPLES[t.kind](value) for value in new[key].values()] for key, t in tables.items()}
        for key, rows in new.items():
            writer.append(key, rows)
        if single:
            row = {name: samples[0] for name, samples in given.items()}
            self.change(who, lambda: self.ds[who].append(row, skip_ok=uneven))
        else:
            self.change(who, lambda: self.ds[who].extend(given, skip_ok=uneven))

    def extend_one(self, who: int, n: int, pick: int) -> None:
        found = self.table(who, pick)
        if found is None:
            return
        key, table = found
        rows = self.new_rows(n)
        self.writers[who].append(key, rows)
        samples = [SAMPLES[table.kind](value) for value in rows.values()]
        self.change(who, lambda: self.ds[who][table.name].extend(samples))

    def update(self, who: int, pick: int, rows: list[int], twin: int) -> None:
        """New values for some rows; one time in four the values that the other writer would choose as well."""
        found = self.table(who, pick)
        if found is None or not found[1].rows:
            return
        key, table = found
        at = sorted({row % len(table.rows) for row in rows})
        ids = list(table.rows)
        values = {ids[i]: table.rows[ids[i]] + TWIN if not twin else self.fresh() for i in at}
        self.writers[who].update(key, values)
        samples = [SAMPLES[table.kind](value) for value in values.values()]
        tensor = self.ds[who][table.name]
        if len(at) == 1:
            self.change(who, lambda: tensor.__setitem__(at[0], samples[0]))
        else:
            self.change(who, lambda: tensor.__setitem__(at, samples))

    def pop(self, who: int, rows: list[int]) -> None:
        """Some rows of all tensors, those that are too short left alone."""
        writer = self.writers[who]
        longest = max((len(table.rows) for table in writer.work.tables.values()), default=0)
        if not longest:
            return
        at = sorted({row % longest for row in rows})
        for key, table in writer.work.tables.items():
            ids = list(table.rows)
            writer.remove(key, {ids[i] for i in at if i < len(ids)})
        self.change(who, lambda: self.ds[who].pop(at))

    def pop_one(self, who: int, pick: int, row: int) -> None:
        found = self.table(who, pick)
        if found is None or not found[1].rows:
            return
        key, table = found
        at = row % len(table.rows)
        self.writers[who].remove(key, {list(table.rows)[at]})
        self.change(who, lambda: self.ds[who][table.name].pop(at))

    def clear(self, who: int, pick: int, sure: int) -> None:
        found = self.table(who, pick)
        if found is None or not found[1].rows or sure:
            return
        key, table = found
        self.writers[who].remove(key, set(table.rows))
        self.change(who, lambda: self.ds[who][table.name].clear())

    # ------------------------------------------------------------ info

    def set_info(self, who: int, name: str, value: int) -> None:
        writer = self.writers[who]
        if writer.work.info.get(name) == value:
            return
        writer.set_info({**writer.work.info, name: value})
        self.change(who, lambda: self.ds[who].info.__setitem__(name, value))

    def set_tensor_info(self, who: int, pick: int, name: str, value: int) -> None:
        found = self.table(who, pick)
        if found is None:
            return
        key, table = found
        self.writers[who].set_schema(key, info={**table.info, name: value})
        self.change(who, lambda: self.ds[who][table.name].info.__setitem__(name, value))

    # ------------------------------------------------------------ blocks

    @rule(who=WHO)
    def block(self, who: int) -> None:
        """Begin a block, or end it."""
        writer = self.writers[who]
        if not writer.blocks:
            self.ds[who].__enter__()
            writer.blocks = 1
            return
        fine = self.publish(who, lambda: self.ds[who].__exit__(None, None, None))
        writer.blocks = 0
        if not fine:
            self.way_on(who)

    def way_on(self, who: int) -> None:
        """What a user does whose changes were refused and are still buffered."""
        raise NotImplementedError
