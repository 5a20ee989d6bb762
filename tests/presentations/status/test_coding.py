"""gateway.presentations.status.bits, coding and issuing: packed lists and their text, both ways."""

import base64
import contextlib
import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.jose import base64url
from gateway.presentations.status import Dialect, StatusBits, StatusCheck, StatusError, credential_claims
from gateway.presentations.status.bits import BitOrder, capacity, read, write
from gateway.presentations.status.coding import (
    decode_bitstring,
    decode_token_list,
    encode_bitstring,
    encode_token_list,
)

LIMIT = 1024 * 1024
MSB, LSB = BitOrder.MOST_SIGNIFICANT_FIRST, BitOrder.LEAST_SIGNIFICANT_FIRST


class TestBits:
    @pytest.mark.parametrize(
        ("order", "size", "index", "value", "octets"),
        [
            (MSB, 1, 0, 1, "80"),
            (MSB, 1, 7, 1, "01"),
            (MSB, 1, 8, 1, "0080"),
            (MSB, 2, 0, 2, "80"),
            (MSB, 4, 1, 0xA, "0a"),
            (MSB, 8, 1, 0xFE, "00fe"),
            (LSB, 1, 0, 1, "01"),
            (LSB, 1, 7, 1, "80"),
            (LSB, 1, 8, 1, "0001"),
            (LSB, 2, 0, 2, "02"),
            (LSB, 4, 1, 0xA, "a0"),
            (LSB, 8, 1, 0xFE, "00fe"),
        ],
    )
    def test_the_place_of_an_entry(self, order, size, index, value, octets):
        """Each order puts an entry where its specification says."""
        packed = bytearray(len(octets) // 2)
        write(packed, index, value, size, order)
        assert packed.hex() == octets
        assert read(packed, index, size, order) == value

    @settings(max_examples=200, deadline=None)
    @given(st.data(), st.sampled_from([1, 2, 4, 8]), st.sampled_from(list(BitOrder)))
    def test_what_is_written_is_read(self, data, size, order):
        """Entries hold their values whatever is written around them."""
        packed = bytearray(6)
        values = [0] * capacity(packed, size)
        for index in data.draw(st.lists(st.integers(0, len(values) - 1), max_size=30)):
            values[index] = data.draw(st.integers(0, (1 << size) - 1))
            write(packed, index, values[index], size, order)
        assert [read(packed, index, size, order) for index in range(len(values))] == values

    @pytest.mark.parametrize("index", [-1, 16, 10**9])
    def test_outside_is_an_error(self, index):
        """No index outside of the list is read, not even from its end."""
        with pytest.raises(IndexError):
            read(bytes(2), index, 1, MSB)

    def test_a_value_must_fit(self):
        """A value of more bits than an entry has is not cut."""
        with pytest.raises(ValueError, match="does not fit"):
            write(bytearray(1), 0, 2, 1, MSB)


def code_of(decode, text, limit=LIMIT):
    with pytest.raises(StatusError) as caught:
        decode(text, max_inflated=limit)
    return caught.value.code


PACKED = bytes(range(256)) * 64
GZIPPED = gzip.compress(PACKED)


class TestText:
    @pytest.mark.parametrize("multibase", [True, False])
    def test_a_bitstring_goes_round(self, multibase):
        """What is encoded is decoded, with the multibase letter and without."""
        text = encode_bitstring(PACKED, multibase=multibase)
        assert decode_bitstring(text, max_inflated=LIMIT) == PACKED
        assert text == encode_bitstring(PACKED, multibase=multibase)

    @pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
    @pytest.mark.parametrize("padded", [True, False])
    def test_every_base64_in_use_is_read(self, encode, padded):
        """Both alphabets, with padding or without, are in use for Status List 2021."""
        text = encode(GZIPPED).decode()
        assert decode_bitstring(text if padded else text.rstrip("="), max_inflated=LIMIT) == PACKED

    def test_a_token_list_goes_round(self):
        """What is encoded is decoded."""
        assert decode_token_list(encode_token_list(PACKED), max_inflated=LIMIT) == PACKED

    def test_the_published_lists_are_decoded(self, token_vectors):
        """The draft's own lists have the entries that the draft says, and no others."""
        for vector in token_vectors:
            packed, size = decode_token_list(vector["lst"], max_inflated=LIMIT), vector["bits"]
            assert capacity(packed, size) == vector["entries"]
            expected = bytearray(len(packed))
            for index, value in vector["statuses"].items():
                write(expected, int(index), value, size, LSB)
            assert packed == expected

    @pytest.mark.parametrize(
        ("decode", "text", "code"),
        [
            (decode_bitstring, "H4sI!", StatusCheck.LIST_ENCODING),
            (decode_bitstring, "H4sI\n", StatusCheck.LIST_ENCODING),
            (decode_bitstring, "H4sIA", StatusCheck.LIST_ENCODING),
            (decode_bitstring, "uH4sI====", StatusCheck.LIST_ENCODING),
            (decode_bitstring, "zH4sI", StatusCheck.LIST_ENCODING),
            (decode_bitstring, "", StatusCheck.LIST_COMPRESSION),
            (decode_bitstring, base64url.encode(zlib.compress(PACKED)), StatusCheck.LIST_COMPRESSION),
            (decode_bitstring, base64url.encode(GZIPPED[:-1]), StatusCheck.LIST_COMPRESSION),
            (decode_bitstring, base64url.encode(GZIPPED + b"x"), StatusCheck.LIST_COMPRESSION),
            (decode_bitstring, base64url.encode(GZIPPED * 2), StatusCheck.LIST_COMPRESSION),
            (decode_token_list, base64url.encode(GZIPPED), StatusCheck.LIST_COMPRESSION),
            (decode_token_list, base64url.encode(zlib.compress(PACKED)[:-1]), StatusCheck.LIST_COMPRESSION),
            (decode_token_list, "u" + base64url.encode(zlib.compress(PACKED)), StatusCheck.LIST_ENCODING),
            (decode_token_list, "eN+/", StatusCheck.LIST_ENCODING),
        ],
    )
    def test_a_malformed_text_is_refused(self, decode, text, code):
        """A text that is not whole and of its kind is refused by what is wrong."""
        assert code_of(decode, text) is code

    @pytest.mark.parametrize(
        ("decode", "text"),
        [
            (decode_bitstring, encode_bitstring(bytes(LIMIT + 1), multibase=False)),
            (decode_token_list, encode_token_list(bytes(LIMIT + 1))),
            (decode_token_list, "A" * (9 * 1024 * 1024)),
        ],
    )
    def test_too_large_a_list_is_refused(self, decode, text):
        """One octet beyond the bound is too many, packed or unpacked."""
        assert code_of(decode, text) is StatusCheck.LIST_SIZE

    def test_the_bound_itself_is_allowed(self):
        """A list of exactly the bound is read."""
        assert len(decode_token_list(encode_token_list(bytes(LIMIT)), max_inflated=LIMIT)) == LIMIT

    @settings(max_examples=300, deadline=None)
    @given(
        st.sampled_from([decode_bitstring, decode_token_list]),
        st.text(max_size=40) | st.binary().map(base64url.encode),
    )
    def test_any_text_is_decoded_or_refused(self, decode, text):
        """Whatever text comes, it is a list or a StatusError."""
        with contextlib.suppress(StatusError):
            decode(text, max_inflated=1024)


class TestIssuing:
    @pytest.mark.parametrize(
        ("dialect", "entries", "size"),
        [
            (Dialect.TOKEN, 0, 1),
            (Dialect.TOKEN, 8, 3),
            (Dialect.BITSTRING, 131_071, 1),
            (Dialect.STATUS_LIST_2021, 131_072, 2),
        ],
    )
    def test_a_list_that_nobody_would_accept_is_not_made(self, dialect, entries, size):
        """Lists that are too short or of a size that their kind does not have are refused."""
        with pytest.raises(ValueError, match="list"):
            StatusBits(dialect, entries=entries, size=size)

    @pytest.mark.parametrize("purposes", [[], ["refresh"], ["revocation", "suspension"]])
    def test_a_list_of_the_first_kind_has_one_purpose(self, purposes):
        """The types of 0.0.1 know revocation and suspension, one at a time."""
        bits = StatusBits(Dialect.REVOCATION_LIST_2021)
        with pytest.raises(ValueError, match="list"):
            credential_claims(
                bits, uri="https://x.example", issuer="x", purposes=purposes, issued_at=0, expires_at=1
            )

    def test_setting_outside_of_the_list_is_an_error(self):
        """No entry outside of the list is set."""
        with pytest.raises(IndexError):
            StatusBits(Dialect.BITSTRING).set(131_072)
