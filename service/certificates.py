"""A private certificate authority, and the certificate with which a deployment's Dask speaks TLS.

Scheduler, workers and service share one certificate. Dask asks of a peer that the authority has signed it, and compares
no names, so that certificates of their own would keep nobody apart. The authority's key is thrown away: nothing is ever
signed again, and after a theft everybody gets a new set.
"""

import ipaddress
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from service.errors import SetupError

SOON = timedelta(days=30)
"""Before the end of a certificate, when somebody should be told."""
CLOCK_SKEW = timedelta(hours=1)
"""How far behind a machine's clock may be on the first day."""
LONGEST_DAYS = 3650
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I)


@dataclass(frozen=True)
class CertificateSet:
    """Where the three files of a set are."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def within(cls, folder: Path) -> Self:
        """The set of a folder."""
        return cls(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """All three."""
        return self.key, self.certificate, self.authority

    @property
    def unfinished(self) -> Path:
        """The authority until the other two are written: its presence says that they are nobody's yet."""
        return self.authority.with_suffix(".pem.new")

    def variables(self) -> dict[str, str]:
        """The settings that name the files, as environment variables."""
        places = {"CA": self.authority, "CERT": self.certificate, "KEY": self.key}
        return {f"GOLDENBENCH_TLS_{name}": str(path) for name, path in places.items()}

    def valid_until(self) -> datetime:
        """When the certificate expires (UTC).

        Raises:
            SetupError: it cannot be read.
        """
        return valid_until(self.certificate)


def valid_until(certificate: Path) -> datetime:
    """When a certificate, the first of its file, expires (UTC).

    Raises:
        SetupError: it cannot be read.
    """
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise SetupError(f"{certificate} cannot be read: {error}") from error


def make_certificates(folder: Path, hosts: Sequence[str], days: int) -> CertificateSet:
    """Write a new set, also in the place of one that was being written when the power failed.

    Args:
        folder: for the files; made, for its owner only, if it is missing.
        hosts: names and addresses that go into the certificate, for whoever compares them; Dask does not.
        days: how long it is valid, 1 to LONGEST_DAYS.

    Raises:
        SetupError: one of the files is there already, a host is no name or address, or the folder cannot be written.
    """
    if not 1 <= days <= LONGEST_DAYS:
        raise SetupError(f"days must be 1 to {LONGEST_DAYS}, not {days}")
    names = [_general_name(host) for host in hosts]
    made = CertificateSet.within(folder)
    if made.unfinished.exists() and not made.authority.exists():
        for path in (made.key, made.certificate, made.unfinished):  # the one that says so last
            path.unlink(missing_ok=True)
    present = [str(path) for path in made.files if path.exists()]
    if present:
        raise SetupError(f"will not overwrite {', '.join(present)}: those who use them would be shut out")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key, certificate, authority = _pem(names, timedelta(days=days))
        _write(made.unfinished, authority, 0o644)
        _write(made.key, key, 0o600)
        _write(made.certificate, certificate, 0o644)
        made.unfinished.replace(made.authority)
    except OSError as error:
        raise SetupError(f"the certificates cannot be written: {error}") from error
    return made


def _pem(names: Sequence[x509.GeneralName], lasting: timedelta) -> tuple[bytes, bytes, bytes]:
    """Key, certificate and authority."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _common_name(f"goldenbench authority {secrets.token_hex(8)}")  # two of them must not look like one
    authority = _builder(issuer, issuer, authority_key, authority_key, lasting, is_authority=True)
    certificate = _builder(_common_name("goldenbench"), issuer, key, authority_key, lasting, is_authority=False)
    if names:
        certificate = certificate.add_extension(x509.SubjectAlternativeName(names), critical=False)
    both_ways = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = certificate.add_extension(x509.ExtendedKeyUsage(both_ways), critical=False)
    kept = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signed, root = (
        builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        for builder in (certificate, authority)
    )
    return kept, signed, root


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    authority_key: ec.EllipticCurvePrivateKey,
    lasting: timedelta,
    is_authority: bool,
) -> x509.CertificateBuilder:
    """What both certificates have in common, with the extensions that OpenSSL's strict checks want."""
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lasting)
        .add_extension(x509.BasicConstraints(is_authority, 0 if is_authority else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not _NAME.fullmatch(host):
            raise SetupError(f"host must be a name or an address, not {host[:80]!r}") from None
        return x509.DNSName(host)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not be there yet; it never has a wider mode than the one given."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
