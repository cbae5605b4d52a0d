"""POST, acknowledged when the task returns: Celery with late acknowledgement, a requests session a process."""

import os

import requests
from celery import Celery

TRIGGER = os.environ["PEER_TRIGGER"]

app = Celery("peer", broker=os.environ["PEER_URL"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=int(os.environ["PEER_PREFETCH"]) // 2,
)

session = requests.Session()
session.auth = (os.environ["PEER_USER"], os.environ["PEER_PASSWORD"])


@app.task(name="deliver", autoretry_for=(requests.RequestException,), retry_backoff=True)
def deliver(event: dict) -> None:
    session.post(TRIGGER, json=event, timeout=15).raise_for_status()
