"""POST, acknowledged when the actor returns: Dramatiq with its default middleware, a requests session a thread."""

import os
import threading

import dramatiq
import requests
from dramatiq.brokers.rabbitmq import RabbitmqBroker

TRIGGER = os.environ["PEER_TRIGGER"]
AUTH = (os.environ["PEER_USER"], os.environ["PEER_PASSWORD"])
local = threading.local()

dramatiq.set_broker(RabbitmqBroker(url=os.environ["PEER_URL"]))


@dramatiq.actor(queue_name="deliver")
def deliver(event: dict) -> None:
    if not hasattr(local, "session"):
        local.session = requests.Session()
        local.session.auth = AUTH
    local.session.post(TRIGGER, json=event, timeout=15).raise_for_status()
