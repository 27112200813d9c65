"""The web configuration file: what it takes, what it refuses, and that promtool thinks the same."""

import shutil
import subprocess
from pathlib import Path

import pytest

from exporter.config.web import (
    HEADERS,
    HttpServerConfig,
    RateLimitConfig,
    TlsServerConfig,
    WebConfig,
    load_web,
)
from exporter.errors import ConfigError
from exporter.web.live import LiveSettings
from exporter.web.settings import RateLimit, TlsServerSettings, WebSettings
from tests.http.certificates import authority, signed

CONFIGS = Path(__file__).parent / "configs"
HASH = "$2b$04$GI19UyT5QjYVSLsUD/AocOlp35wwE8tr11nMjVPeoNl49ZrqZLeZC"
TLS = "cert_file: server.pem, key_file: server.key"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the configurations name."""
    folder = tmp_path_factory.mktemp("web")
    ca = authority(folder, "ca")
    signed(ca, folder, "server")
    return folder


def load(folder: Path, text: str) -> WebSettings:
    """Read a text as the file in the folder."""
    (folder / "web.yml").write_text(text)
    return load_web(folder / "web.yml")


def mistakes(folder: Path, text: str) -> list[str]:
    """What is wrong with a text, without the file's name, which each mistake begins with."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    begin = f"{folder / 'web.yml'}: "
    assert all(mistake.startswith(begin) for mistake in caught.value.mistakes)
    return [mistake.removeprefix(begin) for mistake in caught.value.mistakes]


def promtool(file: Path) -> bool:
    """Whether promtool takes it."""
    done = subprocess.run(["promtool", "check", "web-config", file], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("name", ["full.yml", "users.yml", "empty.yml"])
def test_what_promtool_takes_is_taken(folder: Path, name: str) -> None:
    """A file that is shared with other exporters works here, its certificates included."""
    file = Path(shutil.copy(CONFIGS / name, folder))
    assert promtool(file)
    LiveSettings(file, load_web)


@pytest.mark.parametrize(
    "text",
    [
        "tls_server_confg: {}",
        f"tls_server_config: {{{TLS}, min_version: TLS9}}",
        f"tls_server_config: {{{TLS}, cipher_suites: [TLS_NONSENSE]}}",
        f"tls_server_config: {{{TLS}, client_ca_file: ca.pem}}",
        f"tls_server_config: {{{TLS}, client_auth_type: Perhaps}}",
        "tls_server_config: {cert_file: server.pem}",
        "tls_server_config: {cert_file: nothing.pem, key_file: server.key}",
        "tls_server_config: {cert_file: ca.pem, key_file: server.key}",
        "http_server_config: {headers: {X-Powered-By: steam}}",
        "http_server_config: {headers: {X-Frame-Options: maybe}}",
        "basic_auth_users: {ada: hunter2}",
    ],
)
def test_what_promtool_refuses_is_refused(folder: Path, text: str) -> None:
    """Whoever checks a file with promtool is not surprised here."""
    file = folder / "web.yml"
    file.write_text(text)
    assert not promtool(file)
    with pytest.raises(ConfigError):
        LiveSettings(file, load_web)


def test_newer_keys(folder: Path) -> None:
    """What this promtool does not know yet is read with the meaning of newer exporters."""
    file = Path(shutil.copy(CONFIGS / "newer.yml", folder))
    settings = LiveSettings(file, load_web).current()
    assert settings.rate_limit == RateLimit(0.1, 20)
    assert settings.tls is not None
    assert settings.tls.client_allowed_sans == {"prometheus.example.com"}


def test_files_are_seen_from_the_configuration(folder: Path) -> None:
    """Relative paths belong to the file's folder, wherever the exporter was started."""
    settings = load(folder, f"tls_server_config: {{{TLS}}}")
    assert settings.tls == TlsServerSettings(cert_file=folder / "server.pem", key_file=folder / "server.key")


@pytest.mark.parametrize("text", ["", "tls_server_config: {}", "tls_server_config:\nbasic_auth_users:\n"])
def test_nothing_is_nothing(folder: Path, text: str) -> None:
    """An empty file or section changes nothing: no TLS, no users."""
    assert load(folder, text) == WebSettings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tls_server_confg: {}", "tls_server_confg: unknown key; did you mean 'tls_server_config'?"),
        (
            f"tls_server_config: {{{TLS}, min_verson: TLS12}}",
            "tls_server_config.min_verson: unknown key; did you mean 'min_version'?",
        ),
        ("rate_limit: {interval: 1s}", "rate_limit.burst: is required"),
        ("rate_limit: {interval: 1s, burst: 0}", "rate_limit.burst: must be at least 1"),
        (
            "rate_limit: {interval: fast, burst: 1}",
            "rate_limit.interval: 'fast' is not a duration such as '30s' or '5m'",
        ),
        ("- web", "must be a mapping such as 'tls_server_config: ...'"),
        ("a: @b", "line 1, column 4: a text that begins with this character needs quotes"),
        ("tls_server_config: {cert_file: a}", "tls_server_config: needs key_file (or key)"),
        ("tls_server_config: {min_version: TLS12}", "tls_server_config: needs cert_file (or cert)"),
        (
            f"tls_server_config: {{{TLS}, cert: x}}",
            "tls_server_config: cert and cert_file exclude each other; keep one",
        ),
        (
            f"tls_server_config: {{{TLS}, min_version: TLS13, max_version: TLS12}}",
            "tls_server_config: min_version TLS13 is newer than max_version TLS12",
        ),
        (
            f"tls_server_config: {{{TLS}, client_ca_file: ca.pem}}",
            "tls_server_config: client_ca_file needs client_auth_type, as in RequireAndVerifyClientCert",
        ),
        (
            f"tls_server_config: {{{TLS}, client_auth_type: VerifyClientCertIfGiven}}",
            "tls_server_config: client_auth_type VerifyClientCertIfGiven needs client_ca_file (or client_ca)",
        ),
        (
            f"tls_server_config: {{{TLS}, client_allowed_sans: [a]}}",
            "tls_server_config: client_allowed_sans needs client_auth_type, as in RequireAndVerifyClientCert",
        ),
        (
            f"tls_server_config: {{{TLS}, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA25]}}",
            (
                "tls_server_config.cipher_suites[0]: unknown cipher suite; "
                "did you mean 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'?"
            ),
        ),
        (
            "http_server_config: {headers: {X-Frame-Option: deny}}",
            "http_server_config.headers.X-Frame-Option: cannot be set here; did you mean 'X-Frame-Options'?",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: DENY}}",
            "http_server_config.headers.X-Frame-Options: must be deny or sameorigin",
        ),
        (
            'http_server_config: {headers: {X-XSS-Protection: "1\\n0"}}',
            "http_server_config.headers.X-XSS-Protection: must be one line of text",
        ),
        (
            f'basic_auth_users: {{"a:b": {HASH}}}',
            "basic_auth_users.a:b: a user's name must be printable text without a colon",
        ),
    ],
)
def test_mistakes_are_told(folder: Path, text: str, told: str) -> None:
    """Each mistake is one line with the file, the place, and the cure."""
    assert mistakes(folder, text) == [told]


@pytest.mark.parametrize(
    ("kind", "cure"),
    [
        ("RequestClientCert", "NoClientCert or VerifyClientCertIfGiven"),
        ("RequireAnyClientCert", "RequireAndVerifyClientCert"),
        ("RequireClientCert", "RequireAndVerifyClientCert"),
    ],
)
def test_certificates_that_nobody_verifies_are_refused(folder: Path, kind: str, cure: str) -> None:
    """What Python cannot do is refused with what comes next to it, and not ignored."""
    assert mistakes(folder, f"tls_server_config: {{{TLS}, client_auth_type: {kind}}}") == [
        (
            f"tls_server_config.client_auth_type: {kind} asks for certificates without verifying them, "
            f"which Python's ssl cannot; use {cure}"
        )
    ]


def test_several_curves_are_refused(folder: Path) -> None:
    """Python can be told one curve; a list of several is not silently cut short."""
    assert mistakes(folder, f"tls_server_config: {{{TLS}, curve_preferences: [X25519, CurveP256]}}") == [
        (
            "tls_server_config.curve_preferences: "
            "Python's ssl can be told one curve only; keep one, or leave the key out for all"
        )
    ]


def test_suites_of_tls_13_are_refused(folder: Path) -> None:
    """Nobody is left to believe that they chose among suites that cannot be chosen."""
    assert mistakes(folder, f"tls_server_config: {{{TLS}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}") == [
        (
            "tls_server_config.cipher_suites[0]: TLS_AES_128_GCM_SHA256 is of TLS 1.3, "
            "whose suites cannot be chosen: all are offered; leave it out"
        )
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        "hunter2",
        HASH[:-1],
        HASH + "a",
        HASH.replace("$04$", "$03$"),
        HASH.replace("$04$", "$32$"),
        HASH[:28] + "z" + HASH[29:],
        "[1]",
    ],
)
def test_what_is_no_bcrypt_hash_is_refused_and_not_shown(folder: Path, wrong: str) -> None:
    """A password in place of its hash is refused without repeating it."""
    (told,) = mistakes(folder, f"basic_auth_users: {{ada: {wrong}}}")
    assert told == (
        "basic_auth_users.ada: must be a bcrypt hash, as 'htpasswd -nBC 10 \"\"' prints it after the colon"
    )


def test_hashes_and_keys_are_not_shown(folder: Path) -> None:
    """Settings that end up in a log or a traceback give nothing away."""
    key = "|\n    hunter2"
    settings = load(
        folder, f"tls_server_config:\n  cert: x\n  key: {key}\nbasic_auth_users: {{ada: {HASH}}}\n"
    )
    assert settings.users["ada"].reveal() == HASH
    assert HASH not in repr(settings)
    assert "hunter2" not in repr(settings)


def test_a_file_that_is_not_there(folder: Path) -> None:
    """The line names the file."""
    with pytest.raises(ConfigError, match=r"^.*nothing\.yml: No such file or directory$"):
        load_web(folder / "nothing.yml")


def test_every_key_is_in_the_documentation() -> None:
    """Nobody has to read the code to know what may be written."""
    told = (Path(__file__).parents[2] / "docs" / "web-config.md").read_text()
    for section in (WebConfig, TlsServerConfig, HttpServerConfig, RateLimitConfig):
        for key in section.model_fields:
            assert f"`{key}`" in told
    for header in HEADERS:
        assert f"`{header}`" in told
