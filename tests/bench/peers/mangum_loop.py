"""The FastAPI service as one Lambda function: FastAPI behind Mangum, in AWS' runtime client.

The peer of a function's process. As on Lambda, `python -m awslambdaric mangum_loop.handler` runs
it against the Runtime API at `AWS_LAMBDA_RUNTIME_API`.
"""

from mangum import Mangum

from service import app

# This application has no lifespan handlers. With lifespan on, Mangum would run the protocol for each
# event.
handler = Mangum(app, lifespan="off")
