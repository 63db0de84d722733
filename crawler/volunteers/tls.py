"""The coordinator's certificate: the operator's own, or one that it makes itself and that its tokens pin."""

from __future__ import annotations

import hashlib
import os
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from crawler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_YEARS = 5


def own(path: Path, host: str) -> str:
    """Return the pin (SHA-256, hex) of our own certificate at ``path``, which is made if it is not there."""
    if not path.is_file():
        _make(path, host)
    der = ssl.PEM_cert_to_DER_cert(_certificate(path))
    return hashlib.sha256(der).hexdigest()


def context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """Return what a server of this certificate needs. Raises UsageError where it is none."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as e:
        raise UsageError(f"{certificate} and its key cannot be used: {e.strerror or e}.") from e
    return made


def _certificate(path: Path) -> str:
    text = path.read_text("ascii")
    begin = text.find("-----BEGIN CERTIFICATE-----")
    if begin < 0:
        raise UsageError(f"{path} holds no certificate; move it away, and another is made (and other tokens).")
    return text[begin:]


def _make(path: Path, host: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Outlast coordinator")])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, SHA256())
    )  # fmt: skip
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    part.rename(path)
