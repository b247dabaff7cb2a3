"""Creates the table of the results, the queues and the topic, as an operator does before Celery runs on SQS and DynamoDB.

Celery would create them by itself, the table with one read and one write a second.
"""

import boto3

TABLE = "celery_results"
# `other.queue` is `other-queue` in SQS.
QUEUES = ("celery", "other-queue")
# The exchange `celery.pidbox` of remote control, and a queue that takes its messages in place of a function.
TOPIC, CONTROL = "celery-pidbox", "control"


def main() -> None:
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for name in (*QUEUES, CONTROL):
        boto3.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": "120"})
    topic = boto3.client("sns").create_topic(Name=TOPIC)["TopicArn"]
    boto3.client("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=topic.replace(":sns:", ":sqs:").replace(TOPIC, CONTROL),
        Attributes={"RawMessageDelivery": "true"},
    )


if __name__ == "__main__":
    main()
