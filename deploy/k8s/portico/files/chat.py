"""The test of `helm test`: a chat through the edge, whole and streamed. Python's own library alone."""

import json
import os
import sys
import time
import urllib.error
import urllib.request

URL, MODEL = os.environ["URL"], os.environ["MODEL"]
EMAIL, SLUG, COMPANY = "helm-test@example.com", "helm-test", "Helm Test"
PROVIDER = {"key": "echo", "driver": "echo", "label": "Echo"}
ECHO = {"key": "echo", "name": "Echo", "category": "llm", "providerKey": "echo", "modelId": "echo"}


def call(method, path, body=None, token=None):
    """Return the status and the body of one call; 0 where nobody answers."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, method=method, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)


def wait_until_ready():
    for _ in range(60):
        status, body = call("GET", "/health/ready")
        if status == 200:
            return
        time.sleep(1)
    sys.exit(f"the edge is not ready: {status} {body}")


def sign_in():
    """The session of the test's own account, which is registered at the first time."""
    account = {"email": EMAIL, "password": os.environ["PASSWORD"]}
    status, body = call("POST", "/v1/auth/login", {**account, "slug": SLUG})
    if status == 401:
        status, body = call("POST", "/v1/auth/register", {**account, "name": "Helm", "companyName": COMPANY})
    if status not in (200, 201):
        sys.exit(
            f"neither sign-in nor registration works ({status} {body}); set test.tokenSecret to a Secret with a token"
        )
    return json.loads(body)["token"]


def main():
    wait_until_ready()
    token = os.environ.get("TOKEN", "").strip() or sign_in()
    if "TOKEN" not in os.environ:
        for path, record in (("/v1/models/providers", PROVIDER), ("/v1/models", ECHO)):
            status, body = call("POST", path, record, token)
            if status not in (200, 201, 409):
                sys.exit(f"POST {path}: {status} {body}")
    question = {"model": MODEL, "messages": [{"role": "user", "content": "Hello from helm test"}]}
    for body in (question, {**question, "stream": True}):
        status, answer = call("POST", "/v1/chat/completions", body, token)
        print(status, answer[:500])
        if status != 200 or (body.get("stream") and "data: [DONE]" not in answer):
            sys.exit("the chat failed")


main()
