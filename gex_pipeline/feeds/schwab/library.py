"""schwab-py and what it stands on, imported without its two known warnings.

schwab-py 1.5 uses websockets' legacy client, and authlib 1.9 would rather use httpx2 than httpx.
Both are pinned below the versions that remove them, so the warnings tell nothing new.
"""

import warnings

import authlib.deprecate  # it sets a filter when first imported

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", category=authlib.deprecate.AuthlibDeprecationWarning)
    warnings.filterwarnings("ignore", "websockets.legacy", DeprecationWarning)
    import schwab.auth
    import schwab.client
    import schwab.contrib.util
    import schwab.streaming
    from authlib.integrations.base_client.errors import (
        OAuthError,
    )
    from authlib.integrations.httpx_client import (
        AsyncOAuth2Client,
    )
    from authlib.integrations.httpx_client._compat import (
        httpx2 as http,
    )
    from authlib.oauth2.rfc6749 import OAuth2Token

AsyncClient = schwab.client.AsyncClient
StreamClient = schwab.streaming.StreamClient
StreamJsonDecoder = schwab.contrib.util.StreamJsonDecoder
TokenMetadata = schwab.auth.TokenMetadata
TOKEN_ENDPOINT: str = schwab.auth.TOKEN_ENDPOINT

__all__ = [
    "TOKEN_ENDPOINT",
    "AsyncClient",
    "AsyncOAuth2Client",
    "OAuth2Token",
    "OAuthError",
    "StreamClient",
    "StreamJsonDecoder",
    "TokenMetadata",
    "http",
]
