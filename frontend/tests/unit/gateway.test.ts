import { afterEach, beforeEach, expect, test, vi } from "vitest";
import * as errors from "../../src/lib/kafka/errors.ts";
import { type GatewayOptions, GatewayProducer } from "../../src/lib/kafka/gateway.ts";
import { FakeGateway, MemoryStorage, problem } from "./fake.ts";

const TOPIC = "campaign.created.json";
const BACKOFF = { firstMs: 1, longestMs: 20 };
let gateway: FakeGateway;
let made: GatewayProducer[];

beforeEach(async () => {
  gateway = new FakeGateway();
  made = [];
  await gateway.start();
});

afterEach(async () => {
  await Promise.all(made.map((producer) => producer.disconnect()));
  await gateway.stop();
});

function producerOf(options: GatewayOptions = {}): GatewayProducer {
  const { baseUrl } = gateway;
  const producer = new GatewayProducer({ baseUrl, backoff: BACKOFF, drainMs: 200, ...options });
  made.push(producer);
  return producer;
}

const numbers = () => gateway.seen.map((seen) => seen.events[0]?.data.n);

test("an event is sent with its key, its headers and the session's CSRF token", async () => {
  const producer = producerOf();
  await producer.connect();
  const receipt = await producer.sendMessage(TOPIC, { n: 1 }, "123", { source: "frontend" });
  expect(receipt).toEqual({ id: "id-123", topic: TOPIC });
  const headers = { source: "frontend" };
  expect(gateway.seen[0]?.events).toEqual([{ topic: TOPIC, key: "123", data: { n: 1 }, headers }]);
  expect(gateway.seen[0]?.csrf).toBe("csrf-1");
  expect(gateway.seen[0]?.key).toMatch(/^[0-9a-f]{32}$/);
});

test("nothing is sent before connect() and after disconnect()", async () => {
  const producer = producerOf();
  await expect(producer.sendMessage(TOPIC, {}, "1")).rejects.toBeInstanceOf(errors.NotConnected);
  await producer.connect();
  await producer.disconnect();
  await expect(producer.sendMessage(TOPIC, {}, "1")).rejects.toBeInstanceOf(errors.NotConnected);
  expect(gateway.seen).toEqual([]);
});

test("who is not signed in is told so at once", async () => {
  gateway.isSignedIn = false;
  await expect(producerOf().connect()).rejects.toMatchObject({ status: 401 });
});

test.each([
  ["503", problem(503, "unavailable")],
  ["429", problem(429, "too-many")],
  ["a broken line", (response: { destroy(): void }) => response.destroy()],
])("after %s the same request is sent again, before all later ones", async (_, answer) => {
  gateway.answers.push(answer, answer);
  const producer = producerOf();
  await producer.connect();
  await Promise.all([1, 2, 3].map((n) => producer.sendMessage(TOPIC, { n }, "k")));
  expect(numbers()).toEqual([1, 1, 1, 2, 3]);
  expect(new Set(gateway.seen.slice(0, 3).map((seen) => seen.key)).size).toBe(1);
  expect(new Set(gateway.seen.map((seen) => seen.key)).size).toBe(3);
});

test("Retry-After is waited for", async () => {
  gateway.answers.push(problem(429, "too-many", { "Retry-After": "1" }));
  const producer = producerOf();
  await producer.connect();
  const begin = Date.now();
  await producer.sendMessage(TOPIC, {}, "1");
  expect(Date.now() - begin).toBeGreaterThan(950);
});

test("a refused event rejects, and later ones go on", async () => {
  gateway.answers.push(problem(422, "invalid"));
  const producer = producerOf();
  await producer.connect();
  const first = producer.sendMessage(TOPIC, { n: 1 }, "1");
  const second = producer.sendMessage(TOPIC, { n: 2 }, "1");
  await expect(first).rejects.toMatchObject({ status: 422, type: "urn:kafka-gateway:invalid" });
  await expect(second).resolves.toMatchObject({ topic: TOPIC });
  expect(numbers()).toEqual([1, 2]);
});

test("many events are one request", async () => {
  const producer = producerOf();
  await producer.connect();
  const messages = ["a", "b"].map((key) => ({ topic: TOPIC, value: {}, key }));
  const receipts = await producer.sendMessages(messages);
  expect(receipts.map((receipt) => receipt.id)).toEqual(["id-a", "id-b"]);
  expect(gateway.seen).toHaveLength(1);
});

test("a new sign-in of the same user costs no event", async () => {
  const producer = producerOf();
  await producer.connect();
  gateway.csrf = "csrf-2";
  await producer.sendMessage(TOPIC, { n: 1 }, "1");
  expect(gateway.seen.map((seen) => seen.csrf)).toEqual(["csrf-2"]);
});

test("what one user has sent is never sent as another's", async () => {
  const storage = new MemoryStorage();
  const producer = producerOf({ storage });
  await producer.connect();
  gateway.csrf = "csrf-2";
  gateway.sender = "user:2";
  const sent = producer.sendMessage(TOPIC, {}, "1");
  await expect(sent).rejects.toBeInstanceOf(errors.SenderChanged);
  expect(gateway.seen).toEqual([]);
});

test("without a network events wait, and go out in order when it is back", async () => {
  await gateway.stop();
  const producer = producerOf();
  await producer.connect();
  const sent = [1, 2, 3].map((n) => producer.sendMessage(TOPIC, { n }, "k"));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(producer.waiting).toBe(3);
  await gateway.start();
  await Promise.all(sent);
  expect(numbers()).toEqual([1, 2, 3]);
});

test("what waits outlives the page, keeps its key, and goes before what is new", async () => {
  const storage = new MemoryStorage();
  const before = producerOf({ storage });
  await before.connect();
  await gateway.stop();
  const lost = [1, 2].map((n) => before.sendMessage(TOPIC, { n }, "k"));
  const told = lost.map((sent) => expect(sent).rejects.toMatchObject({ isKept: true }));
  await before.disconnect();
  await Promise.all(told);
  expect(storage.length).toBe(2);
  await gateway.start();
  const after = producerOf({ storage });
  await after.connect();
  await after.sendMessage(TOPIC, { n: 3 }, "k");
  expect(numbers()).toEqual([1, 2, 3]);
  expect(storage.length).toBe(0);
});

test("without a network too, what is new goes after what waits from before", async () => {
  const storage = new MemoryStorage();
  const before = producerOf({ storage, drainMs: 0 });
  await before.connect();
  await gateway.stop();
  const told = expect(before.sendMessage(TOPIC, { n: 1 }, "k")).rejects.toMatchObject({});
  await before.disconnect();
  await told;
  const after = producerOf({ storage });
  await after.connect();
  const sent = after.sendMessage(TOPIC, { n: 2 }, "k");
  await gateway.start();
  await sent;
  expect(numbers()).toEqual([1, 2]);
});

test("events of before a reload that are refused are told to onRefused", async () => {
  const storage = new MemoryStorage();
  const before = producerOf({ storage, drainMs: 0 });
  await before.connect();
  await gateway.stop();
  const lost = before.sendMessage(TOPIC, { n: 1 }, "k");
  const told = expect(lost).rejects.toBeInstanceOf(errors.Disconnected);
  await before.disconnect();
  await told;
  await gateway.start();
  gateway.answers.push(problem(422, "invalid"));
  const onRefused = vi.fn();
  await producerOf({ storage, onRefused }).connect();
  await vi.waitFor(() => expect(onRefused).toHaveBeenCalledOnce(), { timeout: 10_000 });
  const [error, messages] = onRefused.mock.calls[0] as [unknown, unknown];
  expect(error).toMatchObject({ status: 422 });
  expect(messages).toEqual([{ topic: TOPIC, key: "k", value: { n: 1 }, headers: {} }]);
});

test("more than may wait, and more than the storage takes, is refused at once", async () => {
  const small = producerOf({ storage: new MemoryStorage(1) });
  await small.connect();
  await gateway.stop();
  const first = small.sendMessage(TOPIC, {}, "1");
  const ends = expect(first).rejects.toBeInstanceOf(errors.Disconnected);
  await expect(small.sendMessage(TOPIC, {}, "1")).rejects.toBeInstanceOf(errors.QueueFull);
  const none = producerOf({ maxQueued: 0 });
  await none.connect();
  await expect(none.sendMessage(TOPIC, {}, "1")).rejects.toBeInstanceOf(errors.QueueFull);
  await small.disconnect();
  await ends;
});

test("what waited for too long is given up and says so", async () => {
  const producer = producerOf({ maxAgeMs: -1 });
  await producer.connect();
  await expect(producer.sendMessage(TOPIC, {}, "1")).rejects.toBeInstanceOf(errors.Expired);
  expect(gateway.seen).toEqual([]);
});

test("an address that is no gateway is no reason to try for ever", async () => {
  gateway.answers.push((response: { writeHead(status: number): { end(): void } }) =>
    response.writeHead(404).end(),
  );
  const producer = producerOf();
  await producer.connect();
  await expect(producer.sendMessage(TOPIC, {}, "1")).rejects.toThrow(/baseUrl/);
});

test("a service sends its token", async () => {
  const producer = producerOf({ token: "secret" });
  await producer.connect();
  await producer.sendMessage(TOPIC, {}, "1");
  expect(gateway.seen[0]?.authorization).toBe("Bearer secret");
});
