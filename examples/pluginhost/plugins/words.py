"""A plugin in Python: counts words.

A request is a line such as {"id": 1, "method": "count", "params": "two words"},
and its answer is a line with the same id, and a result or an error.
"""

import json
import sys

for line in sys.stdin:
    request = json.loads(line)
    answer = {"id": request["id"]}
    if request["method"] == "count":
        answer["result"] = len(request["params"].split())
    else:
        answer["error"] = "there is no method " + request["method"]
    print(json.dumps(answer), flush=True)
