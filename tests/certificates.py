"""A certificate authority of our own, and certificates that it signs."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PEM = serialization.Encoding.PEM
Key = ec.EllipticCurvePrivateKey


class Authority:
    """`file` is what an operator would name in WEBHOOK_CA_FILE."""

    def __init__(self, folder: Path, name: str = "Our own authority") -> None:
        self._folder = folder
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        basic = x509.BasicConstraints(ca=True, path_length=0)
        made = _builder(self._name, self._name, self._key).add_extension(basic, critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(PEM))

    def certificate(self, host: str, *more: str) -> Path:
        """A certificate for these hosts with its key, in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([_general(name) for name in (host, *more)])
        made = _builder(_named(host), self._name, key).add_extension(names, critical=False)
        private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path = self._folder / f"{host}.pem"
        path.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(PEM) + private)
        return path


def _general(host: str) -> x509.GeneralName:
    is_number = host.replace(".", "").isdigit()
    return x509.IPAddress(ip_address(host)) if is_number else x509.DNSName(host)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: Key) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    now = datetime.now(UTC)
    return made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
