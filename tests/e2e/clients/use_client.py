"""Uses the client generated from openapi.json: creates and reads an item, creates a user, runs a task.

Arguments: the address of the service, and an API key if the service requires one.
"""

import sys
import time

from generated.api.items import create_item_items_post, read_item_items_item_id_get
from generated.api.tasks import process_process_post, result_result_task_id_get
from generated.api.users import create_user_users_post
from generated.client import AuthenticatedClient, Client
from generated.models import (
    CreateItemItemsPostItem,
    HTTPValidationError,
    NewUser,
    ProcessProcessPostData,
    ResultStatus,
)

address, *keys = sys.argv[1:]
client = Client(base_url=address)
if keys:
    header = {"prefix": "", "auth_header_name": "x-api-key"}
    client = AuthenticatedClient(base_url=address, token=keys[0], **header)

item = CreateItemItemsPostItem.from_dict({"name": "Foo", "price": 1.5})
created = create_item_items_post.sync(client=client, body=item)
read = read_item_items_item_id_get.sync(created.item_id, client=client, q="x")
assert read.item.to_dict() == {"name": "Foo", "price": 1.5}, read
assert (read.item_id, read.q) == (created.item_id, "x"), read

user = create_user_users_post.sync(client=client, body=NewUser(name="Ada", email="ada@example.com"))
assert user.id > 0, user

refused = read_item_items_item_id_get.sync("foo", client=client)
assert isinstance(refused, HTTPValidationError), refused
assert refused.detail[0].loc == ["path", "item_id"], refused

data = ProcessProcessPostData.from_dict({"values": [1, 2, 3]})
accepted = process_process_post.sync(client=client, body=data)
deadline = time.monotonic() + 60
while True:
    result = result_result_task_id_get.sync(str(accepted.task_id), client=client)
    if result.status != ResultStatus.PENDING or time.monotonic() > deadline:
        break
    time.sleep(0.05)
assert result.status == ResultStatus.COMPLETED, result
assert result.result.to_dict()["fields"]["values[]"]["mean"] == 2, result
