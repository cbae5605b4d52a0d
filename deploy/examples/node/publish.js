// Publishes one failure to Nightbell with amqplib. Ends with 0 only when RabbitMQ has confirmed it.

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import amqplib from "amqplib";

const { NIGHTBELL_QUEUE_URL: url, RUN_ID: run_id, NIGHTBELL_EXCHANGE: exchange = "nightbell.events" } = process.env;
const waitMsMax = 10_000;

async function publish(event) {
  const connection = await amqplib.connect(url);
  const channel = await connection.createConfirmChannel();
  let returned;
  channel.on("return", (message) => { returned = message.fields.replyText; });
  const result = [event.project, event.run_id, event.test].join("\n");
  const options = {
    // The same result has the same id, so that publishing it twice rings once. A hash, since AMQP takes 255 bytes at most.
    messageId: createHash("sha256").update(result).digest("hex"),
    contentType: "application/json",
    timestamp: Math.floor(Date.now() / 1000),
    persistent: true, // It outlives a restart of the broker.
    mandatory: true, // What no queue takes is returned instead of dropped.
  };
  await new Promise((resolve, reject) => {
    for (const source of [connection, channel]) source.on("error", reject);
    const body = Buffer.from(JSON.stringify(event));
    channel.publish(exchange, "event", body, options, (error) => (error ? reject(error) : resolve()));
  });
  // A returned message is confirmed as well, after its return.
  if (returned) throw new Error(`returned: ${returned}`);
  await connection.close();
  return options.messageId;
}

const late = sleep(waitMsMax, null, { ref: false }).then(() => {
  throw new Error(`no confirm within ${waitMsMax / 1000} s`);
});
try {
  if (!url || !run_id) throw new Error("NIGHTBELL_QUEUE_URL and RUN_ID must be set");
  const failure = { project: "shop", test: "refunds a card", message: "HTTP 500", run_id };
  console.log("confirmed", await Promise.race([publish(failure), late]));
} catch (error) {
  console.error(`not published: ${error.message}`);
  process.exit(1); // A connection that hangs would keep the process.
}
