"""Run the table: ``python -m benchmarks.run [--only fixed,ragged] [--peers memmap,lance] [--quick]``.

Each workload runs once per peer and round, peers in turn, each time in a fresh process. A full run writes
``benchmarks/RESULTS.md``; a partial one only prints, unless ``--write FILE`` is given.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from benchmarks import data, report
from benchmarks.install import ENVIRONMENTS, python_of
from benchmarks.job import Job
from benchmarks.measure import Result, merge
from benchmarks.s3 import server
from benchmarks.table import ROWS, Row
from benchmarks.worker import MARK
from benchmarks.workloads import WORKLOADS

BENCH = data.ROOT / ".bench"
SCRATCH = BENCH / "scratch"
"""Emptied at the end alone: where files were just deleted, some file systems take longer to make new ones."""
RESULTS = Path(__file__).parent / "RESULTS.md"
ROUNDS = 3
# Long series are measured once: they hold thousands of repeats of their own.
ONCE = ("commits", "requests", "imports")
ROOM = 20 << 30
"""Bytes that stay free on the device."""


@dataclass
class Run:
    """One run: what is asked for, and what came out so far."""

    quick: bool
    rounds: int
    s3: dict[str, str]
    raw: Path
    results: dict[tuple[str, str], list[Result] | str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    _prepared: set[tuple[str, str]] = field(default_factory=set)
    _jobs: Iterator[int] = field(default_factory=count)

    def job(self, peer: str, workload: str) -> Job:
        name = peer.replace(":", "-")
        store, scratch = f"stores/{name}", f"scratch/{name}-{next(self._jobs)}"
        if ":s3" not in peer:
            store, scratch = str(BENCH / store), str(BENCH / scratch)
        sizes = data.QUICK if self.quick else data.FULL
        return Job(peer, workload, store, scratch, sizes, self.quick, self.s3)

    def prepared(self, peer: str, kind: str) -> str | None:
        """Write the data set `kind` of a peer once; return why it could not be written, if so."""
        if (peer, kind) not in self._prepared:
            job = self.job(peer, f"{kind}.prepare")
            if ":s3" not in peer:
                shutil.rmtree(Path(job.store) / kind, ignore_errors=True)
                Path(job.store).mkdir(parents=True, exist_ok=True)
            outcome = execute(job)
            if isinstance(outcome, str):
                return outcome
            self._prepared.add((peer, kind))
            os.sync()
        return None

    def measure(self, peer: str, workload: str) -> None:
        """Run a workload on a peer once more, and keep the result."""
        key = (workload, peer)
        if isinstance(self.results.get(key), str):
            return
        kind = WORKLOADS[workload].reads
        problem = self.prepared(peer, kind) if kind else None
        outcome = problem or execute(self.job(peer, workload))
        if isinstance(outcome, str):
            self.results[key] = outcome
            print(f"  {workload:22} {peer:18} {outcome}", flush=True)
            return
        result, version = outcome
        self.versions[peer.partition(":")[0]] = version
        known = self.results.setdefault(key, [])
        assert isinstance(known, list)
        known.append(result)
        print(f"  {workload:22} {peer:18} {report.figure(result.value):>12} {result.unit}", flush=True)
        with self.raw.open("a") as out:
            out.write(json.dumps({"workload": workload, "peer": peer, "version": version, **asdict(result)}) + "\n")

    def merged(self) -> dict[tuple[str, str], Result | str]:
        return {key: found if isinstance(found, str) else merge(found) for key, found in self.results.items()}


def execute(job: Job) -> tuple[Result, str] | str:
    """Run `job` in a fresh process of the peer's interpreter; return its result and version, or why there is none."""
    python = Path(sys.executable)
    environment_name = job.module.partition("_")[0]
    if environment_name in ENVIRONMENTS:
        python = python_of(environment_name)
        if not python.exists():
            return "not installed (`make bench-peers`)"
    if not job.options.s3:
        if shutil.disk_usage(BENCH).free < ROOM:
            shutil.rmtree(SCRATCH)
        Path(job.scratch).mkdir(parents=True)
    # Compiled modules must be kept, else every start would compile zlake again.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    command = [str(python), "-m", "benchmarks.worker", job.to_json()]
    try:
        done = subprocess.run(
            command,
            cwd=data.ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=WORKLOADS[job.workload].timeout if job.workload in WORKLOADS else 600,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return f"no result within {late.timeout:.0f} s"
    finally:
        if not job.options.s3:
            # What one peer left unwritten must not be written during the next one's turn.
            os.sync()
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(MARK):
            fields = json.loads(line.removeprefix(MARK))
            return Result(fields["value"], fields["unit"], fields["extra"]), fields["version"]
    (BENCH / "errors.log").open("a").write(
        f"== {job.peer} {job.workload}\n{done.stdout[-2000:]}{done.stderr[-6000:]}\n"
    )
    last = (done.stderr.strip().splitlines() or ["no output"])[-1]
    return (
        "cannot"
        if "has no attribute 'write_" in last or ("object has no attribute" in last and "Adapter" in last)
        else f"failed: {last[:120]}"
    )


def chosen(only: str, peers: str) -> list[tuple[Row, tuple[str, ...]]]:
    """Return the rows asked for, each with the peers asked for."""
    groups = set(only.split(",")) if only else None
    names = set(peers.split(",")) if peers else None
    picked = []
    for row in ROWS:
        if groups and not groups & {row.group, row.workload, f"{row.workload}@{row.ours}"}:
            continue
        everyone = (row.ours, *row.beside)
        some = tuple(p for p in everyone if not names or p in names or p.partition(":")[0] in names)
        if some:
            picked.append((row, some))
    return picked


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=__doc__)
    parser.add_argument("--only", default="", help="groups or workloads of the table, comma-separated")
    parser.add_argument("--peers", default="", help="peers, comma-separated; default: all")
    parser.add_argument("--quick", action="store_true", help="a fraction of the data, one round")
    parser.add_argument("--rounds", type=int, default=0, help=f"default {ROUNDS}, quick 1")
    parser.add_argument("--write", type=Path, help="where the page goes; default: RESULTS.md after a full run")
    args = parser.parse_args(argv)
    data.prepare()
    picked = chosen(args.only, args.peers)
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    (BENCH / "runs").mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        shutil.rmtree(SCRATCH, ignore_errors=True)  # of a run that was cut off
        stack.callback(shutil.rmtree, SCRATCH, ignore_errors=True)
        needs_s3 = any(":s3" in peer for _, peers in picked for peer in peers)
        s3 = stack.enter_context(server(BENCH / "s3.log")) if needs_s3 else {}
        run = Run(args.quick, args.rounds or (1 if args.quick else ROUNDS), s3, BENCH / "runs" / f"{stamp}.jsonl")
        for row, peers in picked:
            print(row.title, flush=True)
            for _ in range(1 if row.group in ONCE else run.rounds):
                for peer in peers:
                    run.measure(peer, row.workload)
    results = run.merged()
    print()
    print("\n".join(report.lines(results)))
    whole = not (args.only or args.peers or args.quick)
    where = args.write or (RESULTS if whole else None)
    if where:
        sizes = f"{data.QUICK if args.quick else data.FULL}"
        where.write_text(report.page(results, run.versions, sizes=sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
