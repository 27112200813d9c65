"""A configuration without mistakes becomes what it says."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import http
from exporter.apis.base import Pace
from exporter.apis.epmware import Epmware
from exporter.config import Config, Source, parse
from exporter.config.loading import inherit
from exporter.model import WatchedId
from exporter.secret import Secret

BASE = Path("/etc/asynctask")
PULP = "sources:\n  - name: pulp\n    api: pulp\n    url: https://pulp.example.com/\n"


def source(own: str = "", defaults: str = "") -> Source:
    """The only source of a configuration, with these lines of its own and these defaults."""
    lines = "".join(f"    {line}\n" for line in own.splitlines())
    return parse(f"{PULP}{lines}{f'defaults: {defaults}' if defaults else ''}", BASE).sources[0]


def test_three_lines_are_enough() -> None:
    """A source needs a name, an api and a URL; the rest has the defaults that are documented."""
    found = source()
    assert (found.name, found.url, found.keep, found.polling.min_interval) == (
        "pulp",
        "https://pulp.example.com",
        900.0,
        2.0,
    )


def test_durations_become_seconds_and_sizes_bytes() -> None:
    """What is written with units is kept in base units."""
    found = source("deadline: 1h30m\npolling: {timeout: 250ms, body_size_limit: 1MB}")
    assert (found.deadline, found.polling.timeout, found.polling.body_size_limit) == (5400.0, 0.25, 1 << 20)


def test_paths_are_seen_from_the_configuration() -> None:
    """A relative path is made absolute with the folder of the file; an absolute one stays."""
    found = source(
        "authorization: {credentials_file: secrets/token}\ntls_config: {ca_file: /ca.pem}\n"
        "file_sd_configs: [{files: [watch/*.yaml]}]"
    )
    assert found.authorization is not None
    assert found.authorization.credentials_file == BASE / "secrets/token"
    assert found.tls_config.ca_file == Path("/ca.pem")
    assert found.file_sd_configs[0].files == ("/etc/asynctask/watch/*.yaml",)


def test_options_may_decide_whether_an_api_lists() -> None:
    """EPMware lists the executions of export profiles: with one there is something to watch."""
    text = "sources: [{name: a, api: epmware, url: 'https://x.example.com', options: {export_profiles: [P]}}]"
    assert parse(text, BASE).sources[0].options.export_profiles == ("P",)


def test_ids_keep_their_digits() -> None:
    """Unquoted ids are text: leading zeros stay, and what YAML 1.1 reads as base 60 too."""
    found = source("static_configs: [{targets: [244591, 0012, 12:30, '7'], labels: {operation: import}}]")
    assert [watched.id for watched in found.static_ids] == ["244591", "0012", "12:30", "7"]
    assert found.static_ids[0] == WatchedId(id="244591", operation="import")


def test_an_id_in_two_groups_is_watched_once() -> None:
    """The first mention of an id wins."""
    found = source("static_configs: [{targets: [1], labels: {name: first}}, {targets: [1, 2]}]")
    assert [(watched.id, watched.name) for watched in found.static_ids] == [("1", "first"), ("2", "")]


def test_the_pace_is_the_api_s_unless_configured() -> None:
    """Requests per second and concurrency come from the API module where the file says nothing."""
    epmware = parse(PULP.replace("api: pulp", "api: epmware\n    registration: true"), BASE).sources[0]
    assert epmware.pace == Epmware.pace
    assert source("polling: {requests_per_second: 0.5, concurrency: 2}").pace == Pace(0.5, 2)


def test_options_are_the_api_s_own_dataclass() -> None:
    """``options`` is an instance of the API's ``Options``, ready for its constructor."""
    assert source("options: {page_size: 7}").options == source().api_class.Options(page_size=7)


def test_rules_are_compiled_at_load() -> None:
    """A rule's expression is ready to search with."""
    rule = source('operation_rules: [{match: "^Import the job", operation: import_job}]').operation_rules[0]
    assert rule.match.search("Import the job X")


def test_a_pem_key_may_have_lines() -> None:
    """A key in the configuration itself is a secret of several lines."""
    found = source("tls_config:\n  cert: PEM\n  key: |\n    line 1\n    line 2")
    assert found.tls_config.key is not None
    assert found.tls_config.key.reveal() == "line 1\nline 2\n"


def test_defaults_are_merged_and_the_source_wins() -> None:
    """Mappings are merged key by key; what a source says itself is not overridden."""
    found = source(
        "polling: {timeout: 5s}\nlabels: {team: b}",
        "{polling: {timeout: 1s, max_interval: 9s}, labels: {team: a, tier: 1}, keep: 1m}",
    )
    assert (found.polling.timeout, found.polling.max_interval, found.keep) == (5.0, 9.0, 60.0)
    assert found.labels == {"team": "b", "tier": "1"}


@pytest.mark.parametrize(
    ("own", "shared", "merged"),
    [
        ({"authorization": {"credentials": "a"}}, {"basic_auth": {"username": "u"}}, {"authorization"}),
        ({"basic_auth": {"username": "u"}}, {"authorization": {"credentials": "a"}}, {"basic_auth"}),
        ({"basic_auth": None}, {"basic_auth": {"username": "u"}, "keep": "1m"}, {"basic_auth", "keep"}),
        (
            {"proxy_from_environment": True},
            {"proxy_url": "http://p", "no_proxy": "x"},
            {"proxy_from_environment"},
        ),
        ({"proxy_url": "http://p"}, {"proxy_from_environment": True}, {"proxy_url"}),
        ({"password": "p"}, {"password_file": "f", "username": "u"}, {"password", "username"}),
        ({"password_file": "f"}, {"password": "p"}, {"password_file"}),
        ({"ca_file": None}, {"ca": "PEM"}, {"ca_file", "ca"}),
        ({"oauth2": {"client_id": "c"}}, {"basic_auth": {"username": "u"}}, {"oauth2"}),
        ({"huawei_aksk": {"access_key": "a"}}, {"huawei_iam": {"username": "u"}}, {"huawei_aksk"}),
        ({"project_id": "i"}, {"project_name": "n", "username": "u"}, {"project_id", "username"}),
        ({"access_key_file": "a"}, {"username": "u", "auth_url": "i"}, {"access_key_file", "auth_url"}),
        ({"username": "u"}, {"access_key": "a", "secret_key": "s"}, {"username"}),
    ],
)
def test_what_excludes_each_other_is_not_inherited_together(
    own: dict[str, object], shared: dict[str, object], merged: set[str]
) -> None:
    """A source's own kind of authentication, proxy or file displaces the shared one; ``null`` does not."""
    assert inherit(own, shared).keys() == merged


def test_null_switches_an_inherited_value_off() -> None:
    """A source can refuse what the defaults say."""
    assert source("deadline: null", "{deadline: 4h}").deadline is None


def test_a_header_is_taken_whole() -> None:
    """A source's values of a header replace those of the defaults; other headers are inherited."""
    found = source(
        "http_headers: {A: {secrets: [x]}}", "{http_headers: {A: {values: [y]}, B: {values: [z]}}}"
    )
    assert found.http_headers["A"].values == ()
    assert found.http_headers["B"].values == ("z",)


def test_sections_without_content_are_as_absent() -> None:
    """A key whose lines are all commented out does not hurt."""
    assert parse(f"{PULP}defaults:\nmetrics:\n", BASE) == parse(PULP, BASE)


def test_a_configuration_cannot_be_changed() -> None:
    """What was checked at load stays as it was."""
    with pytest.raises(ValueError, match="frozen"):
        source().polling.timeout = 1.0  # type: ignore[misc]


SECRETIVE = """
sources:
  - name: a
    api: pulp
    url: https://pulp.example.com
    basic_auth: {username: admin, password: geheim1}
    http_headers: {X-Token: {secrets: [geheim2]}}
    tls_config: {cert: PEM, key: geheim3}
    proxy_url: http://user:geheim4@proxy:3128
    http_sd_configs: [{url: 'http://launcher?key=geheim7', authorization: {credentials: geheim5}}]
    proxy_connect_header: {Proxy-Authorization: [geheim8]}
  - name: b
    api: pulp
    url: https://pulp.example.com
    oauth2:
      client_id: c
      client_secret: geheim9
      token_url: https://id.example.com/token?key=geheim10
      tls_config: {cert: PEM, key: geheim11}
      proxy_url: http://user:geheim12@proxy:3128
  - name: c
    api: pulp
    url: https://pulp.example.com
    huawei_iam:
      {auth_url: 'https://iam.example.com', username: u, password: geheim13, domain_name: d, project_id: p}
  - name: d
    api: pulp
    url: https://pulp.example.com
    huawei_aksk: {access_key: a, secret_key: geheim14, security_token: geheim15}
  - name: e
    api: pulp
    url: https://pulp.example.com
    huawei_iam: {auth_url: 'https://iam.example.com', access_key: a, secret_key: geheim16, project_id: p}
defaults: {basic_auth: {username: admin, password: geheim6}}
"""


@pytest.mark.parametrize(
    "show", [repr, str, Config.masked, lambda config: str(config.model_dump(mode="json"))]
)
def test_no_secret_is_ever_shown(show: Callable[[Config], str]) -> None:
    """Secrets are in none of the ways to print a configuration."""
    assert "geheim" not in show(parse(SECRETIVE, BASE))


def test_the_masked_configuration_says_where_secrets_are() -> None:
    """Secrets read ``<secret>`` and the password of a URL ``xxxxx``."""
    shown = parse(SECRETIVE, BASE).masked()
    assert "password: <secret>" in shown
    assert "proxy_url: http://user:xxxxx@proxy:3128" in shown


def test_the_masked_configuration_can_be_read_again() -> None:
    """What is shown is a whole configuration in the same units, defaults filled in."""
    shown = parse(SECRETIVE, BASE).masked()
    assert parse(shown, Path("/elsewhere")).masked() == shown


def test_the_http_client_gets_the_whole_block() -> None:
    """What the client is set up with has every value of the source, its files absolute, its pace decided."""
    found = source(
        "basic_auth: {username: u, password_file: pw}\n"
        "http_headers: {X-A: {values: [a], secrets: [b], files: [c]}}\n"
        "tls_config: {ca_file: ca.pem, min_version: TLS13}\nproxy_url: http://proxy:3128\nno_proxy: a,b\n"
        "follow_redirects: false\npolling: {timeout: 3s, body_size_limit: 1MiB, requests_per_second: 0.5}"
    )
    assert found.http_settings == http.HttpSettings(
        url="https://pulp.example.com",
        basic_auth=http.BasicAuth(username="u", password_file=BASE / "pw"),
        http_headers={
            "X-A": http.HeaderValues(values=("a",), secrets=(Secret("b"),), files=(BASE / "c",)),
        },
        tls_config=http.TlsSettings(ca_file=BASE / "ca.pem", min_version="TLS13"),
        proxy_url=Secret("http://proxy:3128"),
        no_proxy="a,b",
        follow_redirects=False,
        timeout=3.0,
        body_size_limit=1 << 20,
        requests_per_second=0.5,
        concurrency=found.api_class.pace.concurrency,
        names=http.Names(body_size_limit="polling.body_size_limit"),
    )


def test_oauth2_has_a_connection_of_its_own() -> None:
    """What fetches tokens has the block's own TLS and proxy, and not the source's."""
    found = source(
        "tls_config: {ca_file: ca.pem}\nproxy_url: http://proxy:3128\nproxy_connect_header: {X-A: [a, b]}\n"
        "oauth2: {client_id: c, client_secret_file: s, token_url: 'https://id.example.com/t', "
        "scopes: [r, w], endpoint_params: {audience: x}, tls_config: {ca_file: id.pem}, "
        "proxy_from_environment: true}"
    ).http_settings
    assert found.proxy_connect_header == {"X-A": (Secret("a"), Secret("b"))}
    assert found.oauth2 == http.OAuth2(
        client_id="c",
        client_secret_file=BASE / "s",
        scopes=("r", "w"),
        endpoint_params={"audience": "x"},
        endpoint=http.HttpSettings(
            url="https://id.example.com/t",
            tls_config=http.TlsSettings(ca_file=BASE / "id.pem"),
            proxy_from_environment=True,
        ),
    )


@pytest.mark.parametrize("auth_url", ["https://iam.example.com", "https://iam.example.com/v3/"])
def test_the_iam_is_logged_in_to_below_v3(auth_url: str) -> None:
    """The address of the IAM may be told with or without the version of its API."""
    found = source(
        f"huawei_iam: {{auth_url: '{auth_url}', username: u, password_file: pw, "
        "domain_name: d, project_id: p}"
    ).http_settings.huawei_iam
    assert found == http.HuaweiIam(
        username="u",
        password_file=BASE / "pw",
        domain_name="d",
        project_id="p",
        endpoint=http.HttpSettings(url="https://iam.example.com/v3/auth/tokens"),
    )


def test_the_iam_takes_an_access_key_instead_of_a_user() -> None:
    """Neither user nor account is told with a key, each part of which may be in a file."""
    found = source(
        "huawei_iam: {auth_url: 'https://iam.example.com', access_key_file: a, secret_key_file: s, "
        "project_name: p}"
    ).http_settings.huawei_iam
    assert found == http.HuaweiIam(
        access_key_file=BASE / "a",
        secret_key_file=BASE / "s",
        project_name="p",
        endpoint=http.HttpSettings(url="https://iam.example.com/v3/auth/tokens"),
    )


def test_an_access_key_may_be_in_files() -> None:
    """Temporary keys are three parts that change together, so each may be in a file."""
    found = source("huawei_aksk: {access_key_file: a, secret_key_file: s, security_token_file: t}")
    assert found.http_settings.huawei_aksk == http.HuaweiAkSk(
        access_key_file=BASE / "a", secret_key_file=BASE / "s", security_token_file=BASE / "t"
    )


def test_a_client_certificate_is_proof_enough() -> None:
    """An OAuth 2.0 client with a certificate needs no secret."""
    found = source(
        "oauth2: {client_id: c, token_url: 'https://id.example.com', tls_config: {cert_file: c, key_file: k}}"
    )
    assert found.oauth2 is not None
    assert found.oauth2.client_secret is None


def test_an_address_of_ids_has_a_client_of_its_own() -> None:
    """An http_sd_config does not send the source's credentials; its query is sent, but not shown."""
    config = source(
        "basic_auth: {username: u}\nhttp_sd_configs: [{url: 'http://launcher/tasks?key=geheim', "
        "authorization: {credentials: t}}]"
    ).http_sd_configs[0]
    assert config.http_settings == http.HttpSettings(
        url="http://launcher/tasks?key=geheim", authorization=http.Authorization(credentials=Secret("t"))
    )
    assert config.place == "http://launcher/tasks"
