import { GatewayProblem, type WrongPlace } from "./errors.ts";
import type { Parcel } from "./storage.ts";
import type { Receipt } from "./types.ts";

/** What a try to reach the gateway came to. */
export type Outcome<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "refused"; readonly error: GatewayProblem }
  | { readonly kind: "later"; readonly retryAfterMs: number };

/** Who the gateway takes us for. */
export interface Session {
  readonly sender: string;
  readonly csrf_token: string;
}

const TRY_AGAIN = new Set([408, 425, 429]);

/** Speaks HTTP with the gateway: one request, one outcome. */
export class Connection {
  constructor(
    private readonly baseUrl: string,
    private readonly token: string | undefined,
    private readonly timeoutMs: number,
  ) {}

  session(): Promise<Outcome<Session>> {
    return this.ask("session", { method: "GET" }, 200, (body) => body as Session);
  }

  send(parcel: Parcel, session: Session): Promise<Outcome<Receipt[]>> {
    const headers = {
      "Content-Type": "application/json",
      "Idempotency-Key": parcel.id,
      ...(session.csrf_token ? { "X-CSRFToken": session.csrf_token } : {}),
    };
    return this.ask(
      "events",
      { method: "POST", headers, body: parcel.body },
      202,
      (body) => (body as { events: Receipt[] }).events,
    );
  }

  private async ask<T>(
    path: string,
    request: RequestInit,
    expected: number,
    read: (body: unknown) => T,
  ): Promise<Outcome<T>> {
    const authorization = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    try {
      const response = await fetch(`${this.baseUrl}/${path}`, {
        ...request,
        headers: { ...request.headers, ...authorization },
        credentials: "same-origin",
        redirect: "manual",
        signal: AbortSignal.timeout(this.timeoutMs),
      });
      const text = await response.text();
      if (response.status === expected) return { kind: "done", value: read(JSON.parse(text)) };
      if (response.status >= 500 || TRY_AGAIN.has(response.status)) {
        return { kind: "later", retryAfterMs: retryAfterMs(response) };
      }
      return { kind: "refused", error: problemOf(response, text) };
    } catch {
      // No answer, or half of one: whether it was taken is unknown, and the key makes that harmless.
      return { kind: "later", retryAfterMs: 0 };
    }
  }
}

function retryAfterMs(response: Response): number {
  const seconds = Number(response.headers.get("Retry-After") ?? "0");
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

function problemOf(response: Response, text: string): GatewayProblem {
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    const found = JSON.parse(text) as { type: string; detail: string; errors?: WrongPlace[] };
    return new GatewayProblem(response.status, found.type, found.detail, found.errors);
  }
  const detail = "This is no answer of the gateway. Check its address (baseUrl).";
  return new GatewayProblem(response.status, "about:blank", detail);
}
