"""A certificate authority for one replica: made once a state directory, good for its hosts and nothing else."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DAYS = 3650


def context_for(hosts: Sequence[str], state: Path) -> ssl.SSLContext:
    """Return a server context for these hosts; ``state/ca.pem`` is what a client must trust."""
    chain, key, named = state / "server.pem", state / "server.key", state / "hosts.json"
    if (
        not chain.with_name("stranger.pem").exists()
        or not named.exists()
        or json.loads(named.read_text()) != list(hosts)
    ):
        _make(hosts, state / "ca.pem", chain, key)
        named.write_text(json.dumps(list(hosts)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    show(context, state)
    context.set_alpn_protocols(["http/1.1"])
    return context


def show(context: ssl.SSLContext, state: Path, which: str = "server") -> None:
    """Let a context show the server's certificate to new connections, one that has expired or a stranger's."""
    context.load_cert_chain(state / f"{which}.pem", state / "server.key")


def _make(hosts: Sequence[str], ca: Path, chain: Path, key_path: Path) -> None:
    """Make an authority, forget its key, and keep what it signed."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("Outlast replica authority")
    authority = (
        _certificate(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    leaf, expired = (_leaf(hosts, ca_name, ca_key, key, days) for days in (_DAYS, -1))
    pem = serialization.Encoding.PEM
    key_path.touch(mode=0o600)
    key_path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    ca.write_bytes(authority.public_bytes(pem))
    chain.write_bytes(leaf.public_bytes(pem) + authority.public_bytes(pem))
    chain.with_name("expired.pem").write_bytes(expired.public_bytes(pem) + authority.public_bytes(pem))
    # Signed by a key that is nobody's: as a domain that was sold shows, or a machine in the middle.
    stranger = _leaf(hosts, ca_name, ec.generate_private_key(ec.SECP256R1()), key, _DAYS)
    chain.with_name("stranger.pem").write_bytes(stranger.public_bytes(pem))


def _leaf(
    hosts: Sequence[str], ca_name: x509.Name, ca_key: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePrivateKey,
    days: int,
) -> x509.Certificate:  # fmt: skip
    return (
        _certificate(_name(hosts[0]), ca_name, key.public_key(), days)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign, key_cert_sign=sign, crl_sign=sign, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int = _DAYS
) -> x509.CertificateBuilder:  # fmt: skip
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2)).not_valid_after(now + timedelta(days=days))
    )  # fmt: skip
