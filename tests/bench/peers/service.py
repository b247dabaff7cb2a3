"""The FastAPI service that this project replaces, in common style: FastAPI, httpx, Celery and Redis.

The peer of all functions behind the HTTP API. Items are in memory, users come from
`USERS_UPSTREAM_URL`, and long work goes to Celery.
"""

import os
from itertools import count
from typing import Any

import httpx
from celery.result import AsyncResult
from fastapi import FastAPI, HTTPException

from tasks import celery, process_data

USERS_UPSTREAM_URL = os.environ.get("USERS_UPSTREAM_URL", "http://127.0.0.1:9100")

app = FastAPI(title="async service")

items: dict[int, dict[str, Any]] = {}
item_ids = count(1)


@app.get("/")
async def root() -> dict[str, str]:
    return {"message": "Welcome to the async service"}


@app.get("/items/{item_id}")
async def read_item(item_id: int, q: str | None = None) -> dict[str, Any]:
    return {"item_id": item_id, "q": q, "item": items.get(item_id)}


@app.post("/items/")
async def create_item(item: dict[str, Any]) -> dict[str, Any]:
    item_id = next(item_ids)
    items[item_id] = item
    return {"item": item, "item_id": item_id}


@app.get("/users/")
async def list_users(limit: int = 10) -> list[dict[str, Any]]:
    return await fetch_json(f"{USERS_UPSTREAM_URL}/users/", {"limit": limit})


@app.get("/users/{user_id}")
async def read_user(user_id: int) -> dict[str, Any]:
    try:
        return await fetch_json(f"{USERS_UPSTREAM_URL}/users/{user_id}")
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.NOT_FOUND:
            raise HTTPException(404, "User not found") from error
        raise


@app.get("/fetch/")
async def fetch(url: str) -> Any:
    return await fetch_json(url)


@app.post("/process/")
def process(data: dict[str, Any]) -> dict[str, str]:
    # Not `async`, because the call to Redis blocks: FastAPI runs the function in a thread.
    return {"task_id": process_data.delay(data).id}


@app.get("/result/{task_id}")
def result(task_id: str) -> dict[str, Any]:
    task = AsyncResult(task_id, app=celery)
    if not task.ready():
        return {"status": "pending"}
    return {"status": "completed", "result": task.get()}


async def fetch_json(url: str, params: dict[str, Any] | None = None) -> Any:
    """Fetches the JSON at a URL with a new client, as in httpx's first example."""
    async with httpx.AsyncClient() as client:
        response = await client.get(url, params=params)
        response.raise_for_status()
        return response.json()
