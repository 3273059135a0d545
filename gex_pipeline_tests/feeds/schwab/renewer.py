"""One of several processes that find the same token due: renewer FOLDER URL; prints the token."""

import asyncio
import sys
from pathlib import Path

from gex_pipeline.feeds.schwab.client import open_client, renew
from gex_pipeline.feeds.tokens import TokenStore


async def main(folder: str, url: str) -> None:
    """Renew when the parent says so."""
    client = open_client(TokenStore(Path(folder)), "key", "secret", base_url=url)
    print("ready", flush=True)  # noqa: T201 # to the parent
    await asyncio.to_thread(sys.stdin.readline)
    await renew(client)
    print(client.session.token["access_token"], flush=True)  # noqa: T201 # to the parent
    await client.close_async_session()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
