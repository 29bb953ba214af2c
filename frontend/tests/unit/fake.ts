import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TextStorage } from "../../src/lib/kafka/storage.ts";

/** A request to send events, as the fake gateway got it. */
export interface Seen {
  readonly key: string;
  readonly csrf: string | undefined;
  readonly authorization: string | undefined;
  readonly events: { topic: string; key: string; data: { n?: number }; headers: object }[];
}

type Answer = (response: ServerResponse, seen: Seen) => void;

/** A gateway that answers as it is told, over real HTTP. */
export class FakeGateway {
  readonly seen: Seen[] = [];
  sender = "user:1";
  csrf = "csrf-1";
  isSignedIn = true;
  /** Answers to the next posts; without one a post is accepted. */
  readonly answers: Answer[] = [];
  private server: Server | undefined;
  private port = 0;

  get baseUrl(): string {
    return `http://127.0.0.1:${this.port}/kafka`;
  }

  async start(): Promise<void> {
    this.server = createServer((request, response) => void this.handle(request, response));
    await new Promise<void>((ready) => this.server?.listen(this.port, "127.0.0.1", ready));
    this.port = (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((closed) => this.server?.close(closed));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.isSignedIn) return problem(401, "not-signed-in")(response);
    if (request.url === "/kafka/session") {
      return json(response, 200, { sender: this.sender, csrf_token: this.csrf });
    }
    let body = "";
    for await (const part of request) body += String(part);
    const { events } = JSON.parse(body) as Pick<Seen, "events">;
    const header = (name: string) => request.headers[name] as string | undefined;
    const csrf = header("x-csrftoken");
    if (csrf !== this.csrf && !header("authorization")) return problem(403, "csrf")(response);
    const key = header("idempotency-key") ?? "";
    const seen = { key, csrf, authorization: header("authorization"), events };
    this.seen.push(seen);
    (this.answers.shift() ?? accept)(response, seen);
  }
}

export const accept: Answer = (response, seen) => {
  const events = seen.events.map(({ topic, key }) => ({ id: `id-${key}`, topic }));
  json(response, 202, { events });
};

export function problem(status: number, name: string, headers = {}) {
  return (response: ServerResponse): void => {
    const document = { type: `urn:kafka-gateway:${name}`, status, title: name, detail: name };
    response.writeHead(status, { "Content-Type": "application/problem+json", ...headers });
    response.end(JSON.stringify(document));
  };
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify(body));
}

/** The Web Storage API in memory; it takes `room` entries. */
export class MemoryStorage implements TextStorage {
  private readonly entries = new Map<string, string>();
  constructor(private readonly room = Infinity) {}
  get length(): number {
    return this.entries.size;
  }
  key(index: number): string | null {
    return [...this.entries.keys()][index] ?? null;
  }
  getItem(name: string): string | null {
    return this.entries.get(name) ?? null;
  }
  setItem(name: string, text: string): void {
    if (this.entries.size >= this.room) throw new Error("QuotaExceededError");
    this.entries.set(name, text);
  }
  removeItem(name: string): void {
    this.entries.delete(name);
  }
}
