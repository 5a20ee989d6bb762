"""A classic BPF program on listening sockets that drops what comes from some addresses.

The kernel runs it for each packet to the listener, which are those that begin connections: established ones
have sockets of their own. It needs no privilege (socket(7), SO_ATTACH_FILTER), and costs far less than a
handshake. An accepted connection inherits the program of its listener, and is not one that this drops.
"""

import contextlib
import ctypes
import ipaddress
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from gateway.limits.peers import SITE_PREFIX

Instruction: TypeAlias = tuple[int, int, int, int]
"""``struct sock_filter`` (linux/filter.h): code, jump if true, jump if false, operand."""

_ATTACH: Final = 26
_DETACH: Final = 27
"""SO_ATTACH_FILTER and SO_DETACH_FILTER (asm-generic/socket.h)."""
_NETWORK_HEADER: Final = 0xFFF00000
"""SKF_NET_OFF: operands from here on are offsets into the IP header."""
_LOAD_OCTET: Final = 0x30
_LOAD_WORD: Final = 0x20
_SHIFT_RIGHT: Final = 0x74
_JUMP_EQUAL: Final = 0x15
_JUMP: Final = 0x05
_RETURN: Final = 0x06
_IPV4_SOURCE: Final = 12
_IPV6_SOURCE: Final = 8
_DROP: Final[Instruction] = (_RETURN, 0, 0, 0)
_PASS: Final[Instruction] = (_RETURN, 0, 0, 0xFFFFFFFF)


def program(sites: Iterable[str]) -> list[Instruction]:
    """Drops packets of *sites*, which are IPv4 addresses and /64 networks of IPv6, and passes all others."""
    fours: list[Instruction] = [(_LOAD_WORD, 0, 0, _NETWORK_HEADER + _IPV4_SOURCE)]
    sixes: list[Instruction] = []
    for site in sites:
        network = ipaddress.ip_network(site)
        if network.version == 4:  # noqa: PLR2004 - the version of IP
            fours += [(_JUMP_EQUAL, 0, 1, int(network.network_address)), _DROP]
            continue
        prefix = int(network.network_address) >> (128 - SITE_PREFIX)
        sixes += [
            (_LOAD_WORD, 0, 0, _NETWORK_HEADER + _IPV6_SOURCE),
            (_JUMP_EQUAL, 0, 3, prefix >> 32),
            (_LOAD_WORD, 0, 0, _NETWORK_HEADER + _IPV6_SOURCE + 4),
            (_JUMP_EQUAL, 0, 1, prefix & 0xFFFFFFFF),
            _DROP,
        ]
    return [
        (_LOAD_OCTET, 0, 0, _NETWORK_HEADER),
        (_SHIFT_RIGHT, 0, 0, 4),
        (_JUMP_EQUAL, 0, 1, 6),
        (_JUMP, 0, 0, len(fours) + 1),
        *fours,
        _PASS,
        *sixes,
        _PASS,
    ]


def attach(listening: socket.socket, instructions: Sequence[Instruction]) -> None:
    """Run *instructions* for *listening* from now on, in place of what ran before. Raises `OSError`."""
    octets = b"".join(struct.pack("@HBBI", *each) for each in instructions)
    buffer = ctypes.create_string_buffer(octets, len(octets))
    listening.setsockopt(
        socket.SOL_SOCKET, _ATTACH, struct.pack("@HP", len(instructions), ctypes.addressof(buffer))
    )


def detach(listening: socket.socket) -> None:
    """Run nothing for *listening* any more. Nothing happens where nothing ran."""
    with contextlib.suppress(FileNotFoundError):
        listening.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
