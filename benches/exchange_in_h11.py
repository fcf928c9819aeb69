"""Measures the processor time of the exchange in `core.rs` for h11, in Python.

It reads the request head from standard input, writes the head of a response, and makes the connection ready for the
next request.

    python3 -m venv /tmp/h11 && /tmp/h11/bin/pip install h11
    cargo run --release -p benches --bin count head | /tmp/h11/bin/python benches/exchange_in_h11.py
"""

import sys
import time
import timeit

import h11

HEAD = sys.stdin.buffer.read()
BODY = bytes(1024)
RESPONSE = h11.Response(status_code=200, headers=[("Content-Length", str(len(BODY)))])
REPETITIONS, ROUNDS = 2_000, 9


def exchange(connection):
    connection.receive_data(HEAD)
    assert type(connection.next_event()) is h11.Request
    assert type(connection.next_event()) is h11.EndOfMessage
    out = connection.send(RESPONSE)
    connection.send_with_data_passthrough(h11.Data(data=BODY))
    connection.send_with_data_passthrough(h11.EndOfMessage())
    connection.start_next_cycle()
    return out


connection = h11.Connection(our_role=h11.SERVER)
assert exchange(connection) == b"HTTP/1.1 200 \r\nContent-Length: 1024\r\n\r\n"
rounds = timeit.repeat(lambda: exchange(connection), timer=time.process_time, number=REPETITIONS, repeat=ROUNDS)
print(f"h11 {h11.__version__}: {min(rounds) / REPETITIONS * 1e6:.1f} µs per exchange, the best of {ROUNDS} rounds")
