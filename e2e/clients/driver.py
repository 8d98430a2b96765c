"""What the Python drivers share: the loop of questions, and members of groups that read in the background.

A driver is started with the bootstrap address. Each line of its input is a question, a JSON object whose member `op`
names a method of the client and whose others are its arguments; each is answered with one line, {"ok": result} or
{"error": text}. A record is {"key": text or null, "value": text or null, "headers": [[name, text], ...],
"place": [partition, offset]}, the last where it was read.
"""
import json
import sys
import threading
import time

DEADLINE = 30  # seconds for any one thing


def text(data):
    return None if data is None else data.decode()


def data(text):
    return None if text is None else text.encode()


def until(what, found):
    """Calls `found` until it gives something that is not None."""
    deadline = time.monotonic() + DEADLINE
    while (value := found()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {DEADLINE} s in vain for {what}")
    return value


class Member(threading.Thread):
    """Reads until it is stopped. `read(consumer)` gives new records, `close(consumer)` commits and leaves."""

    def __init__(self, consumer, read, close):
        super().__init__(daemon=True)
        self.consumer, self.read, self.close = consumer, read, close
        self.records, self.error = [], None
        self.stopping = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.records.extend(self.read(self.consumer))
            self.close(self.consumer)
        except Exception as error:
            self.error = error

    def seen(self):
        if self.error is not None:
            raise self.error
        return list(self.records)

    def leave(self):
        self.stopping.set()
        self.join(DEADLINE)
        if self.is_alive():
            raise TimeoutError("the member does not end")
        return self.seen()


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.members = {}

    def seen(self, member):
        return self.members[member].seen()

    def leave(self, member):
        self.members.pop(member).leave()


def serve(client_class):
    client = client_class(sys.argv[1])
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"ok": getattr(client, question.pop("op"))(**question)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
