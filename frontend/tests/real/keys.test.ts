// Run by tests/integration/frontend/test_client.py, which compares the partitions.
import { expect, test } from "vitest";
import { getProducer } from "@/lib/kafka/client";

test("each key is sent once", async () => {
  const topic = process.env["TOPIC"] ?? "";
  const keys = JSON.parse(process.env["KEYS"] ?? "[]") as string[];
  const producer = getProducer();
  await producer.connect();
  const sent = keys.map((key, n) => producer.sendMessage(topic, { n }, key));
  const receipts = await Promise.all(sent);
  await producer.disconnect();
  expect(receipts).toHaveLength(keys.length);
  expect(receipts.every((receipt) => receipt.partition !== undefined)).toBe(true);
});
