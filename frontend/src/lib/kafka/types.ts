/** What can be said in JSON. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** The data of an event. */
export type JsonObject = { readonly [name: string]: JsonValue };

/** Further headers of an event; all values are text. */
export type MessageHeaders = Readonly<Record<string, string>>;

/** One event. */
export interface Message {
  readonly topic: string;
  readonly value: JsonObject;
  /** Events of one topic and key keep their order. */
  readonly key: string;
  readonly headers?: MessageHeaders;
}

/** Where an event is: in the database (an id), or in Kafka (a partition and an offset). */
export interface Receipt {
  readonly topic: string;
  readonly id?: string;
  readonly partition?: number;
  readonly offset?: string;
}

/** The one interface, in a browser and on Node. */
export interface Producer {
  /** Make ready to send. Calling it again is allowed. */
  connect(): Promise<void>;
  /** Send one event. Resolves when it is kept for good, and not before. */
  sendMessage(
    topic: string,
    value: JsonObject,
    key: string,
    headers?: MessageHeaders,
  ): Promise<Receipt>;
  /** Wait until all is sent, and let go of the connection. */
  disconnect(): Promise<void>;
}
