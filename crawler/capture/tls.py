"""TLS as the crawl needs it: verification on, HTTP/1.1 only, and the facts of each handshake kept as evidence."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from crawler.model import Tls

if TYPE_CHECKING:
    from pathlib import Path


def client_context(*, verify: bool = True, ca_cert: Path | None = None) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities, and those in ``ca_cert`` (PEM) as well.

    Raises OSError or ssl.SSLError where the file cannot be read.
    """
    context = ssl.create_default_context()
    # Python 3.13 switches on rules that old but honest chains of old sites break; browsers do not apply them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # Only HTTP/1.1 goes over the wire in the bytes that a WARC record holds.
    context.set_alpn_protocols(["http/1.1"])
    if ca_cert is not None:
        context.load_verify_locations(ca_cert)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def facts(connection: ssl.SSLObject) -> Tls:
    """Return version, cipher and certificate chain (as sent, unverified) of a finished handshake."""
    cipher = connection.cipher()
    return Tls(version=connection.version() or "", cipher=cipher[0] if cipher else "", chain=_chain(connection))


def _chain(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    if hasattr(connection, "get_unverified_chain"):  # Python 3.13
        return tuple(connection.get_unverified_chain())
    inner: Any = getattr(connection, "_sslobj", None)
    if hasattr(inner, "get_unverified_chain"):
        return tuple(ssl.PEM_cert_to_DER_cert(c.public_bytes()) for c in inner.get_unverified_chain() or ())
    leaf = connection.getpeercert(binary_form=True)
    return (leaf,) if leaf else ()


def explain(error: Exception) -> str:
    """Say in plain words why a handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not to be trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and "NO_APPLICATION_PROTOCOL" in (error.reason or ""):
        return "the server does not speak HTTP/1.1 over TLS, perhaps only HTTP/2, which a WARC cannot hold exactly"
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
    return f"the connection ended during the TLS handshake: {error or type(error).__name__}"
