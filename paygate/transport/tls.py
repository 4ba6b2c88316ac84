"""TLS as this library speaks it: always verified, 1.2 or later, no environment variable has a say."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..errors import BadSettings

if TYPE_CHECKING:
    from ssl import SSLContext

_ALPN = ["http/1.1"]
_lock = threading.Lock()
_shared: SSLContext | None = None


def shared_context() -> SSLContext:
    """The context of this process, made at first use: loading the certificates takes some 16 ms."""
    global _shared
    if _shared is None:
        with _lock:
            if _shared is None:
                _shared = _made()
    return _shared


def _made() -> SSLContext:
    import ssl

    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The standard library obeys SSLKEYLOGFILE and would write session keys to a file of somebody's choice.
    context.keylog_filename = None  # type: ignore[assignment]
    context.set_alpn_protocols(_ALPN)
    return context


def accepted(context: SSLContext) -> SSLContext:
    """A caller's own context, ready for use.

    Raises: BadSettings where it would not verify the certificate, the host name, or at least TLS 1.2.
    """
    import ssl

    if not isinstance(context, ssl.SSLContext):
        raise BadSettings("tls must be an ssl.SSLContext; nothing was sent")
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise BadSettings("tls must verify the certificate and the host name; nothing was sent")
    if context.minimum_version < ssl.TLSVersion.TLSv1_2:
        raise BadSettings("tls must refuse versions below TLS 1.2; nothing was sent")
    context.set_alpn_protocols(_ALPN)
    return context
