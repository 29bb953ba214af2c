// Run by tests/integration/frontend/test_client.py, with Django behind the gateway.
import { expect, test } from "vitest";
import { GatewayProblem } from "../../src/lib/kafka/errors.ts";
import { GatewayProducer } from "../../src/lib/kafka/gateway.ts";

test("what the client sends is what the gateway takes", async () => {
  const baseUrl = process.env["GATEWAY"] ?? "";
  const token = process.env["TOKEN"] ?? "";
  const producer = new GatewayProducer({ baseUrl, token });
  await producer.connect();
  const receipt = await producer.sendMessage(
    "campaign.created.json",
    { campaign_id: "123", name: "Test Campaign" },
    "123",
    { source: "frontend", version: "1.0" },
  );
  expect(receipt.id).toMatch(/^[0-9a-f-]{36}$/);
  const wrong = producer.sendMessage("campaign.created.json", { campaign_id: 7 }, "123");
  await expect(wrong).rejects.toBeInstanceOf(GatewayProblem);
  await expect(wrong).rejects.toThrow("#/events/0/data/name");
  await producer.disconnect();
});
