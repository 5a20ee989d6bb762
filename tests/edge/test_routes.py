"""Routes: fixed paths, and paths with parameters."""

import json

import pytest

from gateway.edge.exchange import Route, get
from gateway.edge.oauth_errors import HttpError
from gateway.edge.pipeline import EdgePipeline
from gateway.edge.response import Response


async def _echo(request) -> Response:
    return Response(json.dumps(dict(request.parameters)))


def found(path: str) -> tuple[Route, dict]:
    routes = [
        get("/a/{name}/end", _echo, None),
        get("/a/fixed/end", _echo, None),
        get("/b/{+rest}", _echo, None),
    ]
    pipeline = EdgePipeline(
        routes=routes,
        limits=None,
        admission=None,
        callers=None,
        authorize=None,
        access_log=None,
        request_timeout=1,
    )
    served, parameters = pipeline._find(path)
    return served.route, dict(parameters)


def test_a_parameter_is_one_segment():
    """A name stands for one segment; a fixed path goes before it."""
    assert found("/a/x/end")[1] == {"name": "x"}
    assert found("/a/fixed/end")[0].path == "/a/fixed/end"
    assert found("/b/x/y/z")[1] == {"rest": "x/y/z"}


def test_the_pattern_is_no_path():
    """What a pattern looks like is a parameter like any other, never the pattern itself."""
    assert found("/a/{name}/end")[1] == {"name": "{name}"}


@pytest.mark.parametrize("path", ["/a//end", "/a/x/y/end", "/a/x/end/", "/a/x", "/b/", "/b"])
def test_other_paths(path):
    """Whatever does not match as a whole is 404."""
    with pytest.raises(HttpError) as caught:
        found(path)
    assert caught.value.status == 404
