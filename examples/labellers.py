"""A team of labellers: each works on a branch of their own, the work is merged, and a disagreement is settled.

Run with ``python examples/labellers.py``. The data are scikit-learn's bundled handwritten digits, with some labels made
wrong on purpose.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import zlake

SEED = 3
WRONG = 60
NAMES = [str(digit) for digit in range(10)]


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


def import_digits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write the digits with labels that need work; return the true labels, and which rows are wrong."""
    digits = load_digits()
    rng = np.random.default_rng(SEED)
    wrong = np.sort(rng.choice(len(digits.target), WRONG, replace=False))
    noisy = digits.target.copy()
    noisy[wrong] = (noisy[wrong] + 1 + rng.integers(0, 9, WRONG)) % 10
    ds = zlake.empty(path, overwrite=True)
    ds.create_tensor("image", dtype="uint8")
    ds.create_tensor("label", htype="class_label", class_names=NAMES)
    ds.extend({"image": (digits.images * 16).clip(0, 255).astype(np.uint8), "label": noisy})
    ds.commit("digits, as the first annotators left them", author="import")
    return digits.target, wrong


def relabel(path: Path, name: str, rows: np.ndarray, labels: list[str]) -> None:
    """Do one labeller's work, in a session of their own: a branch, some labels, a commit."""
    ds = zlake.load(path)
    ds.checkout(name, create=True)
    with ds:
        for row, label in zip(rows.tolist(), labels, strict=True):
            ds.label[row] = label
    ds.commit(f"{len(rows)} labels looked at", author=name)
    say(f"{name:>6}: relabelled {len(rows)} digits on branch {name!r}")


def main() -> None:
    """Tell the story."""
    folder = Path(tempfile.mkdtemp())
    path = folder / "digits"
    truth, wrong = import_digits(path)
    true = [NAMES[digit] for digit in truth[wrong]]

    # Ana and Bo share out the work. Chen looks at the last ten again, thinks that two of them cannot be told, and
    # gives them a class that nobody else has.
    relabel(path, "ana", wrong[:30], true[:30])
    relabel(path, "bo", wrong[30:], true[30:])
    relabel(path, "chen", wrong[-10:], [*true[-10:-2], "illegible", "illegible"])

    ds = zlake.load(path)
    ds.merge("ana")
    say("merged ana: main had not moved, so the branch was simply brought forward")
    ds.merge("bo")
    say("merged bo: other samples than ana's, so there was nothing to decide")
    try:
        ds.merge("chen")
    except zlake.errors.MergeConflictError as error:
        say(f"merging chen: {len(error.conflicts)} conflicts, and nothing was changed")
        for conflict in error.conflicts:
            ours, theirs = (conflict.data(side)["text"][0] for side in ("ours", "theirs"))
            say(f"  row {conflict.ours_row} of {conflict.tensor!r}: main says {ours!r}, chen says {theirs!r}")

    # The two sides agree on eight of the ten: zlake saw that by itself. The rest is ours to decide.
    def trust_the_doubt(conflict: zlake.MergeConflict) -> str:
        return "theirs" if conflict.data("theirs")["text"] == ["illegible"] else "ours"

    ds.merge("chen", conflict_resolution=trust_the_doubt)
    names = ds.label.info["class_names"]
    doubtful = [row for row in wrong.tolist() if names[int(ds.label[row].numpy()[0])] == "illegible"]
    say(f"settled: rows {doubtful} are illegible; class names are now {names}")

    right = np.delete(np.arange(len(truth)), doubtful)
    assert (ds.label.numpy().ravel()[right] == truth[right]).all()
    assert len(doubtful) == 2
    say("every other label is right; the history:\n")
    ds.log(graph=True)
    assert ds.verify()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
