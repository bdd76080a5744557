"""The main path on real data: ingest, commit, train while streaming, go back in time, open with xarray and zarr.

Run with ``make demo``. The data are scikit-learn's bundled handwritten digits and its two bundled photographs.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
import xarray as xr
import zarr
from sklearn.datasets import load_digits, load_sample_images
from torch import nn

import zlake

SEED = 7
EPOCHS = 12


def jpegs() -> list[bytes]:
    """Return the two bundled photographs as the JPEG files that they are."""
    return [Path(name).read_bytes() for name in load_sample_images().filenames]


def ingest(path: Path) -> tuple[str, str]:
    """Write digits, then photographs, as two commits; return their ids."""
    digits = load_digits()
    images = (digits.images * 16).clip(0, 255).astype(np.uint8)
    ds = zlake.empty(path, overwrite=True)
    with ds:
        ds.create_tensor("digits/image", htype="generic", dtype="uint8")
        ds.create_tensor("digits/label", htype="class_label", class_names=[str(i) for i in range(10)])
        ds.digits.extend({"image": images, "label": digits.target})
        ds.info["source"] = "UCI optical recognition of handwritten digits, as bundled with scikit-learn"
    first = ds.commit("handwritten digits")
    with ds:
        ds.create_tensor("photo/image", htype="image", sample_compression="jpeg")
        ds.create_tensor("photo/caption", htype="text")
        for data, caption in zip(jpegs(), ["a temple in China", "a flower"], strict=True):
            ds.photo.append({"image": zlake.read(data), "caption": caption})
    second = ds.commit("two photographs, kept byte for byte")
    return first, second


def train(ds: zlake.Dataset) -> float:
    """Train a small CNN on a streamed, shuffled split; return the accuracy on the rows held out."""
    torch.manual_seed(SEED)
    rows = np.random.default_rng(SEED).permutation(len(ds.digits))
    split = len(rows) * 4 // 5
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 16, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    loader = ds.digits[rows[:split]].pytorch(batch_size=64, shuffle=True, seed=SEED, return_index=False)
    for epoch in range(EPOCHS):
        total = 0.0
        for image, label in loader:
            loss = nn.functional.cross_entropy(model(image.unsqueeze(1).float() / 255), label.squeeze(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"  epoch {epoch + 1:2}: loss {total / len(loader):.4f}")
    model.eval()
    correct = 0
    with torch.no_grad():
        for image, label in ds.digits[rows[split:]].pytorch(batch_size=256, return_index=False):
            correct += int((model(image.unsqueeze(1).float() / 255).argmax(1) == label.squeeze(1)).sum())
    return correct / (len(rows) - split)


def main(path: Path) -> None:
    """Run the demonstration at a path, which is replaced."""
    began = time.perf_counter()
    shutil.rmtree(path, ignore_errors=True)
    first, second = ingest(path)
    ds = zlake.load(path)
    print(ds, "\n")
    ds.log()

    print("training from ds.pytorch(...):")
    accuracy = train(ds)
    print(f"  accuracy on held-out digits: {accuracy:.1%}\n")

    before = zlake.load(f"{path}@{first}")
    print(f"the first commit has tensors {list(before.tensors)}; now there are {list(ds.tensors)}")
    photo = ds.photo.image[0]
    assert photo.tobytes() == jpegs()[0]
    print(f"photograph 0: {photo.numpy().shape} decoded, {len(photo.tobytes()):,} bytes stored exactly as given\n")

    print("the same version with xarray, lazily:")
    print(xr.open_dataset(path, engine="zlake", group="digits", ref=second), "\n")
    print("and with zarr:")
    group = zarr.open_group(ds.zarr_store(), mode="r")
    print(group.tree(), "\n")
    assert np.array_equal(group["digits/image"][:5], ds.digits.image[:5].numpy())

    print(f"everything lies in {path}:")
    for entry in sorted(path.iterdir()):
        files = [entry] if entry.is_file() else [f for f in entry.rglob("*") if f.is_file()]
        print(f"  {entry.name:10} {len(files):4} objects {sum(f.stat().st_size for f in files):10,} bytes")
    print(f"\n{time.perf_counter() - began:.1f} s")
    if accuracy < 0.95:
        sys.exit(f"accuracy {accuracy:.1%} is below 95 %")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-dataset"))
