from __future__ import annotations

import pytest

import zlake
from zlake.errors import LoaderError, TensorDoesNotExistError


def nothing(row):
    return row


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size .* not 0"),
        ({"batch_size": -3}, "batch_size .* not -3"),
        ({"batch_size": 2.0}, r"batch_size .* not 2\.0"),
        ({"batch_size": True}, "batch_size .* not True"),
        ({"batch_size": "8"}, "batch_size .* not '8'"),
        ({"num_workers": -1}, "num_workers .* not -1"),
        ({"num_workers": None}, "num_workers .* not None"),
        ({"num_threads": 0}, "num_threads .* not 0"),
        ({"prefetch_factor": 0}, "prefetch_factor .* not 0"),
        ({"seed": -1}, "seed .* not -1"),
        ({"seed": 1.5}, r"seed .* not 1\.5"),
        ({"transform": 3}, "transform must be a function or None, not 3"),
        ({"transform": {"label": 4}}, "label must be a function or None, not 4"),
        ({"collate_fn": "stack"}, "collate_fn must be a function or None, not 'stack'"),
        ({"transform": {"label": None}, "tensors": ["label"]}, "leave tensors= out"),
        ({"transform_kwargs": {"size": 3}}, "transform_kwargs .*'size': 3"),
        ({"transform": {"label": nothing}, "transform_kwargs": {"size": 3}}, "transform_kwargs"),
        ({"tensors": "label"}, "not 'label'"),
        ({"tensors": [1]}, r"not \[1\]"),
        ({"tensors": []}, r"at least one tensor.*\[\]"),
        ({"tensors": ["label", "label"]}, "none twice"),
        ({"decode_method": {"photo": "jpeg"}}, "'photo' must be one of .* not 'jpeg'"),
        ({"decode_method": {"phot": "pil"}}, "names 'phot', which is not loaded"),
        ({"decode_method": {"photo": "pil"}, "tensors": ["label"]}, "names 'photo', which is not loaded"),
        ({"decode_method": {"dense": "tobytes"}}, "'tobytes' is for encoded samples; 'dense'"),
        ({"decode_method": {"text": "pil"}}, "'pil' is for images; 'text'"),
        ({"rank": 0}, "rank and world_size go together"),
        ({"world_size": 2}, "rank and world_size go together"),
        ({"rank": 2, "world_size": 2}, "rank must be below world_size 2, not 2"),
        ({"rank": -1, "world_size": 2}, "rank .* not -1"),
        ({"rank": 0, "world_size": 0}, "world_size .* not 0"),
        ({"distributed": True}, "init_process_group"),
        ({"distributed": True, "rank": 0, "world_size": 1}, "leave them out"),
    ],
)
def test_bad_options_are_refused_by_name_and_value(ds, options, message):
    with pytest.raises(LoaderError, match=message):
        ds.pytorch(**options)


def test_a_name_that_is_no_tensor(ds):
    with pytest.raises(TensorDoesNotExistError, match="did you mean 'label'"):
        ds.pytorch(tensors=["labels"])
    with pytest.raises(TensorDoesNotExistError, match="'nope'"):
        ds.pytorch(transform={"nope": None})


def test_a_dataset_without_tensors():
    with pytest.raises(LoaderError, match="no tensors"):
        zlake.empty("mem://loader-bare", overwrite=True).pytorch()


def test_an_epoch_must_be_a_number(ds):
    with pytest.raises(LoaderError, match=r"epoch .* not -1"):
        ds.pytorch().set_epoch(-1)


def test_pin_memory_does_nothing_without_an_accelerator(ds, recwarn):
    import torch

    batch = next(iter(ds.pytorch(batch_size=4, pin_memory=True)))
    assert batch["dense"].is_pinned() is torch.accelerator.is_available()
    assert not [w for w in recwarn if "pin_memory" in str(w.message)]


def test_a_progress_bar_counts_batches(ds, capsys):
    assert len(list(ds.pytorch(batch_size=10, progressbar=True))) == 4
    assert "4/4" in capsys.readouterr().err
    list(ds.pytorch(batch_size=10))
    assert capsys.readouterr().err == ""
