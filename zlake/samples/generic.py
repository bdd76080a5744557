"""htypes ``generic``, any array, and ``unspecified``, which becomes another when the first sample comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zlake.samples.htypes import HType
from zlake.samples.infer import infer_htype
from zlake.samples.spec import UNSPECIFIED, TensorSpec


class Generic(HType):
    """Arrays of any dtype and rank; both fixed by the first sample where not given."""

    name = "generic"


class Unspecified(HType):
    """Decided by the first sample: a dictionary makes it json, a string text, a list of other things list."""

    name = UNSPECIFIED

    def is_resolved(self, spec: TensorSpec) -> bool:
        """Return False: the htype itself is open."""
        return False

    def resolve(self, samples: Any, spec: TensorSpec) -> TensorSpec:
        """Return the spec with the htype, dtype and rank of the first sample that is not None."""
        first = next((sample for sample in samples if sample is not None), None)
        if first is None:
            return super().resolve(samples, spec)
        name = infer_htype(first) if spec.dtype is None else "generic"
        if name == "generic":
            return super().resolve(samples, replace(spec, htype=name))
        return replace(spec, htype=name, dtype=None, ndim=1)
