"""Writes seed.json: FastAPI's own OpenAPI document of the replaced service's routes.

Run this program with the FastAPI of infra/local/requirements-parity.txt:

    python tests/openapi/seed.py > tests/openapi/seed.json
"""

import json

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def root(): ...


@app.post("/items/")
async def create_item(item: dict): ...


@app.get("/items/{item_id}")
async def read_item(item_id: int, q: str | None = None): ...


@app.get("/users/")
async def list_users(limit: int = 10): ...


@app.get("/users/{user_id}")
async def read_user(user_id: int): ...


@app.get("/fetch/")
async def fetch(url: str): ...


@app.post("/process/")
async def process(data: dict): ...


@app.get("/result/{task_id}")
async def result(task_id: str): ...


print(json.dumps(app.openapi(), indent=2))
