"""The same service as one Lambda function: FastAPI behind Mangum, in AWS's own runtime client.

The peer of a function's process. `python -m awslambdaric mangum_loop.handler` runs it, as Lambda
does, against the Runtime API at `AWS_LAMBDA_RUNTIME_API`.
"""

from mangum import Mangum

from service import app

# Without the lifespan, which this application does not use: Mangum would go through it with each
# event.
handler = Mangum(app, lifespan="off")
