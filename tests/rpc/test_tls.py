"""Certificates of the listeners: exchanged as a pair, without a restart, and never for something broken."""

import asyncio
import ssl

import grpc
import pytest

from gateway.client_roots import ClientRoots
from gateway.errors import AvailabilityError, Reason
from gateway.tls_files import TlsFileError, TlsFiles, read_material
from gateway.tls_reload import TlsReloader
from tests.support.pki import Authority, self_signed
from tests.support.rpc_server import MINT, Anchors, serving

ROOT = Authority.root()


@pytest.fixture
async def running(tmp_path):
    """A server that looks at its files only when told to."""
    async with serving(tmp_path, root=ROOT, tls_reload_interval=3600) as server:
        yield server


async def served_certificate(running):
    """What a new connection to the TLS port is shown, DER."""
    context = ssl.create_default_context(cadata=ROOT.pem.decode())
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection(
        "127.0.0.1", running.server.ports.tls, ssl=context, server_hostname="localhost"
    )
    try:
        return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()


async def test_a_new_pair_is_served_to_new_connections(running, tmp_path):
    """After both files changed, new connections see the new certificate; open ones go on."""
    before = await served_certificate(running)
    async with running.channel() as channel:
        await channel.unary_unary(MINT)(b"", timeout=5)
        fresh = ROOT.server()
        fresh.write(tmp_path, "server")
        await running.tls.look()
        assert await served_certificate(running) == fresh.der != before
        await channel.unary_unary(MINT)(b"", timeout=5)
    await running.call(client=ROOT.leaf("somebody"))


async def test_the_reloader_looks_by_itself(tmp_path):
    """Nobody has to tell the server that its files changed."""
    async with serving(tmp_path, root=ROOT, tls_reload_interval=0.01) as running:
        fresh = ROOT.server()
        fresh.write(tmp_path, "server")
        async with asyncio.timeout(5):
            while await served_certificate(running) != fresh.der:
                pass


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        (b"", None),
        (b"no PEM", None),
        (None, b"no PEM"),
        (None, b""),
        ("missing", None),
        (None, "missing"),
        (None, "foreign"),
    ],
)
async def test_a_broken_file_changes_nothing(running, certificate, key, caplog):
    """Whatever is written into the files, the old pair is served, and the fault is told once."""
    before = await served_certificate(running)
    for path, content in ((running.files.certificate, certificate), (running.files.private_key, key)):
        if content == "missing":
            path.unlink()
        elif content == "foreign":
            path.write_bytes(self_signed("other").key_pem)
        elif content is not None:
            path.write_bytes(content)
    await running.tls.look()
    assert running.tls.detail == ""  # Perhaps only half of the files is written so far.
    for _ in range(3):
        await running.tls.look()
    assert str(running.files.certificate.parent) in running.tls.detail
    assert await served_certificate(running) == before
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1
    fresh = ROOT.server()
    fresh.write(running.files.certificate.parent, "server")
    await running.tls.look()
    assert running.tls.detail == ""
    assert await served_certificate(running) == fresh.der


async def test_files_written_one_after_the_other_are_used_together(running):
    """A certificate without its key yet is not used; when the key follows, both are."""
    fresh = ROOT.server()
    running.files.certificate.write_bytes(fresh.chain_pem)
    await running.tls.look()
    assert await served_certificate(running) != fresh.der
    running.files.private_key.write_bytes(fresh.key_pem)
    await running.tls.look()
    assert await served_certificate(running) == fresh.der
    assert running.tls.detail == ""


async def test_new_client_roots_are_used(running):
    """A client of a root that is added later can connect."""
    other = Authority.root("Other")
    client = other.leaf("late")
    with pytest.raises(grpc.aio.AioRpcError):
        await running.call(client=client, timeout=5)
    running.files.client_ca.write_bytes(ROOT.pem + other.pem)
    await running.tls.look()
    await running.call(client=client)
    assert running.records[-1].caller == "CN=late"


async def test_a_certificate_that_is_registered_can_connect(running):
    """A client that registers its own certificate passes the handshake from the next look on."""
    client = self_signed("device")
    with pytest.raises(grpc.aio.AioRpcError):
        await running.call(client=client, timeout=5)
    running.anchors.register(client)
    await running.tls.look()
    await running.call(client=client)


async def test_a_registered_certificate_cannot_stand_in_for_a_root(running):
    """A registered certificate with the name of the client root locks nobody out."""
    impostor = self_signed("Test Root", subject=ROOT.certificate.subject, ca=True)
    running.anchors.register(impostor)
    await running.tls.look()
    await running.call(client=ROOT.leaf("somebody"))
    with pytest.raises(grpc.aio.AioRpcError):
        await running.call(client=impostor, timeout=5)


async def test_a_store_that_does_not_answer_changes_nothing(running, caplog):
    """Registered certificates stay usable while the store is away; the fault is told once."""
    client = self_signed("device")
    running.anchors.register(client)
    await running.tls.look()
    running.anchors.fault = AvailabilityError(Reason.STORE_UNAVAILABLE, "away")
    for _ in range(3):
        await running.tls.look()
    assert "STORE_UNAVAILABLE" in running.tls.detail
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1
    await running.call(client=client)
    running.anchors.fault = None
    await running.tls.look()
    assert running.tls.detail == ""


async def test_a_fault_that_nobody_expected_does_not_end_the_watch(tmp_path, caplog):
    """The reloader goes on after any exception."""
    async with serving(tmp_path, root=ROOT, tls_reload_interval=0.01) as running:
        running.anchors.fault = RuntimeError("a defect")
        async with asyncio.timeout(5):
            while "a defect" not in caplog.text:
                await served_certificate(running)
        running.anchors.fault = None
        client = self_signed("device")
        running.anchors.register(client)
        fresh = ROOT.server()
        fresh.write(tmp_path, "server")
        async with asyncio.timeout(5):
            while await served_certificate(running) != fresh.der:
                pass


async def test_a_server_does_not_start_with_broken_files(tmp_path):
    """At the start there is no old pair to keep: it fails and says which file."""
    certificate, key = ROOT.server().write(tmp_path, "server")
    client_ca = tmp_path / "ca.pem"
    files = TlsFiles(certificate, key, client_ca)
    reloader = TlsReloader(files=files, roots=ClientRoots(ROOT.pem), registered=Anchors(), clock=lambda: 0.0)
    with pytest.raises(TlsFileError, match=r"ca\.pem"):
        await reloader.open()


def test_a_client_ca_that_is_no_ca_is_refused(tmp_path):
    """A leaf among the client roots is refused by name."""
    certificate, key = ROOT.server().write(tmp_path, "server")
    client_ca = tmp_path / "ca.pem"
    client_ca.write_bytes(ROOT.leaf("leaf").pem)
    with pytest.raises(TlsFileError, match="invalid_root"):
        read_material(TlsFiles(certificate, key, client_ca))


def test_material_hides_its_key(tmp_path):
    """The private key is not in the text of the value that holds it."""
    certificate, key = ROOT.server().write(tmp_path, "server")
    client_ca = tmp_path / "ca.pem"
    client_ca.write_bytes(ROOT.pem)
    material = read_material(TlsFiles(certificate, key, client_ca))
    assert "PRIVATE" not in repr(material)
