"""Publishes one failure to Nightbell with pika. Ends with 0 only when RabbitMQ has confirmed it."""

import hashlib
import json
import os
import queue
import sys
import threading
import time

import pika

EXCHANGE = os.environ.get("NIGHTBELL_EXCHANGE", "nightbell.events")
WAIT_SECONDS_MAX = 10


def publish(url, event):
    # The same result has the same id, so that publishing it twice rings once. A hash, since AMQP takes 255 bytes at most.
    result = "\n".join([event["project"], event["run_id"], event["test"]])
    properties = pika.BasicProperties(
        message_id=hashlib.sha256(result.encode()).hexdigest(),
        content_type="application/json",
        timestamp=int(time.time()),
        delivery_mode=pika.DeliveryMode.Persistent,  # It outlives a restart of the broker.
    )
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()  # basic_publish now waits for the confirm, and raises if there is none.
        channel.basic_publish(EXCHANGE, "event", json.dumps(event).encode(), properties, mandatory=True)
    return properties.message_id


def publish_in_time(url, event):
    """pika waits for a confirm without end; a thread that is left behind gives the wait one."""
    outcome = queue.Queue()

    def attempt():
        try:
            outcome.put((publish(url, event), None))
        except Exception as error:  # Whatever it was, it was not confirmed.
            outcome.put((None, error))

    threading.Thread(target=attempt, daemon=True).start()
    try:
        message_id, error = outcome.get(timeout=WAIT_SECONDS_MAX)
    except queue.Empty:
        sys.exit(f"not published: no confirm within {WAIT_SECONDS_MAX} s")
    if error:
        sys.exit(f"not published: {error!r}")
    return message_id


url, run_id = os.environ.get("NIGHTBELL_QUEUE_URL"), os.environ.get("RUN_ID")
if not (url and run_id):  # pika would take an empty URL for this machine.
    sys.exit("not published: NIGHTBELL_QUEUE_URL and RUN_ID must be set")
failure = {"project": "shop", "test": "refunds a card", "message": "HTTP 500", "run_id": run_id}
print("confirmed", publish_in_time(url, failure))
