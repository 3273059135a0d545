"""The callback listener: open on this machine while a sign-in is pending, for one answer.

The browser comes to the redirect address with code and state in the query. Everything else that
knocks is refused and changes nothing.
"""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "::1": "::1"}
_HEAD_BYTES: Final = 16 * 1024
_HEAD_S: Final = 10.0
_MOST_AT_ONCE: Final = 8
_CLOSE_S: Final = 0.5
"""Of the code's 30 seconds."""
_PAGE: Final = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>gex</title>"
    "<p>{words}</p><p>You can close this window.</p></html>"
)
_TAKEN: Final = "The answer has arrived. Whether the sign-in worked is told where it was begun."
_REFUSED: Final = "This is not the answer that is waited for."


class Listener:
    """What came to the redirect address, or why nothing can."""

    def __init__(self) -> None:
        self.problem: str | None = None
        """Why the callback cannot be taken here: the address must be pasted then."""
        self.received: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.refused = 0


@asynccontextmanager
async def listening(
    redirect_uri: str, fits: Callable[[str], bool], now_s: float
) -> AsyncIterator[Listener]:
    """Listen at the redirect address until one answer that `fits` came, or the block ends.

    A port that is taken, or an address that is not this machine's, is told in `problem`.
    """
    listener = Listener()
    server: asyncio.Server | None = None
    try:
        server = await _open(redirect_uri, fits, listener, now_s)
    except OSError as error:
        listener.problem = f"{redirect_uri} cannot be listened on ({error.strerror or error})"
    except ValueError as error:
        listener.problem = str(error)
    try:
        yield listener
    finally:
        listener.received.cancel()
        if server is not None:
            server.close()
            with contextlib.suppress(TimeoutError):  # a browser keeps idle connections open
                async with asyncio.timeout(_CLOSE_S):
                    await server.wait_closed()


async def _open(
    redirect_uri: str, fits: Callable[[str], bool], listener: Listener, now_s: float
) -> asyncio.Server:
    parts = urlsplit(redirect_uri)
    host = _LOOPBACK.get(parts.hostname or "")
    if host is None:
        raise ValueError(f"{redirect_uri} is not an address of this machine alone")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    origin = f"{parts.scheme}://{parts.netloc}"
    room = asyncio.Semaphore(_MOST_AT_ONCE)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_S), room:
                await _answer(reader, writer, lambda target: _take(origin + target))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            listener.refused += 1
        finally:
            writer.close()
        if listener.received.done():
            server.close()

    def _take(url: str) -> bool:
        if listener.received.done() or not fits(url):
            listener.refused += 1
            return False
        listener.received.set_result(url)
        return True

    context = _context(parts.hostname or host, now_s) if secure else None
    server = await asyncio.start_server(answer, host, port, ssl=context, limit=_HEAD_BYTES)
    return server


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, take: Callable[[str], bool]
) -> None:
    """Answer one request; `take` says whether its target was the answer that is waited for."""
    head = await reader.readuntil(b"\r\n\r\n")
    method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
    target = rest.rpartition(" ")[0]
    taken = method == "GET" and target.startswith("/") and take(target)
    page = _PAGE.format(words=_TAKEN if taken else _REFUSED).encode()
    status = "200 OK" if taken else "404 Not Found"
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(page)}\r\nCache-Control: no-store\r\n"
        "Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n".encode()
        + page
    )
    await writer.drain()


def _context(host: str, now_s: float) -> ssl.SSLContext:
    """Return a server's context with a key and certificate made now, on disk for a moment only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory(prefix="gex-callback-") as folder:  # made 0700
        path = Path(folder) / "pair.pem"
        path.touch(0o600)
        path.write_bytes(_certificate(host, now_s))
        context.load_cert_chain(path)
    return context


def _certificate(host: str, now_s: float) -> bytes:
    """Return a private key and a certificate for one host that it signed itself, PEM; one day."""
    from cryptography import x509  # a third of a second, and only for a sign-in
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"gex sign-in on {host}")])
    now = datetime.datetime.fromtimestamp(now_s, datetime.UTC)
    other: x509.GeneralName = x509.DNSName(host)
    with contextlib.suppress(ValueError):
        other = x509.IPAddress(ipaddress.ip_address(host))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([other]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
