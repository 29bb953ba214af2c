"""Where Kafka is and how one proves who one is, without any secret."""

from __future__ import annotations

from typing import Any

from ..conf import settings

_MECHANISMS = {
    "PLAIN": "plain",
    "SCRAM-SHA-256": "scramSha256",
    "SCRAM-SHA-512": "scramSha512",
    "GSSAPI": "gssapi",
}


def servers() -> dict[str, Any]:
    """Return a Server Object for each bootstrap server of ``KAFKA_BROKER``."""
    hosts = [host.strip() for host in settings.broker.split(",") if host.strip()]
    return {_name(number): _server(host) for number, host in enumerate(hosts, start=1)}


def security_schemes() -> dict[str, Any]:
    """Return the Security Scheme Objects that the settings amount to, by name."""
    protocol = settings.security_protocol
    found: dict[str, Any] = {}
    if protocol.startswith("SASL_") and settings.sasl_mechanism in _MECHANISMS:
        found["sasl"] = {
            "type": _MECHANISMS[settings.sasl_mechanism],
            "description": f"User name and password, {settings.sasl_mechanism}.",
        }
    if protocol.endswith("SSL") and settings.ssl_certificate_location:
        found["tls"] = {"type": "X509", "description": "A client certificate."}
    return found


def _name(number: int) -> str:
    return "kafka" if number == 1 else f"kafka-{number}"


def _server(host: str) -> dict[str, Any]:
    is_encrypted = settings.security_protocol.endswith("SSL")
    server = {
        "host": host,
        "protocol": "kafka-secure" if is_encrypted else "kafka",
        "description": f"Bootstrap server, {settings.security_protocol}.",
    }
    names = security_schemes()
    if not names:
        return server
    security = [{"$ref": f"#/components/securitySchemes/{name}"} for name in names]
    return {**server, "security": security}
