"""Which requests are answered: only those from this machine's browsers for the server's own page."""

import pytest

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from served import PAGE

UPLOAD = f"/photographs?page={PAGE}&name=a&run=0&saturation=1"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9000", "127.0.0.9", "[::1]:8224", "localhost:1"])
def test_loopback_names_are_answered(site, host):
    status, headers, body = site.ask("GET", "/", headers={"Host": host})
    assert status == 200 and b"<h1>" in body
    assert "default-src 'none'" in headers["content-security-policy"] and headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:8224", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.7", "0.0.0.0",
    "[::2]", "evil@localhost", "localhost:80:80", "", "::1",
])  # fmt: skip
def test_other_host_names_are_refused(site, host):
    for method, path in (("GET", "/"), ("POST", UPLOAD)):
        status, headers, body = site.ask(method, path, b"x" if method == "POST" else None, {"Host": host})
        assert status == 403 and b"localhost" in body and headers["cache-control"] == "no-store"
    assert site.files() == []


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", "https://localhost"])
def test_other_sites_pages_are_refused(site, origin):
    headers = {"Origin": origin, "Host": "localhost"}
    status, _, body = site.ask("POST", UPLOAD, b"x", headers)
    assert status == 403 and b"other pages" in body and site.files() == []
    assert site.ask("GET", "/", headers=headers)[0] == 403
    own = {"Origin": "http://localhost", "Host": "localhost"}
    assert site.ask("POST", UPLOAD, b"x", own)[0] == 201


def test_other_sites_may_link_to_the_page_and_embed_nothing(site):
    for kind in ("cross-site", "same-site"):
        assert site.ask("GET", "/", headers={"Sec-Fetch-Site": kind})[0] == 200
        assert site.ask("GET", "/serve.js", headers={"Sec-Fetch-Site": kind})[0] == 403
        assert site.ask("POST", "/end", headers={"Sec-Fetch-Site": kind})[0] == 403
