"""The HTTP service: accepts work, and shows results."""

from celery import chain, chord
from celery.result import AsyncResult
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from celery_config import celery_app, process_data
from orders import place
from reports import combine, count_primes, export, load, only, region_total, total

app = FastAPI(title="shop")


class Order(BaseModel):
    order_id: int
    cents: int = Field(gt=0)


@app.post("/process/")
def process(data: dict):
    task = process_data.delay(data)
    return {"task_id": task.id}


@app.get("/result/{task_id}")
def result(task_id: str):
    task = AsyncResult(task_id, app=celery_app)
    if task.failed():
        raise HTTPException(500, f"{type(task.result).__name__}: {task.result}")
    if task.successful():
        return {"status": "completed", "result": task.result}
    if task.state == "PROGRESS":
        return {"status": "running", "progress": task.info}
    return {"status": "pending"}


@app.post("/orders/", status_code=202)
def create_order(order: Order):
    return {"task_id": place.delay(order.order_id, order.cents).id}


@app.post("/exports/", status_code=202)
def create_export(rows: int = 5):
    return {"task_id": export.delay(rows).id}


@app.post("/reports/region/", status_code=202)
def create_region_report(path: str, region: str):
    return {"task_id": chain(load.s(path), only.s(region), total.s()).delay().id}


@app.post("/reports/sales/", status_code=202)
def create_sales_report(rows: list[tuple[str, int]]):
    regions = sorted({region for region, _ in rows})
    header = [region_total.s(rows, region) for region in regions]
    return {"task_id": chord(header)(combine.s()).id}


@app.post("/primes/", status_code=202)
def create_primes(limit: int = 1_000_000):
    return {"task_id": count_primes.delay(limit).id}
