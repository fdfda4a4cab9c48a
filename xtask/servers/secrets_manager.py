"""Serves moto's AWS Secrets Manager on a loopback port that the system chooses.

Prints `listening on PORT` once it does. Two things are added to moto:

Repairs, where moto 5.2.5 is not as AWS:
- It moves AWSCURRENT to another version, and goes on answering plain reads with the version that had
  it before.
- It takes a value for a deleted secret, where AWS answers InvalidRequestException; and it answers the
  creation of one with another code than AWS does.
- It fails on the versions of a secret that isn't there.
- It checks and changes in two steps, with other calls between them.

A switch for faults: `POST /_fault` with a JSON object, every member optional, makes calls fail.

    key       the access key id whose calls fail; without it everybody's, so a test names its own
    n         how many calls, counted from now; 0 switches the faults off
    ops       the operations that fail, such as ["GetSecretValue"]; without it all of them
    delay_ms  how long each of these calls waits first
    status    the HTTP status of the answer; without it the call is only delayed, then answered
    type      the error code in the answer
    headers   further headers of the answer

The answer lists the operations that were called with this key, failed ones included, since it was
asked last. It replaces the faults that were set before for the same key.
"""

import json
import re
import threading
import time
from collections import defaultdict

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.secretsmanager.exceptions import InvalidRequestException
from moto.secretsmanager.models import SecretsManagerBackend
from werkzeug.serving import make_server

EVERYBODY = ""


def repair_stages():
    """Lets plain reads follow AWSCURRENT when it is moved."""
    moved_by_moto = SecretsManagerBackend.update_secret_version_stage

    def move(self, secret_id, version_stage, remove_from_version_id, move_to_version_id):
        answer = moved_by_moto(
            self, secret_id, version_stage, remove_from_version_id, move_to_version_id
        )
        if version_stage == "AWSCURRENT" and move_to_version_id:
            self.secrets[secret_id].set_default_version_id(move_to_version_id)
        return answer

    SecretsManagerBackend.update_secret_version_stage = move


def repair_deleted():
    """Refuses values for what is deleted, as AWS does until it is restored."""

    def refusing(made_by_moto):
        def make(self, *args, **kwargs):
            name = kwargs.get("secret_id", kwargs.get("name", args[0] if args else None))
            if name in self.secrets and self.secrets[name].is_deleted():
                raise InvalidRequestException("The secret is scheduled for deletion.")
            return made_by_moto(self, *args, **kwargs)

        return make

    for operation in ("create_secret", "put_secret_value", "update_secret_version_stage"):
        made_by_moto = getattr(SecretsManagerBackend, operation)
        setattr(SecretsManagerBackend, operation, refusing(made_by_moto))


def repair_versions():
    """Answers that a secret isn't there."""
    made_by_moto = SecretsManagerBackend.list_secret_version_ids

    def versions(self, secret_id):
        self.describe_secret(secret_id)
        return made_by_moto(self, secret_id)

    SecretsManagerBackend.list_secret_version_ids = versions


class OneByOne:
    """The application of moto, which answers one call after the other."""

    def __init__(self, application):
        self.application = application
        self.lock = threading.Lock()

    def __call__(self, request, start):
        with self.lock:
            return list(self.application(request, start))


class Faults:
    """The faults that are set, and the calls that were made, by access key id."""

    def __init__(self):
        self.lock = threading.Lock()
        self.faults = {}
        self.calls = defaultdict(list)

    def set(self, fault):
        key = fault.get("key", EVERYBODY)
        with self.lock:
            self.faults[key] = fault
            return self.calls.pop(key, [])

    def take(self, key, operation):
        """Records a call, and returns the fault that it meets, if any."""
        with self.lock:
            for caller in (key, EVERYBODY):
                self.calls[caller].append(operation)
            for caller in (key, EVERYBODY):
                fault = self.faults.get(caller, {})
                if fault.get("n", 0) > 0 and operation in fault.get("ops", [operation]):
                    fault["n"] -= 1
                    return fault
        return None


class WithFaults:
    """The application of moto behind the switch."""

    def __init__(self, application):
        self.application = application
        self.faults = Faults()

    def __call__(self, request, start):
        if request["PATH_INFO"] == "/_fault":
            calls = self.faults.set(json.loads(body(request) or b"{}"))
            return respond(start, 200, "application/json", calls)
        operation = request.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        fault = self.faults.take(access_key(request), operation) if operation else None
        if fault:
            time.sleep(fault.get("delay_ms", 0) / 1000)
        if not fault or "status" not in fault:
            return self.application(request, start)
        body(request)
        error = {"__type": fault.get("type", "InternalServiceError"), "message": "a fault of the test"}
        headers = fault.get("headers", {})
        return respond(start, fault["status"], "application/x-amz-json-1.1", error, headers)


def body(request):
    return request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0))


def access_key(request):
    signed_by = re.search("Credential=([^/]+)/", request.get("HTTP_AUTHORIZATION", ""))
    return signed_by.group(1) if signed_by else EVERYBODY


def respond(start, status, content_type, content, headers={}):
    content = json.dumps(content).encode()
    length = ("Content-Length", str(len(content)))
    start(f"{status} Answer", [("Content-Type", content_type), length, *headers.items()])
    return [content]


if __name__ == "__main__":
    repair_stages()
    repair_deleted()
    repair_versions()
    application = WithFaults(OneByOne(DomainDispatcherApplication(create_backend_app)))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    print(f"listening on {server.port}", flush=True)
    server.serve_forever()
