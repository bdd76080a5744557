"""The three data sets of the workloads: made once, the same on every machine, kept under ``.bench/data``.

Images are crops of scikit-learn's two photographs, so that they compress and decode as photographs do. Only `prepare`
needs scikit-learn; the peers' environments read the files.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".bench" / "data"
SEED = 20260101

FIXED_ROWS = 50_000
FIXED_SHAPE = (32, 32, 3)
JPEG_ROWS = 4_000
JPEG_SHAPE = (400, 500, 3)
JPEG_BYTES = (50_000, 100_000)
RAGGED_ROWS = 200_000
RAGGED_LENGTHS = (10, 500)
CLASSES = 10


@dataclass(frozen=True)
class Sizes:
    """Rows of each data set that a run uses; a quick run takes the first ones."""

    fixed: int = FIXED_ROWS
    jpeg: int = JPEG_ROWS
    ragged: int = RAGGED_ROWS


FULL = Sizes()
QUICK = Sizes(fixed=10_000, jpeg=256, ragged=20_000)


def prepare() -> None:
    """Make what is missing of the data."""
    for name, make in (("fixed", _make_fixed), ("ragged", _make_ragged), ("jpeg", _make_jpeg)):
        if (FOLDER / name).exists():
            continue
        print(f"making the {name} data", flush=True)
        partial = FOLDER / f"{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        make(partial)
        partial.rename(FOLDER / name)


def fixed(rows: int = FIXED_ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Return images (rows, 32, 32, 3) uint8 and labels (rows,) int64, both in memory."""
    return np.load(FOLDER / "fixed" / "images.npy")[:rows], np.load(FOLDER / "fixed" / "labels.npy")[:rows]


def ragged(rows: int = RAGGED_ROWS) -> list[np.ndarray]:
    """Return `rows` float32 arrays of 10 to 500 elements."""
    offsets = np.load(FOLDER / "ragged" / "offsets.npy")
    values = np.load(FOLDER / "ragged" / "values.npy")
    return [values[a:b] for a, b in zip(offsets[:rows].tolist(), offsets[1 : rows + 1].tolist(), strict=True)]


def jpegs(rows: int = JPEG_ROWS) -> list[bytes]:
    """Return `rows` JPEG files of 50,000 to 100,000 bytes."""
    offsets = np.load(FOLDER / "jpeg" / "offsets.npy")[: rows + 1].tolist()
    data = (FOLDER / "jpeg" / "data.bin").read_bytes()
    return [data[a:b] for a, b in pairwise(offsets)]


def permutation(rows: int) -> np.ndarray:
    """Return the permutation (rows,) int64 that the baselines of shuffled epochs gather."""
    return np.random.default_rng(SEED + 1).permutation(rows)


def random_rows(rows: int, count: int) -> np.ndarray:
    """Return `count` random row numbers below `rows`, (count,) int64."""
    return np.random.default_rng(SEED + 2).integers(0, rows, count)


def _photographs() -> list[np.ndarray]:
    from sklearn.datasets import load_sample_images

    return [np.ascontiguousarray(image) for image in load_sample_images().images]


def _make_fixed(folder: Path) -> None:
    rng = np.random.default_rng(SEED)
    photographs = _photographs()
    height, width, _ = FIXED_SHAPE
    images = np.empty((FIXED_ROWS, *FIXED_SHAPE), np.uint8)
    for row in range(FIXED_ROWS):
        photograph = photographs[row % 2]
        y = rng.integers(0, photograph.shape[0] - 2 * height)
        x = rng.integers(0, photograph.shape[1] - 2 * width)
        images[row] = photograph[y : y + 2 * height : 2, x : x + 2 * width : 2]
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", rng.integers(0, CLASSES, FIXED_ROWS))


def _make_ragged(folder: Path) -> None:
    rng = np.random.default_rng(SEED)
    low, high = RAGGED_LENGTHS
    offsets = np.zeros(RAGGED_ROWS + 1, np.int64)
    np.cumsum(rng.integers(low, high, RAGGED_ROWS, endpoint=True), out=offsets[1:])
    np.save(folder / "offsets.npy", offsets)
    np.save(folder / "values.npy", rng.standard_normal(int(offsets[-1]), np.float32))


def _make_jpeg(folder: Path) -> None:
    import simplejpeg
    from PIL import Image

    rng = np.random.default_rng(SEED)
    low, high = JPEG_BYTES
    height, width, _ = JPEG_SHAPE
    # Every crop is enlarged by 1.5 first, as photographs of more pixels would look, and gets a camera's noise.
    larger = [
        np.asarray(Image.fromarray(p).resize((p.shape[1] * 3 // 2, p.shape[0] * 3 // 2), Image.Resampling.BICUBIC))
        for p in _photographs()
    ]
    offsets = [0]
    with (folder / "data.bin").open("wb") as out:
        for row in range(JPEG_ROWS):
            source = larger[row % 2]
            y = rng.integers(0, source.shape[0] - height)
            x = rng.integers(0, source.shape[1] - width)
            pixels = source[y : y + height, x : x + width].astype(np.int16)
            pixels += rng.integers(-6, 7, (height, width, 1), np.int16)
            crop = np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8)[:, :: 1 if rng.random() < 0.5 else -1])
            quality = int(rng.integers(84, 93))
            data = simplejpeg.encode_jpeg(crop, quality=quality, colorsubsampling="420")
            while not low <= len(data) <= high:
                quality += 1 if len(data) < low else -1
                data = simplejpeg.encode_jpeg(crop, quality=quality, colorsubsampling="420")
            out.write(data)
            offsets.append(offsets[-1] + len(data))
    np.save(folder / "offsets.npy", np.array(offsets, np.int64))
