"""Look up DNS records and certificates, each within a few seconds; nothing is asked that the settings do not name."""

import ipaddress
import smtplib
import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

import dns.exception
import dns.resolver
import dns.reversename

from nurture.domain.health.sender import Lookup
from nurture.domain.instant import SECOND, Instant
from nurture.transports.smtp.options import read_smtp_url

SECONDS_MAX = 3.0
#: The value of NURTURE_DNS_SERVER for the resolver that the host is configured with.
SYSTEM = "system"


class CertificateUnknown(Exception):
    """A certificate could not be read: the server is not reachable."""


class CertificateInvalid(Exception):
    """A server's certificate does not prove that it is the server."""


class Resolver:
    """Looks names up at one server."""

    def __init__(self, server: str) -> None:
        """Ask this server: an IP address, with `:PORT` if it is not 53, or `system`."""
        self._resolver = dns.resolver.Resolver(configure=server == SYSTEM)
        if server != SYSTEM:
            address, port = _split_port(server)
            self._resolver.nameservers, self._resolver.port = [address], port
        self._resolver.lifetime = SECONDS_MAX

    def texts(self, name: str) -> Lookup:
        """Return the TXT records of a name, each joined."""
        return self._look_up(name, "TXT")

    def addresses(self, name: str) -> Lookup:
        """Return the IPv4 addresses of a name, or its IPv6 addresses where it has none."""
        found = self._look_up(name, "A")
        return found if found.records or found.unreachable else self._look_up(name, "AAAA")

    def names(self, address: str) -> Lookup:
        """Return the names of an address."""
        return self._look_up(str(dns.reversename.from_address(address)), "PTR")

    def _look_up(self, name: str, kind: str) -> Lookup:
        try:
            answer = self._resolver.resolve(name, kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return Lookup()
        except (dns.exception.DNSException, OSError) as error:
            return Lookup(unreachable=f"not reachable: {_reason_of(error)}")
        if kind == "TXT":
            return Lookup(tuple(b"".join(record.strings).decode("utf-8", "replace") for record in answer))
        return Lookup(tuple(record.to_text().rstrip(".") for record in answer))


def read_https_certificate(url: str) -> Instant:
    """Return until when the certificate of an https URL is valid.

    Raises CertificateUnknown where the server is not reachable, CertificateInvalid where it proves nothing.
    """
    parts = urlsplit(url)
    host, context = parts.hostname or "", ssl.create_default_context()
    try:
        with (
            socket.create_connection((host, parts.port or 443), timeout=SECONDS_MAX) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            return _end_of(secure)
    except ssl.SSLCertVerificationError as error:
        raise CertificateInvalid(error.verify_message) from error
    except OSError as error:
        raise CertificateUnknown(_reason_of(error)) from error


def read_relay_certificate(url: str) -> Instant:
    """Return until when the certificate of an SMTP server is valid; raises as `read_https_certificate`."""
    options = read_smtp_url(url)
    context, name = options.tls_context(), options.name or "localhost"
    try:
        if options.tls == "implicit":
            client: smtplib.SMTP = smtplib.SMTP_SSL(timeout=SECONDS_MAX, local_hostname=name, context=context)
            client.connect(options.host, options.port)
        else:
            client = smtplib.SMTP(timeout=SECONDS_MAX, local_hostname=name)
            client.connect(options.host, options.port)
            client.starttls(context=context)
        ends_at = _end_of(client.sock)
        with suppress(OSError, smtplib.SMTPException):
            client.quit()
    except ssl.SSLCertVerificationError as error:
        raise CertificateInvalid(error.verify_message) from error
    except (OSError, smtplib.SMTPException) as error:
        raise CertificateUnknown(_reason_of(error)) from error
    return ends_at


def is_address(host: str) -> bool:
    """Tell whether a host is written as an IP address."""
    with suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False


def is_public(address: str) -> bool:
    """Tell whether an address is one of the internet."""
    return ipaddress.ip_address(address).is_global


def _end_of(secure: object) -> Instant:
    certificate = secure.getpeercert() if isinstance(secure, ssl.SSLSocket) else None
    if not certificate:
        raise CertificateInvalid("the server showed none")
    return int(ssl.cert_time_to_seconds(str(certificate["notAfter"]))) * SECOND


def _split_port(server: str) -> tuple[str, int]:
    address, colon, port = server.rpartition(":")
    if colon and address.count(":") == 0 and port.isdigit():
        return address, int(port)
    return server.strip("[]"), 53


def _reason_of(error: Exception) -> str:
    if isinstance(error, TimeoutError | dns.exception.Timeout):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error)[:200] or type(error).__name__
