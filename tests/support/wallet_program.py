"""A wallet on the command line, against a development gateway (`countersign dev`).

    python -m tests.support.wallet_program --dir var 'openid-vc://?request_uri=https%3A%2F%2F...'

It makes an employer with a did:web and a status list on this machine, has it issue a VerifiedEmployee
credential to a new holder, and presents that. ``--revoked`` has the employer revoke it first, and
``--decline`` has the user say no. The certificate of the employer's host is from the folder's development CA.
"""

import argparse
import asyncio
import ssl
import sys
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.fetching import DangerousLoopbackDoor, GuardedClient
from signers import Algorithm
from tests.support.dids import NoDns
from tests.support.pki import Authority
from tests.support.scripted_server import ScriptedServer, reply, server_context
from tests.support.wallet import Answered, Wallet, WalletRefusedError
from tests.support.wallet_identities import ALGORITHMS, METHODS, Identity, identity
from tests.support.wallet_issuer import EmployeeIssuer


def main() -> int:
    """Run it; 0 where the verifier took the answer."""
    parser = argparse.ArgumentParser(description="Present a VerifiedEmployee credential.")
    parser.add_argument("uri", help="what the QR code says: openid-vc://?request_uri=...")
    parser.add_argument("--dir", type=Path, default=Path("var"), help="the development gateway's folder")
    parser.add_argument("--method", choices=METHODS, default="ion", help="DID method of the holder")
    parser.add_argument("--algorithm", type=Algorithm, choices=ALGORITHMS, default=Algorithm.EDDSA)
    parser.add_argument("--revoked", action="store_true", help="the employer revoked the credential")
    parser.add_argument("--decline", action="store_true", help="the user says no")
    arguments = parser.parse_args()
    try:
        answered = asyncio.run(_run(arguments))
    except WalletRefusedError as error:
        sys.stderr.write(f"The wallet does not answer this request: {error}.\n")
        return 1
    asked, response = answered.asked, answered.response
    sys.stdout.write(
        f"asked by     {asked.registration['client_name']}\n"
        f"             {asked.client_id}, which controls {asked.origin}\n"
        f"answered     {response.status_code} {response.reason_phrase}\n"
    )
    if response.is_success and "redirect_uri" in response.json():
        sys.stdout.write(f"go on at     {response.json()['redirect_uri']}\n")
    return 0 if response.is_success else 2


async def _run(arguments: argparse.Namespace) -> Answered:
    ca_pem = (arguments.dir / "ca.pem").read_bytes()
    key = load_pem_private_key((arguments.dir / "ca-key.pem").read_bytes(), None)
    authority = Authority(x509.load_pem_x509_certificate(ca_pem), key)
    async with ScriptedServer(tls=server_context(authority.server())) as server:
        holder, credential = _issued(arguments, server)
        door = DangerousLoopbackDoor(frozenset({"localhost"}), ca_pem.decode())
        context = ssl.create_default_context(cadata=ca_pem.decode())
        async with httpx.AsyncClient(verify=context, timeout=30, trust_env=False) as http:
            wallet = Wallet(holder, [credential], client=GuardedClient(NoDns(), door=door), http=http)
            return await (wallet.decline if arguments.decline else wallet.present)(arguments.uri)


def _issued(arguments: argparse.Namespace, server: ScriptedServer) -> tuple[Identity, str]:
    """A holder and a credential; *server* hosts the documents of both sides, and the status list."""
    host = f"localhost:{server.port}"
    domain = {"id": "#domain", "type": "LinkedDomains", "serviceEndpoint": f"https://{host}"}
    employer = identity("web", Algorithm.ES256, host=f"{host}/employer", services=[domain])
    holder = identity(arguments.method, arguments.algorithm, host=f"{host}/holder")
    issuer = EmployeeIssuer(employer, f"https://{host}/status/1")
    credential = issuer.issue(holder.did, status=True)
    if arguments.revoked:
        issuer.revoke(credential)
    for name, each in (("employer", employer), ("holder", holder)):
        if each.document is not None:
            server.routes[f"/{name}/did.json"] = reply(body=each.document)
    server.routes["/.well-known/did-configuration.json"] = reply(
        body=issuer.did_configuration(f"https://{host}")
    )
    server.routes["/status/1"] = reply(body=issuer.status_list().encode(), content_type="application/jwt")
    return holder, credential


if __name__ == "__main__":
    sys.exit(main())
