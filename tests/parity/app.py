"""The service that this project replaces, as a Python team writes it, for the parity test.

Rows are in memory. In place of Celery, a stub fails a task with a `source_url` and completes any other task.
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
# Unlike any other number, so that the test finds the ids in an answer.
item_ids = count(700_000_000_000_001)
user_ids = count(800_000_000_000_001)


class User(BaseModel):
    """The required fields of a user. Further fields are kept."""

    model_config = ConfigDict(extra="allow")
    name: str
    email: str


def split(texts: list[str]) -> list[str]:
    """`?ids=1,2&ids=3` is `1`, `2`, `3`, and `?ids=` is an empty list."""
    return [] if texts == [""] else [part for text in texts for part in text.split(",")]


Ids = Annotated[list[int] | None, Query(max_length=100), BeforeValidator(split)]


def keep(rows: dict[int, dict], row_id: int, row: dict) -> dict:
    """Fails for a row that no answer can express: such a row would break every list with the row."""
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
    # For the test only: the replaced service does not answer the id.
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
