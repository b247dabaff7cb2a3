"""What happens to an order: payment, delivery, and the mails around them."""

import time

from celery.exceptions import SoftTimeLimitExceeded
from celery.utils.log import get_task_logger

from celery_config import celery_app

logger = get_task_logger(__name__)


class GatewayBusy(Exception):
    """The payment service has no time now."""


class CardDeclined(Exception):
    """The payment service has answered, and another attempt would change nothing."""


@celery_app.task(bind=True, max_retries=4)
def charge(self, order_id, cents, busy_for=0):
    """Charges a card. The payment service is busy for the first `busy_for` attempts."""
    if cents <= 0:
        raise CardDeclined(f"order {order_id}: nothing to charge")
    try:
        if self.request.retries < busy_for:
            raise GatewayBusy(f"order {order_id}: attempt {self.request.retries + 1}")
    except GatewayBusy as error:
        logger.warning("%s, again in a second", error)
        raise self.retry(exc=error, countdown=1)
    return {"order_id": order_id, "charged": cents, "attempts": self.request.retries + 1}


@celery_app.task(
    bind=True,
    autoretry_for=(ConnectionError,),
    retry_backoff=1,
    retry_backoff_max=2,
    retry_jitter=False,
    max_retries=3,
)
def ship(self, order_id, lost_connections=0):
    """Books a parcel. The carrier's server drops the first connections."""
    if self.request.retries < lost_connections:
        raise ConnectionError(f"order {order_id}: the carrier has closed the connection")
    return {"order_id": order_id, "parcel": f"P{order_id:06d}", "attempts": self.request.retries + 1}


@celery_app.task(bind=True)
def place(self, order_id, cents):
    """Replaces itself by the steps of the order."""
    steps = charge.si(order_id, cents) | ship.si(order_id) | confirm.s()
    raise self.replace(steps)


@celery_app.task
def confirm(shipment):
    """The last step of an order: starts the mail, and does not wait for it."""
    mail = send_mail.delay("customer@example.com", f"{shipment['parcel']} is on its way")
    return {**shipment, "mail": mail.id}


@celery_app.task
def send_mail(to, text):
    logger.info("a mail to %s", to)
    return {"to": to, "characters": len(text)}


@celery_app.task
def apologize(failed_id):
    """An error callback: takes the id of the failed task."""
    return {"apologized_for": failed_id}


@celery_app.task(ignore_result=True)
def check_stock():
    logger.info("the stock is checked")


@celery_app.task(soft_time_limit=1, time_limit=10)
def wait_for_carrier(seconds):
    """Gives up in time, and says so."""
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded:
        return "gave up"
    return "arrived"


@celery_app.task
def ask_supplier(supplier, seconds):
    """Waits for a slow server."""
    time.sleep(seconds)
    return supplier
