"""The checksum that a document carries about itself."""

from __future__ import annotations

import google_crc32c
import pytest

from zlake.errors import CorruptObjectError
from zlake.format import check_seal, seal

GROUP = b'{"zarr_format":3,"node_type":"group","attributes":{"crc32c":"00000000","a":1}}'


@pytest.mark.parametrize("data", [GROUP, GROUP.replace(b"group", b"array"), b'{"crc32c":"00000000"}'])
def test_the_checksum_is_that_of_the_bytes_with_zeros_in_its_place(data: bytes) -> None:
    sealed = seal(data)
    assert len(sealed) == len(data)
    assert sealed == data.replace(b"00000000", b"%08x" % google_crc32c.value(data))
    check_seal(sealed, "it")


def test_only_lower_case_digits_count() -> None:
    sealed = next(s for s in (seal(GROUP.replace(b"1", b"%d" % i)) for i in range(2, 99)) if s.upper() != s)
    digits = sealed[61:69]
    assert digits != digits.upper()
    with pytest.raises(CorruptObjectError, match="no checksum"):
        check_seal(sealed.replace(digits, digits.upper()), "it")


@pytest.mark.parametrize(
    "data", [b"", b"{}", GROUP[:60], GROUP.replace(b"3", b"2", 1), b'{"crc32c":"1234"}', b" " + GROUP]
)
def test_what_is_no_document_cannot_be_sealed(data: bytes) -> None:
    with pytest.raises(ValueError, match="must begin with"):
        seal(data)
    with pytest.raises(CorruptObjectError, match=r"^it "):
        check_seal(data, "it")
