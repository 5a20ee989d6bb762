"""Where a device is told to go for its proofs: URLs with the device's number in them."""

from dataclasses import dataclass
from typing import Final

from gateway.enrollment.wire_names import ClientUri
from gateway.proofs.target_uri import TargetUri, TargetUriError

DEVICE: Final = "{device}"
DOMAIN: Final = "{domain}"


@dataclass(frozen=True, slots=True)
class TargetTemplate:
    """A URL in which ``{device}`` stands for a device's number and ``{domain}`` for its domain."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "TargetTemplate":
        """A template that gives URLs in normal form, which is what clients sign.

        Plain http is accepted: the URL is compared and never fetched. Raises `TargetUriError`.
        """
        template = cls(text)
        sample = template.url("0", "example.org")
        if "{" in sample or "}" in sample:
            raise TargetUriError(f"only {DEVICE} and {DOMAIN} stand for something")
        if "?" in sample or "#" in sample:
            raise TargetUriError("a target has no query and no fragment")
        if str(TargetUri.parse(sample, allow_http=True)) != sample:
            raise TargetUriError("write the URL in its normal form")
        return template

    def url(self, device: str, domain: str) -> str:
        """The URL for a device's number and domain."""
        return self.text.replace(DEVICE, device).replace(DOMAIN, domain)

    def of(self, client: ClientUri) -> TargetUri:
        """The target URI of *client*."""
        return TargetUri.parse(self.url(client.device, client.domain), allow_http=True)
