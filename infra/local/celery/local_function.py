"""The entry point of the Python function in the local stack: makes a process of the AWS endpoints look like Lambda's.

`LOCAL_APPLICATION` is the folder of the application, `LOCAL_PACKAGES` the folder of its packages, `LOCAL_LOG` the file
for all output, and `LOCAL_TRANSPORT_OPTIONS` the options of the broker for an application that sets none.
"""

import json
import os
import site
import sys

# The endpoints keep the process' output until its end; the file is read while the process runs.
log = os.open(os.environ["LOCAL_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
os.dup2(log, 2)

application, packages = os.environ["LOCAL_APPLICATION"], os.environ["LOCAL_PACKAGES"]
# The packages of the endpoints are none of the application's.
sys.path[:] = [path for path in sys.path if not path.startswith(sys.prefix)]
# Unlike PYTHONPATH, this reads the folder's .pth files.
site.addsitedir(packages)
os.chdir(application)

from celery.app.utils import find_app  # noqa: E402

app = find_app(os.environ["CELERY_APP"])
if not app.conf.broker_transport_options.get("predefined_queues"):
    options = json.loads(os.environ["LOCAL_TRANSPORT_OPTIONS"])
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, **options}

from async_service_celery import handler  # noqa: E402, F401
