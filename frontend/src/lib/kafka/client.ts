/**
 * Events from TypeScript: through the HTTP gateway in a browser, straight to Kafka on Node.
 *
 * Which of the two is decided by the conditions of "#kafka-producer" in package.json, so that a
 * page's bundle holds no Kafka client.
 */
import { createProducer } from "#kafka-producer";
import type { Producer } from "./types.ts";

export * from "./errors.ts";
export type * from "./types.ts";

let producer: Producer | undefined;

/** Return the one producer of this page or process. */
export function getProducer(): Producer {
  producer ??= createProducer();
  return producer;
}
