"""A gRPC server and a client from the `grpcio` package, without generated code: messages are bytes.
`serve` prints its port; `talk PORT HOST` makes every kind of call through it; `fail PORT HOST BYTES` makes one call that
fails, calls again as its policy has it, and prints how the last try ended."""

import json
import sys
import threading
from concurrent import futures

import grpc

SERVICE = "test.Echo"
MESSAGES = 50
# What clients that try again are commonly told: so often, so soon, and upon what.
RETRIES = {
    "maxAttempts": 3,
    "initialBackoff": "0.05s",
    "maxBackoff": "0.1s",
    "backoffMultiplier": 1,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def unary(request, context):
    context.send_initial_metadata([("x-first", "1")])
    context.set_trailing_metadata([("x-last", "2")])
    return request


def many_answers(request, context):
    for number in range(MESSAGES):
        yield request + b" %d" % number


def many_requests(requests, context):
    return b"%d" % sum(len(request) for request in requests)


def both_ways(requests, context):
    for request in requests:
        yield request


def fails(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")


def run_server():
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Answers": grpc.unary_stream_rpc_method_handler(many_answers),
        "Requests": grpc.stream_unary_rpc_method_handler(many_requests),
        "Both": grpc.stream_stream_rpc_method_handler(both_ways),
        "Fails": grpc.unary_unary_rpc_method_handler(fails),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def talk(port, host):
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.default_authority", host)])
    path = f"/{SERVICE}/"
    answer, call = channel.unary_unary(path + "Unary").with_call(b"hello", timeout=10)
    assert answer == b"hello"
    assert ("x-first", "1") in call.initial_metadata() and ("x-last", "2") in call.trailing_metadata()
    answers = list(channel.unary_stream(path + "Answers")(b"n", timeout=10))
    assert answers == [b"n %d" % number for number in range(MESSAGES)]
    total = channel.stream_unary(path + "Requests")((b"x" * 10_000 for _ in range(MESSAGES)), timeout=10)
    assert total == b"%d" % (10_000 * MESSAGES)
    # The next request is sent only when the answer to the last one has come: nothing may be held back on the way.
    turn, sent = threading.Semaphore(1), []

    def requests():
        for number in range(MESSAGES):
            turn.acquire()
            sent.append(b"turn %d" % number)
            yield sent[-1]

    for number, answer in enumerate(channel.stream_stream(path + "Both")(requests(), timeout=20)):
        assert answer == sent[number]
        turn.release()
    assert len(sent) == MESSAGES
    try:
        channel.unary_unary(path + "Fails")(b"", timeout=10)
        raise AssertionError("the call did not fail")
    except grpc.RpcError as error:
        assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not today"), error
    print("ok")


def fail(port, host, size):
    policy = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": RETRIES}]})
    options = [("grpc.default_authority", host), ("grpc.service_config", policy)]
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
    try:
        channel.unary_unary(f"/{SERVICE}/Unary")(b"x" * size, timeout=20)
        raise AssertionError("the call did not fail")
    except grpc.RpcError as error:
        metadata = dict(error.trailing_metadata())
        print(json.dumps({"code": error.code().name, "details": error.details(), "metadata": metadata}))


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "serve":
        run_server()
    elif command == "talk":
        talk(int(arguments[0]), arguments[1])
    else:
        fail(int(arguments[0]), arguments[1], int(arguments[2]))
