// Consume, POST, acknowledge after a 2xx: amqplib and an undici pool, as a Node service would.
import amqp from "amqplib";
import { Pool } from "undici";

const { PEER_URL, PEER_QUEUE, PEER_TRIGGER, PEER_USER, PEER_PASSWORD, PEER_PREFETCH, PEER_IN_FLIGHT } = process.env;
const trigger = new URL(PEER_TRIGGER);
const pool = new Pool(trigger.origin, { connections: Number(PEER_IN_FLIGHT) });
const headers = {
  "content-type": "application/json",
  authorization: "Basic " + Buffer.from(`${PEER_USER}:${PEER_PASSWORD}`).toString("base64"),
};

const connection = await amqp.connect(PEER_URL);
const channel = await connection.createChannel();
await channel.prefetch(Number(PEER_PREFETCH));

async function deliver(message) {
  try {
    const path = trigger.pathname + trigger.search;
    const { statusCode, body } = await pool.request({ path, method: "POST", headers, body: message.content });
    await body.dump();
    if (statusCode < 200 || statusCode > 299) throw new Error(`HTTP ${statusCode}`);
    channel.ack(message);
  } catch (error) {
    console.error(error.message);
    channel.nack(message);
  }
}

await channel.consume(PEER_QUEUE, (message) => {
  if (message) deliver(message);
});
