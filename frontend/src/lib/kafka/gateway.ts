import { type Backoff, pauseMs } from "./backoff.ts";
import { Connection, type Outcome, type Session } from "./connection.ts";
import {
  Disconnected,
  Expired,
  type KafkaClientError,
  NotConnected,
  QueueFull,
  SenderChanged,
} from "./errors.ts";
import { type Parcel, ParcelStorage, type TextStorage } from "./storage.ts";
import type { JsonObject, Message, MessageHeaders, Producer, Receipt } from "./types.ts";

/** Everything has a default that fits a page of the same site. */
export interface GatewayOptions {
  /** Where the gateway's addresses are. */
  readonly baseUrl?: string;
  /** For services; a browser uses its session. */
  readonly token?: string;
  /** Requests that may wait. */
  readonly maxQueued?: number;
  /** No request waits for longer; must be less than KAFKA_GATEWAY_RETENTION_DAYS. */
  readonly maxAgeMs?: number;
  /** How long one try may take. */
  readonly timeoutMs?: number;
  /** How long `disconnect()` waits for what is queued. */
  readonly drainMs?: number;
  readonly backoff?: Backoff;
  /** Keeps what waits over a reload; null keeps it in memory only. */
  readonly storage?: TextStorage | null;
  /** Is told of events from before a reload that are refused; nobody else waits for them. */
  readonly onRefused?: (error: KafkaClientError, messages: readonly Message[]) => void;
}

interface Waiter {
  readonly resolve: (receipts: Receipt[]) => void;
  readonly reject: (error: KafkaClientError) => void;
}

const DAY_MS = 86_400_000;

/**
 * Sends events through the HTTP gateway, one request after the other, in the order of the calls.
 *
 * While the gateway is out of reach, requests wait and are tried again. Each has an idempotency key,
 * so that however often it is sent its events are written once.
 */
export class GatewayProducer implements Producer {
  private readonly connection: Connection;
  private readonly parcels: ParcelStorage | undefined;
  private readonly waiters = new Map<string, Waiter>();
  private queue: Parcel[] = [];
  private session: Session | undefined;
  private isOpen = false;
  private pump: Promise<void> | undefined;
  private wake: () => void = () => {};
  private place = 0;

  constructor(private readonly options: GatewayOptions = {}) {
    const { baseUrl = "/kafka", token, timeoutMs = 30_000 } = options;
    this.connection = new Connection(baseUrl.replace(/\/$/, ""), token, timeoutMs);
    const storage = options.storage === undefined ? browserStorage() : options.storage;
    this.parcels = storage ? new ParcelStorage(storage) : undefined;
    globalThis.addEventListener?.("online", () => this.wake());
  }

  /** How many requests wait. */
  get waiting(): number {
    return this.queue.length;
  }

  /**
   * Ask the gateway who we are. Without a network it succeeds as well, and what is sent waits.
   *
   * @throws GatewayProblem nobody is signed in, or the user may not send.
   */
  async connect(): Promise<void> {
    const outcome = await this.meet();
    if (outcome.kind === "refused") throw outcome.error;
    this.isOpen = true;
    this.start();
  }

  async sendMessage(
    topic: string,
    value: JsonObject,
    key: string,
    headers: MessageHeaders = {},
  ): Promise<Receipt> {
    const [receipt] = await this.sendMessages([{ topic, value, key, headers }]);
    return receipt as Receipt;
  }

  /** Send many events in one request: all of them are written, or none. */
  sendMessages(messages: readonly Message[]): Promise<Receipt[]> {
    if (!this.isOpen) return Promise.reject(new NotConnected());
    if (this.queue.length >= (this.options.maxQueued ?? 1000)) {
      return Promise.reject(new QueueFull(`${this.queue.length} requests wait`));
    }
    const parcel = this.pack(messages);
    try {
      this.keep(parcel);
    } catch (error) {
      return Promise.reject(new QueueFull(`the storage is full (${String(error)})`));
    }
    return new Promise((resolve, reject) => {
      this.waiters.set(parcel.id, { resolve, reject });
      this.queue.push(parcel);
      this.start();
    });
  }

  async disconnect(): Promise<void> {
    const deadline = Date.now() + (this.options.drainMs ?? 10_000);
    while (this.pump && Date.now() < deadline) await Promise.race([this.pump, sleep(50)]);
    this.isOpen = false;
    this.wake();
    for (const parcel of this.queue) {
      const isKept = this.parcels !== undefined && parcel.sender !== "";
      this.waiters.get(parcel.id)?.reject(new Disconnected(isKept));
    }
    this.waiters.clear();
    this.queue = [];
    this.session = undefined;
  }

  private pack(messages: readonly Message[]): Parcel {
    const events = messages.map(({ topic, value, key, headers = {} }) => ({
      topic,
      key,
      data: value,
      headers,
    }));
    return {
      id: newId(),
      body: JSON.stringify({ events }),
      at: Date.now(),
      place: this.place++,
      sender: this.session?.sender ?? "",
    };
  }

  private start(): void {
    this.pump ??= this.run().finally(() => {
      this.pump = undefined;
    });
  }

  private async run(): Promise<void> {
    let failures = 0;
    // A parcel stands at the head until its outcome is known, so that none overtakes another.
    for (let parcel = this.queue[0]; parcel && this.isOpen; parcel = this.queue[0]) {
      const outcome = await this.attempt(parcel);
      if (this.queue[0] !== parcel) continue;
      if (outcome.kind === "later") {
        failures += 1;
        await this.pause(failures, outcome.retryAfterMs);
        continue;
      }
      failures = 0;
      const isOrphan = !this.waiters.has(parcel.id);
      if (isOrphan && outcome.kind === "refused" && isSignedOut(outcome.error)) return;
      this.queue.shift();
      this.settle(parcel, outcome);
    }
  }

  private async attempt(parcel: Parcel): Promise<Answer> {
    if (Date.now() - parcel.at > (this.options.maxAgeMs ?? 7 * DAY_MS)) {
      return { kind: "refused", error: new Expired() };
    }
    for (const isRenewed of [false, true]) {
      const met = this.session ? undefined : await this.meet();
      if (met && met.kind !== "done") return met;
      const session = this.session;
      // What was kept from before goes first.
      if (!session || this.queue[0] !== parcel) return { kind: "later", retryAfterMs: 0 };
      if (parcel.sender !== session.sender) return { kind: "refused", error: new SenderChanged() };
      const outcome = await this.connection.send(parcel, session);
      if (outcome.kind !== "refused" || !isSignedOut(outcome.error)) return outcome;
      // A new sign-in makes a new CSRF token: ask once more who we are.
      this.session = undefined;
      if (isRenewed) return outcome;
    }
    return { kind: "later", retryAfterMs: 0 };
  }

  private async meet(): Promise<Outcome<Session>> {
    const outcome = await this.connection.session();
    if (outcome.kind === "done") {
      this.session = outcome.value;
      this.adopt(outcome.value.sender);
    }
    return outcome;
  }

  /** Take over what waits for this sender: from before a reload, and from before it was known. */
  private adopt(sender: string): void {
    for (const parcel of this.queue.filter((found) => found.sender === "")) {
      parcel.sender = sender;
      this.keep(parcel);
    }
    const known = new Set(this.queue.map((parcel) => parcel.id));
    const kept = (this.parcels?.of(sender) ?? []).filter((parcel) => !known.has(parcel.id));
    this.queue = [...kept, ...this.queue];
  }

  private keep(parcel: Parcel): void {
    // Not before it is known whose it is: another user may sign in on this machine.
    if (parcel.sender !== "") this.parcels?.keep(parcel);
  }

  private settle(parcel: Parcel, answer: Exclude<Answer, { kind: "later" }>): void {
    this.parcels?.forget(parcel);
    const waiter = this.waiters.get(parcel.id);
    this.waiters.delete(parcel.id);
    if (answer.kind === "done") waiter?.resolve(answer.value);
    else if (waiter) waiter.reject(answer.error);
    else (this.options.onRefused ?? logRefused)(answer.error, messagesOf(parcel));
  }

  private async pause(failures: number, retryAfterMs: number): Promise<void> {
    const backoff = this.options.backoff ?? { firstMs: 250, longestMs: 30_000 };
    const ms = pauseMs(backoff, failures, retryAfterMs, Math.random());
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

type Answer =
  | Exclude<Outcome<Receipt[]>, { kind: "refused" }>
  | { readonly kind: "refused"; readonly error: KafkaClientError };

/** What `getProducer()` makes in a browser. */
export function createProducer(): Producer {
  return new GatewayProducer();
}

function isSignedOut(error: KafkaClientError): boolean {
  const type = "type" in error ? error.type : "";
  return type === "urn:kafka-gateway:csrf" || type === "urn:kafka-gateway:not-signed-in";
}

function messagesOf(parcel: Parcel): Message[] {
  const { events } = JSON.parse(parcel.body) as {
    events: { topic: string; key: string; data: JsonObject; headers: MessageHeaders }[];
  };
  return events.map(({ data, ...rest }) => ({ ...rest, value: data }));
}

function logRefused(error: KafkaClientError, messages: readonly Message[]): void {
  console.error("Events from before the page was loaded were refused.", error, messages);
}

function browserStorage(): TextStorage | null {
  return typeof document === "undefined" ? null : globalThis.localStorage;
}

function newId(): string {
  // randomUUID() is not there on plain http.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
