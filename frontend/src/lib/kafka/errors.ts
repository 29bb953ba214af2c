/** Base of all errors of this client. */
export class KafkaClientError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** Thrown when something is sent before `connect()`, or after `disconnect()`. */
export class NotConnected extends KafkaClientError {
  constructor() {
    super("Call connect() and wait for it before sendMessage().");
  }
}

/** Thrown when events cannot be queued: too many wait already, or the storage is full. */
export class QueueFull extends KafkaClientError {
  constructor(reason: string) {
    super(`The event was not queued: ${reason}. Wait for earlier ones, or raise maxQueued.`);
  }
}

/** Thrown when `disconnect()` gives up on events that were not sent in time. */
export class Disconnected extends KafkaClientError {
  constructor(readonly isKept: boolean) {
    super(
      isKept
        ? "disconnect() came before the event was sent. It is kept and sent after the next connect()."
        : "disconnect() came before the event was sent. It may have been written: send it again " +
            "only if a repeat does no harm.",
    );
  }
}

/** Thrown when an event waited so long that its idempotency key may be forgotten. */
export class Expired extends KafkaClientError {
  constructor() {
    super("The event waited for longer than maxAgeMs and was given up.");
  }
}

/** Thrown when another user is signed in than the one who sent the event. */
export class SenderChanged extends KafkaClientError {
  constructor() {
    super("Another user has signed in since the event was sent. It was not sent as theirs.");
  }
}

/** One wrong place of a request. */
export interface WrongPlace {
  readonly pointer: string;
  readonly detail: string;
}

/** Thrown when the gateway refuses an event: its problem details (RFC 9457). */
export class GatewayProblem extends KafkaClientError {
  constructor(
    readonly status: number,
    readonly type: string,
    readonly detail: string,
    readonly errors: readonly WrongPlace[] = [],
  ) {
    const places = errors.map((place) => ` ${place.pointer}: ${place.detail}.`).join("");
    super(`The gateway answered ${status}: ${detail}${places}`);
  }
}
