"""Make one environment per peer under ``.bench/envs``; run as ``python -m benchmarks.install [--peers lance,hf]``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVS = ROOT / ".bench" / "envs"
CONSTRAINTS = ROOT / "constraints-dev.txt"
# What every adapter and the workloads themselves import.
COMMON = ("numpy", "simplejpeg", "pillow")


@dataclass(frozen=True)
class Environment:
    """What one peer needs.

    Attributes
    ----------
    requirements
        Given to pip together, after torch.
    torch
        Whether the peer's loader needs torch; it is installed first and pinned.
    bare
        Packages installed without what they ask for, because that holds GPU builds which the workloads never touch.
    """

    requirements: tuple[str, ...]
    torch: bool = True
    bare: tuple[str, ...] = ()


ENVIRONMENTS: dict[str, Environment] = {
    "deeplake3": Environment(("deeplake<4", "numpy<2", "simplejpeg<1.9", "setuptools<81")),
    "deeplake4": Environment(("deeplake>=4",)),
    "lance": Environment(("pylance",)),
    "icechunk": Environment(("icechunk", "zarr>=3.1")),
    # What mosaicml-streaming requires, but for the clouds' clients and torchvision, which has no build for CPUs alone.
    "mds": Environment(
        (
            "boto3",
            "brotli",
            "catalogue<3",
            "numpy<2.2",
            "python-snappy<1",
            "tqdm",
            "transformers<5",
            "xxhash<4",
            "zstd<2",
        ),
        bare=("mosaicml-streaming",),
    ),
    "hf": Environment(("datasets",)),
}


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment, whether it exists or not."""
    return ENVS / peer / "bin" / "python"


def install(peer: str) -> None:
    """Make the environment of `peer` unless it is complete."""
    wanted = ENVIRONMENTS[peer]
    folder = ENVS / peer
    stamp = folder / ".ready"
    if stamp.exists() and stamp.read_text() == repr(wanted):
        return
    if not python_of(peer).exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python_of(peer)), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "-qq"]
    pip += ["--retries", "8", "--constraint", str(CONSTRAINTS)]
    if wanted.torch:
        subprocess.run([*pip, "torch"], check=True)
    subprocess.run([*pip, *COMMON, *wanted.requirements], check=True)
    if wanted.bare:
        subprocess.run([*pip, "--no-deps", *wanted.bare], check=True)
    stamp.write_text(repr(wanted))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.install", description=__doc__)
    parser.add_argument("--peers", default=",".join(ENVIRONMENTS), help="comma-separated; default: all")
    failed = []
    for peer in parser.parse_args(argv).peers.split(","):
        print(f"installing {peer}", flush=True)
        try:
            install(peer)
        except subprocess.CalledProcessError as error:
            # One peer that cannot be had must not keep the others away: its rows read "not installed".
            print(f"{peer} could not be installed: {error}", file=sys.stderr)
            failed.append(peer)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
