"""The service that this project replaces, as a Python team writes it: what the parity test compares with.

Rows live in memory, and a stub stands for Celery: it fails a task that names a source, and finishes any other.
"""

import json
import urllib.request
import uuid
from itertools import count
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict

# The project's own documentation routes are tested elsewhere.
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

items: dict[int, dict] = {}
users: dict[int, dict] = {}
tasks: dict[str, dict] = {}
# Unlike any other number, so that the test finds them in an answer.
item_ids = count(700_000_000_000_001)
user_ids = count(800_000_000_000_001)


class User(BaseModel):
    """What a user must have; whatever else was sent is kept."""

    model_config = ConfigDict(extra="allow")
    name: str
    email: str


def split(texts: list[str]) -> list[str]:
    """`?ids=1,2&ids=3` is `1`, `2`, `3`, and `?ids=` is nothing."""
    return [] if texts == [""] else [part for text in texts for part in text.split(",")]


Ids = Annotated[list[int] | None, Query(max_length=100), BeforeValidator(split)]


def keep(rows: dict[int, dict], row_id: int, row: dict) -> dict:
    """Fails where the answer would: a row that cannot be sent would spoil every list that it is in."""
    json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
    rows[row_id] = row
    return row


def known(rows: dict[int, dict], row_id: int, name: str) -> dict:
    if row_id not in rows:
        raise HTTPException(404, f"{name} not found")
    return rows[row_id]


@app.get("/")
async def root():
    return {"message": "Welcome to the async service"}


@app.get("/items/")
async def list_items(limit: int = 10):
    rows = [{"item": item, "item_id": item_id} for item_id, item in items.items()]
    return rows[: max(limit, 0)]


@app.post("/items/")
async def create_item(item: dict, response: Response):
    item_id = next(item_ids)
    keep(items, item_id, item)
    # For the test alone: the answer of the service that is replaced does not tell the id.
    response.headers["x-item-id"] = str(item_id)
    return {"item": item}


@app.get("/items/{item_id}")
async def read_item(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}


@app.put("/items/{item_id}")
async def update_item(item_id: int, item: dict):
    known(items, item_id, "Item")
    keep(items, item_id, item)
    return {"item": item, "item_id": item_id}


@app.delete("/items/{item_id}", status_code=204)
async def delete_item(item_id: int):
    known(items, item_id, "Item")
    del items[item_id]


@app.get("/users/")
async def list_users(limit: int = 10, ids: Ids = None):
    if ids is not None:
        return [users[user_id] for user_id in ids if user_id in users]
    return list(users.values())[: max(limit, 0)]


@app.post("/users/", status_code=201)
async def create_user(user: User, response: Response):
    user_id = next(user_ids)
    response.headers["location"] = f"/users/{user_id}"
    return keep(users, user_id, {"id": user_id} | user.model_dump(exclude={"id"}))


@app.get("/users/{user_id}")
async def read_user(user_id: int):
    return known(users, user_id, "User")


@app.put("/users/{user_id}")
async def update_user(user_id: int, user: User):
    known(users, user_id, "User")
    return keep(users, user_id, {"id": user_id} | user.model_dump(exclude={"id"}))


@app.delete("/users/{user_id}", status_code=204)
async def delete_user(user_id: int):
    known(users, user_id, "User")
    del users[user_id]


@app.get("/fetch/")
def fetch(url: str):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


@app.post("/process/")
async def process(data: dict):
    task_id = str(uuid.uuid4())
    # A stub in place of `process_data.delay(data)`.
    tasks[task_id] = data
    return {"task_id": task_id}


@app.get("/result/{task_id}")
async def result(task_id: str):
    if task_id not in tasks:
        return {"status": "pending"}
    if "source_url" in tasks[task_id]:
        raise RuntimeError("the task failed")
    return {"status": "completed", "result": {"members": len(tasks[task_id])}}
