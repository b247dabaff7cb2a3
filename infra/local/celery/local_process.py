"""Makes a Python process of the AWS endpoints look like one of Lambda.

`LOCAL_APPLICATION` is the folder of the application, `LOCAL_PACKAGES` the folder of its packages, `LOCAL_LOG` the file
for all output, and `LOCAL_TRANSPORT_OPTIONS` the options of the broker for an application that sets none.
"""

import json
import os
import site
import sys
import traceback
from typing import Callable


def run(start: Callable[[], object]) -> None:
    """Prepares the process, and starts the application by `start` before the first call, as the function does on AWS."""
    prepare()
    try:
        configure()
        start()
    except BaseException:
        traceback.print_exc()
        raise


def prepare() -> None:
    # The endpoints keep the process' output until its end; the file can be read while the process runs.
    log = os.open(os.environ["LOCAL_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 2)
    # The packages of the endpoints are none of the application's.
    sys.path[:] = [path for path in sys.path if not path.startswith(sys.prefix)]
    # Unlike PYTHONPATH, this reads the folder's .pth files.
    site.addsitedir(os.environ["LOCAL_PACKAGES"])
    os.chdir(os.environ["LOCAL_APPLICATION"])


def configure() -> None:
    """Gives the application its queues, if its settings name none."""
    # Before anything of the application: sessions of botocore that exist already would not be seen.
    import async_service_celery  # noqa: F401
    from async_service_celery.start import find

    app = find(os.environ["CELERY_APP"])
    if not app.conf.broker_transport_options.get("predefined_queues"):
        options = json.loads(os.environ["LOCAL_TRANSPORT_OPTIONS"])
        app.conf.broker_transport_options = {**app.conf.broker_transport_options, **options}
