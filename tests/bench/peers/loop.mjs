// A minimal Lambda function in Node.js: the loop to the Lambda Runtime API with only the standard
// library, and one constant answer. The peer of a function's process.

import { Agent, request } from "node:http";

const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const invocation = "/2018-06-01/runtime/invocation";

/** Makes one request over the open connection, and returns the response with its body. */
function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const sent = request({ agent, hostname, port, method, path, headers }, (response) => {
      const pieces = [];
      response.on("data", (piece) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(pieces) }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** `GET /` of the service. */
function handler(_event) {
  return {
    statusCode: 200,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message: "Welcome to the async service" }),
  };
}

for (;;) {
  const next = await call("GET", `${invocation}/next`);
  const answer = handler(JSON.parse(next.body));
  const id = next.headers["lambda-runtime-aws-request-id"];
  await call("POST", `${invocation}/${id}/response`, JSON.stringify(answer));
}
