"""QR codes: what a wallet's camera sees."""

import struct
import xml.etree.ElementTree as ET

import pytest
import segno

from gateway.presentations.qr import MAX_TEXT, qr_png, qr_svg

TEXT = "openid-vc://?request_uri=https://id.example.org/presentations/requests/" + "r" * 43


def test_the_svg_is_a_picture_and_nothing_else():
    """No script, no reference, no style from elsewhere: one path on one ground."""
    root = ET.fromstring(qr_svg(TEXT))  # noqa: S314 - what we made ourselves.
    names = {each.tag.rpartition("}")[2] for each in root.iter()}
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert names <= {"svg", "path"}
    assert b"href" not in qr_svg(TEXT)


def test_both_hold_the_same_code():
    """The picture has the modules of the text's code, with its quiet zone."""
    modules = segno.make_qr(TEXT, error="m").symbol_size(border=4)[0]
    width, height = struct.unpack(">II", qr_png(TEXT)[16:24])
    assert (width, height) == (modules * 6, modules * 6)
    assert f'viewBox="0 0 {modules} {modules}"'.encode() in qr_svg(TEXT)


def test_a_longer_text_is_refused():
    """What no camera reads is not drawn."""
    qr_svg("x" * MAX_TEXT)
    for draw in (qr_svg, qr_png):
        with pytest.raises(ValueError, match="at most"):
            draw("x" * (MAX_TEXT + 1))
