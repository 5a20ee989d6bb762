"""Challenges over ACME (RFC 8555 §7.5.1): read, or answered. An answer is judged before the reply."""

from starlette.responses import Response

from gateway.edge.acme_documents import challenge_document
from gateway.edge.acme_door import AcmeDoor
from gateway.edge.exchange import EdgeRequest
from gateway.enrollment.answers import parse_answer


class ChallengeEndpoint:
    """Wire's clients demand that the reply to their answer says valid, and never processing."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """The challenge as it is, after the answer where there is one."""
        door, challenges = self._door, self._door.enrollment.challenges
        signed = await door.by_account(request)
        ids = request.parameters["authorization"], request.parameters["challenge"]
        if signed.payload:
            found = await challenges.answer(signed.account, *ids, parse_answer(signed.payload))
        else:
            found = await challenges.get(signed.account, *ids)
        response = door.reply(
            challenge_document(door, found.order, found.authorization, found.challenge),
            location=door.provisioner.challenge_url(*ids),
        )
        response.headers.append("link", f'<{door.url("authz", ids[0])}>;rel="up"')
        return response
