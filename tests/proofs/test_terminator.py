"""gateway.proofs.terminator: one certificate per request, and the header only from the terminator."""

import base64
import textwrap
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Reason
from gateway.proofs.client_certificate import ClientCertificate
from gateway.proofs.terminator import (
    HeaderFormat,
    TerminatorHeader,
    TerminatorPolicy,
    resolve_client_certificate,
)
from gateway.proofs.terminator_errors import TerminatorFault, TerminatorHeaderError
from tests.support.pki import Authority

SAMPLE = ClientCertificate.from_pem(
    (Path(__file__).parent.parent / "vectors" / "wso2_sample_client.pem").read_bytes()
)
THUMBPRINT = "mt3KDY1hofQurloTbphKHCSrTlAGl5MlgXX6Xxj9c_E"
BASE64 = base64.b64encode(SAMPLE.der).decode()
LINES = textwrap.wrap(BASE64, 64)
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
PEM = "\n".join([BEGIN, *LINES, END]) + "\n"

RFC9440 = TerminatorPolicy((TerminatorHeader("Client-Cert", HeaderFormat.RFC9440),))
WSO2 = TerminatorPolicy((TerminatorHeader("x-wso2-mtls-cert", HeaderFormat.PEM),))
XFCC = TerminatorPolicy((TerminatorHeader("x-forwarded-client-cert", HeaderFormat.XFCC),))


@pytest.fixture(scope="module")
def proxy():
    """The terminator's own certificate, as the TLS layer shows it."""
    return ClientCertificate.from_pem(Authority.root().leaf("proxy").pem)


@pytest.fixture(scope="module")
def issued():
    return Authority.root().intermediate().leaf("client-a")


def resolve(policy, *headers, transport=None, trusted=True):
    return resolve_client_certificate(transport, headers, trusted=trusted, policy=policy)


def fault_of(policy, *headers, **options):
    with pytest.raises(TerminatorHeaderError) as caught:
        resolve(policy, *headers, **options)
    assert caught.value.reason is Reason.TERMINATOR_HEADER_REFUSED
    assert caught.value.cause == caught.value.fault.value
    return caught.value.fault


class TestSource:
    def test_the_header_is_off_by_default(self, proxy):
        """Without configuration a header is nothing, even from a trusted peer."""
        header = ("x-wso2-mtls-cert", PEM)
        assert resolve(TerminatorPolicy(), header, transport=proxy) is proxy
        assert resolve(TerminatorPolicy(), header) is None

    def test_from_the_terminator_the_header_is_the_client(self, proxy):
        """The connection's certificate is the terminator's own and never the client's."""
        found = resolve(WSO2, ("x-wso2-mtls-cert", PEM), transport=proxy)
        assert found is not None
        assert found.x5t_s256 == THUMBPRINT

    def test_no_header_from_the_terminator_is_no_certificate(self, proxy):
        """A client without a certificate does not become the terminator."""
        assert resolve(WSO2, ("other", "x"), transport=proxy) is None

    @pytest.mark.parametrize("name", ["x-wso2-mtls-cert", "X-WSO2-MTLS-Cert", "X-Wso2-Mtls-Cert"])
    def test_the_header_of_anybody_else_is_refused(self, proxy, name):
        """A peer that is not the terminator and sends the header, in whatever case, is refused."""
        for transport in (proxy, None):
            fault = fault_of(WSO2, (name, PEM), transport=transport, trusted=False)
            assert fault is TerminatorFault.UNTRUSTED_SENDER
        assert fault_of(WSO2, (name, ""), trusted=False) is TerminatorFault.UNTRUSTED_SENDER

    def test_a_chain_header_of_anybody_else_is_refused(self):
        """The chain header is as much of a claim as the certificate's."""
        fault = fault_of(RFC9440, ("client-cert-chain", f":{BASE64}:"), trusted=False)
        assert fault is TerminatorFault.UNTRUSTED_SENDER

    def test_a_direct_client_keeps_its_own_certificate(self, proxy):
        """A peer that is not the terminator and sends no header is taken by its TLS certificate."""
        assert resolve(WSO2, ("other", "x"), transport=proxy, trusted=False) is proxy

    @pytest.mark.parametrize("name", ["x-wso2-mtls-cert", "X-WSO2-MTLS-CERT", "X-wso2-mTLS-Cert"])
    def test_the_case_of_the_name_does_not_matter(self, name):
        """Header in another case: same certificate, not a token that is silently unbound."""
        shouting = TerminatorPolicy((TerminatorHeader("X-WSO2-mtls-cert", HeaderFormat.PEM),))
        for policy in (WSO2, shouting):
            assert resolve(policy, (name, PEM)) == SAMPLE

    @pytest.mark.parametrize("second", [PEM, "", "garbage"])
    def test_the_header_is_sent_once(self, second):
        """A second copy, even an equal one and in another case, is header_duplicate."""
        headers = (("x-wso2-mtls-cert", PEM), ("X-WSO2-mtls-cert", second))
        assert fault_of(WSO2, *headers) is TerminatorFault.DUPLICATE

    def test_two_kinds_of_header_conflict(self):
        """Where several are configured, one request carries one of them."""
        policy = TerminatorPolicy(RFC9440.headers + WSO2.headers)
        headers = (("client-cert", f":{BASE64}:"), ("x-wso2-mtls-cert", PEM))
        assert resolve(policy, headers[0]) == resolve(policy, headers[1]) == SAMPLE
        assert fault_of(policy, *headers) is TerminatorFault.CONFLICT

    @pytest.mark.parametrize("policy", [RFC9440, WSO2, XFCC])
    def test_the_size_is_bounded(self, policy):
        """One octet beyond 16 KiB is header_too_large, whatever it holds."""
        name = policy.headers[0].name
        assert fault_of(policy, (name, "x" * 16385)) is TerminatorFault.TOO_LARGE
        assert fault_of(policy, (name, b"x" * 16385)) is TerminatorFault.TOO_LARGE

    @pytest.mark.parametrize("value", ["", " ", "\xe9", b"\xff", "\ud800", "\u212a"])
    def test_a_value_that_is_empty_or_not_ascii_is_refused(self, value):
        """An empty header is not the same as none: the terminator meant to say something."""
        for policy in (RFC9440, WSO2, XFCC):
            fault = fault_of(policy, (policy.headers[0].name, value))
            assert fault in {TerminatorFault.MALFORMED, TerminatorFault.CERTIFICATE_MALFORMED}


class TestPem:
    @pytest.mark.parametrize(
        "value",
        [
            PEM,
            BEGIN + BASE64 + END,
            f"{BEGIN} {BASE64} {END}",
            " ".join([BEGIN, *LINES, END]),
            "\t".join([BEGIN, *LINES, END]),
            "\n\t".join([BEGIN, *LINES, END]),
            "\r\n ".join([BEGIN, *LINES, END]),
            "\r\n".join([BEGIN, *LINES, END]) + "\r\n",
            r"\n".join([BEGIN, *LINES, END]),
            r"\r\n".join([BEGIN, *LINES, END, ""]),
            quote(PEM),
            quote(PEM, safe=""),
            quote_plus(PEM),
            quote(BEGIN + BASE64 + END, safe="+/="),
            quote(BASE64, safe=""),
            BASE64,
            " ".join(LINES),
            f"  {BASE64}\t",
        ],
    )
    def test_every_spelling_gives_the_thumbprint_of_the_article(self, value):
        """One line, folded, percent-encoded and bare: the same certificate, as text or as octets."""
        for sent in (value, value.encode()):
            found = resolve(WSO2, ("x-wso2-mtls-cert", sent))
            assert found is not None
            assert found.x5t_s256 == THUMBPRINT

    @pytest.mark.parametrize(
        "value",
        [
            BEGIN,
            BEGIN + BASE64,
            BASE64 + END,
            PEM + PEM,
            BEGIN + END + BASE64,
            f":{BASE64}:",
            BASE64 + "!",
            BASE64[:-1],
            BASE64 + "====",
            BASE64.replace("+", "-"),
            quote(PEM) + "%",
            quote(PEM) + "%zz",
            quote(quote(PEM)),
            "%ff",
            PEM.replace("CERTIFICATE", "PRIVATE KEY"),
            f"{PEM},{PEM}",
        ],
    )
    def test_what_is_not_one_certificate_is_malformed(self, value):
        """Cut, doubled, doubly encoded or of another alphabet: header_malformed."""
        assert fault_of(WSO2, ("x-wso2-mtls-cert", value)) is TerminatorFault.MALFORMED

    @pytest.mark.parametrize("der", [b"", b"\0", SAMPLE.der[:-1], SAMPLE.der + b"\0"])
    def test_base64_of_something_else_is_no_certificate(self, der):
        """What decodes but does not parse is header_certificate_malformed."""
        value = BEGIN + base64.b64encode(der).decode() + END
        assert fault_of(WSO2, ("x-wso2-mtls-cert", value)) is TerminatorFault.CERTIFICATE_MALFORMED


class TestRfc9440:
    @pytest.mark.parametrize("value", [f":{BASE64}:", f" :{BASE64}: "])
    def test_a_byte_sequence_is_read(self, value):
        """RFC 9440 §2.2: base64 of the DER between colons."""
        found = resolve(RFC9440, ("client-cert", value))
        assert found is not None
        assert found.x5t_s256 == THUMBPRINT

    @pytest.mark.parametrize(
        "value",
        [
            BASE64,
            f":{BASE64}",
            f"{BASE64}:",
            f":{BASE64}:;a=1",
            f":{BASE64}:,:{BASE64}:",
            ":",
            PEM,
            f":{PEM}:",
        ],
    )
    def test_anything_else_is_malformed(self, value):
        """No colons, parameters, lists or PEM."""
        assert fault_of(RFC9440, ("client-cert", value)) is TerminatorFault.MALFORMED

    def test_the_chain_is_what_was_presented_beside_it(self, issued):
        """Client-Cert-Chain may be one list or spread over lines; it never changes the leaf."""
        leaf, middle = (f":{base64.b64encode(der).decode()}:" for der in (issued.der, SAMPLE.der))
        for chain in (
            [("client-cert-chain", f"{middle}, {middle}")],
            [("Client-Cert-Chain", middle), ("client-cert-chain", middle.encode())],
        ):
            found = resolve(RFC9440, ("client-cert", leaf), *chain)
            assert found is not None
            assert (found.der, found.intermediates) == (issued.der, (SAMPLE.certificate,) * 2)

    def test_a_chain_alone_is_refused(self):
        """RFC 9440 §2.3: there is no chain without the certificate."""
        assert fault_of(RFC9440, ("client-cert-chain", f":{BASE64}:")) is TerminatorFault.CERTIFICATE_MISSING

    @pytest.mark.parametrize("chain", ["", ",", f":{BASE64}:,", f":{BASE64}: :{BASE64}:"])
    def test_a_malformed_chain_is_refused(self, chain):
        """A bad list is not passed over."""
        headers = (("client-cert", f":{BASE64}:"), ("client-cert-chain", chain))
        assert fault_of(RFC9440, *headers) is TerminatorFault.MALFORMED

    def test_the_lines_of_a_chain_share_the_size_bound(self):
        """Many lines are no way around 16 KiB."""
        chain = [("client-cert-chain", f":{BASE64}:")] * 13
        assert fault_of(RFC9440, ("client-cert", f":{BASE64}:"), *chain) is TerminatorFault.TOO_LARGE


class TestXfcc:
    HASH = "Hash=" + "ab" * 32

    @pytest.mark.parametrize(
        "value",
        [
            f'Cert="{quote(PEM, safe="")}"',
            f"cert={quote(PEM, safe='')}",
            f'By=spiffe://example.org/proxy;{HASH};Cert="{quote(PEM, safe="")}"',
            f'{HASH};Cert="{quote(PEM, safe="")}";Subject="/C=US/CN=a, \\"b\\"; c";URI=spiffe://a/b;DNS=a;DNS=b',
            f'Subject="";Cert="{quote(PEM, safe="")}"',
        ],
    )
    def test_the_certificate_of_the_element_is_taken(self, value):
        """Quoted or not, among whatever else Envoy adds."""
        found = resolve(XFCC, ("x-forwarded-client-cert", value))
        assert found is not None
        assert found.x5t_s256 == THUMBPRINT

    def test_a_chain_brings_its_intermediates(self, issued):
        """Chain starts with the certificate itself; with Cert beside it, both must agree."""
        chain = quote(issued.chain_pem.decode(), safe="")
        own = quote(issued.pem.decode(), safe="")
        for value in (f'Chain="{chain}"', f'Cert="{own}";Chain="{chain}"'):
            found = resolve(XFCC, ("x-forwarded-client-cert", value))
            assert found is not None
            assert (found.der, found.intermediates) == (issued.der, issued.intermediates)
        other = f'Cert="{quote(PEM, safe="")}";Chain="{chain}"'
        assert fault_of(XFCC, ("x-forwarded-client-cert", other)) is TerminatorFault.CONFLICT

    @pytest.mark.parametrize(
        "value",
        [
            f'Cert="{quote(PEM, safe="")}",Cert="{quote(PEM, safe="")}"',
            f'By=a;Cert="{quote(PEM, safe="")}",By=b',
            f'Cert="{quote(PEM, safe="")}";Cert="{quote(PEM, safe="")}"',
            f'Cert="{quote(PEM, safe="")}',
            f'Cert="{quote(PEM, safe="")}"x',
            f'Cert="{quote(PEM, safe="")}";',
            f'Cert="{quote(PEM, safe="")}";Hash=abc',
            f'Cert="{quote(PEM, safe="")}";Hash={"zz" * 32}',
            f'Cert="{quote(PEM, safe="")}";;By=a',
            f'Cert="{quote(PEM, safe="")}";By',
            f'Cert="{quote(PEM, safe="")}%"',
            quote(PEM),
        ],
    )
    def test_a_malformed_element_is_refused(self, value):
        """More than one element, repeated and unfinished parts, a bad hash and bad encoding."""
        assert fault_of(XFCC, ("x-forwarded-client-cert", value)) is TerminatorFault.MALFORMED

    @pytest.mark.parametrize("value", [HASH, f"By=spiffe://a/b;{HASH};URI=spiffe://example.org/admin"])
    def test_an_element_without_a_certificate_is_refused(self, value):
        """A hash or a name is not a certificate: nothing is authenticated by it."""
        assert fault_of(XFCC, ("x-forwarded-client-cert", value)) is TerminatorFault.CERTIFICATE_MISSING

    @pytest.mark.parametrize("cert", ["", "abc", quote(BASE64, safe=""), quote(BEGIN + END, safe="")])
    def test_a_cert_that_is_not_pem_is_refused(self, cert):
        """The value is PEM, armor included."""
        fault = fault_of(XFCC, ("x-forwarded-client-cert", f'Cert="{cert}"'))
        assert fault is TerminatorFault.CERTIFICATE_MALFORMED


HEADER_TEXT = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=60),
    st.text(alphabet='CertHashBy=";,:%\\nA0-+/ ', max_size=60),
    st.lists(
        st.sampled_from(
            [BEGIN, END, BASE64, BASE64[:40], "Cert=", "Chain=", '"', ";", ",", ":", "%0A", " ", "\\"]
        ),
        max_size=6,
    ).map("".join),
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.sampled_from([RFC9440, WSO2, XFCC]), HEADER_TEXT, st.none() | HEADER_TEXT)
def test_only_the_documented_error_escapes(policy, value, chain):
    """Whatever a header holds, it gives a certificate or a TerminatorHeaderError."""
    headers = [(policy.headers[0].name, value)]
    if chain is not None:
        headers.append(("client-cert-chain", chain))
    try:
        found = resolve(policy, *headers)
    except TerminatorHeaderError:
        return
    assert found is not None
    assert found.der == SAMPLE.der
