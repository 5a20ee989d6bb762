# ruff: noqa: INP001, T201 - a program of its own, which prints.
r"""Ask a wallet for a VerifiedEmployee credential, wait for the answer, and print the check report.

    python presentation.py --target localhost:50052 --ca ca.pem \
        --certificate backend.pem --private-key backend.key --verifier staff-login

Every option may come from the environment instead: EXAMPLE_TARGET, EXAMPLE_CA, and so on. The client's
certificate is one with the role verifier. The program ends with 0 where the answer was accepted, with 2 where
it was refused or did not come, and with 1 where the gateway could not be asked.
"""

import argparse
import asyncio
import os

from countersign import (
    CountersignError,
    GatewayClient,
    PresentationRequest,
    PresentationVerification,
    TlsConfig,
    VerifiedEmployeeQuery,
)

ACCEPTED, REFUSED = 0, 2


async def run(options: argparse.Namespace) -> int:
    tls = TlsConfig(ca=options.ca, certificate=options.certificate, private_key=options.private_key)
    async with GatewayClient(options.target, tls=tls) as client:
        query = VerifiedEmployeeQuery(("displayName", *options.claim))
        created = await client.create_presentation_request(options.verifier, query, purpose=options.purpose)
        print(f"open {created.request.authorization_request_uri}", flush=True)

        asked = created.request
        async for now in client.watch_presentation_request(asked.name):
            print(now.state.value, flush=True)
            asked = now
        return tell(asked)


def tell(request: PresentationRequest) -> int:
    report = request.verification
    if report is None:
        print(f"no presentation: {request.wallet_error or 'nobody answered in time'}")
        return REFUSED
    for check in report.checks:
        decides = "" if not check.advisory else " (advisory)"
        print(f"{check.outcome.value:8} {check.code} at {check.path}: {check.detail}{decides}")
    if not report.accepted:
        print(f"refused, because of {', '.join(check.code for check in report.objections)}")
        return REFUSED
    tell_who(report)
    return ACCEPTED


def tell_who(report: PresentationVerification) -> None:
    for each in report.credentials:
        name = each.credential["credentialSubject"]["displayName"]
        print(f"accepted: {name}, employed by {each.linked_origin or each.issuer}")
    print(f"held by {report.holder}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ask a wallet who its user is.")
    for name in ("target", "ca", "certificate", "private-key", "verifier"):
        default = os.environ.get(f"EXAMPLE_{name.upper().replace('-', '_')}")
        parser.add_argument(f"--{name}", default=default, required=default is None)
    parser.add_argument("--claim", action="append", default=[], help="one more that must be there")
    parser.add_argument("--purpose", default="", help="what the wallet tells its user")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        raise SystemExit(asyncio.run(run(arguments())))
    except CountersignError as error:
        raise SystemExit(str(error)) from error
