import { fileURLToPath } from "node:url";
import { build, type Rollup } from "vite";
import { expect, test } from "vitest";
import { getProducer } from "@/lib/kafka/client";
import { configOf, DirectProducer } from "../../src/lib/kafka/direct.ts";

test("on Node there is one producer, and it speaks to Kafka directly", () => {
  expect(getProducer()).toBeInstanceOf(DirectProducer);
  expect(getProducer()).toBe(getProducer());
});

test("a page's bundle speaks to the gateway and holds no Kafka client", async () => {
  const entry = fileURLToPath(new URL("../../src/lib/kafka/client.ts", import.meta.url));
  const built = (await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, minify: false, lib: { entry, formats: ["es"], fileName: "client" } },
  })) as Rollup.RollupOutput[];
  const code = built.flatMap((part) => part.output.map((file) => ("code" in file ? file.code : "")));
  expect(code.join()).toContain("Idempotency-Key");
  expect(code.join()).not.toMatch(/kafkajs|node:|bootstrap/);
});

test("Kafka's address and credentials come from the environment", () => {
  const found = configOf({
    KAFKA_BROKER: "a:1,b:2",
    KAFKA_SECURITY_PROTOCOL: "SASL_SSL",
    KAFKA_SASL_USERNAME: "ada",
    KAFKA_SASL_PASSWORD: "secret",
  });
  expect(found).toMatchObject({
    brokers: ["a:1", "b:2"],
    ssl: {},
    sasl: { mechanism: "scram-sha-512", username: "ada", password: "secret" },
  });
  expect(configOf({})).not.toHaveProperty("ssl");
  expect(() => configOf({ KAFKA_SECURITY_PROTOCOL: "TLS" })).toThrow(/SASL_SSL/);
});
