"""Sample codecs and htypes: what a sample may be, how it becomes bytes, what it is read back as. No dataset here."""

from __future__ import annotations

from typing import Any

from zlake.samples.class_label import ClassLabel
from zlake.samples.codecs import codec, compressions, register_codec
from zlake.samples.encoded import Encoded
from zlake.samples.generic import Generic, Unspecified
from zlake.samples.htypes import HType
from zlake.samples.image import GrayImage, Image, RgbImage
from zlake.samples.infer import infer
from zlake.samples.json_document import Json, List, Tag
from zlake.samples.prepared import Prepared
from zlake.samples.reading import read
from zlake.samples.registry import htype, htypes, parse_htype, register_htype, settings
from zlake.samples.sample import Sample
from zlake.samples.spec import ClassNames, TensorSpec
from zlake.samples.text import Text
from zlake.samples.vectors import BoundingBox, Embedding
from zlake.types import Array

__all__ = [
    "ClassNames",
    "Encoded",
    "HType",
    "Prepared",
    "Sample",
    "TensorSpec",
    "codec",
    "compressions",
    "htype",
    "htypes",
    "infer",
    "parse_htype",
    "prepare",
    "prepare_many",
    "read",
    "register_codec",
    "register_htype",
    "resolve",
    "settings",
]

for _htype in (
    Unspecified(),
    Generic(),
    Image(),
    RgbImage(),
    GrayImage(),
    ClassLabel(),
    BoundingBox(),
    Embedding(),
    Text(),
    Json(),
    List(),
    Tag(),
):
    register_htype(_htype)


def resolve(samples: Any, spec: TensorSpec) -> TensorSpec:
    """Return the spec with htype, dtype and rank as the first of these samples fixes them; see `HType.resolve`."""
    return htype(spec.htype).resolve(samples, spec)


def prepare(sample: Any, spec: TensorSpec) -> Array | Encoded:
    """Return one sample as it is stored; see `HType.prepare`."""
    return htype(spec.htype).prepare(sample, spec)


def prepare_many(samples: Any, spec: TensorSpec) -> Prepared:
    """Return many samples as they are stored; see `HType.prepare_many`."""
    return htype(spec.htype).prepare_many(samples, spec)
