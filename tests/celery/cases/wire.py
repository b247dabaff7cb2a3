"""Compressions and serializers."""

import importlib.util
from typing import Any

from kombu import compression

from app import echo, length
from case import attempt, case, got, never


@case("gzip", "zlib", "bzip2", "bzip", "lzma", "xz", "brotli", "zstd", "zstandard")
def compressed(method: str) -> Any:
    """Each method that this kombu has with the packages that are installed."""
    if "raises" in attempt(lambda: compression.get_encoder(method)):
        return {"unknown to this client": method}
    return [got(length.apply_async(("é" * 5000,), compression=method)), got(echo.apply_async((1,), compression=method))]


@case("pickle", "yaml", "msgpack")
def refused_serializer(name: str) -> Any:
    """The worker accepts JSON alone."""
    module = {"yaml": "yaml", "msgpack": "msgpack"}.get(name)
    if module and not importlib.util.find_spec(module):
        return {"not installed": module}
    result = echo.apply_async((1,), serializer=name)
    if never(result):
        return {"no result": result.state}
    return {**got(result, 1), "state": result.state}


@case()
def refused_serializer_leaves_the_worker_well() -> Any:
    attempt(lambda: echo.apply_async((1,), serializer="pickle", ignore_result=True))
    return got(echo.delay("well"))
