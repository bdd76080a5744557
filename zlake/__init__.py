"""zlake: versioned datasets of ragged tensors, stored as plain Zarr v3.

>>> import numpy as np, zlake
>>> ds = zlake.empty("mem://hello", overwrite=True)
>>> _ = ds.create_tensor("x")
>>> ds.extend({"x": np.arange(6).reshape(3, 2)})
>>> commit = ds.commit("first rows")
>>> ds.x[1].numpy()
array([2, 3])
"""

from zlake import errors
from zlake.context import Context
from zlake.dataset.copying import copy, deepcopy
from zlake.dataset.dataset import Dataset
from zlake.dataset.entry import dataset, delete, empty, exists, like, load
from zlake.dataset.tensor import Tensor
from zlake.samples import read
from zlake.session.conflict import MergeConflict

__version__ = "0.1.0"

__all__ = [
    "Context",
    "Dataset",
    "MergeConflict",
    "Tensor",
    "__version__",
    "copy",
    "dataset",
    "deepcopy",
    "delete",
    "empty",
    "errors",
    "exists",
    "like",
    "load",
    "read",
]
