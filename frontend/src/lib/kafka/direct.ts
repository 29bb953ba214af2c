import { Kafka, type KafkaConfig, logLevel, Partitioners, type Producer as Client } from "kafkajs";
import { readFileSync } from "node:fs";
import { KafkaClientError, NotConnected } from "./errors.ts";
import type { JsonObject, MessageHeaders, Producer, Receipt } from "./types.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Sends events straight to Kafka, without outbox and database: for servers and scripts on Node.
 *
 * A key lands on the partition on which Java's clients and our Python producers put it. Events are
 * sent in the order of the calls; while Kafka is away they are tried again.
 */
export class DirectProducer implements Producer {
  private readonly client: Client;
  private last: Promise<unknown> = Promise.resolve();
  private isOpen = false;

  constructor(environment: Environment = process.env) {
    this.client = new Kafka(configOf(environment)).producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner, // Java's murmur2
    });
  }

  async connect(): Promise<void> {
    await this.client.connect();
    this.isOpen = true;
  }

  sendMessage(
    topic: string,
    value: JsonObject,
    key: string,
    headers: MessageHeaders = {},
  ): Promise<Receipt> {
    if (!this.isOpen) return Promise.reject(new NotConnected());
    const sent = this.last.then(() => this.send(topic, JSON.stringify(value), key, headers));
    this.last = sent.catch(() => undefined); // told to its caller; the next one goes on
    return sent;
  }

  async disconnect(): Promise<void> {
    this.isOpen = false;
    await this.last;
    await this.client.disconnect();
  }

  private async send(
    topic: string,
    value: string,
    key: string,
    headers: MessageHeaders,
  ): Promise<Receipt> {
    const messages = [{ key, value, headers: { ...headers } }];
    const [found] = await this.client.send({ topic, acks: -1, messages });
    if (!found) throw new KafkaClientError(`Kafka did not say where the event for ${topic} is.`);
    return {
      topic,
      partition: found.partition,
      ...(found.baseOffset === undefined ? {} : { offset: found.baseOffset }),
    };
  }
}

/** Return kafkajs's configuration from the variables that the Python side reads too. */
export function configOf(environment: Environment): KafkaConfig {
  const protocol = environment["KAFKA_SECURITY_PROTOCOL"] || "PLAINTEXT";
  if (!["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"].includes(protocol)) {
    const known = "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL";
    throw new KafkaClientError(`KAFKA_SECURITY_PROTOCOL is ${protocol}. Write ${known}.`);
  }
  return {
    clientId: environment["KAFKA_CLIENT_ID"] || "mediajira-frontend",
    brokers: (environment["KAFKA_BROKER"] || "localhost:29092").split(","),
    logLevel: logLevel.ERROR,
    ...(protocol.endsWith("SSL") ? { ssl: tlsOf(environment) } : {}),
    ...(protocol.startsWith("SASL") ? { sasl: saslOf(environment) } : {}),
  };
}

function tlsOf(environment: Environment): NonNullable<KafkaConfig["ssl"]> {
  const file = (name: string) => {
    const path = environment[`KAFKA_SSL_${name}`];
    return path ? readFileSync(path, "utf8") : undefined;
  };
  const found = {
    ca: file("CA_LOCATION"),
    cert: file("CERTIFICATE_LOCATION"),
    key: file("KEY_LOCATION"),
    passphrase: environment["KAFKA_SSL_KEY_PASSWORD"] || undefined,
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

function saslOf(environment: Environment): NonNullable<KafkaConfig["sasl"]> {
  const mechanism = (environment["KAFKA_SASL_MECHANISM"] || "SCRAM-SHA-512").toLowerCase();
  const username = environment["KAFKA_SASL_USERNAME"] || "";
  const password = environment["KAFKA_SASL_PASSWORD"] || "";
  if (mechanism !== "scram-sha-512" && mechanism !== "scram-sha-256" && mechanism !== "plain") {
    throw new KafkaClientError("KAFKA_SASL_MECHANISM must be SCRAM-SHA-512, -256 or PLAIN.");
  }
  return { mechanism, username, password } as NonNullable<KafkaConfig["sasl"]>;
}

/** What `getProducer()` makes on Node. */
export function createProducer(): Producer {
  return new DirectProducer();
}
