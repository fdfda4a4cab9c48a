#!/usr/bin/env python3
"""Keeps secrets in one JSON file: exec:/path/to/provider.py?config=/path/to/store.json"""
import fcntl, json, os, sys

class Refused(Exception):
    """Its text is the protocol's word for what went wrong."""

def key(secret):
    name = secret.get("id", secret["name"])
    return f"{name}#{secret['field']}" if "field" in secret else name

def check_expected(request, found):
    version = found["version"] if found else None
    expected = {"any": version, "absent": None, "version": request.get("version")}
    if version != expected[request["expect"]]:
        raise Refused("conflict")

def fetch(request, store):
    def answer(wanted):
        found = store["secrets"].get(key(wanted))
        if wanted["stage"] != "current":
            return {"error": "unsupported"}
        if found is None:
            return {"error": "absent"}
        return {"unchanged": True} if wanted.get("known") == found["version"] else found
    return {"answers": [{"request": w["request"], **answer(w)} for w in request["wanted"]]}

def put(request, store):
    if request["stage"] != "current" or "overlap" in request:
        raise Refused("unsupported")
    check_expected(request, store["secrets"].get(key(request)))
    store["writes"] += 1
    form = "text" if "text" in request else "base64"
    version = f"v{store['writes']}"
    store["secrets"][key(request)] = {form: request[form], "version": version}
    return {"version": version}

def delete(request, store):
    if key(request) not in store["secrets"]:
        raise Refused("conflict" if request["expect"] == "version" else "absent")
    check_expected(request, store["secrets"][key(request)])
    del store["secrets"][key(request)]
    return {}

def list_names(request, store):
    return {"names": [n for n in store["secrets"] if n.startswith(request["prefix"])]}

def run(request):
    if request["operation"] == "describe":
        return {"name": "json-file", "version": "1.0", "operations": ["fetch", "put", "delete", "list"]}
    path = request["config"]
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # One call at a time.
        store = {"writes": 0, "secrets": {}}
        if os.path.exists(path):
            with open(path) as file:
                store = json.load(file)
        operations = {"fetch": fetch, "put": put, "delete": delete, "list": list_names}
        operation = operations[request["operation"]]
        answer = operation(request, store)
        if request["operation"] in ("put", "delete"):
            with open(path + ".new", "w") as file:  # Replaced as a whole: we may be killed at any moment.
                json.dump(store, file)
            os.replace(path + ".new", path)
        return answer

os.umask(0o077)
try:
    answer = run(json.load(sys.stdin))
except Refused as refused:
    answer = {"error": str(refused)}
json.dump({"protocol": 1, **answer}, sys.stdout)
