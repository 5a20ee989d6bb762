"""A QR code (ISO/IEC 18004) of what a wallet opens, as SVG and PNG. No script and no reference in either."""

import io
from functools import lru_cache
from typing import Final

import segno

MAX_TEXT: Final = 2048  # characters: fewer than a code of the chosen error correction holds
CACHED: Final = 64

_BORDER: Final = 4  # modules of quiet zone (ISO/IEC 18004 §6.3.8)
_SCALE: Final = 6  # pixels of a module in the PNG


@lru_cache(maxsize=CACHED)
def qr_svg(text: str) -> bytes:
    """*text*, at most `MAX_TEXT` characters, as SVG. Raises `ValueError` for a longer one."""
    output = io.BytesIO()
    _code(text).save(output, kind="svg", border=_BORDER, xmldecl=False, svgns=True, omitsize=True)
    return output.getvalue()


@lru_cache(maxsize=CACHED)
def qr_png(text: str) -> bytes:
    """*text*, at most `MAX_TEXT` characters, as PNG. Raises `ValueError` for a longer one."""
    output = io.BytesIO()
    _code(text).save(output, kind="png", border=_BORDER, scale=_SCALE)
    return output.getvalue()


def _code(text: str) -> segno.QRCode:
    if len(text) > MAX_TEXT:
        raise ValueError(f"a QR code holds at most {MAX_TEXT} characters here")
    return segno.make_qr(text, error="m")
