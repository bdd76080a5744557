"""One atomic commit of what many processes write at once.

The process that began an ingest gives a plan to as many workers as it likes. Each writes its rows as segments, which no
version names yet, and hands back a receipt of a few hundred bytes. The receipts are committed together, or not at all.

>>> import numpy as np, zlake, zlake.distributed
>>> ds = zlake.empty("mem://ingest-doc", overwrite=True)
>>> _ = ds.create_tensor("x", dtype="int64")
>>> with zlake.distributed.begin(ds) as ingest:
...     receipts = []
...     for worker in range(3):  # in processes of their own, from ingest.plan.to_bytes()
...         with ingest.plan.writer() as writer:
...             writer.extend({"x": np.full((2, 1), worker)})
...         receipts.append(writer.receipt)
...     before = len(ds)
...     commit = ingest.commit(receipts, "three workers, or none")
>>> before, ds.x.numpy().ravel().tolist()
(0, [0, 0, 1, 1, 2, 2])
"""

from zlake.distributed.ingest import Ingest, begin, resume
from zlake.distributed.plan import Plan
from zlake.distributed.receipt import Receipt
from zlake.distributed.writer import Writer

__all__ = ["Ingest", "Plan", "Receipt", "Writer", "begin", "resume"]
