"""A plugin that does what plugins must not."""

import json
import os
import sys
import time


def out(text):
    sys.stdout.write(text)
    sys.stdout.flush()


for line in sys.stdin:
    request = json.loads(line)
    method = request["method"]
    if method == "die":
        print("out of luck", file=sys.stderr)
        os._exit(7)
    elif method == "hang":
        while True:
            time.sleep(1)
    elif method == "flood":  # one line without end
        while True:
            out("x" * 65536)
    elif method == "babble":  # answers that nobody asked for
        out('{"id": 123456789, "result": 1}\n')
    elif method == "noise":
        while True:
            sys.stderr.write("x" * 65536)
    elif method == "gibberish":
        out("not JSON\n")
    elif method == "deaf":  # reads no more, and answers no more
        out(json.dumps({"id": request["id"], "result": "deaf"}) + "\n")
        time.sleep(3600)
    elif method == "leave":  # something for the next life to find, and a child to outlive this one
        open("/tmp/left", "w").close()
        if os.fork() == 0:
            os.setsid()
            time.sleep(3600)
        out(json.dumps({"id": request["id"], "result": "left"}) + "\n")
    elif method == "look":
        out(json.dumps({"id": request["id"], "result": os.path.exists("/tmp/left")}) + "\n")
    elif method == "escape":
        try:
            open("/etc/shadow")
            found = "read it"
        except OSError as e:
            found = e.strerror
        out(json.dumps({"id": request["id"], "result": found}) + "\n")
    else:
        out(json.dumps({"id": request["id"], "result": request.get("params")}) + "\n")
