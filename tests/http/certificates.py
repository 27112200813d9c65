"""Makes certificates with the openssl command: an authority, and what it signs."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both files in PEM."""

    cert: Path
    key: Path

    def server_context(self, client_ca: Path | None = None) -> ssl.SSLContext:
        """A server's context with this certificate; asks clients for one of *client_ca* if given."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
            # Since Python 3.13 the default refuses authorities as plain as ours.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def authority(folder: Path, name: str) -> Pair:
    """Make an authority."""
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl(
        "req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}", "-out", pair.cert, "-keyout", pair.key
    )
    return pair


def signed(ca: Pair, folder: Path, name: str, *, host: str = "localhost", days: int = 2) -> Pair:
    """Make a certificate for *host* that *ca* signed; one with negative *days* has expired."""
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName=DNS:{host}\n")
    _openssl("req", "-new", *_KEY, "-subj", f"/CN={host}", "-out", request, "-keyout", pair.key)
    by = ("-CA", ca.cert, "-CAkey", ca.key, "-extfile", extensions, "-days", str(days))
    _openssl("x509", "-req", "-in", request, *by, "-out", pair.cert)
    return pair


def encrypted(key: Path, to: Path) -> Path:
    """Write the key once more, under a password."""
    _openssl("ec", "-in", key, "-aes128", "-passout", "pass:locked", "-out", to)
    return to


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)
