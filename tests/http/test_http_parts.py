"""The small parts of the client that need no network: addresses, dates, proxies, redirects, bodies."""

import gzip
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from exporter.apis.base import Answer
from exporter.errors import ConfigError, Rejected, Unauthorized
from exporter.http import HttpSettings, proxy, redirects
from exporter.http.address import Address
from exporter.http.body import BadBody, decompress
from exporter.http.dates import parse_date, retry_after
from exporter.secret import Secret

NOW = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
SETTINGS = HttpSettings(url="http://h")


@pytest.mark.parametrize(
    ("base", "path", "query", "url"),
    [
        ("https://h", "/tasks/1", [], "https://h/tasks/1"),
        ("https://h/EPMWARE/", "tasks/1", [], "https://h/EPMWARE/tasks/1"),
        ("https://h/EPMWARE", "/tasks/a%2Fb%20c%41", [], "https://h/EPMWARE/tasks/a%2Fb%20c%41"),
        ("https://h", "/t", [("b", "2 3"), ("a", "x/&y"), ("a", "")], "https://h/t?b=2%203&a=x%2F%26y&a="),
        ("https://h/ids?team=a", "", [], "https://h/ids?team=a"),
        ("https://h/ids/", "", [("limit", "2")], "https://h/ids/?limit=2"),
        ("https://h/base?key=k", "/t?x=1", [("y", "2")], "https://h/base/t?x=1&key=k&y=2"),
        ("http://b\u00fccher.example:8080", "/", [], "http://xn--bcher-kva.example:8080/"),
    ],
)
def test_paths_are_joined_to_the_letter(base: str, path: str, query: list[tuple[str, str]], url: str) -> None:
    """Paths go below the base as they are, queries in their order after the base's own."""
    assert str(Address(base).url(path, query)) == url


@pytest.mark.parametrize("path", ["/a b", "/a\r\nHost: evil", "/\u00fc", "/a\tb", "/\x7f"])
def test_a_path_that_is_not_encoded_is_refused(path: str) -> None:
    """A path with blanks, control or other characters never reaches the request line."""
    with pytest.raises(Rejected, match="not percent-encoded"):
        Address("http://h").url(path)


@pytest.mark.parametrize(
    "url", ["ftp://h", "h.example", "http://", "http://h:99999", "http://[::1", "https://me:hush@h"]
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    """What is no URL for us is a configuration error that does not repeat a password."""
    with pytest.raises(ConfigError, match=r"^url: ") as told:
        Address(url)
    assert "hush" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("9" * 20_000, float("inf")),
        ("Wed, 21 Oct 2026 07:30:00 GMT", 120.0),
        ("Wed, 21 Oct 2026 07:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("nan", None),
        ("1e9", None),
        ("\u0663", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    """Retry-After is read in both its forms; what is neither asks for nothing."""
    assert retry_after({"Retry-After": text}, NOW) == seconds


def test_a_retry_date_is_compared_with_the_servers_clock() -> None:
    """A server whose clock is a year off is waited for as long as it meant."""
    headers = {"Retry-After": "Thu, 21 Oct 2027 07:28:30 GMT", "Date": "Thu, 21 Oct 2027 07:28:00 GMT"}
    assert retry_after(headers, NOW) == 30.0


@given(
    st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,6} [A-Z][a-z]{2} \d{1,9} \d+:\d+:\d+ (GMT|[+-]\d{4,9})")
)
def test_no_date_breaks_the_reader(text: str) -> None:
    """Whatever a Date header holds, the result is a time in UTC or None."""
    found = parse_date(text)
    assert found is None or found.utcoffset() == UTC.utcoffset(None)


@pytest.mark.parametrize(
    ("no_proxy", "host", "exempt"),
    [
        ("", "a.example", False),
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("A.Example", "a.example", True),
        ("example", "a.example", True),
        ("ample", "a.example", False),
        (".example", "a.example", True),
        ("*.example", "a.example", True),
        (".a.example", "a.example", False),
        ("b.example, a.example", "a.example", True),
        ("a.example:8443", "a.example", True),
        ("a.example:443", "a.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "a.example", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("fd00::/8", "[fd00::1]", True),
        ("", "localhost", False),
        ("b.example", "localhost", True),
        ("b.example", "127.0.0.9", True),
    ],
)
def test_no_proxy_is_read_as_prometheus_reads_it(no_proxy: str, host: str, exempt: bool) -> None:  # noqa: FBT001 - an expected value
    """Hosts, domains, ports and networks are exempt from the proxy; if there are any, loopback is, too."""
    settings = HttpSettings(url="", proxy_url=Secret("http://p:3128"), no_proxy=no_proxy)
    chosen = proxy.choose(settings, URL(f"https://{host}:8443"), {})
    assert (chosen is None) == exempt


@pytest.mark.parametrize(
    ("url", "environ", "chosen"),
    [
        ("https://a.example", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://a.example", {"https_proxy": "p:1"}, "http://p:1"),
        ("http://a.example", {"HTTPS_PROXY": "http://p:1"}, None),
        ("http://a.example", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("http://a.example", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "example"}, None),
        ("http://localhost", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://127.0.0.9", {"HTTP_PROXY": "http://p:1"}, None),
    ],
)
def test_the_proxy_of_the_environment(url: str, environ: dict[str, str], chosen: str | None) -> None:
    """The variable of the URL's scheme is the proxy; loopback needs none."""
    found = proxy.choose(HttpSettings(url="", proxy_from_environment=True), URL(url), environ)
    assert found == (chosen and URL(chosen))


@pytest.mark.parametrize("url", ["socks5://me:hush@p:1", "http://", "http://p:99999"])
def test_what_is_no_http_proxy_is_told(url: str) -> None:
    """A proxy of another kind would be spoken to in vain; its password is not repeated."""
    settings = HttpSettings(url="", proxy_from_environment=True)
    with pytest.raises(ConfigError, match=r"^HTTPS_PROXY: is not an HTTP proxy's URL") as told:
        proxy.choose(settings, URL("https://a.example"), {"https_proxy": url})
    assert "hush" not in str(told.value)


def test_the_environment_is_not_looked_at_unless_asked() -> None:
    """Without proxy_from_environment its variables mean nothing."""
    assert proxy.choose(HttpSettings(url=""), URL("http://a.example"), {"HTTP_PROXY": "http://p:1"}) is None


def test_a_proxy_that_is_no_url_is_refused_without_repeating_it() -> None:
    """A proxy's URL that is none is a configuration error that does not repeat its password."""
    settings = HttpSettings(url="", proxy_url=Secret("http://me:hush@p:99999"))
    with pytest.raises(ConfigError, match=r"^proxy_url: ") as told:
        proxy.choose(settings, URL("http://a.example"), {})
    assert "hush" not in str(told.value)


def redirect(to: str) -> Answer:
    """An answer that redirects there."""
    return Answer(302, {"Location": to}, b"")


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b", "http://h/b"),
        ("b?x=1", "http://h/base/b?x=1"),
        ("//h/b", "http://h/b"),
        ("http://h:80/b#part", "http://h/b"),
        ("http://me:hush@h/b", "http://h/b"),
        ("/a b", "http://h/a%20b"),
    ],
)
def test_where_a_redirect_leads(location: str, url: str) -> None:
    """A Location is relative to what was asked, and loses user, password and fragment."""
    found = redirects.target("GET", URL("http://h/base/a"), redirect(location), SETTINGS)
    assert str(found) == url
    assert found is not None
    assert redirects.refusal("GET", URL("http://h/base/a"), found, SETTINGS) is None


@pytest.mark.parametrize(
    "answer",
    [Answer(302, {}, b""), Answer(304, {"Location": "/b"}, b""), Answer(200, {"Location": "/b"}, b"")],
)
def test_what_is_no_redirect(answer: Answer) -> None:
    """Without a Location, or with another status, an answer is an answer."""
    assert redirects.target("GET", URL("http://h/"), answer, SETTINGS) is None


@pytest.mark.parametrize(
    ("to", "error"),
    [
        ("https://h/a", Rejected),
        ("http://h:8080/a", Rejected),
        ("http://other/a", Rejected),
        ("http://other/authors", Rejected),
        ("http://other/blog.in", Rejected),
        ("mailto:a@b", Rejected),
        ("https://id.example/oauth2/authorize?client=1", Unauthorized),
        ("https://id.example/auth/realms/x", Unauthorized),
        ("http://h/users/sign_in", Unauthorized),
        ("http://h/login.jsp", Unauthorized),
        ("http://h/SSO", Unauthorized),
    ],
)
def test_redirects_that_are_not_followed(to: str, error: type[Exception]) -> None:
    """A redirect to another origin is refused; one to a login page means our credentials are not good."""
    assert type(redirects.refusal("GET", URL("http://h/a"), URL(to), SETTINGS)) is error


def test_an_api_below_auth_is_no_login_page() -> None:
    """Where what was asked has such a word in its path as well, the word tells nothing."""
    assert redirects.refusal("GET", URL("http://h/auth/tasks"), URL("http://h/auth/tasks/"), SETTINGS) is None


def test_only_get_is_repeated() -> None:
    """A POST that is redirected is refused."""
    assert type(redirects.refusal("POST", URL("http://h/a"), URL("http://h/b"), SETTINGS)) is Rejected


def raw_deflate(data: bytes) -> bytes:
    """Compress without the zlib header."""
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


@given(st.binary(max_size=2000))
def test_each_encoding_gives_the_body_back(data: bytes) -> None:
    """gzip, zlib and bare deflate are all read."""
    for encoding, raw in [
        ("gzip", gzip.compress(data)),
        ("deflate", zlib.compress(data)),
        ("deflate", raw_deflate(data)),
    ]:
        assert decompress(raw, encoding, 2000) == data


def test_the_limit_is_exact() -> None:
    """A body of just the limit is read, one byte more is refused."""
    assert len(decompress(gzip.compress(b"x" * 1000), "gzip", 1000)) == 1000
    with pytest.raises(BadBody, match=r"larger than 1000 bytes$"):
        decompress(gzip.compress(b"x" * 1001), "gzip", 1000)


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (b"<html>", "gzip"),
        (b"<html>", "deflate"),
        (gzip.compress(b"hello", mtime=0)[:-4], "gzip"),
        (gzip.compress(b"hello", mtime=0) + b"more", "gzip"),
        (b"hello", "br"),
    ],
)
def test_what_is_not_compressed_as_told_is_refused(raw: bytes, encoding: str) -> None:
    """Garbage, half a stream, something behind it, and an encoding we did not ask for."""
    with pytest.raises(BadBody):
        decompress(raw, encoding, 1000)
