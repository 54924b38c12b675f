#!/usr/bin/env python3
"""Runs two commands in one sandbox, one of them with input.

Needs kavach in PATH, and nothing but the standard library. docs/session.md
describes what goes over the pipe.
"""

import itertools
import json
import subprocess
import sys


class Session:
    """One sandbox, and the kavach that it ends with."""

    def __init__(self, **params):
        self._kavach = subprocess.Popen(
            ["kavach", "session"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self._ids = itertools.count(1)
        self._events = []
        self.sandbox = self.request("create", **params)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._kavach.stdin.close()  # ends the sandbox
        self._kavach.wait()

    def _read(self):
        line = self._kavach.stdout.readline()
        if not line:
            raise EOFError("kavach ended")
        return json.loads(line)

    def request(self, method, **params):
        """Sends a request, and returns its result."""
        request_id = next(self._ids)
        request = {"id": request_id, "method": method, "params": params}
        self._kavach.stdin.write(json.dumps(request) + "\n")
        self._kavach.stdin.flush()
        while True:
            message = self._read()
            if "event" in message:
                self._events.append(message)
            elif "error" in message:
                raise RuntimeError("{code}: {message}".format(**message["error"]))
            elif message["id"] == request_id:
                return message["result"]

    def run(self, *args, stdin=None):
        """Runs a command to its end, and returns its output and exit code."""
        started = self.request("exec", args=args, stdin=stdin is not None)
        if stdin is not None:
            self.request("stdin", exec=started["exec"], data=stdin, eof=True)
        output = ""
        while True:
            event = self._events.pop(0) if self._events else self._read()
            if event["event"] == "exit":
                return output, event["exit_code"]
            if event["event"] == "stdout":
                output += event["data"]


with Session(policy="basic", backend=sys.argv[1] if len(sys.argv) > 1 else "auto") as session:
    print("score", session.sandbox["score"]["value"])
    for output, code in (
        session.run("sh", "-c", "echo six times seven is $((6*7)); exit 3"),
        session.run("tr", "a-z", "A-Z", stdin="hello from outside\n"),
    ):
        print(f"exit {code}: {output}", end="")
