"""What a client with kombu 5.7 needs to read the replies of remote control over SQS.

kombu deletes each reply through the event loop of a worker, which a client does not have: the call ends with
`AttributeError: 'NoneType' object has no attribute 'on_close'`. It also deletes the queue of replies after each call,
and its other connections go on with the URL of the deleted queue. With this module, a client deletes the reply itself
and keeps the queue.
"""

from kombu.transport import SQS


def delete_message(channel: SQS.Channel, queue: str, message: dict[str, str]) -> None:
    url = channel._new_queue(queue)
    channel.sqs(queue=queue).delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def keep_queue(_channel: SQS.Channel, _queue: str) -> None:
    pass


def mend() -> None:
    """Changes kombu for this process, if it has remote control over SQS."""
    if not hasattr(SQS.Channel, "_put_fanout"):
        return
    SQS.Channel._delete_message = delete_message
    SQS.Channel.after_reply_message_received = keep_queue
