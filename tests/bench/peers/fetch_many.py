"""Fetches many URLs with Python libraries, and prints the time and memory: the peer of `fetch_urls`.

`python fetch_many.py METHOD COUNT URL`, where `{n}` in the URL is the number of the request, from
1. Prints a line of JSON: `seconds` and `cpu_seconds` of the fetches with the creation of a client but
without the imports, `max_rss_kb` of the process, and how many answers were `ok`. The program continues
after a URL that fails.
"""

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable, Callable

from measured import measured

# The maximum number of concurrent requests in the bounded methods.
BOUND = 100
# So long that only a dead server exceeds it.
TIMEOUT = 60


def with_requests(urls: list[str]) -> Callable[[], int]:
    """Sequential requests through one session."""
    import requests

    def fetch_all() -> int:
        with requests.Session() as session:

            def fetch(url: str) -> bool:
                try:
                    return session.get(url, timeout=TIMEOUT).ok
                except requests.RequestException:
                    return False

            return sum(map(fetch, urls))

    return fetch_all


def with_httpx(urls: list[str]) -> Callable[[], int]:
    """Unbounded concurrent requests through one client, as most uses of `asyncio.gather`."""
    return httpx_within(urls, len(urls))


def with_httpx_bounded(urls: list[str]) -> Callable[[], int]:
    """Concurrent requests through one client, at most `BOUND`."""
    return httpx_within(urls, BOUND)


def httpx_within(urls: list[str], bound: int) -> Callable[[], int]:
    import httpx

    # httpx imports these modules only with its first client and its first request.
    for module in ("httpcore", "anyio._backends._asyncio"):
        importlib.import_module(module)

    async def fetch_all() -> int:
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:

            async def fetch(url: str) -> bool:
                return (await client.get(url)).is_success

            return await gather(fetch, urls, bound)

    return lambda: asyncio.run(fetch_all())


def with_aiohttp(urls: list[str]) -> Callable[[], int]:
    """Concurrent requests through one session, at most `BOUND`."""
    import aiohttp

    async def fetch_all() -> int:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT)) as session:

            async def fetch(url: str) -> bool:
                async with session.get(url) as response:
                    await response.read()
                    return response.ok

            return await gather(fetch, urls, BOUND)

    return lambda: asyncio.run(fetch_all())


async def gather(fetch: Callable[[str], Awaitable[bool]], urls: list[str], bound: int) -> int:
    """How many of the URLs were fetched with success, with at most `bound` concurrent requests."""
    free = asyncio.Semaphore(bound)

    async def fetch_when_free(url: str) -> bool:
        async with free:
            return await fetch(url)

    results = await asyncio.gather(*map(fetch_when_free, urls), return_exceptions=True)
    return sum(result is True for result in results)


METHODS = {
    "requests": with_requests,
    "httpx": with_httpx,
    "httpx-bounded": with_httpx_bounded,
    "aiohttp": with_aiohttp,
}


def main(method: str, count: str, url: str) -> None:
    urls = [url.replace("{n}", str(n)) for n in range(1, int(count) + 1)]
    print(json.dumps(measured(METHODS[method](urls), "ok")))


if __name__ == "__main__":
    main(*sys.argv[1:])
