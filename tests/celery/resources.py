"""Creates the table of the results and the queues, as an operator does before Celery runs on SQS and DynamoDB.

Celery would create them by itself, the table with one read and one write a second.
"""

import boto3

TABLE = "celery_results"
# `other.queue` is `other-queue` in SQS.
QUEUES = ("celery", "other-queue")


def main() -> None:
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for name in QUEUES:
        boto3.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": "120"})


if __name__ == "__main__":
    main()
