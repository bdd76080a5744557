"""Every error that zlake raises on purpose, in one tree.

::

    ZlakeError
    ├── StorageError                      the bytes could not be reached, or not written
    │   ├── ObjectNotFoundError           (FileNotFoundError)
    │   ├── ObjectExistsError             (FileExistsError)
    │   ├── InvalidKeyError               (ValueError)
    │   ├── InvalidPathException          (ValueError) a URL that zlake cannot use
    │   ├── InvalidCredentialsError       (ValueError) creds= that the storage does not take
    │   ├── StoragePermissionError        (PermissionError)
    │   ├── StorageFullError              (OSError)
    │   ├── StorageUnavailableError       (ConnectionError) retrying did not help
    │   ├── UnsupportedOperationError     (OSError, ValueError) listing a web server, for instance
    │   ├── WriteStateUnknownError        a write may or may not have landed
    │   ├── UnsafeStorageError            the storage has no conditional writes
    │   └── ReadOnlyModeError             (PermissionError)
    ├── FormatError                       (ValueError) what was read is not what the format allows
    │   ├── CorruptObjectError            a checksum, length or structure is wrong
    │   ├── DatasetCorruptError           a dataset whose parts do not fit together
    │   └── UnsupportedFormatError        written by a newer zlake, or needs a feature we lack
    ├── DatasetHandlerError               (FileNotFoundError, FileExistsError by subclass)
    ├── StructureError                    tensors and groups
    ├── IndexingError                     keys that select nothing sensible
    ├── SampleError                       a sample that does not fit its tensor
    ├── VersionControlError               refs, commits, merges
    ├── LoaderError                       training loops
    └── ForkError                         (RuntimeError)

A class also derives from the builtin that a Python user would catch.
"""
# Names that Deep Lake v3 users catch are kept where the behaviour is the same, hence the mixed endings.
# ruff: noqa: N818

from __future__ import annotations

from typing import Any


class ZlakeError(Exception):
    """Base of every error that zlake raises on purpose."""


# ---------------------------------------------------------------- storage


class StorageError(ZlakeError):
    """The storage did not do what was asked of it."""


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """An object that must exist is missing."""


class ObjectExistsError(StorageError, FileExistsError):
    """A create-only write found another object under its key."""


class InvalidKeyError(StorageError, ValueError):
    """A key that breaks the key grammar, or would leave the dataset's prefix."""


class InvalidPathException(StorageError, ValueError):
    """A dataset URL or path that zlake cannot use."""


class InvalidCredentialsError(StorageError, ValueError):
    """Credentials that are malformed, or that this kind of storage does not take; values are never shown."""


class StoragePermissionError(StorageError, PermissionError):
    """The storage refused access."""


class StorageFullError(StorageError, OSError):
    """No space is left where the object was to be written."""


class StorageUnavailableError(StorageError, ConnectionError):
    """The storage could not be reached, after retries."""


class UnsupportedOperationError(StorageError, OSError, ValueError):
    """An operation that this kind of storage cannot do."""


class WriteStateUnknownError(StorageError):
    """A write was sent, no answer came, and the object cannot be read back: it may have landed or not."""


class UnsafeStorageError(StorageError):
    """The storage does not honour conditional writes, so concurrent writers could lose data."""


class ReadOnlyModeError(StorageError, PermissionError):
    """A write to a dataset that was opened read-only."""


# ---------------------------------------------------------------- format


class FormatError(ZlakeError, ValueError):
    """What was read breaks the format."""


class CorruptObjectError(FormatError):
    """An object whose checksum, length or structure is wrong."""


class DatasetCorruptError(FormatError):
    """A dataset whose objects do not fit together."""


class UnsupportedFormatError(FormatError):
    """A dataset of a newer format version, or one that needs a feature this zlake lacks."""


# ---------------------------------------------------------------- dataset


class DatasetHandlerError(ZlakeError):
    """A dataset that should exist does not, or the other way round."""


class DatasetNotFoundError(DatasetHandlerError, FileNotFoundError):
    """There is no dataset at this path."""


class DatasetExistsError(DatasetHandlerError, FileExistsError):
    """There is a dataset at this path already."""


class PathNotEmptyException(DatasetHandlerError, FileExistsError):
    """The path holds objects that are no dataset."""


class DatasetTooLargeToDelete(DatasetHandlerError, ValueError):
    """Deleting more than 1 GB needs ``large_ok=True``."""


class MemoryDatasetCanNotBePickledError(DatasetHandlerError, TypeError):
    """A ``mem://`` dataset lives in one process and cannot travel to another."""


class InvalidOperationError(ZlakeError):
    """An operation that this object, a view for instance, does not allow."""


class InvalidViewException(ZlakeError):
    """A view whose dataset has changed so that its rows no longer mean anything."""


class DatasetViewSavingError(ZlakeError):
    """A view that cannot be saved."""


# ---------------------------------------------------------------- structure


class StructureError(ZlakeError):
    """A tensor or group that does not exist, exists already, or has a bad name or setting."""


class TensorDoesNotExistError(StructureError, KeyError, AttributeError):
    """There is no tensor of this name."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes


class TensorAlreadyExistsError(StructureError, ValueError):
    """There is a tensor of this name already."""


class TensorGroupDoesNotExistError(StructureError, KeyError, AttributeError):
    """There is no group of this name."""

    __str__ = Exception.__str__


class TensorGroupAlreadyExistsError(StructureError, ValueError):
    """There is a group of this name already."""


class InvalidTensorNameError(StructureError, ValueError):
    """A tensor name that is empty, malformed or taken by the API."""


class InvalidTensorGroupNameError(StructureError, ValueError):
    """A group name that is empty, malformed or taken by the API."""


class GroupInfoNotSupportedError(StructureError, TypeError):
    """Groups carry no info."""


class TensorTooLargeToDelete(StructureError, ValueError):
    """Deleting more than 1 GB needs ``large_ok=True``."""


class TensorMetaError(StructureError, ValueError):
    """Settings of a tensor that do not go together or are not known."""


class TensorMetaInvalidHtype(TensorMetaError):
    """An htype that is not registered."""


class TensorMetaInvalidHtypeOverwriteKey(TensorMetaError):
    """A setting that the htype does not have."""


class TensorMetaInvalidHtypeOverwriteValue(TensorMetaError):
    """A setting with a value that the htype does not allow."""


class TensorMetaMissingRequiredValue(TensorMetaError):
    """A setting that the htype needs was not given."""


class TensorMetaMutuallyExclusiveKeysError(TensorMetaError):
    """Two settings that exclude each other."""


class UnsupportedCompressionError(TensorMetaError):
    """A compression that is not known, or not for this htype."""


class IncompatibleHtypeError(StructureError, ValueError):
    """An htype that the tensor's samples do not fit."""


# ---------------------------------------------------------------- indexing


class IndexingError(ZlakeError):
    """A key that does not select."""


class InvalidKeyTypeError(IndexingError, TypeError):
    """A key of a type that cannot select rows or tensors."""


class RowIndexError(IndexingError, IndexError):
    """A row, mask or sub-sample index out of range."""


class DynamicTensorNumpyError(IndexingError, ValueError):
    """Samples of different shapes do not make one array; use ``aslist=True``."""


# ---------------------------------------------------------------- samples


class SampleError(ZlakeError):
    """A sample that does not fit its tensor, or cannot be read back."""


class TensorDtypeMismatchError(SampleError, TypeError):
    """A sample whose dtype does not cast safely to the tensor's."""


class TensorInvalidSampleShapeError(SampleError, ValueError):
    """A sample of the wrong rank or shape."""


class SampleHtypeMismatchError(SampleError, TypeError):
    """A sample of another kind than the tensor's htype."""


class JsonValidationError(SampleError, ValueError):
    """A value that is not JSON, or breaks the tensor's JSON schema."""


class SampleCompressionError(SampleError, ValueError):
    """A sample that cannot be encoded as asked."""


class SampleDecompressionError(SampleError, ValueError):
    """Stored bytes that their decoder refuses."""


class CorruptedSampleError(SampleError, ValueError):
    """Bytes or a file given as a sample that are not what they claim to be."""


class SampleReadError(SampleError, OSError):
    """A file given as a sample that cannot be read."""


class SampleAppendError(SampleError, ValueError):
    """A row could not be appended; no tensor was changed. The cause is chained."""


class SampleExtendError(SampleAppendError):
    """Rows could not be appended; no tensor was changed. The cause is chained."""


class SampleUpdateError(SampleError, ValueError):
    """A row could not be updated; nothing was changed. The cause is chained."""


class InvalidBlockError(SampleError, ValueError):
    """Columns of samples that do not fit together, found before any of them was written."""


# ---------------------------------------------------------------- versions


class VersionControlError(ZlakeError):
    """Base of the errors of refs, commits and merges."""


class CheckoutError(VersionControlError, ValueError):
    """A version that does not exist, or cannot be checked out."""


class RefNotFoundError(CheckoutError, KeyError):
    """No branch, tag or commit has this name."""

    __str__ = Exception.__str__


class BranchDeletedError(RefNotFoundError):
    """The branch was deleted, perhaps while this session wrote to it; it can be restored. Buffered rows are kept."""


class StaleSessionError(VersionControlError):
    """The branch was reset, or moved to another history, since this session read it; buffered rows are kept."""


class NothingToResetError(VersionControlError, ValueError):
    """`reset` was called where nothing is staged and nothing buffered."""


class AmbiguousRefError(CheckoutError):
    """An abbreviated commit id that several commits begin with; the message lists them."""


class RefExistsError(CheckoutError, FileExistsError):
    """A branch or tag of this name exists already, or a tag of this name did."""


class InvalidRefNameError(VersionControlError, ValueError):
    """A branch or tag name that breaks the ref grammar."""


class DiffError(VersionControlError, ValueError):
    """Versions that cannot be compared as asked."""


class TensorModifiedError(DiffError):
    """The version to compare with is no ancestor of the one that is open."""


class DivergedError(VersionControlError):
    """Two clones of a branch have each a commit that the other lacks; nothing was changed.

    ``ours`` is the commit that was to be sent, ``theirs`` the one that is there.
    """

    def __init__(self, message: str, ours: str = "", theirs: str = "") -> None:
        super().__init__(message)
        self.ours = ours
        self.theirs = theirs


class UnrelatedDatasetsError(VersionControlError, ValueError):
    """Commits travel between clones of one dataset alone; these two were made independently."""


class StagedChangesError(VersionControlError):
    """A branch that is to be moved has staged changes, which would be lost; nothing was changed."""


class CommitError(VersionControlError):
    """A commit that could not be made."""


class EmptyCommitError(CommitError, ValueError):
    """There is nothing to commit."""


class CommitStateUnknownError(CommitError):
    """The ref was being swapped when the storage stopped answering: look for ``commit_id`` before trying again.

    ``branch``, ``write_id`` and ``sequence`` are those of the branch document that was sent: by them `Dataset.landed`
    finds out later whether it landed, in any session.
    """

    # what a pickle cannot give when it makes an error anew, and sets afterwards, has a default
    def __init__(
        self, message: str, commit_id: str = "", write_id: str = "", sequence: int = 0, branch: str = ""
    ) -> None:
        super().__init__(message)
        self.commit_id = commit_id
        self.write_id = write_id
        self.sequence = sequence
        self.branch = branch


class ReceiptError(CommitError, ValueError):
    """A receipt of an ingest that cannot be committed: it is not of this ingest, or its rows are gone or do not fit.

    Nothing was changed.
    """


class ConflictError(CommitError):
    """Another writer changed the same rows or tensors; this session's rows are intact.

    ``conflicts`` lists ``(tensor, sample_id or None, kind)``.
    """

    def __init__(self, message: str, conflicts: tuple[tuple[str, int | None, str], ...] = ()) -> None:
        super().__init__(message)
        self.conflicts = conflicts


class CollectionRefusedError(VersionControlError, ValueError):
    """Garbage cannot be collected, because what must stay cannot be known, or for how long; nothing was deleted."""


class CollectedError(VersionControlError, LookupError):
    """A version that was out of reach was collected as garbage, or is about to be; it cannot be used again."""


class LeaseLapsedError(VersionControlError):
    """A lease was not renewed in time: what it kept may have been collected."""


class MergeError(VersionControlError):
    """A merge, cherry-pick, revert or rebase that could not be made; nothing was changed."""


class MergeConflictError(MergeError):
    """Both sides changed the same rows or tensors; nothing was changed.

    ``conflicts`` lists them: each has ``tensor``, ``sample_id``, ``kind``, the rows ``base_row``, ``ours_row`` and
    ``theirs_row``, and reads their values on demand as ``base``, ``ours`` and ``theirs``.
    """

    def __init__(self, message: str, conflicts: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.conflicts = conflicts


class MergeMismatchError(MergeError, ValueError):
    """A tensor has another htype, dtype, rank or compression on each side, so that its rows cannot be joined."""


class MergeNotSupportedError(MergeError, ValueError):
    """Two histories that have nothing in common, or a version that cannot be merged, picked or reverted."""


# ---------------------------------------------------------------- loaders, processes


class LoaderError(ZlakeError):
    """A training loop that cannot go on."""


class EmptyTensorError(LoaderError, ValueError):
    """A loader was asked for a tensor without samples."""


class TransformFailedError(LoaderError):
    """The user's transform raised; the row is named and the cause chained."""


class MissingDependencyError(ZlakeError, ImportError):
    """A package that this call needs is not installed."""


class ForkError(ZlakeError, RuntimeError):
    """A dataset was used in a forked child of a process that had used it; start workers with forkserver or spawn."""
