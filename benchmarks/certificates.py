"""A certificate authority and a certificate for localhost, good for a day, for a sink with TLS."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


def make(folder: Path) -> tuple[Path, Path]:
    """The files of the authority's certificate, and of the receiver's with its key."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _signed(
        "Benchmark authority", authority_key.public_key(), "Benchmark authority", authority_key
    )
    certificate = _signed("localhost", key.public_key(), "Benchmark authority", authority_key)
    authority_file, file = folder / "authority.pem", folder / "localhost.pem"
    authority_file.write_bytes(authority.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    return authority_file, file


def _signed(
    name: str, key: ec.EllipticCurvePublicKey, by: str, by_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = datetime.now(UTC)
    is_authority = name == by
    built = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by_key.public_key()), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
    if not is_authority:
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        built = built.add_extension(names, critical=False)
    return built.sign(by_key, hashes.SHA256())
