"""Claims mapped by structure."""

import pytest

from gateway.oidc import (
    WIRE_DEVICE_AND_USER,
    WIREAPP_ID,
    ClaimKind,
    ClaimMapping,
    ClaimMappingError,
    ClaimPath,
    ClaimRule,
    IdTokenVerifier,
    OidcFault,
)


@pytest.fixture
def apply(scripted, provider, clock):
    async def run(mapping, **claims):
        verifier = IdTokenVerifier(provider, clock=clock)
        return mapping.apply(await verifier.verify(await scripted.token(**claims)))

    return run


def one(path, kind=ClaimKind.STRING, **more):
    return ClaimMapping((ClaimRule("target", ClaimPath.parse(path), kind, **more),))


async def test_wire_today(apply):
    """Display name as it is, handle with its scheme, and the two claims that bind the token."""
    mapped = await apply(WIRE_DEVICE_AND_USER, keyauth="t.p", acme_aud="https://ca.example/c/1")
    assert mapped.string("name") == "Alice Smith"
    assert mapped.string("handle") == "wireapp://%40alice_wire@wire.example"
    assert (mapped.string("keyauth"), mapped.string("acme_aud")) == ("t.p", "https://ca.example/c/1")


async def test_wireapp_id(apply):
    """The older generation has the two names swapped."""
    mapped = await apply(
        WIREAPP_ID, name="im:wireapp=%40alice_wire@wire.example", preferred_username="Alice Smith"
    )
    assert mapped.string("name") == "Alice Smith"
    assert mapped.string("handle") == "im:wireapp=%40alice_wire@wire.example"


@pytest.mark.parametrize(
    "name", ['Al"ice', '","admin":true,"x":"', "{{ .name }}", "${name}", "%s\\u0000", "Ali\\nce"]
)
async def test_names_write_no_claims(apply, name):
    """Quotes, braces and template marks in a name are text and nothing else."""
    mapped = await apply(WIRE_DEVICE_AND_USER, name=name, keyauth="k", acme_aud="a")
    assert mapped.string("name") == name
    assert "admin" not in mapped


@pytest.mark.parametrize(
    "name", ["a\nb", "a\x00b", "a\u202eb", "a\u2028b", "x" * 2049, "", 7, None, True, ["a"], {}]
)
async def test_what_is_no_text(apply, name):
    """Control and direction characters, other types and overlong texts are refused."""
    with pytest.raises(ClaimMappingError) as caught:
        await apply(one("/o/extra"), o={"extra": name})
    assert (caught.value.fault, caught.value.member) == (OidcFault.CLAIM_INVALID, "target")


@pytest.mark.parametrize(
    ("path", "kind", "value"),
    [
        ("/o/deep/0", ClaimKind.STRING, "zero"),
        ("/o/a~1b", ClaimKind.STRING, "slash"),
        ("/o/c~0d", ClaimKind.STRING, "tilde"),
        ("/https:~1~1example.org~1x", ClaimKind.INTEGER, 7),
        ("/o/flag", ClaimKind.BOOLEAN, False),
        ("/o/deep", ClaimKind.STRINGS, ("zero", "one")),
        ("/o/none", ClaimKind.STRINGS, ()),
        ("/o/", ClaimKind.STRING, "empty name"),
    ],
)
async def test_paths_and_kinds(apply, path, kind, value):
    """A JSON Pointer leads into objects and arrays, and the value has the kind of its rule."""
    claims = {
        "o": {
            "deep": ["zero", "one"],
            "a/b": "slash",
            "c~d": "tilde",
            "flag": False,
            "none": [],
            "": "empty name",
        },
        "https://example.org/x": 7,
    }
    mapped = await apply(one(path, kind), **claims)
    getters = {
        ClaimKind.STRING: mapped.string,
        ClaimKind.INTEGER: mapped.integer,
        ClaimKind.BOOLEAN: mapped.boolean,
        ClaimKind.STRINGS: mapped.strings,
    }
    assert getters.pop(kind)("target") == value
    for getter in getters.values():
        with pytest.raises(ClaimMappingError):
            getter("target")


@pytest.mark.parametrize(
    "path", ["/none", "/o/x", "/a/2", "/a/-", "/a/00", "/a/0/x", "/name/0", "/a/9999999999"]
)
async def test_paths_that_lead_nowhere(apply, path):
    """A required claim that is not there refuses the token; an optional one is missing in the result."""
    claims = {"o": {}, "a": ["x", "y"]}
    with pytest.raises(ClaimMappingError) as caught:
        await apply(one(path), **claims)
    assert caught.value.fault is OidcFault.CLAIM_MISSING
    mapped = await apply(one(path, required=False), **claims)
    assert "target" not in mapped
    with pytest.raises(ClaimMappingError):
        mapped.string("target")


@pytest.mark.parametrize("wrong", [True, 1.5, "1", None])
async def test_what_is_no_integer(apply, wrong):
    """True is no integer, and neither is a fraction or a text."""
    with pytest.raises(ClaimMappingError):
        await apply(one("/o/n", ClaimKind.INTEGER), o={"n": wrong})


async def test_constant_text(apply):
    """Prefix and suffix are put around a string as they are."""
    mapped = await apply(one("/name", prefix="<", suffix=">"), name="a")
    assert mapped.string("target") == "<a>"


@pytest.mark.parametrize("text", ["", "name", "$.name", "/a~", "/a~2", "/~~00", "/1/2/3/4/5/6/7/8/9"])
def test_what_is_no_path(text):
    """Configuration refuses what is not a JSON Pointer of bounded length."""
    with pytest.raises(ValueError, match=r"JSON Pointer|steps"):
        ClaimPath.parse(text)


def test_mappings_that_are_refused():
    """A target twice, and text around something other than a string, are configuration errors."""
    rule = ClaimRule("a", ClaimPath(("a",)))
    with pytest.raises(ValueError, match="another target"):
        ClaimMapping((rule, rule))
    with pytest.raises(ValueError, match="prefix"):
        ClaimRule("a", ClaimPath(("a",)), ClaimKind.INTEGER, prefix="x")
